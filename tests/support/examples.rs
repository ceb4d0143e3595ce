//! The example programs, as a user starts them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// As `cargo test --workspace --all-features` has compiled all that programs stand on: beside a test, crates
/// have the features that dev-dependencies ask for, and would be compiled once more without one.
/// `scripts/test.sh` checks the examples with the features that the README's first command gives them.
const AS_TESTS: &[&str] = &["--workspace", "--all-features", "--test", "architecture"];

/// The binary of an example. The whole workspace is built before tests run.
///
/// # Panics
/// It cannot be built.
pub fn binary(name: &str) -> PathBuf {
    built("--bin", name)
}

/// The command `audit-trail`.
///
/// # Panics
/// It cannot be built.
pub fn audit_trail() -> PathBuf {
    built("--bin", "audit-trail")
}

/// One of the small examples.
///
/// # Panics
/// It cannot be built.
pub fn example(name: &str) -> PathBuf {
    built("--example", name)
}

/// Builds a program once for all tests of this process.
fn built(kind: &str, name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut done = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if !done.contains(name) {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        // Up to date in a workspace test run, where this costs a moment. A lone `-p tests` builds
        // it here.
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", kind, name]).args(AS_TESTS);
        // Variables of the test's own package make build scripts run again, and all that depends on
        // them.
        let of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_package)) {
            build.env_remove(name);
        }
        assert!(build.status().unwrap().success(), "cargo build {kind} {name}");
        done.insert(name.to_owned());
    }
    let test = std::env::current_exe().unwrap();
    let directory = test.ancestors().nth(2).unwrap();
    if kind == "--example" { directory.join("examples").join(name) } else { directory.join(name) }
}
