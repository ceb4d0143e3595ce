//! `Trail::events`: conditions on every column, pages that stay put, and indexes for all of it.

use audit_runtime::trail::{Cursor, EventFilter, Facet, IntentState, Parts, Trail};
use audit_runtime::{Event, Outcome, Timestamp};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt;
use serde_json::json;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::collections::HashSet;
use std::time::Duration;
use tests::{Cluster, Config, Database};
use uuid::Uuid;

/// So many rows, a minute apart, of which every column contains its number.
async fn fill(database: &Database, rows: u32) {
    let sql = format!(
        "INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, data, created_at, outcome, duration_us, \
         correlation_id, causation_id, context, origin, batch_id) \
         SELECT event(n), (ARRAY['order.submitted', 'order.filled', 'risk.evaluated', 'ord_r.x'])[1 + n % 4], \
         (ARRAY['order', 'risk'])[1 + n % 2], uuid(1000000 + n % 50000), 'user:' || n % 5000, \
         jsonb_build_object('number', n, 'tags', jsonb_build_array('t' || n % 10, 'all'), 'recommendation_id', uuid(2000000 + n % 70000)), \
         '2026-01-01 00:00Z'::timestamptz + n * interval '1 second', CASE WHEN n % 1000 = 0 THEN 'error' ELSE 'ok' END, n, \
         uuid(3000000 + n / 10), CASE WHEN n % 10 > 0 THEN event(n - n % 10) END, jsonb_build_object('tenant', 'acme-' || n % 20), \
         'desk@' || n % 3, uuid(4000000 + n / 5000) \
         FROM generate_series(1, {rows}) n"
    );
    let uuid = "CREATE FUNCTION uuid(n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$ SELECT lpad(to_hex(n), 32, '0')::uuid $$; \
                CREATE FUNCTION event(n bigint) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$ SELECT (lpad(to_hex( \
                (extract(epoch FROM timestamptz '2026-01-01 00:00Z') * 1000)::bigint + n * 1000), 12, '0') || '70008' \
                || lpad(to_hex(n), 15, '0'))::uuid $$; SELECT audit_make_partitions(3)";
    sqlx::raw_sql(uuid).execute(&database.pool).await.unwrap();
    sqlx::query(AssertSqlSafe(sql)).execute(&database.pool).await.unwrap();
}

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// The id of an event, which states its time as the recorder's ids do.
fn event_id(n: u32) -> Uuid {
    let millis = time(n.into()).timestamp_millis().cast_unsigned();
    Uuid::from_u64_pair(millis << 16 | 0x7000, 1 << 63 | u64::from(n))
}

fn time(n: i64) -> DateTime<Utc> {
    "2026-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(n)
}

fn any() -> EventFilter {
    EventFilter::new()
}

