//! A writer that states another order for its batches than the one in which they arrive.

use crate::{arrived, record, sorted, stored};
use audit_runtime::admin::Role;
use audit_runtime::feed::Position;
use audit_runtime::sqlx::{self, AssertSqlSafe, Executor, PgPool};
use tests::Database;
use uuid::Uuid;

/// Stores an event in a batch with these further columns, and returns its id.
async fn store(pool: &PgPool, columns: &str, values: &str) -> Uuid {
    let (batch, journal, event) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let sql = format!(
        "BEGIN; INSERT INTO audit_batches (id, journal_id, first_position, end_position, rows, origin, root, leaves, {columns}) \
         VALUES ('{batch}', '{journal}', 0, 1, 1, 'forged', decode(repeat('00', 32), 'hex'), \
         uuid_send('{event}') || decode(repeat('00', 32), 'hex'), {values}); \
         INSERT INTO audit_events (id, event_type, entity_type, actor, data, batch_id) \
         VALUES ('{event}', 'batch.forged', 'x', 'x', '{{}}', '{batch}'); COMMIT"
    );
    pool.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
    event
}

#[tokio::test]
async fn a_writer_hides_no_batch_and_stops_no_feed() {
    let database = Database::new().await;
    let role = format!("writer_{}", Uuid::now_v7().simple());
    database.pool.execute(AssertSqlSafe(format!("CREATE ROLE {role} LOGIN"))).await.unwrap();
    database.admin().grant(Role::Writer, &role).await.unwrap();
    let writer = PgPool::connect(&database.url.replace("postgres@", &format!("{role}@"))).await.unwrap();
    record(&database, 3).await;
    let (_, mut position) = arrived(&database, &Position::beginning()).await;
    for (columns, values) in [
        ("xact", "'3'"),
        ("xact", "'18446744073709551615'"),
        ("xact", "NULL"),
        ("lineage", "'x'"),
        ("lineage", "''"),
        ("lineage", "'1/1 2'"),
        ("lineage", "'-'"),
        ("lineage", "NULL"),
        ("lineage, xact", "'0', '3'"),
        ("lineage, xact", "'zz', '9223372036854775808'"),
        ("lineage, created_at", "NULL, '-infinity'"),
        ("created_at", "'1970-01-01Z'"),
        ("created_at", "'infinity'"),
        ("first_event_at, last_event_at", "'1970-01-01Z', '1970-01-02Z'"),
        ("first_event_at, last_event_at", "'infinity', '-infinity'"),
    ] {
        let event = store(&writer, columns, values).await;
        let (ids, behind) = arrived(&database, &position).await;
        assert_eq!(ids, [event], "{columns}: {values}");
        assert_eq!(behind.to_string().parse(), Ok(behind.clone()), "{columns}: {values}");
        position = behind;
    }
    record(&database, 2).await;
    assert_eq!(arrived(&database, &position).await.0.len(), 2);
    let (all, _) = arrived(&database, &Position::beginning()).await;
    assert_eq!(sorted(all), stored(&database).await);
    writer.close().await;
}

#[tokio::test]
async fn the_owner_copies_batches_in_the_order_that_they_have() {
    let database = Database::new().await;
    let (_, position) = arrived(&database, &Position::beginning()).await;
    let copied = store(&database.pool, "lineage, xact", "'71/1', '70'").await;
    let of_lineage = "SELECT count(*) FROM audit_batches WHERE lineage = '71/1' AND xact = '70'";
    assert_eq!(database.count(of_lineage).await, 1);
    assert_eq!(arrived(&database, &Position::beginning()).await.0, [copied]);
    assert!(arrived(&database, &position).await.0.is_empty());
}
