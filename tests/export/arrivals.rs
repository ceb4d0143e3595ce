//! The order of arrival: no event is missed, however late it is stored, and none comes twice.

use crate::{LONG, arrived, read, record, sorted, stored};
use audit_runtime::admin::RetryOutcome;
use audit_runtime::feed::{Arrivals, Lag, Position, Start};
use audit_runtime::trail::EventFilter;
use audit_runtime::{Event, sqlx};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tests::{Cluster, Config, Database};
use uuid::Uuid;

#[tokio::test]
async fn every_event_arrives_once_with_the_digest_that_was_sealed() {
    let database = Database::new().await;
    record(&database, 1_234).await;
    let (ids, position) = arrived(&database, &Position::beginning()).await;
    assert_eq!(sorted(ids), stored(&database).await);
    record(&database, 3).await;
    let (ids, _) = arrived(&database, &position).await;
    assert_eq!(ids.len(), 3);
    let mut arrivals = Arrivals::new(database.pool.clone(), EventFilter::new(), Position::beginning());
    let portion = arrivals.next().await.unwrap().unwrap();
    for arrived in &portion.events {
        let leaf = arrived.leaf.unwrap();
        let at = i32::try_from(leaf.number - 1).unwrap() * 48 + 1;
        let sealed: Vec<u8> = sqlx::query_scalar("SELECT substr(leaves, $2, 48) FROM audit_batches WHERE id = $1")
            .bind(arrived.batch_id)
            .bind(at)
            .fetch_one(&database.pool)
            .await
            .unwrap();
        assert_eq!(sealed, [&arrived.event.id.as_bytes()[..], &leaf.digest].concat());
    }
}

#[tokio::test]
async fn a_batch_whose_transaction_ends_late_is_not_missed() {
    let cluster = Cluster::start(Config::default());
    let database = Database::migrated_in(&cluster).await;
    record(&database, 5).await;
    // An open transaction that wrote before others, and may still store a batch.
    let mut open = PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql("BEGIN; CREATE TABLE written_first ()").execute(&mut open).await.unwrap();
    let (before, position) = read(&database, &Position::beginning()).await;
    assert_eq!(before.len(), 5);
    record(&database, 7).await;
    let (held_back, position) = read(&database, &position).await;
    assert!(held_back.is_empty());
    let lag = Lag::read(&database.pool, &position).await.unwrap();
    assert_eq!(lag.events, 7);
    assert!(lag.held_back_by.is_some_and(|by| by.contains("process ")));
    // It stores its batch as the last one, with the lowest transaction.
    let copy = "INSERT INTO audit_batches (id, journal_id, first_position, end_position, rows, origin, root, leaves) \
         VALUES ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-0000000000a1', 0, 1, 1, 'late', decode(repeat('00', 32), 'hex'), \
         decode('000000000000000000000000000000c1', 'hex') || decode(repeat('00', 32), 'hex')); \
         INSERT INTO audit_events (id, event_type, entity_type, actor, data, batch_id) \
         VALUES ('00000000-0000-0000-0000-0000000000c1', 'late.came', 'late', 'x', '{}', '00000000-0000-0000-0000-0000000000b1'); COMMIT";
    sqlx::raw_sql(copy).execute(&mut open).await.unwrap();
    let (after, position) = arrived(&database, &position).await;
    assert_eq!(after.len(), 8);
    assert_eq!(after[0], Uuid::from_u128(0xc1), "the transaction that began first");
    assert!(arrived(&database, &position).await.0.is_empty());
}

#[tokio::test]
async fn rows_of_others_arrive_with_the_batch_that_seals_them() {
    let database = Database::new().await;
    let (_, position) = arrived(&database, &Position::beginning()).await;
    // As from a transaction of the caller's that commits hours after the call began.
    let insert = "INSERT INTO audit_events (id, event_type, entity_type, actor, data, created_at) \
         SELECT gen_random_uuid(), 'order.paid', 'order', 'x', '{}', now() - interval '1 hour' * n FROM generate_series(1, 30) n";
    sqlx::raw_sql(insert).execute(&database.pool).await.unwrap();
    let (none, position) = arrived(&database, &position).await;
    assert!(none.is_empty());
    assert_eq!(database.admin().seal_rows(true).await.unwrap(), 30);
    let (all, position) = arrived(&database, &position).await;
    assert_eq!(sorted(all), stored(&database).await);
    assert!(arrived(&database, &position).await.0.is_empty());
}

