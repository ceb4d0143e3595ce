//! The writer without a recorder: a journal, a database, and nothing else.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::orphan_plan::{OrphanPlan, Stored};
use super::{Destination, Settings, WriterParts, start};
use crate::event::{Outcome, ids};
use crate::journal::{Cut, Directory, Journal, Limits, Orphan, Parent};
use crate::postgres::IntoConnectOptions;
use crate::record::{EventRef, payload};
use crate::recorder::control::{Control, Progress};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tests::Database;

const LONGEST: Duration = Duration::from_secs(30);

fn event(number: i64) -> Vec<u8> {
    let (mut bytes, id) = (Vec::new(), ids::event_id(number));
    let event = EventRef {
        id,
        event_type: "order.submitted",
        entity_type: "order",
        entity_id: None,
        actor: "nobody",
        data: &format!(r#"{{"number":{number}}}"#),
        created_at: number,
        outcome: Outcome::Ok,
        duration: None,
        correlation_id: Some(id),
        causation_id: None,
        context: "",
        origin: "test",
        is_personal: false,
        further: payload::FurtherRef::default(),
    };
    payload::encode(&mut bytes, &event);
    bytes
}

fn parts(parent: &Path, looked: &Arc<AtomicBool>) -> WriterParts {
    let looked = looked.clone();
    WriterParts {
        journal: Arc::new(Journal::create(Some(parent), Limits::new(1 << 20, 8 << 20)).unwrap()),
        counters: Arc::default(),
        control: Arc::default(),
        settings: Settings {
            origin: "test".into(),
            connections: 2,
            batch_rows: 100,
            batch_bytes: 1 << 20,
            seal: true,
            synchronous_commit: true,
            adopt_every: Duration::from_secs(30),
            master_key: None,
        },
        record_lost_events: Box::new(move || looked.store(true, Ordering::Relaxed)),
        keeper: None,
        catalogue: Box::new(|| None),
    }
}

/// Waits until the writer has come so far.
async fn wait(control: &Control, has: impl FnMut(&Progress) -> bool) -> Progress {
    let mut progress = control.subscribe();
    let reached = tokio::time::timeout(LONGEST, progress.wait_for(has)).await;
    *reached.expect("the writer comes so far in time").unwrap()
}

#[tokio::test]
async fn a_new_event_does_not_wait_for_a_backlog() {
    const BACKLOG: i64 = 30_000;
    for connections in [1, 2] {
        let (database, looked) = (Database::new().await, Arc::default());
        let mut parts = parts(database.journals.path(), &looked);
        parts.settings.connections = connections;
        let (journal, control, counters) = (parts.journal.clone(), parts.control.clone(), parts.counters.clone());
        let record = |number| {
            counters.appending();
            journal.append(&event(number)).unwrap()
        };
        (1..=BACKLOG).for_each(|number| _ = record(number));
        start(
            parts,
            Destination::Postgres(database.url.as_str().into_connect_options().unwrap()),
            std::future::pending,
        )
        .unwrap();

        wait(&control, |progress| progress.ahead[0] > 0).await;
        let new = record(BACKLOG + 1);
        wait(&control, |progress| progress.has(new - 1, new)).await;
        wait(&control, |progress| progress.stored == BACKLOG as u64 + 1).await;
        assert!(!control.progress().has(0, new + 1), "nothing is behind the new event");

        // Much of the backlog was committed later.
        let later = "SELECT count(*) FROM audit_batches, (SELECT b.xact, b.first_position FROM audit_batches b \
                     ORDER BY b.first_position DESC LIMIT 1) new \
                     WHERE audit_batches.first_position < new.first_position AND audit_batches.xact > new.xact";
        assert!(database.count(later).await > 10, "{connections} connections");
        let (rows, sum) = (
            database.count("SELECT count(DISTINCT id) FROM audit_events WHERE batch_id IS NOT NULL").await,
            database.count("SELECT sum((data->>'number')::int)::bigint FROM audit_events").await,
        );
        assert_eq!((rows, sum), (BACKLOG + 1, (BACKLOG + 1) * (BACKLOG + 2) / 2));
        database.is_unharmed().await;
        control.stop(Instant::now() + LONGEST);
        journal.close();
        wait(&control, |progress| progress.ended).await;
    }
}

#[tokio::test]
async fn a_journal_is_shipped_and_removed_without_a_recorder() {
    let (database, looked) = (Database::new().await, Arc::default());
    let parts = parts(database.journals.path(), &looked);
    let (journal, control) = (parts.journal.clone(), parts.control.clone());
    for number in 1..=250 {
        parts.counters.appending();
        journal.append(&event(number)).unwrap();
    }
    let end = journal.close_blocks();
    start(parts, Destination::Postgres(database.url.as_str().into_connect_options().unwrap()), std::future::pending)
        .unwrap();

    let mut progress = control.subscribe();
    let stored = tokio::time::timeout(LONGEST, progress.wait_for(|progress| progress.stored_to >= end)).await;
    assert_eq!(stored.expect("it is shipped in time").unwrap().stored, 250);
    assert!(looked.load(Ordering::Relaxed), "the writer asks for what was lost");
    let (rows, sum) = (
        database.count("SELECT count(DISTINCT id) FROM audit_events WHERE batch_id IS NOT NULL").await,
        database.count("SELECT sum((data->>'number')::int)::bigint FROM audit_events").await,
    );
    assert_eq!((rows, sum), (250, 250 * 251 / 2));

    journal.close();
    control.stop(Instant::now() + LONGEST);
    let ended = tokio::time::timeout(LONGEST, progress.wait_for(|progress| progress.ended)).await;
    ended.expect("it ends in time").unwrap();
    assert!(!database.journals.path().join(journal.id().to_string()).exists(), "nothing is left to be adopted");
}

#[test]
fn a_batch_that_is_noted_is_cut_as_noted_whatever_a_stored_one_states() {
    let (directory, looked) = (tempfile::tempdir().unwrap(), Arc::default());
    let WriterParts { journal, settings, .. } = parts(directory.path(), &looked);
    let ends: Vec<u64> = (1..=6).map(|number| journal.append(&event(number)).unwrap()).collect();
    journal.close_blocks();
    let noted = Cut {
        first: 0,
        end: ends[2],
        id: uuid::Uuid::now_v7(),
        origin: "test".into(),
        root: None,
        previous: None,
        open: Vec::new(),
        interruptions: None,
        keys: Vec::new(),
    };
    journal.cut_log().unwrap().append(&noted).unwrap();
    journal.close();
    journal.release();
    let parent = Parent::own(directory.path());
    let path = directory.path().join(journal.id().to_string());
    let orphan = Orphan::open(crate::sys::unlocked(|| Directory::adopt(&parent, &path).unwrap())).unwrap();
    // A relay's answer that was damaged on its way: no batch begins within the one that is noted.
    let stored = Stored { first: ends[2], end: ends[5], root: None, open: vec![ends[0]], ids: None };
    let mut plan = OrphanPlan::new(orphan, vec![stored]);
    let batch = plan.next(&settings).unwrap().unwrap();
    assert_eq!((batch.first, batch.end, batch.rows.len()), (0, ends[2], 3));
    assert!(plan.next(&settings).unwrap().is_none());
}