#[tokio::test]
async fn every_column_has_its_condition_and_all_have_to_hold() {
    let database = Database::new().await;
    fill(&database, 2_000).await;
    let trail = Trail::new(database.pool.clone());
    let numbers = |filter: EventFilter| {
        let trail = trail.clone();
        async move {
            let page = trail.events(&filter.limit(5_000)).await.unwrap();
            page.events.iter().map(|event| event.data["number"].as_i64().unwrap()).collect::<Vec<_>>()
        }
    };
    let all = |condition: fn(&i64) -> bool| (1..=2_000).filter(condition).collect::<Vec<_>>();
    for (filter, expected) in [
        (any(), all(|_| true)),
        (any().id(event_id(7)), vec![7]),
        (any().event("order.filled"), all(|n| n % 4 == 1)),
        (any().event("order.*"), all(|n| n % 4 < 2)),
        (any().event("*.x"), all(|n| n % 4 == 3)),
        // An underscore is an underscore.
        (any().event("ord_r.*"), all(|n| n % 4 == 3)),
        (any().event("order.filled").event("ris*"), all(|n| n % 4 == 1 || n % 4 == 2)),
        (any().entity_type("risk"), all(|n| n % 2 == 1)),
        (any().entity_id(uuid(1_000_009)), vec![9]),
        (any().actor("user:12"), vec![12]),
        (any().outcome(Outcome::Error), vec![1_000, 2_000]),
        (any().outcome(Outcome::Error).outcome(Outcome::Ok), all(|_| true)),
        (any().since(time(10)).until(time(12)), vec![10, 11]),
        (any().at_least(Duration::from_micros(1_999)), vec![1_999, 2_000]),
        (any().data(json!({"tags": ["t3"]})).until(time(20)), vec![3, 13]),
        (any().data(json!({"number": 5})).data(json!({"tags": ["all"]})), vec![5]),
        (any().context(json!({"tenant": "acme-7"})).until(time(30)), vec![7, 27]),
        (any().correlation(uuid(3_000_001)), (10..20).collect()),
        (any().causation(event_id(10)), (11..20).collect()),
        (any().origin("desk@1").until(time(8)), vec![1, 4, 7]),
        (any().origin("desk@*").until(time(3)), vec![1, 2]),
        (any().batch(uuid(4_000_000)), all(|_| true)),
        (any().event("order.*").actor("user:1").outcome(Outcome::Ok).data(json!({"tags": ["t1"]})), vec![1]),
        (any().event("order.*").actor("user:2"), vec![]),
        // The content of a filter is always a value.
        (any().actor("' OR true --"), vec![]),
    ] {
        assert_eq!(numbers(filter.clone()).await, expected, "{filter:?}");
        let mut newest = numbers(filter.clone().newest_first()).await;
        newest.reverse();
        assert_eq!(newest, expected, "newest first, {filter:?}");
    }
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_while_rows_come_in() {
    let database = Database::new().await;
    fill(&database, 1_000).await;
    let trail = Trail::new(database.pool.clone());
    for newest_first in [false, true] {
        let mut filter = any().event("order.*").limit(7);
        if newest_first {
            filter = filter.newest_first();
        }
        let mut seen = Vec::new();
        loop {
            let page = trail.events(&filter).await.unwrap();
            assert!(page.events.len() <= 7 && !page.events.is_empty());
            seen.extend(page.events.iter().map(|event| event.id));
            // Rows before, at and behind the page's end.
            let at = DateTime::try_from(page.events.last().unwrap().created_at).unwrap();
            for (seconds, kind) in [(-5, "order.late"), (0, "order.late"), (5, "other.x")] {
                sqlx::query(
                    "INSERT INTO audit_events (id, event_type, entity_type, created_at) VALUES ($1, $2, 'x', $3)",
                )
                .bind(Uuid::new_v4())
                .bind(kind)
                .bind(at + TimeDelta::seconds(if newest_first { -seconds } else { seconds }))
                .execute(&database.pool)
                .await
                .unwrap();
            }
            let Some(next) = page.next else { break };
            // A cursor can be kept as text.
            filter = filter.after(next.to_string().parse().unwrap());
        }
        let distinct: HashSet<Uuid> = seen.iter().copied().collect();
        assert_eq!(distinct.len(), seen.len(), "none twice");
        assert!((1..=1_000_u32).filter(|n| n % 4 < 2).all(|n| distinct.contains(&event_id(n))), "none skipped");
    }
}

#[tokio::test]
async fn a_stream_gives_all_of_it_and_an_empty_answer_is_empty() {
    let database = Database::new().await;
    fill(&database, 1_000).await;
    let trail = Trail::new(database.pool.clone());
    let streamed: Vec<i64> = trail
        .stream(any().event("order.*").limit(64).newest_first())
        .map_ok(|event| event.data["number"].as_i64().unwrap())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(streamed, (1..=1_000).rev().filter(|n| n % 4 < 2).collect::<Vec<_>>());
    let none: Vec<_> = trail.stream(any().actor("nobody")).try_collect().await.unwrap();
    assert!(none.is_empty());
    let page = trail.events(&any().actor("nobody")).await.unwrap();
    assert!(page.events.is_empty() && page.next.is_none());
    let exact = trail.events(&any().limit(1_000)).await.unwrap();
    assert_eq!((exact.events.len(), exact.next), (1_000, None), "a full last page has none behind it");
    let one = trail.correlation(uuid(3_000_001)).await.unwrap();
    assert_eq!(one.len(), 10);
    assert_eq!(Cursor::of(&one[0]).to_string().parse(), Ok(Cursor::of(&one[0])));
    assert!(one.iter().all(|event| event.intent.is_none() || event.intent == Some(IntentState::InFlight)));
}

#[tokio::test]
async fn each_followed_event_comes_once_however_late_and_from_any_writer() {
    let database = Database::new().await;
    let audit = database.audit().batch_rows(3).start().unwrap();
    let insert = |kind: &'static str, age: TimeDelta| {
        sqlx::query("INSERT INTO audit_events (id, event_type, entity_type, created_at) VALUES ($1, $2, 'x', $3)")
            .bind(Uuid::new_v4())
            .bind(kind)
            .bind(Utc::now() - age)
    };
    for _ in 0..5 {
        audit.record(Event::new("order.before")).unwrap();
        audit.record(Event::new("other.before")).unwrap();
    }
    audit.flush().await.unwrap();
    insert("order.by_hand", TimeDelta::zero()).execute(&database.pool).await.unwrap();
    let trail = Trail::new(database.pool.clone());
    let mut followed = Box::pin(trail.follow(any().event("order.*").limit(2)));
    let mut next = async || followed.try_next().await.unwrap().unwrap().event_type;
    assert_eq!([next().await, next().await], ["order.before", "order.by_hand"], "the newest two, and none again");
    // A transaction that was open when it was looked: what it brings is found when it commits.
    let mut open = database.pool.begin().await.unwrap();
    insert("order.open", TimeDelta::seconds(3)).execute(&mut *open).await.unwrap();
    let long_ago = Utc::now() - TimeDelta::days(40);
    audit.record_at(Event::new("order.late"), long_ago).unwrap().stored().await.unwrap();
    assert_eq!(next().await, "order.late");
    open.commit().await.unwrap();
    assert_eq!(next().await, "order.open");
    // More than a page at once, through several batches.
    let ids: Vec<Uuid> = (0..20).map(|_| audit.record(Event::new("order.more")).unwrap().id()).collect();
    let mut more = HashSet::new();
    while more.len() < ids.len() {
        let event = followed.try_next().await.unwrap().unwrap();
        assert_eq!(event.event_type, "order.more");
        assert!(more.insert(event.id), "none twice");
    }
    assert_eq!(more, HashSet::from_iter(ids));
    let silence = tokio::time::timeout(Duration::from_secs(2), followed.try_next()).await;
    silence.unwrap_err();
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn following_goes_on_after_an_outage_and_misses_nothing() {
    let mut cluster = Cluster::start(Config::default());
    let database = Database::migrated_in(&cluster).await;
    let audit = database.audit().start().unwrap();
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(1)).connect(&database.url).await.unwrap();
    let mut followed = Box::pin(Trail::new(pool).follow(any()));
    audit.record(Event::new("order.before")).unwrap().stored().await.unwrap();
    assert_eq!(followed.try_next().await.unwrap().unwrap().event_type, "order.before");
    cluster.down();
    let ids: Vec<Uuid> = (0..30).map(|_| audit.record(Event::new("order.meanwhile")).unwrap().id()).collect();
    let error = tokio::time::timeout(Duration::from_secs(90), followed.try_next()).await.unwrap();
    error.unwrap_err();
    cluster.up();
    let mut seen = Vec::new();
    while seen.len() < ids.len() {
        // Errors until the pool has a connection again.
        if let Ok(event) = followed.try_next().await {
            seen.push(event.unwrap().id);
        }
    }
    assert_eq!(HashSet::<Uuid>::from_iter(seen), HashSet::from_iter(ids));
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_million_rows_are_never_read_through() {
    let database = Database::new().await;
    // Rows that it reads are counted, too.
    let without_autovacuum = "DO $$ DECLARE p regclass; BEGIN FOR p IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit_events'::regclass \
                              LOOP EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', p); END LOOP; END $$";
    sqlx::raw_sql(without_autovacuum).execute(&database.pool).await.unwrap();
    fill(&database, 1_000_000).await;
    sqlx::raw_sql("ANALYZE audit_events").execute(&database.pool).await.unwrap();
    // One connection for the queries and the counts, because a session reports its counts when it
    // is asked to.
    let pool = PgPoolOptions::new().max_connections(1).connect(&database.url).await.unwrap();
    let trail = Trail::new(pool.clone());
    let middle = Cursor::of(&trail.events(&any().id(event_id(500_000))).await.unwrap().events[0]);
    let some = Uuid::from_u128(1_000_009);
    let recommendation = uuid(2_000_007);
    let mut expensive = Vec::new();
    for (what, filter) in [
        ("all", any()),
        ("newest", any().newest_first()),
        ("a later page", any().after(middle)),
        ("an earlier page", any().after(middle).newest_first()),
        ("an id", any().id(event_id(7))),
        ("an id of another writer", any().id(uuid(7))),
        ("a type", any().event("order.filled")),
        ("a type's newest", any().event("order.filled").newest_first()),
        ("a rare type", any().event("order.nothing")),
        ("a glob", any().event("order.*").newest_first()),
        ("a rare glob", any().event("nothing.*")),
        ("an entity", any().entity_id(some)),
        ("an entity and its type", any().entity_type("order").entity_id(some)),
        ("an actor", any().actor("user:12")),
        ("an actor's errors", any().actor("user:12").outcome(Outcome::Error)),
        ("errors", any().outcome(Outcome::Error).newest_first()),
        ("cancelled", any().outcome(Outcome::Cancelled)),
        ("a time", any().since(time(1_000)).until(time(1_050))),
        ("a correlation", any().correlation(uuid(3_000_001))),
        ("a cause", any().causation(event_id(10))),
        ("frequent data", any().data(json!({"tags": ["t3"]}))),
        ("rare data", any().data(json!({"number": 123_456}))),
        ("rare data's newest", any().data(json!({"number": 123_456, "tags": ["all"]})).newest_first()),
        ("no data", any().data(json!({"nothing": true}))),
        ("data of a type", any().event("order.*").data(json!({"tags": ["t3"]})).newest_first()),
        ("data of an entity", any().entity_id(some).data(json!({"number": 9}))),
        ("a tenant", any().context(json!({"tenant": "acme-3"})).newest_first()),
    ] {
        let before = buffers(&pool).await;
        let page = trail.events(&filter.limit(50)).await.unwrap();
        let read = buffers(&pool).await - before;
        if read > 2_500 {
            expensive.push((what, page.events.len(), read));
        }
    }
    for (what, query) in [("order", true), ("execution", false)] {
        let before = buffers(&pool).await;
        let rows = match query {
            true => trail.order(some, Some(recommendation)).await.unwrap(),
            false => trail.execution(some, recommendation).await.unwrap(),
        };
        assert!(!rows.is_empty());
        let read = buffers(&pool).await - before;
        if read > 2_500 {
            expensive.push((what, rows.len(), read));
        }
    }
    // The table has some 70,000 pages.
    assert!(expensive.is_empty(), "pages read: {expensive:?}");
}

/// Pages of the audit tables and their indexes that were looked at so far.
async fn buffers(pool: &PgPool) -> i64 {
    let sql = "SELECT sum(heap_blks_hit + heap_blks_read + coalesce(idx_blks_hit + idx_blks_read, 0))::bigint \
               FROM pg_statio_user_tables WHERE relname LIKE 'audit_events%'";
    let flush = "SELECT to_regproc('pg_stat_force_next_flush') IS NOT NULL";
    if sqlx::query_scalar(flush).fetch_one(pool).await.unwrap() {
        sqlx::query("SELECT pg_stat_force_next_flush()").execute(pool).await.unwrap();
    } else {
        // Before PostgreSQL 15, a session reports with the first statement after half a second, and
        // to whoever asks later.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        sqlx::query("SELECT 1").execute(pool).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn filtered_pages_are_in_the_order_of_time_for_every_time_there_is() {
    let database = Database::new().await;
    let times = [
        "-infinity",
        "4714-11-24 00:00:00+00 BC",
        "1969-12-31 23:59:59.999999+00",
        "1970-01-01 00:00:00+00",
        "1999-12-31 23:59:00+00",
        "2026-03-29 00:59:59.999999+00",
        "2026-03-29 01:00:00+00",
        "2026-03-29 01:00:00.000001+00",
        "2026-03-29 01:00:30+00",
        "2026-03-29 01:01:00+00",
        "10889-08-02 05:31:50.656+00",
        "294276-12-31 23:59:59.999999+00",
        "infinity",
    ];
    for (number, time) in times.iter().enumerate() {
        for id in [2, 1] {
            let sql = "INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, outcome, correlation_id, data, created_at) \
                       VALUES ($1, 'order.filled', 'order', $2, 'desk', 'error', $2, jsonb_build_object('n', $3), $4::timestamptz)";
            let number = i32::try_from(number).unwrap();
            let id = Uuid::from_u64_pair(u64::try_from(number).unwrap(), id);
            sqlx::query(sql).bind(id).bind(uuid(5)).bind(number).bind(*time).execute(&database.pool).await.unwrap();
        }
    }
    // Sessions with another zone see the same minutes.
    let url = format!("{}?options=-c%20timezone%3DAsia/Kathmandu", database.url);
    let trail = Trail::new(PgPoolOptions::new().max_connections(1).connect(&url).await.unwrap());
    let expected: Vec<i64> = (0..i64::try_from(times.len()).unwrap()).flat_map(|number| [number; 2]).collect();
    for filter in [
        any().event("order.filled"),
        any().actor("desk"),
        any().entity_id(uuid(5)),
        any().correlation(uuid(5)),
        any().outcome(Outcome::Error),
        any(),
    ] {
        for newest_first in [false, true] {
            let filter = if newest_first { filter.clone().newest_first() } else { filter.clone() };
            let events: Vec<_> = trail.stream(filter.limit(1)).try_collect().await.unwrap();
            let mut numbers: Vec<i64> = events.iter().map(|event| event.data["n"].as_i64().unwrap()).collect();
            let mut ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
            if newest_first {
                numbers.reverse();
                ids.reverse();
            }
            assert_eq!(numbers, expected, "newest first: {newest_first}");
            assert!(ids.is_sorted(), "{ids:?}");
        }
    }
    for n in [0, 2, 10, 12] {
        let id = Uuid::from_u64_pair(n, 1);
        assert_eq!(trail.events(&any().id(id)).await.unwrap().events.len(), 1, "{n}");
    }
}

#[tokio::test]
async fn an_event_with_a_time_of_its_own_is_found_by_its_id() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let mut ids = Vec::new();
    for time in ["1969-07-20T20:17:40Z", "1970-01-01T00:00:00Z", "2001-02-03T04:05:06.789012Z", "2100-01-01T00:00:00Z"]
    {
        let time: Timestamp = time.parse().unwrap();
        ids.push((audit.record_at(Event::new("a.thing"), time).unwrap().id(), time));
    }
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    let trail = Trail::new(database.pool.clone());
    for (id, time) in ids {
        let found = trail.events(&EventFilter::new().id(id)).await.unwrap().events;
        assert_eq!(found.iter().map(|event| (event.id, event.created_at)).collect::<Vec<_>>(), [(id, time)]);
    }
}

#[tokio::test]
async fn counts_by_value_and_over_time_are_those_of_the_events_that_match() {
    let database = Database::new().await;
    fill(&database, 4_000).await;
    let trail = Trail::new(database.pool.clone());
    let long = Duration::from_secs(60);
    let filter = EventFilter::new().event("order.*").without_event("order.filled");
    let facets = trail.facets(&filter, 10_000, long).await.unwrap().unwrap();
    let of = |facet: Facet| {
        facets.iter().filter(move |count| count.facet == facet).map(|count| (count.value.as_str(), count.events))
    };
    assert_eq!(of(Facet::EventType).collect::<Vec<_>>(), [("order.submitted", 1_000)]);
    assert_eq!(of(Facet::Outcome).collect::<Vec<_>>(), [("ok", 996), ("error", 4)]);
    assert_eq!((of(Facet::Actor).count(), of(Facet::Tenant).count()), (25, 0));
    let newest = trail.facets(&filter, 10, long).await.unwrap().unwrap();
    assert_eq!(
        newest.iter().filter(|count| count.facet == Facet::EventType).map(|count| count.events).sum::<u64>(),
        10
    );

    let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let hour = begin.saturating_add(Duration::from_secs(3_600));
    let parts = Parts::new(begin, hour, 6).unwrap();
    let counts = trail.histogram(&filter, parts, long).await.unwrap().unwrap();
    // A row each second, the first of which has second 1.
    assert_eq!(counts.iter().map(|count| count.events).collect::<Vec<_>>(), [149, 150, 150, 150, 150, 150]);
    assert_eq!(counts[1].begin, begin.saturating_add(Duration::from_secs(600)));
    let narrow = trail.histogram(&filter.clone().until(counts[1].begin), parts, long).await.unwrap().unwrap();
    assert_eq!(narrow.iter().map(|count| count.events).sum::<u64>(), 149);
    assert!(trail.arrivals(parts, long).await.unwrap().unwrap().iter().all(|count| count.events == 0));
    // A query that takes too long is no error.
    let slow = "ALTER TABLE audit_events RENAME TO slow; CREATE VIEW audit_events AS SELECT * FROM slow, LATERAL (SELECT pg_sleep(0.1)::text AS slept) s";
    sqlx::raw_sql(slow).execute(&database.pool).await.unwrap();
    assert_eq!(trail.histogram(&filter, parts, Duration::from_millis(50)).await.unwrap(), None);
    assert_eq!(trail.facets(&filter, 10_000, Duration::from_millis(50)).await.unwrap(), None);
}

#[tokio::test]
async fn conditions_of_lists_apply_beside_those_of_one_value() {
    let database = Database::new().await;
    let sql = "INSERT INTO audit_events (id, event_type, entity_type, tenant) SELECT gen_random_uuid(), 'a.thing', kind, tenant \
               FROM unnest(ARRAY['order', 'risk']) kind, unnest(ARRAY['acme', 'globex', NULL]) tenant";
    sqlx::raw_sql(sql).execute(&database.pool).await.unwrap();
    let trail = Trail::new(database.pool.clone());
    let new = EventFilter::new;
    for (filter, expected) in [
        (new().tenant_any(["acme"]), 2),
        (new().tenant_any(["acme", "globex"]), 4),
        (new().tenant_any(["acme", "globex"]).tenant("globex"), 2),
        (new().tenant_any(["acme"]).tenant("globex"), 0),
        (new().tenant_any(["acme"]).tenant_any(["globex"]), 0),
        (new().tenant_any([""; 0]), 0),
        (new().entity_type_any(["order"]).tenant_any(["acme"]), 1),
        (new().entity_type_any(["order"]).entity_type("risk"), 0),
        (new().without_event("a.thing"), 0),
        (new().without_event("a.*"), 6),
    ] {
        assert_eq!(trail.events(&filter).await.unwrap().events.len(), expected, "{filter:?}");
    }
}
