//! A small trading desk, as a user of `audit-runtime` would write it: what both example programs run.

pub mod broker;
pub mod database;
pub mod desk;
pub mod orders;
pub mod positions;
pub mod risk;
pub mod timeline;
