//! Beyond one machine: health, metrics, and journals whose disk goes with the machine.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod deploy;
mod failing;
mod health;
mod metrics;
mod packs;
mod pod;
mod pods;
