//! The tables in the database.

mod amend;
mod amendments;
pub(crate) mod check;
pub(crate) mod ddl;
mod legacy_table;
pub(crate) mod migrate;
mod migrations;
pub(crate) mod online;
pub(crate) mod partitions;
pub(crate) mod roles;

pub use roles::Role;
