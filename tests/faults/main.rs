//! What was recorded is not lost.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod damage;
mod guarantees;
mod kills;
mod limits;
mod neighbours;
mod power;
mod refused;
mod restart;
mod server;
mod shutdown;
