//! Many events at once: inside a caller's transaction, and through the journal.

use audit_runtime::testing::Probe;
use audit_runtime::trail::{EventFilter, Trail};
use audit_runtime::{Audit, Context, Event, RecordError, RecordInError, audited};
use serde_json::json;
use sqlx::PgConnection;
use std::time::Duration;
use tests::Database;
use uuid::Uuid;

fn closed(id: i64) -> Event {
    Event::new("account.closed").entity("account", id).data(&json!({"balance": 0}))
}

async fn shut_down(audit: &Audit) {
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
}

#[audited(event = "job.run", id = none, actor = "nightly", skip_all, result = skip)]
async fn job(tx: &mut PgConnection, audit: &Audit) -> Vec<Uuid> {
    audit.record_in(tx, (1..=3).map(closed)).await.unwrap()
}

#[tokio::test]
async fn events_in_a_transaction_inherit_what_those_of_the_journal_do() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let mut tx = database.pool.begin().await.unwrap();
    let context = Context::new().actor("user:kim").tenant("acme").attribute("ticket", 7);
    let ids = audit.scope(context.clone().scope(job(&mut tx, &audit))).await;
    tx.commit().await.unwrap();
    let probe = Probe::new();
    let shown = || probe.audit().record_all((1..=3).map(closed)).unwrap();
    audited_by_probe(&probe, context, shown).await;
    audit.flush().await.unwrap();
    let rows = Trail::new(database.pool.clone()).events(&EventFilter::new()).await.unwrap().events;
    let job = rows.iter().find(|row| row.event_type == "job.run").unwrap();
    for (number, (id, shown)) in ids.iter().zip(probe.events()).enumerate() {
        let row = rows.iter().find(|row| row.id == *id).unwrap();
        assert_eq!((row.correlation_id, row.causation_id), (job.correlation_id, Some(job.id)));
        assert_eq!(row.entity_key.as_deref(), Some(&*(number + 1).to_string()));
        assert_eq!((&row.actor, &row.tenant, &row.context), (&shown.actor, &shown.tenant, &shown.context));
        assert_eq!((&row.data, row.origin.is_some()), (&shown.data, true));
    }
    shut_down(&audit).await;
}

async fn audited_by_probe<R>(probe: &Probe, context: Context, record: impl FnOnce() -> R) {
    probe.scope(context.scope(async { record() })).await;
}

