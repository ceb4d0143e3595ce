//! `tx`: a call's row is there if and only if the caller's transaction commits.

use async_trait::async_trait;
use audit_runtime::testing::Probe;
use audit_runtime::trail::{IntentState, Trail, TrailEvent};
use audit_runtime::{Audit, Event, InsertRow, Outcome, audited};
use serde::Serialize;
use serde_json::json;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection, Postgres, Transaction};
use std::future::Future;
use std::time::Duration;
use tests::{Cluster, Database, Proxy, Rule, eventually};
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
enum DeskError {
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("oversold")]
    Oversold,
}

#[derive(Debug, Default, Clone, Serialize)]
struct Position {
    quantity: i32,
}

/// The combination that `north-star` needs: a late type, a transaction, a change.
#[audited(
    event = |after| if *after == 0 { "position.closed" } else { "position.updated" }, err = "position.failed",
    entity = "position", id = order_id, tx = tx, changes(position),
)]
async fn apply_fill(
    tx: &mut Transaction<'_, Postgres>,
    order_id: Uuid,
    position: &mut Position,
    by: i32,
) -> Result<i32, DeskError> {
    if position.quantity + by < 0 {
        return Err(DeskError::Oversold);
    }
    position.quantity += by;
    sqlx::query("INSERT INTO positions (order_id, quantity) VALUES ($1, $2)")
        .bind(order_id)
        .bind(position.quantity)
        .execute(&mut **tx)
        .await?;
    Ok(position.quantity)
}

async fn desk() -> (Database, Audit) {
    let database = Database::new().await;
    sqlx::query("CREATE TABLE positions (order_id uuid, quantity integer)").execute(&database.pool).await.unwrap();
    let audit = database.audit().start().unwrap();
    (database, audit)
}

async fn trail(database: &Database, id: Uuid) -> Vec<TrailEvent> {
    Trail::new(database.pool.clone()).entity("position", id).await.unwrap()
}