#[tokio::test]
async fn an_event_that_leaves_the_quarantine_arrives_then() {
    let database = Database::new().await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.event_type = 'order.odd' THEN RAISE EXCEPTION 'odd' USING ERRCODE = 'check_violation'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER odd BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION refuse()";
    sqlx::raw_sql(refuse).execute(&database.pool).await.unwrap();
    let audit = database.audit().start().unwrap();
    for event in ["order.even", "order.odd", "order.even"] {
        audit.record(Event::new(event)).unwrap();
    }
    audit.shutdown(LONG).await.unwrap();
    let (before, position) = arrived(&database, &Position::beginning()).await;
    assert_eq!(before.len(), 2);
    let id = database.admin().quarantine().await.unwrap()[0].id;
    sqlx::raw_sql("DROP TRIGGER odd ON audit_events").execute(&database.pool).await.unwrap();
    // The program that stored the batch did not know when it began.
    let times = "SET session_replication_role TO replica; UPDATE audit_batches SET first_event_at = '1970-01-01Z', last_event_at = '1970-01-02Z'; \
         RESET session_replication_role";
    sqlx::raw_sql(times).execute(&database.pool).await.unwrap();
    assert_eq!(database.admin().retry(id).await.unwrap(), RetryOutcome::Stored);
    let (after, position) = arrived(&database, &position).await;
    assert_eq!(after, [id]);
    assert!(arrived(&database, &position).await.0.is_empty());
    let (all, _) = arrived(&database, &Position::beginning()).await;
    assert_eq!(all.iter().filter(|one| **one == id).count(), 2, "with its batch and again: at least once");
}

#[tokio::test]
async fn dump_and_restore_begin_a_lineage_and_nothing_is_missed() {
    let old = Cluster::start(Config::default());
    let database = Database::migrated_in(&old).await;
    let Some(mut dump) = old.pg_dump(&database.url) else {
        eprintln!("LEFT OUT: there is no pg_dump here");
        return;
    };
    // Transactions of the old server have higher numbers than those of the new one for long.
    for _ in 0..50 {
        sqlx::raw_sql("SELECT pg_current_xact_id()").execute(&database.pool).await.unwrap();
    }
    record(&database, 10).await;
    let (_, position) = arrived(&database, &Position::beginning()).await;
    record(&database, 20).await;
    let script = dump.output().unwrap();
    assert!(script.status.success());
    let new = Cluster::start(Config::default());
    let restored = Database::empty_in(&new).await;
    let file = restored.journals.path().join("dump.sql");
    std::fs::write(&file, script.stdout).unwrap();
    let output = new.psql(&restored.url).arg("--file").arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    record(&restored, 30).await;
    let (ids, position) = arrived(&restored, &position).await;
    assert_eq!(ids.len(), 50, "those that were not sent before, and those of the new server");
    record(&restored, 5).await;
    let (ids, position) = arrived(&restored, &position).await;
    assert_eq!(ids.len(), 5);
    assert_eq!(position.to_string().split(' ').count(), 6, "{position}");
    let (all, _) = arrived(&restored, &Position::beginning()).await;
    assert_eq!(sorted(all), stored(&restored).await);
}

#[tokio::test]
async fn batches_of_an_older_schema_come_first_in_their_own_order() {
    let database = Database::new().await;
    record(&database, 10).await;
    let forget = "SET session_replication_role TO replica; UPDATE audit_batches SET lineage = NULL, xact = NULL; RESET session_replication_role";
    sqlx::raw_sql(forget).execute(&database.pool).await.unwrap();
    record(&database, 5).await;
    let (all, position) = arrived(&database, &Position::beginning()).await;
    assert_eq!(sorted(all), stored(&database).await);
    record(&database, 2).await;
    assert_eq!(arrived(&database, &position).await.0.len(), 2);
}

#[tokio::test]
async fn a_clock_that_steps_changes_no_order() {
    let database = Database::new().await;
    let mut position = Position::beginning();
    // The server's clock steps back and forth by hours, and services have the times of other clocks.
    for hours in [0, -5, 7, -1] {
        record(&database, 6).await;
        let step = format!(
            "SET session_replication_role TO replica; UPDATE audit_batches SET created_at = created_at + interval '{hours} hours', \
             first_event_at = first_event_at - interval '{hours} days', last_event_at = last_event_at + interval '{hours} days' \
             WHERE xact = (SELECT max(xact) FROM audit_batches); RESET session_replication_role"
        );
        if hours > 0 {
            sqlx::raw_sql(AssertSqlSafe(step)).execute(&database.pool).await.unwrap();
        } else {
            let step = step.replace("first_event_at = first_event_at - ", "first_event_at = first_event_at + ");
            let step = step.replace("last_event_at = last_event_at + ", "last_event_at = last_event_at - ");
            sqlx::raw_sql(AssertSqlSafe(step)).execute(&database.pool).await.unwrap();
        }
        let (ids, next) = arrived(&database, &position).await;
        assert_eq!(ids.len(), 6, "{hours}");
        position = next;
    }
    assert!(arrived(&database, &position).await.0.is_empty());
    assert_eq!(sorted(arrived(&database, &Position::beginning()).await.0), stored(&database).await);
}

