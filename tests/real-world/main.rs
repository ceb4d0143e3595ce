//! Services as their authors write them, shape by shape: each runs, and the rows that PostgreSQL
//! has of it are compared.
//!
//! No attribute here contains `fallible`. Shapes are numbered, and behind each stands how many
//! arguments its attribute takes: at most two beside the event type. Where a block has an attribute,
//! its comment states the arguments beside the entity.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(clippy::unused_async, clippy::too_many_arguments, reason = "services are shown as they are found")]

mod actix;
mod counted;
mod payments;
mod poem;
mod repositories;
mod rpc;

mod scene;
mod services;
mod state_machines;
mod tower_services;
mod traits;
mod web;
mod workers;
