//! Beyond one machine: relays, pods without disks, failover.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod commits;
mod doubles;
mod failover;
mod relay;
mod restored;
mod sockets;
mod steady;
