//! What `#[audited]` accepts, refuses and records.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod grammar;
mod outcomes;
mod ui;
