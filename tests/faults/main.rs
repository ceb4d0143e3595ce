//! What was recorded is not lost.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod restart;
mod server;
