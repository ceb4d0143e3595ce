//! Seals, checkpoints, verification: what is found, and that nothing else is.

mod attacks;
mod chains;
mod erasure;
mod independent;
mod partitions;
mod retention;
mod roles;
mod scene;
mod unharmed;
