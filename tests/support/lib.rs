//! Shared code of the suites: private PostgreSQL clusters, a database for each test, bounded
//! waiting.

#![allow(clippy::unwrap_used, reason = "a test's support fails by panicking")]

pub mod again;
pub mod before;
pub mod bouncer;
pub mod calls;
pub mod cluster;
pub mod database;
pub mod double;
pub mod examples;
pub mod filled;
mod frames;
pub mod gate;
pub mod nats;
pub mod processor;
pub mod programs;
pub mod proxy;
pub mod python;
pub mod relay;
mod secret;
pub mod silence;
pub mod small_disk;
mod standby;
pub mod terminal;
pub mod tls;
pub mod wait;

pub use bouncer::Bouncer;
pub use calls::Calls;
pub use cluster::{Cluster, Config};
pub use database::Database;
pub use double::Double;
pub use gate::{Gate, Held};
pub use nats::NatsServer;
pub use proxy::{Proxy, Rule};
pub use relay::RelayProcess;
pub use secret::secret_file;
pub use small_disk::SmallDisk;
pub use wait::eventually;
