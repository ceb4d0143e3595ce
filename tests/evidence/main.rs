//! Seals, checkpoints, verification: what is found, and that nothing else is.

mod attacks;
mod scene;
mod unharmed;
