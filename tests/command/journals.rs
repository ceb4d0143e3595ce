//! `audit-trail journal ..`.

use crate::{command, ran, run};
use audit_runtime::admin::{JournalState, journals};
use audit_runtime::{Audit, Event};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;
use tests::{Cluster, Database, Proxy, Rule};

#[tokio::test]
async fn journals_of_dead_processes_are_shipped_and_those_of_live_ones_left_alone() {
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
    assert_eq!((shipped.code, shipped.stdout.as_str()), (0, "30 events of 1 journal shipped\n"), "{}", shipped.stderr);
    assert_eq!((database.events().await, database.journal_directories()), (30, 1));
    let again = run(&database, &["journal", "ship", &directory]);
    assert!(again.code == 1 && again.stderr.contains("no journal waits"), "{}", again.stderr);
}

/// A writer behind a proxy.
fn behind(proxy: &Proxy, database: &Database) -> Audit {
    let name = database.url.rsplit('/').next().unwrap();
    database.audit().postgres(proxy.url(name)).start().unwrap()
}

#[tokio::test]
async fn only_events_that_are_not_stored_wait() {
    let database = Database::new().await;
    let proxy = Proxy::start(Cluster::shared().port());
    let directory = database.journals.path().to_str().unwrap().to_owned();
    let audit = behind(&proxy, &database);
    let mut last = None;
    for _ in 0..20 {
        last = Some(audit.record(Event::new("order.accepted")).unwrap());
    }
    last.unwrap().stored().await.unwrap();
    proxy.rule(Rule::CutAfterSent(0));
    for _ in 0..5 {
        audit.record(Event::new("order.filled")).unwrap();
    }
    database.abandon(audit).await;

    let asked = run(&database, &["journal", "status", &directory]);
    assert_eq!((asked.code, asked.stderr.as_str()), (0, ""), "{}", asked.stdout);
    for text in
        ["waiting                5 events", "20 further events of these files are stored already", "1 of 1 wait for"]
    {
        assert!(asked.stdout.contains(text), "{text}: {}", asked.stdout);
    }
    assert!(!asked.stdout.contains("up to"), "{}", asked.stdout);
    let mut alone = command(&database, &["journal", "status", &directory]);
    alone.env_remove("DATABASE_URL");
    let mut apart = command(&database, &["journal", "status", &directory]);
    apart.env("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x");
    for (ran, notice) in [(ran(alone), ""), (ran(apart), "cannot ask the database at 127.0.0.1:1")] {
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stderr.contains(notice) && ran.stderr.is_empty() == notice.is_empty(), "{}", ran.stderr);
        for text in ["up to 25 events", "some of these events may be stored already; give --database-url"] {
            assert!(ran.stdout.contains(text), "{text}: {}", ran.stdout);
        }
    }
    let json = run(&database, &["journal", "status", &directory, "--output", "json"]);
    let journals: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    let journal = &journals[0];
    assert_eq!(
        (&journal["events"], &journal["waiting"], &journal["state"]),
        (&25.into(), &5.into(), &"waiting".into())
    );
    let line = run(&database, &["journal", "status", &directory, "--output", "ndjson"]);
    assert_eq!(serde_json::from_str::<Value>(&line.stdout).unwrap(), *journal);
    let mut alone = command(&database, &["journal", "status", &directory, "--output", "ndjson"]);
    alone.env_remove("DATABASE_URL");
    assert_eq!(serde_json::from_str::<Value>(&ran(alone).stdout).unwrap()["waiting"], Value::Null);

    let shipped = run(&database, &["journal", "ship", &directory]);
    let text = "5 events of 1 journal shipped; 20 events were stored already\n";
    assert_eq!((shipped.code, shipped.stdout.as_str()), (0, text), "{}", shipped.stderr);
    assert_eq!(database.events().await, 25);
    let none = run(&database, &["journal", "status", &directory, "--output", "json"]);
    assert_eq!((none.code, none.stdout.as_str()), (1, "[]\n"), "{}", none.stderr);
}

#[tokio::test]
async fn a_journal_that_is_stored_already_is_reported_as_such() {
    let database = Database::new().await;
    let proxy = Proxy::start(Cluster::shared().port());
    let directory = database.journals.path().to_str().unwrap().to_owned();
    proxy.rule(Rule::LoseLastCommitAnswer);
    let audit = behind(&proxy, &database);
    audit.record(Event::new("order.accepted")).unwrap();
    tests::eventually("the event is stored", async || database.events().await == 1).await;
    database.abandon(audit).await;
    let waiting = run(&database, &["journal", "status", &directory]);
    assert!(waiting.stdout.contains("waiting                0 events"), "{}{}", waiting.stdout, waiting.stderr);
    let shipped = run(&database, &["journal", "ship", &directory]);
    let text = "nothing had to be shipped: 1 event of 1 journal is stored already\n";
    assert_eq!((shipped.code, shipped.stdout.as_str()), (0, text), "{}", shipped.stderr);
    assert_eq!((database.events().await, database.journal_directories()), (1, 0));
}

#[tokio::test]
async fn a_watch_ships_what_processes_leave_until_it_is_terminated() {
    let database = Database::new().await;
    database.orphan(3).await;
    let directory = database.journals.path().to_str().unwrap();
    let mut watch = command(&database, &["journal", "ship", directory, "--watch", "--every", "1"]);
    let mut watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "3 events of 1 journal shipped");
    // It is there by now, and ships what comes later, too.
    database.orphan(2).await;
    assert_eq!(lines.next().unwrap().unwrap(), "2 events of 1 journal shipped");
    assert_eq!(database.events_of("order.orphaned").await, 5);
    let pid = rustix::process::Pid::from_child(&watch);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(0));
    assert_eq!(database.journal_directories(), 0);
    let both = run(&database, &["journal", "ship", directory, "--watch", "--timeout", "3"]);
    assert_eq!(both.code, 2, "{}", both.stderr);
}