#[tokio::test]
async fn a_feed_begins_where_it_is_told_to() {
    let database = Database::new().await;
    record(&database, 4).await;
    let now: audit_runtime::Timestamp =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&database.pool).await.unwrap();
    assert_eq!(arrived(&database, &Position::beginning()).await.0.len(), 4);
    let position = Position::start(&database.pool, Start::Now).await.unwrap();
    assert!(arrived(&database, &position).await.0.is_empty());
    record(&database, 6).await;
    let later = Position::start(&database.pool, Start::At(now)).await.unwrap();
    for (position, expected) in [(position, 6), (later, 6), (Position::beginning(), 10)] {
        assert_eq!(arrived(&database, &position).await.0.len(), expected, "{position}");
    }
}

#[tokio::test]
async fn a_batch_with_many_or_large_events_is_read_in_parts_that_go_on() {
    let database = Database::new().await;
    let audit = database.audit().segment_bytes(16 << 20).data_limit(4 << 20).start().unwrap();
    for number in 0..1_500_u32 {
        // More than the memory of a portion, all of them together.
        let text = "x".repeat(if number % 100 == 0 { 2 << 20 } else { 10 });
        audit.record(Event::new("note.written").data(&serde_json::json!({"text": text}))).unwrap();
    }
    assert_eq!(audit.shutdown(LONG).await.unwrap().left_in_journal, 0);
    let (all, _) = arrived(&database, &Position::beginning()).await;
    assert_eq!(sorted(all), stored(&database).await);
    // From a text of each position on, as a feed that was killed there.
    let mut position = Position::beginning();
    let mut ids = Vec::new();
    loop {
        let mut arrivals =
            Arrivals::new(database.pool.clone(), EventFilter::new(), position.to_string().parse().unwrap());
        let Some(portion) = arrivals.next().await.unwrap() else { break };
        ids.extend(portion.events.iter().map(|arrived| arrived.event.id));
        position = portion.position;
    }
    assert_eq!(sorted(ids), stored(&database).await);
}

#[tokio::test]
async fn a_filter_narrows_what_arrives() {
    let database = Database::new().await;
    record(&database, 3).await;
    let audit = database.audit().start().unwrap();
    audit.record(Event::new("invoice.sent").tenant("acme")).unwrap();
    audit.shutdown(LONG).await.unwrap();
    assert_eq!(arrived(&database, &Position::beginning()).await.0.len(), 4);
    for filter in [EventFilter::new().event("invoice.*"), EventFilter::new().tenant("acme")] {
        let mut arrivals = Arrivals::new(database.pool.clone(), filter, Position::beginning());
        let mut events = Vec::new();
        while let Some(portion) = arrivals.next().await.unwrap() {
            events.extend(portion.events);
        }
        assert_eq!(events.len(), 1);
    }
}

#[tokio::test]
async fn the_newest_arrivals_cost_no_more_than_an_index_scan() {
    let database = Database::new().await;
    let many = "INSERT INTO audit_batches (id, journal_id, first_position, end_position, previous_position, rows, origin, root, leaves, lineage, xact) \
         SELECT gen_random_uuid(), '00000000-0000-0000-0000-0000000000a2', n, n + 1, n - 1, 0, 'x', decode(repeat('00', 32), 'hex'), '', audit_lineage(), \
         ((n % 700 + 3)::text)::xid8 FROM generate_series(1, 20000) n; ANALYZE audit_batches";
    sqlx::raw_sql(AssertSqlSafe(format!("SET session_replication_role TO replica; {many}")))
        .execute(&database.pool)
        .await
        .unwrap();
    let position = Position::start(&database.pool, Start::Now).await.unwrap();
    record(&database, 5).await;
    let (ids, _) = arrived(&database, &position).await;
    assert_eq!(ids.len(), 5);
    let plan: Vec<String> = sqlx::query_scalar(
        "EXPLAIN SELECT id FROM audit_batches b WHERE b.lineage = audit_lineage() AND (b.xact, b.id) > ('699'::xid8, '00000000-0000-0000-0000-000000000000') \
         ORDER BY b.xact, b.id LIMIT 500",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert!(plan.join("\n").contains("audit_batches_arrivals"), "{plan:#?}");
}
