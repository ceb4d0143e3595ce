//! Beyond one machine: relays, pods without disks, failover.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod doubles;
mod points;
mod relay;
mod sockets;
