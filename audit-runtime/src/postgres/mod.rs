//! PostgreSQL: connections, rows both ways, what its errors mean, the schema.

mod connect;
pub(crate) mod copy;
mod error;
pub(crate) mod failure;
pub(crate) mod glob;
pub(crate) mod schema;
pub(crate) mod session;
mod sockets;
#[cfg(feature = "evidence")]
pub(crate) mod system_event;
mod types;

pub use connect::{ConnectOptions, FreshOptions, IntoConnectOptions};
pub(crate) use error::Internal;
pub use error::{DatabaseError, DatabaseErrorKind};
pub use schema::{RightsProblem, RightsProblemKind, Role, SchemaProblem, SchemaProblemKind};
