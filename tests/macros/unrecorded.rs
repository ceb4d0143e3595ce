//! An unrecorded call is reported, and no filter of logs decides which calls are recorded.

use crate::support::ID;
use audit_runtime::audited;
use audit_runtime::testing::Probe;
use tests::again::{again, is_again};
use tracing_subscriber::filter::LevelFilter;

#[audited(event = "order.placed", id = ID)]
fn place(number: u8) -> u8 {
    number
}

#[audited(event = "order.cancelled", id = ID)]
async fn cancel(number: u8) -> u8 {
    number
}

const WARNED: &str = "unrecorded::calls_with_nothing_installed_warn_once_with_the_functions_name";

#[test]
fn calls_with_nothing_installed_warn_once_with_the_functions_name() {
    if is_again(WARNED) {
        // Once per process: in one of its own.
        tracing_subscriber::fmt().with_writer(std::io::stdout).with_ansi(false).init();
        assert_eq!((place(1), place(2), pollster::block_on(cancel(3))), (1, 2, 3));
        return;
    }
    let output = again(WARNED).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("no audit trail is installed").count(), 1, "{text}");
    assert!(text.contains("macros::unrecorded::place") && text.contains("Audit::install"), "{text}");
}

#[test]
fn a_filter_that_silences_every_log_silences_no_audit() {
    let silent = tracing_subscriber::fmt().with_max_level(LevelFilter::OFF).finish();
    let probe = Probe::new();
    tracing::subscriber::with_default(silent, || {
        let _entered = probe.enter();
        place(1);
        pollster::block_on(cancel(2));
    });
    assert_eq!(probe.events().len(), 2);
}
