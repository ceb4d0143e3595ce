//! The whole way, from annotated calls to rows and back, against real servers.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod any;
mod bulk;
mod capture;
mod catalogue;
mod clients;
mod connect;
mod filter;
mod find;
mod history;
mod interop;
mod keys;
mod library;
mod look;
mod plans;
mod policy;
mod runtimes;
mod schema;
mod trail;
mod transactions;
mod vocabulary;
mod writer;