#[tokio::test]
async fn more_than_one_statement_is_still_one_transaction() {
    let database = Database::new().await;
    let audit = database.audit().segment_bytes(1 << 24).data_limit(1 << 20).start().unwrap();
    let large = |id: i64| closed(id).data(&json!({"note": "x".repeat(900_000)}));
    let mut tx = database.pool.begin().await.unwrap();
    // Seen by the second statement alone: the first has stored its rows by then.
    sqlx::raw_sql("ALTER TABLE audit_events ADD CHECK (entity_key <> '30')").execute(&mut *tx).await.unwrap();
    let mut savepoint = sqlx::Connection::begin(&mut *tx).await.unwrap();
    let error = audit.record_in(&mut savepoint, (1..=30).map(large)).await.unwrap_err();
    assert!(matches!(error, RecordInError::Database(_)), "{error}");
    assert_eq!(audit.stats().in_transactions, 19, "the rows of the first statement");
    savepoint.rollback().await.unwrap();
    let ids = audit.record_in(&mut tx, (1..=29).map(large)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((ids.len(), database.events().await), (29, 29));
    shut_down(&audit).await;
}

#[tokio::test]
async fn personal_data_is_never_stored_in_the_clear_by_a_callers_transaction() {
    let database = Database::new().await;
    let personal = || closed(1).personal("customer:42", &json!({"email": "ann@example.com"}));
    let mut connection = database.pool.acquire().await.unwrap();
    let master = audit_runtime::MasterKey::generate();
    let audit = database.audit().master_key(master.clone()).start().unwrap();
    let context = Context::new().personal("ip", "customer:7", "192.0.2.7");
    let ids = context.scope(async { audit.record_in(&mut connection, [closed(2), personal()]).await }).await.unwrap();
    let clear = "SELECT count(*) FROM audit_events WHERE data::text LIKE '%ann@%' OR context::text LIKE '%192.0%'";
    assert_eq!((ids.len(), database.events().await, database.count(clear).await), (2, 2, 0));
    let trail = Trail::new(database.pool.clone()).master_key(master);
    for (position, id) in ids.iter().enumerate() {
        let event = trail.events(&EventFilter::new().id(*id)).await.unwrap().events.remove(0);
        assert_eq!(event.context.unwrap()["ip"], "192.0.2.7");
        assert_eq!((position, &event.data["balance"]), (position, &json!(0).into()));
        assert!(position == 0 || event.data["email"] == "ann@example.com");
    }
    shut_down(&audit).await;
    // A server that cannot be reached has no keys.
    let audit =
        database.audit().postgres("postgres://nobody@127.0.0.1:1/x").master_key(audit_runtime::MasterKey::generate());
    let audit = audit.start().unwrap();
    let mut tx = database.pool.begin().await.unwrap();
    let error = audit.record_in(&mut tx, [closed(2), personal()]).await.unwrap_err();
    assert!(matches!(error, RecordInError::Keys { .. }), "{error}");
    tx.commit().await.unwrap();
    audit.shutdown(Duration::ZERO).await.unwrap();
    assert_eq!(database.events().await, 2);
    // Without a key, it is redacted, as in the journal.
    let audit = database.audit().start().unwrap();
    audit.record_in(&mut connection, [personal()]).await.unwrap();
    assert_eq!(
        database.count("SELECT count(*) FROM audit_events WHERE data @> '{\"email\": \"[redacted]\"}'").await,
        1
    );
    shut_down(&audit).await;
}

#[tokio::test]
async fn a_list_by_the_journal_is_recorded_up_to_the_first_mistake() {
    let database = Database::new().await;
    sqlx::raw_sql("ALTER TABLE audit_events ADD CHECK (entity_key <> '3')").execute(&database.pool).await.unwrap();
    let audit = database.audit().start().unwrap();
    let none = audit.record_all(Vec::<Event>::new()).unwrap();
    assert!(none.ids().is_empty());
    none.stored().await.unwrap();
    none.synced().await.unwrap();
    let receipts = audit.record_all((1..=5).map(closed)).unwrap();
    receipts.synced().await.unwrap();
    receipts.stored().await.unwrap();
    assert_eq!((receipts.ids().len(), database.events().await), (5, 4));
    assert_eq!(audit.stats().quarantined, 1, "PostgreSQL refuses one, and the others are stored");
    let with_a_mistake = (6..=9).map(|id| if id == 8 { Event::new("No Type") } else { closed(id) });
    let error = audit.record_all(with_a_mistake).unwrap_err();
    assert_eq!(error.recorded, 2);
    assert!(matches!(error.error, RecordError::Event(_)), "{error}");
    assert!(error.to_string().starts_with("2 events were recorded, and the one behind them was not"), "{error}");
    audit.flush().await.unwrap();
    assert_eq!(database.events().await, 6);
    shut_down(&audit).await;
}

/// The future is `Send` although the iterator is not, and its events belong to the place of the call.
#[tokio::test]
async fn events_belong_to_the_place_where_they_are_handed_over() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let mut connection = database.pool.acquire().await.unwrap();
    let inside = Context::new().actor("user:kim").enter();
    let local = std::rc::Rc::new(1);
    let recording = audit.record_in(&mut connection, std::iter::once_with(|| closed(*local)));
    drop(inside);
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    is_send(recording).await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM audit_events WHERE actor = 'user:kim'").await, 1);
    shut_down(&audit).await;
}
