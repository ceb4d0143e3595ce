//! A library that is built without the feature `postgres`, in an application that has it.

use audit_runtime::trail::Trail;
use audited_library::{Overflow, add_interest};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;
use tests::Database;

/// The most crates that a library pays for annotating its functions, itself included.
const MOST_CRATES: usize = 60;

#[tokio::test]
async fn the_application_stores_the_calls_of_a_library() {
    let database = Database::new().await;
    let audit = database.audit().service("bank").start().unwrap();
    let entered = audit.enter();
    assert_eq!(add_interest("savings", 10_000, 250), Ok(10_250));
    assert_eq!(add_interest("savings", i64::MAX, 250), Err(Overflow));
    drop(entered);
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    let events = Trail::new(database.pool.clone()).events(&Default::default()).await.unwrap().events;
    let stored: Vec<_> = events.iter().map(|event| (&*event.event_type, event.outcome.as_str())).collect();
    assert_eq!(stored, [("interest.added", "ok"), ("interest.added", "error")]);
    assert_eq!((&events[0].data["cents"], &events[0].data["result"]), (&10_000.into(), &10_250.into()));
}

#[test]
fn a_library_depends_on_few_crates_and_on_no_driver() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "-p", "audited-library", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--target", "x86_64-unknown-linux-gnu", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&tree.stderr);
    assert!(tree.status.success(), "{error}");
    let listed = String::from_utf8_lossy(&tree.stdout);
    let crates: BTreeSet<&str> = listed.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    assert!(crates.iter().any(|name| name.starts_with("audit-runtime ")), "{crates:?}");
    assert!(crates.len() <= MOST_CRATES, "{} crates: {crates:?}", crates.len());
    for left_out in ["sqlx", "rustls", "ring", "ed25519-dalek", "chacha20poly1305", "chrono", "futures-util"] {
        let found = crates.iter().find(|name| name.split(' ').next() == Some(left_out));
        assert_eq!(found, None, "the half without PostgreSQL depends on it");
    }
}
