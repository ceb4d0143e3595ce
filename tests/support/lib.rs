//! What the suites share: private PostgreSQL clusters, a database for each test, bounded waiting.

#![allow(clippy::unwrap_used, reason = "a test's support fails by panicking")]

pub mod cluster;
pub mod database;
pub mod examples;
pub mod proxy;
pub mod wait;

pub use cluster::{Cluster, Config};
pub use database::Database;
pub use proxy::{Proxy, Rule};
pub use wait::eventually;
