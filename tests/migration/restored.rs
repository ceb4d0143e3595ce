//! A trail that is dumped and restored into another server, as for an upgrade of PostgreSQL.
//!
//! `scripts/postgres-versions.sh upgrade` restores into a newer version.

use crate::indexes;
use audit_runtime::evidence::SigningKey;
use audit_runtime::{Audit, Event};
use std::process::Stdio;
use std::time::Duration;
use tests::{Cluster, Config, Database, before, eventually};

fn record(audit: &Audit, events: std::ops::Range<i64>) {
    for number in events {
        let event = Event::new("invoice.paid").entity("invoice", format!("INV-{number}")).target("account", number);
        audit.record(event.tenant("acme").data(&serde_json::json!({"cents": number, "rate": 1.10}))).unwrap();
    }
}

#[tokio::test]
async fn a_trail_that_is_restored_into_another_server_verifies_and_goes_on() {
    let mut from = Cluster::start(Config::default());
    let mut database = before::version_5_in(&from).await;
    before::fill(&database, 3_000).await;
    database.admin().migrate().await.unwrap();
    let key = SigningKey::generate("trail.example").unwrap();
    let audit = database.audit().start().unwrap();
    record(&audit, 0..500);
    audit.flush().await.unwrap();
    let checkpoint = database.admin().checkpoint(&key).await.unwrap();
    let before = indexes(&database, "audit_events_default").await;

    let Some(mut dump) = from.pg_dump(&database.url) else {
        eprintln!("skipped: this PostgreSQL came without pg_dump");
        return;
    };
    let to = Cluster::start_newer(Config::default());
    let mut restored = Database::empty_in(&to).await;
    let mut dump = dump.stdout(Stdio::piped()).spawn().unwrap();
    let status = from.psql(&restored.url).stdin(dump.stdout.take().unwrap()).stdout(Stdio::null()).status().unwrap();
    assert!(status.success() && dump.wait().unwrap().success());

    // Events that were recorded meanwhile are in the journal, and the old server is gone.
    database.pool.close().await;
    from.down();
    record(&audit, 500..600);
    database.abandon(audit).await;
    drop(from);
    std::mem::swap(&mut restored.journals, &mut database.journals);

    assert_eq!(indexes(&restored, "audit_events_default").await, before);
    let saved = [checkpoint.note];
    let (findings, report) = restored.verify(Some(key.public()), &saved).await;
    assert_eq!(report.problems, 0, "{findings:?}");
    let audit = restored.audit().start().unwrap();
    record(&audit, 600..700);
    audit.flush().await.unwrap();
    eventually("the journal is adopted", async || restored.events_of("invoice.paid").await == 700).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    restored.admin().checkpoint(&key).await.unwrap();
    let (findings, report) = restored.verify(Some(key.public()), &saved).await;
    assert_eq!((report.problems, report.not_sealed, restored.events().await), (0, 0, 3_700), "{findings:?}");
    assert_eq!(restored.admin().pending_migration().await.unwrap(), []);
    assert_eq!(restored.admin().schema_problems().await.unwrap(), Vec::<String>::new());
}
