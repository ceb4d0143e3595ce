//! `Trail::look`: a search that no index serves, in parts, each of which goes on where the one before
//! ended.

use audit_runtime::Timestamp;
use audit_runtime::trail::{EventFilter, Looked, Trail};
use futures_util::TryStreamExt;
use serde_json::json;
use std::time::Duration;
use tests::Database;
use uuid::Uuid;

/// Three hundred events within ten minutes, many of them at one time: at the ends of minutes before the
/// newest one, at which windows end. Every third one matches.
async fn crowded() -> Database {
    let database = Database::new().await;
    let sql = "INSERT INTO audit_events (id, event_type, entity_type, actor, tenant, data, context, created_at) \
         SELECT gen_random_uuid(), CASE n % 2 WHEN 0 THEN 'note.left' ELSE 'note.read' END, 'note', 'user:' || n % 4, 'acme', \
         jsonb_build_object('n', n, 'kind', n % 3), jsonb_build_object('ip', '10.0.0.' || n % 3), \
         timestamptz '2026-05-04 10:00:00Z' - CASE WHEN n % 5 < 2 THEN make_interval(mins => n / 30) ELSE make_interval(secs => n * 2) END \
         FROM generate_series(0, 299) n";
    sqlx::raw_sql(sql).execute(&database.pool).await.unwrap();
    database
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// All pages of a search, each looked for within this time.
async fn pages(trail: &Trail, filter: &EventFilter, within: Duration) -> Vec<Looked> {
    let (mut filter, mut pages) = (filter.clone(), Vec::new());
    loop {
        let page = trail.look(&filter, within).await.unwrap();
        let next = page.next;
        assert!(page.up_to.is_none() || next.is_some(), "{page:?}");
        pages.push(page);
        assert!(pages.len() < 10_000, "the search comes to no end");
        let Some(next) = next else { return pages };
        filter = filter.after(next);
    }
}

fn ids(pages: &[Looked]) -> Vec<Uuid> {
    pages.iter().flat_map(|page| page.events.iter().map(|event| event.id)).collect()
}

async fn expected(trail: &Trail, filter: &EventFilter) -> Vec<Uuid> {
    trail.stream(filter.clone()).map_ok(|event| event.id).try_collect().await.unwrap()
}

#[tokio::test]
async fn each_event_comes_once_and_in_order_whatever_the_time() {
    let database = crowded().await;
    let trail = Trail::new(database.pool.clone());
    let base = EventFilter::new;
    for filter in [
        base().context(json!({"ip": "10.0.0.1"})),
        base().data(json!({"kind": 2})),
        base().data(json!({"n": 150})),
        base().event("note.*").actor("user:1"),
        base().actor("user:2").tenant("acme"),
        base().context(json!({"ip": "10.0.0.1"})).since(at("2026-05-04T09:53:00Z")).until(at("2026-05-04T09:58:00Z")),
        base().context(json!({"ip": "nowhere"})),
    ] {
        for filter in [filter.clone(), filter.newest_first()] {
            let expected = expected(&trail, &filter).await;
            let full = pages(&trail, &filter.clone().limit(7), Duration::ZERO).await;
            assert_eq!(ids(&full), expected, "{filter:?}");
            for within in [Duration::ZERO, Duration::from_millis(2), Duration::from_secs(5)] {
                let pages = pages(&trail, &filter, within).await;
                assert_eq!(ids(&pages), expected, "{within:?} {filter:?}");
                let partial = pages.iter().filter(|page| page.up_to.is_some()).count();
                // Without any time, each page is of one window.
                assert!(!within.is_zero() || partial >= 4, "{partial} {filter:?}");
                assert!(within < Duration::from_secs(5) || partial == 0, "{partial} {filter:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_an_index_serves_comes_in_whole_pages() {
    let database = crowded().await;
    let trail = Trail::new(database.pool.clone());
    for filter in [EventFilter::new(), EventFilter::new().event("note.left"), EventFilter::new().actor("user:1")] {
        let filter = filter.limit(50).newest_first();
        let (looked, page) = (trail.look(&filter, Duration::ZERO).await.unwrap(), trail.events(&filter).await.unwrap());
        assert_eq!((looked.events, looked.next, looked.up_to), (page.events, page.next, None));
    }
}

#[tokio::test]
async fn far_and_infinite_times_are_reached() {
    let database = crowded().await;
    let sql = "INSERT INTO audit_events (id, event_type, entity_type, context, created_at) SELECT gen_random_uuid(), 'note.left', 'note', \
         '{\"ip\": \"10.0.0.1\"}', t::timestamptz FROM unnest(ARRAY['infinity', '-infinity', '4000-01-01 BC', '1999-12-31', '2024-02-29', \
         '2026-05-04 10:00:00Z', '2099-01-01', '20000-01-01']) t, generate_series(1, 2)";
    sqlx::raw_sql(sql).execute(&database.pool).await.unwrap();
    let trail = Trail::new(database.pool.clone());
    let filter = EventFilter::new().context(json!({"ip": "10.0.0.1"})).limit(3);
    for filter in [filter.clone(), filter.newest_first()] {
        let expected = expected(&trail, &filter).await;
        let pages = pages(&trail, &filter, Duration::from_secs(1)).await;
        assert_eq!(ids(&pages), expected, "{filter:?}");
    }
    let empty = Trail::new(Database::new().await.pool.clone());
    let filter = EventFilter::new().context(json!({"ip": "10.0.0.1"}));
    assert_eq!(pages(&empty, &filter, Duration::ZERO).await.len(), 1);
}
