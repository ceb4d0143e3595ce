//! The example programs, run as a user runs them.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod accounts_service;
mod broker_service;
mod catalogues;
mod order_flow;
mod small;
