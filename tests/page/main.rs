//! `audit-trail serve`, the real binary, over HTTP and in a browser.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod access;
mod browser;
mod catalogue;
mod clicks;
mod evidence;
mod exports;
mod hostile;
mod looks;
mod personal;
mod recorded;
mod scene;
mod search;
mod server;
mod tail;
mod wall;
