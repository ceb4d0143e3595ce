//! Beyond one machine: relays, health, pods without disks, failover.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod commits;
mod deploy;
mod doubles;
mod failing;
mod failover;
mod health;
mod metrics;
mod packs;
mod places;
mod pod;
mod pods;
mod points;
mod relay;
mod restored;
mod sockets;
mod steady;
