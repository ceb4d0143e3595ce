//! The command of the audit trail.

use std::process::ExitCode;

fn main() -> ExitCode {
    audit_trail::run(std::env::args_os())
}
