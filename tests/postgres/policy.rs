//! A policy's file: read at the start and when it changes, and what it leaves out of the database.

use audit_runtime::trail::{EventFilter, Trail, TrailEvent};
use audit_runtime::{Audit, Context, Event, MasterKey, audited};
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tests::{Database, eventually};

const VIEWS: &str = "[[rule]]\nname = 'views'\nevent = 'account.viewed'\n";

#[audited(event = "account.viewed", id = account_id)]
async fn view(account_id: u64) {}

#[audited(event = "account.closed", id = account_id, tx = tx)]
async fn close(tx: &mut PgConnection, account_id: u64) -> Result<u64, sqlx::Error> {
    view(account_id).await;
    Ok(account_id)
}

/// The file of a policy, in a directory of its own.
struct File(tempfile::TempDir);

impl File {
    fn new(text: &str) -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        file.write(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("policy.toml")
    }

    /// Writes it as a whole.
    fn write(&self, text: &str) {
        let new = self.0.path().join("policy.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.path()).unwrap();
    }
}

async fn events(pool: &PgPool) -> Vec<TrailEvent> {
    Trail::new(pool.clone()).events(&EventFilter::new()).await.unwrap().events
}

async fn shut_down(audit: &Audit) {
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
}

#[tokio::test]
async fn a_changed_file_is_read_again_and_no_event_is_lost_or_doubled() {
    let database = Database::new().await;
    let file = File::new(&format!("{VIEWS}once_per = '1h'"));
    let audit = database.audit().policy(file.path()).start().unwrap();
    let (is_over, made) = (AtomicBool::new(false), std::sync::atomic::AtomicU64::new(0));
    // Calls go on while the file changes.
    let calls = audit.scope(async {
        while !is_over.load(Ordering::Relaxed) {
            view(7).await;
            made.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let changes = async {
        let in_force = async |text: &'static str, reason: &str| {
            let shown = format!("views: events of type account.viewed: {text}");
            let count = "SELECT count(*) FROM audit_events WHERE event_type = 'audit.policy_changed' AND data @> $1";
            let part = json!({"rules": [{"rule": shown}], "reason": reason});
            eventually(text, || async {
                sqlx::query_scalar::<_, i64>(count).bind(&part).fetch_one(&database.pool).await.unwrap() == 1
            })
            .await;
        };
        in_force("recorded in full, once per 1h for each type, entity, actor and tenant", "start").await;
        file.write(&format!("{VIEWS}level = 'none'"));
        in_force("not recorded", "change").await;
        file.write(&format!("{VIEWS}once_per = '2h'"));
        in_force("recorded in full, once per 2h for each type, entity, actor and tenant", "change").await;
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(calls, changes);
    let left_out = audit.stats().left_out["views"];
    shut_down(&audit).await;
    assert_eq!(audit.stats().policy_error, None);
    let views = database.events_of("account.viewed").await;
    assert_eq!(u64::try_from(views).unwrap() + left_out, made.load(Ordering::Relaxed));
    assert_eq!(views, 2, "one of each period");
    // Those of the first rule when it was gone, those of the last at the end.
    let reported =
        "SELECT sum((data->>'count')::bigint)::bigint FROM audit_events WHERE event_type = 'audit.thinned_out'";
    let reported = u64::try_from(database.count(reported).await).unwrap();
    assert!(reported > 0 && reported < left_out, "{reported} {left_out}: those of level none are counted alone");
    assert_eq!(database.events_of("audit.thinned_out").await, 2);
    database.is_unharmed().await;
}

#[tokio::test]
async fn a_file_that_is_invalid_or_gone_changes_nothing_and_is_reported() {
    let database = Database::new().await;
    let file = File::new("[[rule]]\nlevel = 'non'");
    let error = database.audit().policy(file.path()).start().unwrap_err().to_string();
    assert!(error.contains("policy.toml: line 2 of the policy is invalid"), "{error}");
    let error = database.audit().policy("/nowhere/policy.toml").start().unwrap_err().to_string();
    assert!(error.contains("cannot read the policy /nowhere/policy.toml"), "{error}");
    file.write(&format!("{VIEWS}level = 'none'"));
    let audit = database.audit().policy(file.path()).start().unwrap();
    file.write("[[rule]]\nlevel = 'non'");
    let says = |part: &'static str| {
        let audit = &audit;
        async move {
            eventually(part, || async { audit.stats().policy_error.is_some_and(|error| error.contains(part)) }).await
        }
    };
    says("policy.toml: line 2 of the policy is invalid").await;
    assert!(!audit.record(Event::new("account.viewed")).unwrap().is_recorded());
    std::fs::remove_file(file.path()).unwrap();
    says("cannot read the policy").await;
    assert!(!audit.record(Event::new("account.viewed")).unwrap().is_recorded());
    file.write(&format!("{VIEWS}level = 'none'"));
    eventually("the mistake is over", || async { audit.stats().policy_error.is_none() }).await;
    shut_down(&audit).await;
    assert_eq!((database.events().await, database.events_of("audit.policy_changed").await), (1, 1));
}

#[tokio::test]
async fn rows_of_callers_transactions_are_always_stored_and_with_metadata_alone() {
    let database = Database::new().await;
    let file = File::new("[[rule]]\nname = 'all'\nlevel = 'none'");
    let audit = database.audit().policy(file.path()).start().unwrap();
    let mut tx = database.pool.begin().await.unwrap();
    audit.scope(close(&mut tx, 7)).await.unwrap();
    audit.record_in(&mut tx, [Event::new("account.noted").data(&json!({"why": "asked"}))]).await.unwrap();
    tx.commit().await.unwrap();
    shut_down(&audit).await;
    assert_eq!((database.events_of("account.closed").await, database.events_of("account.noted").await), (1, 1));
    assert_eq!(database.events_of("account.viewed").await, 0);
    file.write("[[rule]]\nname = 'all'\nlevel = 'metadata'");
    let audit = database.audit().policy(file.path()).start().unwrap();
    let mut tx = database.pool.begin().await.unwrap();
    audit.scope(close(&mut tx, 8)).await.unwrap();
    audit.record_in(&mut tx, [Event::new("account.noted").data(&json!({"why": "asked"}))]).await.unwrap();
    tx.commit().await.unwrap();
    shut_down(&audit).await;
    let stored = "SELECT count(*) FROM audit_events WHERE data = '{\"$policy\": {\"metadata_only\": \"all\"}}'";
    assert_eq!(database.count(stored).await, 3, "the row, the event and the call inside");
}

#[audited(event = "mail.sent", id = account_id, actor = customer, subject = customer, personal(actor, address))]
async fn send(account_id: u64, customer: &str, address: &str) {}

#[tokio::test]
async fn an_actor_stays_encrypted_where_metadata_are_recorded_alone() {
    let database = Database::new().await;
    let key = MasterKey::generate();
    let file = File::new("[[rule]]\nname = 'all'\nlevel = 'metadata'");
    let audit = database.audit().policy(file.path()).master_key(key.clone()).start().unwrap();
    let context = Context::new().personal("ip", "customer:1", "192.0.2.7");
    audit.scope(context.scope(send(7, "customer:1", "ann@example.com"))).await;
    shut_down(&audit).await;
    let clear = "SELECT count(*) FROM audit_events WHERE audit_events::text LIKE '%customer:1%' OR audit_events::text LIKE '%ann@%'";
    assert_eq!(database.count(clear).await, 0);
    let trail = Trail::new(database.pool.clone()).master_key(key);
    let events = trail.events(&EventFilter::new().event("mail.sent")).await.unwrap().events;
    assert_eq!((events.len(), &*events[0].actor), (1, "customer:1"));
    assert_eq!(events[0].data, json!({"$policy": {"metadata_only": "all"}}));
    assert_eq!(events[0].context.as_ref().unwrap()["ip"], "192.0.2.7");
}

#[tokio::test]
async fn a_trail_whose_last_handle_is_dropped_reports_its_counts() {
    let database = Database::new().await;
    let file = File::new(&format!("{VIEWS}once_per = '1h'"));
    let audit = database.audit().policy(file.path()).start().unwrap();
    audit
        .scope(async {
            for _ in 0..5 {
                view(7).await;
            }
        })
        .await;
    drop(audit);
    eventually("the count is stored", || async { database.events_of("audit.thinned_out").await == 1 }).await;
    let report =
        events(&database.pool).await.into_iter().find(|event| event.event_type == "audit.thinned_out").unwrap();
    assert_eq!((report.data["count"].as_u64(), report.entity_key.as_deref()), (Some(4), Some("7")));
}
