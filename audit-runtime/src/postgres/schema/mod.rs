//! The tables in the database.

mod amend;
mod amendments;
pub(crate) mod check;
pub(crate) mod ddl;
pub(crate) mod inspect;
mod legacy_table;
pub(crate) mod migrate;
mod migrations;
pub(crate) mod online;
pub(crate) mod partitions;
pub(crate) mod rights;
pub(crate) mod roles;

pub use inspect::{SchemaProblem, SchemaProblemKind};
pub use rights::{RightsProblem, RightsProblemKind};
pub use roles::Role;
