//! Recorded events are not lost.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod adoption;
mod backlog;
mod crowd;
mod damage;
mod durable;
mod guarantees;
mod kills;
mod limits;
mod manners;
mod neighbours;
mod owners;
mod power;
mod refused;
mod restart;
mod schemas;
mod server;
mod shutdown;
mod silence;
mod small;
mod versions;
