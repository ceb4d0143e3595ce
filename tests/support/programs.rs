//! Programs that run beside each other, and where they send what they record.

use audit_runtime::{Audit, Builder, Nats};
use std::path::PathBuf;

/// A trail that goes to a database, to a relay (`unix:`), or to a broker (`nats:`).
pub fn destination(url: &str) -> Builder {
    match url.split_once(':') {
        Some(("unix", _)) => Audit::builder().relay(url),
        Some(("nats", _)) => Audit::builder().nats(Nats::new(url)),
        _ => Audit::builder().postgres(url),
    }
}

/// A program that was built beside this one.
///
/// # Panics
/// This program has no path.
pub fn beside(name: &str) -> PathBuf {
    std::env::current_exe().unwrap().with_file_name(name)
}