#[tokio::test]
async fn a_row_comes_with_the_callers_commit_and_goes_with_its_rollback() {
    let (database, audit) = desk().await;
    let mut position = Position::default();
    let (committed, rolled_back, closed) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let mut tx = database.pool.begin().await.unwrap();
    assert_eq!(audit.scope(apply_fill(&mut tx, committed, &mut position, 5)).await.unwrap(), 5);
    assert!(trail(&database, committed).await.is_empty(), "not before the commit");
    tx.commit().await.unwrap();
    let [event] = &*trail(&database, committed).await else { panic!("one row") };
    assert_eq!((event.outcome, event.event_type.as_str(), event.batch_id), (Outcome::Ok, "position.updated", None));
    let expected = json!({"order_id": committed, "by": 5, "result": 5, "changes": {"position": {"quantity": {"from": 0, "to": 5}}}});
    assert_eq!(event.data, expected);
    assert!(event.duration_us.is_some() && event.origin.as_ref().unwrap().starts_with("test@"));

    let mut tx = database.pool.begin().await.unwrap();
    audit.scope(apply_fill(&mut tx, rolled_back, &mut position, 1)).await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = database.pool.begin().await.unwrap();
    audit.scope(apply_fill(&mut tx, closed, &mut position, -6)).await.unwrap();
    tx.commit().await.unwrap();
    audit.flush().await.unwrap();
    assert!(trail(&database, rolled_back).await.is_empty(), "neither by the transaction nor by the journal");
    assert_eq!(trail(&database, closed).await[0].event_type, "position.closed");
    let stats = audit.stats();
    assert_eq!((stats.recorded, stats.in_transactions), (0, 3));
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn an_error_or_a_cancellation_goes_by_the_journal_whatever_becomes_of_the_transaction() {
    let (database, audit) = desk().await;
    let mut position = Position { quantity: 1 };
    let (refused, cancelled) = (Uuid::now_v7(), Uuid::now_v7());
    let mut tx = database.pool.begin().await.unwrap();
    audit.scope(apply_fill(&mut tx, refused, &mut position, -5)).await.unwrap_err();
    let hanging = audit.scope(hang(&mut tx, cancelled));
    tokio::time::timeout(Duration::from_millis(100), hanging).await.unwrap_err();
    tx.rollback().await.unwrap();
    audit.flush().await.unwrap();
    let [event] = &*trail(&database, refused).await else { panic!("one row") };
    assert_eq!((event.outcome, event.event_type.as_str()), (Outcome::Error, "position.failed"));
    assert_eq!(event.data["error"]["message"], "oversold");
    assert_eq!(event.data["changes"], json!({"position": {}}));
    let [event] = &*trail(&database, cancelled).await else { panic!("one row") };
    assert_eq!(event.outcome, Outcome::Cancelled);
    assert_eq!(audit.stats().in_transactions, 0);
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[audited(event = "position.updated", id = order_id, entity = "position", tx = tx)]
async fn hang(tx: &mut Transaction<'_, Postgres>, order_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO positions VALUES ($1, 1)").bind(order_id).execute(&mut **tx).await?;
    std::future::pending().await
}

#[tokio::test]
async fn a_row_that_cannot_be_inserted_is_the_functions_error() {
    let (database, audit) = desk().await;
    sqlx::query("ALTER TABLE audit_events ADD CHECK (event_type <> 'position.updated')")
        .execute(&database.pool)
        .await
        .unwrap();
    let order = Uuid::now_v7();
    let mut tx = database.pool.begin().await.unwrap();
    let error = audit.scope(apply_fill(&mut tx, order, &mut Position::default(), 1)).await.unwrap_err();
    let DeskError::Database(error) = error else { panic!("{error}") };
    assert!(error.as_database_error().unwrap().is_check_violation());
    assert!(tx.commit().await.is_ok(), "PostgreSQL answers the commit of a failed transaction by a rollback");
    audit.flush().await.unwrap();
    let [event] = &*trail(&database, order).await else { panic!("one row") };
    assert_eq!((event.outcome, event.event_type.as_str()), (Outcome::Error, "position.failed"));
    assert!(event.data["error"]["message"].as_str().unwrap().contains("violates check constraint"), "{}", event.data);
    assert_eq!(database.count("SELECT count(*) FROM positions").await, 0);
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_lost_before_the_commit_leaves_no_row_and_no_claim_of_one() {
    let (database, audit) = desk().await;
    let proxy = Proxy::start(Cluster::shared().port());
    let pool = PgPool::connect_lazy(&proxy.url(database.url.rsplit('/').next().unwrap())).unwrap();
    let (lost, later) = (Uuid::now_v7(), Uuid::now_v7());
    // After the function has returned, before the caller commits.
    let mut tx = pool.begin().await.unwrap();
    audit.scope(apply_fill(&mut tx, lost, &mut Position::default(), 1)).await.unwrap();
    proxy.cut();
    tx.commit().await.unwrap_err();
    // Before the row is inserted: the body itself still succeeds.
    let mut tx = pool.begin().await.unwrap();
    let error = audit.scope(work_then_lose(&mut tx, later, &proxy)).await.unwrap_err();
    assert!(matches!(error, DeskError::Database(_)), "{error}");
    drop(tx);
    audit.flush().await.unwrap();
    assert!(trail(&database, lost).await.is_empty());
    let [event] = &*trail(&database, later).await else { panic!("one row") };
    assert_eq!(event.outcome, Outcome::Error);
    assert_eq!(database.count("SELECT count(*) FROM positions").await, 0);
    let stats = audit.stats();
    assert_eq!((stats.stored, stats.in_transactions), (1, 1), "counted as handed over, not as stored");
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[audited(event = "position.updated", id = order_id, entity = "position", tx = tx, skip(proxy))]
async fn work_then_lose(tx: &mut Transaction<'_, Postgres>, order_id: Uuid, proxy: &Proxy) -> Result<(), DeskError> {
    sqlx::query("INSERT INTO positions VALUES ($1, 1)").bind(order_id).execute(&mut **tx).await?;
    proxy.cut();
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_given_up_while_its_row_is_inserted_has_one_row_or_two_and_never_none() {
    let (database, audit) = desk().await;
    let proxy = Proxy::start(Cluster::shared().port());
    let pool = PgPool::connect_lazy(&proxy.url(database.url.rsplit('/').next().unwrap())).unwrap();
    let order = Uuid::now_v7();
    let mut tx = pool.begin().await.unwrap();
    // Prepared before, so that the body of the call below is done at its first poll.
    audit.scope(stall(&mut tx, Uuid::nil(), &proxy, false)).await.unwrap();
    let timeout = tokio::time::timeout(Duration::from_millis(200), audit.scope(stall(&mut tx, order, &proxy, true)));
    timeout.await.unwrap_err();
    drop(tx);
    proxy.rule(Rule::Pass);
    proxy.cut();
    audit.flush().await.unwrap();
    let [event] = &*trail(&database, order).await else { panic!("one row") };
    assert_eq!(event.outcome, Outcome::Cancelled);
    assert_eq!(audit.stats().quarantined, 0);
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[audited(event = "position.updated", id = order_id, entity = "position", tx = tx, skip(proxy))]
async fn stall(tx: &mut PgConnection, order_id: Uuid, proxy: &Proxy, now: bool) -> Result<(), sqlx::Error> {
    if now {
        proxy.rule(Rule::Stall);
    }
    Ok(())
}

// -- where it stands
// ------------------------------------------------------------------------------------------------

struct Repository {
    connection: PgConnection,
}

#[async_trait]
trait Positions {
    async fn put(&mut self, order_id: Uuid) -> Result<(), DeskError>;
    async fn put_in(&self, connection: &mut PgConnection, order_id: Uuid) -> anyhow::Result<usize>;
}

#[async_trait]
impl Positions for Repository {
    #[audited(event = "position.updated", id = order_id, tx = &mut self.connection)]
    async fn put(&mut self, order_id: Uuid) -> Result<(), DeskError> {
        sqlx::query("INSERT INTO positions VALUES ($1, 1)").bind(order_id).execute(&mut self.connection).await?;
        Ok(())
    }

    #[audited(event = "position.updated", id = order_id, tx = connection, fields(length = |n| *n))]
    async fn put_in(&self, connection: &mut PgConnection, order_id: Uuid) -> anyhow::Result<usize> {
        sqlx::query("INSERT INTO positions VALUES ($1, 1)").bind(order_id).execute(connection).await?;
        Ok(1)
    }
}

/// Any connection that the caller keeps: a pool's, a plain one, a transaction.
#[audited(event = "position.updated", id = order_id, tx = connection, skip_all)]
async fn put_generic<C>(connection: &mut C, order_id: Uuid) -> Result<(), sqlx::Error>
where
    C: InsertRow<Error = sqlx::Error> + AsMut<PgConnection> + Send,
{
    sqlx::query("INSERT INTO positions VALUES ($1, 1)").bind(order_id).execute(connection.as_mut()).await.map(|_| ())
}

#[audited(event = "position.updated", id = order_id, tx = tx, intent)]
fn put_by_future<'a>(
    tx: &'a mut Transaction<'static, Postgres>,
    order_id: Uuid,
) -> impl Future<Output = Result<(), DeskError>> + Send + 'a {
    async move {
        sqlx::query("INSERT INTO positions VALUES ($1, 1)").bind(order_id).execute(&mut **tx).await?;
        Ok(())
    }
}

#[tokio::test]
async fn it_stands_in_traits_generic_functions_and_functions_that_return_futures() {
    let (database, audit) = desk().await;
    let ids: Vec<Uuid> = (0..4).map(|_| Uuid::now_v7()).collect();
    let mut repository = Repository { connection: PgConnection::connect(&database.url).await.unwrap() };
    let mut tx = database.pool.begin().await.unwrap();
    let mut connection = database.pool.acquire().await.unwrap();
    tokio::spawn(audit.scope({
        let ids = ids.clone();
        async move {
            repository.put(ids[0]).await.unwrap();
            assert_eq!(repository.put_in(&mut tx, ids[1]).await.unwrap(), 1);
            put_generic(&mut connection, ids[2]).await.unwrap();
            put_by_future(&mut tx, ids[3]).await.unwrap();
            tx.commit().await.unwrap();
            repository.connection.close().await.unwrap();
        }
    }))
    .await
    .unwrap();
    audit.flush().await.unwrap();
    for (id, rows) in ids.into_iter().zip([1, 1, 1, 2]) {
        let trail = trail(&database, id).await;
        assert_eq!(trail.len(), rows, "{trail:?}");
        let last = trail.last().unwrap();
        assert_eq!((last.outcome, last.batch_id), (Outcome::Ok, None));
        if rows == 2 {
            assert_eq!((trail[0].outcome, last.causation_id), (Outcome::Started, Some(trail[0].id)));
        }
    }
    assert_eq!(database.count("SELECT count(*) FROM positions").await, 4);
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_probe_catches_it_and_a_condition_leaves_it_out() {
    #[audited(event = "position.updated", id = order_id, entity = "position", tx = tx, when = |n| *n > 1)]
    async fn sometimes(tx: &mut PgConnection, order_id: Uuid, n: u8) -> Result<u8, sqlx::Error> {
        Ok(n)
    }
    let (database, audit) = desk().await;
    let order = Uuid::now_v7();
    let mut tx = database.pool.begin().await.unwrap();
    let probe = Probe::new();
    probe.scope(apply_fill(&mut tx, order, &mut Position::default(), 2)).await.unwrap();
    assert_eq!(probe.only("position.updated").data["result"], 2);
    let failed = probe.scope(apply_fill(&mut tx, order, &mut Position::default(), -1)).await;
    failed.unwrap_err();
    probe.audit().record_in(&mut tx, [Event::new("position.listed")]).await.unwrap();
    assert!(probe.is_in_transaction(&probe.only("position.updated")));
    assert!(probe.is_in_transaction(&probe.only("position.listed")));
    assert!(!probe.is_in_transaction(&probe.only("position.failed")), "an error goes by the journal");
    audit.scope(sometimes(&mut tx, order, 1)).await.unwrap();
    tx.commit().await.unwrap();
    assert!(trail(&database, order).await.is_empty());
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[audited(event = "position.updated", id = order_id, entity = "position", tx = tx, required)]
async fn meant(tx: &mut PgConnection, order_id: Uuid) -> anyhow::Result<()> {
    Ok(())
}

#[tokio::test]
async fn an_intent_ends_with_the_commit_even_if_the_trail_is_shut_down_before() {
    let (database, audit) = desk().await;
    let (committed, rolled_back) = (Uuid::now_v7(), Uuid::now_v7());
    let mut open = database.pool.begin().await.unwrap();
    let mut given_up = database.pool.begin().await.unwrap();
    audit.scope(meant(&mut open, committed)).await.unwrap();
    audit.scope(meant(&mut given_up, rolled_back)).await.unwrap();
    given_up.rollback().await.unwrap();
    let ending = tokio::spawn({
        let audit = audit.clone();
        async move { audit.shutdown(Duration::from_secs(30)).await.unwrap() }
    });
    // The writer takes the open one for interrupted, and waits for what becomes of it.
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    eventually("the writer waits", || async { database.count(waits).await == 1 }).await;
    open.commit().await.unwrap();
    assert_eq!(ending.await.unwrap().left_in_journal, 0);
    assert_eq!((audit.stats().quarantined, database.count("SELECT count(*) FROM audit_quarantine").await), (0, 0));
    let states = |trail: &[TrailEvent]| trail.iter().map(|event| (event.outcome, event.intent)).collect::<Vec<_>>();
    let ended = [(Outcome::Started, Some(IntentState::Completed)), (Outcome::Ok, None)];
    assert_eq!(states(&trail(&database, committed).await), ended);
    let interrupted = [(Outcome::Started, Some(IntentState::Interrupted)), (Outcome::Interrupted, None)];
    assert_eq!(states(&trail(&database, rolled_back).await), interrupted);
}
