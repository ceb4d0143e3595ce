//! What was recorded is not lost.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod kills;
mod limits;
mod restart;
mod server;
mod shutdown;
