//! Retention by filters and rules, legal holds, and archives that come back.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod add;
mod archives;
mod command;
mod deletions;
mod feeds;
mod filters;
mod forget;
mod interrupted;
mod reimport;
mod scene;
mod schema;
