//! Services behind NATS JetStream and a relay.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod adoption;
mod faults;
mod permissions;
mod restored;
mod scene;
mod strangers;
mod way;
