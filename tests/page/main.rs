//! `audit-trail serve`, the real binary, over HTTP and in a browser.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod access;
mod browser;
mod catalogue;
mod clicks;
mod evidence;
mod exports;
mod further;
mod fuzz;
mod hostile;
mod looks;
mod payloads;
mod personal;
mod questions;
mod recorded;
mod routes;
mod scene;
mod search;
mod server;
mod tail;
mod tls;
mod wall;
