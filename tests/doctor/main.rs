//! `audit-trail doctor`: a healthy trail has no finding, and each finding is provoked once.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod cheap;
mod evidence;
mod files;
mod healthy;
mod roles;
mod scene;
mod schema;
mod servers;

use scene::Provoked;
use std::collections::BTreeSet;
use std::process::Command;

/// Makes a test of each function, which provokes the finding of its name, and lists the names.
macro_rules! provoked {
    ($($module:ident: $($name:ident)+;)+) => {
        /// The findings that have a test.
        const PROVOKED: &[&str] = &[$($(stringify!($name)),+),+];

        $($(
            #[tokio::test]
            async fn $name() {
                is_found(stringify!($name), $module::$name().await).await;
            }
        )+)+
    };
}

// The one table: `doctor --list` may list no other findings.
provoked! {
    files: key_unreadable key_mode key_mismatch master_key_mismatch
        journal_unreadable journal_mode journal_disk journal_left_over
        verification_unknown verification_old verification_failed;
    servers: server_too_old server_untested clock_differs;
    schema: no_tables legacy_table schema_older schema_newer schema_missing schema_differs trigger_disabled
        index_missing index_invalid partitions_behind default_partition schema_open;
    roles: role_unknown role_unlimited role_lacks_right role_exceeds role_may_change role_cannot_connect role_read_only
        role_sees_other_table tenant_wall;
    evidence: checkpoint_missing batches_uncovered rows_unsealed batches_missing quarantine writer_clock_ahead writer_late;
}

#[test]
fn each_finding_that_is_listed_has_a_test() {
    let ran = scene::ran(Command::new(tests::examples::audit_trail()).args(["doctor", "--list", "--json"]));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let listed: BTreeSet<String> =
        ran.lines().iter().map(|kind| kind["name"].as_str().unwrap().replace('-', "_")).collect();
    assert_eq!(listed, PROVOKED.iter().map(|name| (*name).to_owned()).collect());
}

/// Requires that a finding is reported, with all that it needs. If its remedy is a statement or a
/// command without a placeholder, the remedy must mend it.
async fn is_found(name: &str, provoked: Provoked) {
    let name = name.replace('_', "-");
    let ran = provoked.doctor();
    let finding = ran.finding(&name).unwrap_or_else(|| panic!("{name} is not found: {}{}", ran.stdout, ran.stderr));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    for field in ["about", "why", "remedy", "severity"] {
        assert!(!finding[field].as_str().unwrap().is_empty(), "{finding}");
    }
    if provoked.apply(finding["remedy"].as_str().unwrap()).await {
        let ran = provoked.doctor();
        assert!(ran.finding(&name).is_none(), "{name} is still there: {}", ran.stdout);
    }
}
