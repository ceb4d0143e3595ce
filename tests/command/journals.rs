//! `audit-trail journal ..`.

use crate::run;
use audit_runtime::{Event, JournalState, journals};
use std::time::Duration;
use tests::Database;

#[tokio::test]
async fn what_a_dead_process_left_is_listed_and_shipped_and_what_a_live_one_has_is_left_alone() {
    let database = Database::new().await;
    let directory = database.journals.path().to_str().unwrap().to_owned();
    let empty = run(&database, &["journal", "status", &directory]);
    assert_eq!(empty.code, 1, "{}", empty.stderr);
    let dead = database.audit().postgres("postgres://127.0.0.1:1/x").start().unwrap();
    (0..30).for_each(|_| drop(dead.record(Event::new("order.accepted")).unwrap()));
    dead.shutdown(Duration::ZERO).await.unwrap();
    let live = database
        .audit()
        .postgres("postgres://127.0.0.1:1/x")
        .journal(database.journals.path().join("of_its_own"))
        .start()
        .unwrap();
    drop(live);
    // A live one that cannot ship, beside.
    let live = database.audit().postgres("postgres://127.0.0.1:1/x");
    let held = {
        // Started where nothing is to be adopted, then looked at beside the dead one.
        let apart = tempfile::tempdir().unwrap();
        let audit = live.journal(apart.path()).start().unwrap();
        audit.record(Event::new("order.accepted")).unwrap();
        let listed = run(&database, &["journal", "status", apart.path().to_str().unwrap()]);
        assert!(listed.stdout.contains("held") && listed.stdout.contains(" 1 events"), "{}", listed.stdout);
        assert_eq!(run(&database, &["journal", "ship", apart.path().to_str().unwrap()]).code, 1);
        assert_eq!(journals(apart.path()).unwrap()[0].state, JournalState::Held);
        audit
    };
    held.shutdown(Duration::ZERO).await.unwrap();

    let listed = run(&database, &["journal", "status", &directory]);
    assert_eq!(listed.code, 0);
    assert!(listed.stdout.contains("waiting") && listed.stdout.contains("30 events"), "{}", listed.stdout);
    assert!(listed.stdout.contains("1 of 1 wait"), "{}", listed.stdout);
    let shipped = run(&database, &["journal", "ship", &directory]);
    assert_eq!((shipped.code, shipped.stdout.as_str()), (0, "30 events of 1 journals shipped\n"), "{}", shipped.stderr);
    assert_eq!((database.events().await, database.journal_directories()), (30, 1));
    let again = run(&database, &["journal", "ship", &directory]);
    assert!(again.code == 1 && again.stderr.contains("no journal waits"), "{}", again.stderr);
}
