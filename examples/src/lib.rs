//! A small trading desk, as a user of `audit-runtime` would write it: what both example programs
//! run.

pub mod broker;
pub mod database;
pub mod desk;
pub mod http;
pub mod orders;
pub mod positions;
pub mod risk;
pub mod timeline;

use std::process::ExitCode;

/// Returns how a program ends. It prints an error with its causes. A backtrace does not help
/// somebody who named the wrong file.
pub fn ended(done: anyhow::Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
