//! The code that `#[audited]` accepts and refuses, and the events it records.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod blocks;
mod captured;
mod catalogue;
mod context;
mod derive;
mod differential;
mod endings;
mod failure;
mod frameworks;
mod grammar;
mod guarantees;
mod keys;
mod nested;
mod odd;
mod outcomes;
mod personal;
mod policy;
mod quiet;
mod requests;
mod responses;
mod shapes;
mod silence;
mod sizes;
mod support;
mod unrecorded;
mod wrappers;
