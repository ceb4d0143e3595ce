//! Many events wait for PostgreSQL, and new ones come.

use audit_runtime::trail::{EventFilter, Trail};
use audit_runtime::{Audit, Event, MasterKey};
use serde_json::json;
use std::time::Duration;
use tests::{Cluster, Database, Proxy, eventually};
use tokio::task::JoinSet;

/// Events in batches of ten: two thousand batches.
const BACKLOG: u64 = 20_000;

/// A trail that has recorded events while PostgreSQL was out of reach, with a person each or none.
async fn recorded(
    database: &Database,
    proxy: &Proxy,
    connections: usize,
    master: &MasterKey,
    is_personal: bool,
) -> Audit {
    let url = proxy.url(database.url.rsplit('/').next().unwrap());
    let builder = database.audit().postgres(&*url).batch_rows(10).connections(connections).service("late");
    let audit = builder.master_key(master.clone()).start().unwrap();
    audit.record(Event::new("call.made")).unwrap().stored().await.unwrap();
    proxy.target(1);
    proxy.cut();
    // The lanes have a batch each that they try to store.
    audit.record_all((0..30).map(|_| Event::new("call.made"))).unwrap();
    eventually("PostgreSQL is out of reach", || async { audit.stats().retries > 0 }).await;
    for number in 0..BACKLOG {
        let event = Event::new("mail.changed").data(&json!({"number": number}));
        let mail = json!({"email": format!("{number}@example.com")});
        let personal = || event.clone().personal(&*format!("customer:{}", number % 100), &mail);
        audit.record(if is_personal { personal() } else { event.clone() }).unwrap();
    }
    audit
}

/// Records events until one is stored before those that wait. The first ones are a part of the backlog.
async fn stored_before_others(audit: &Audit) {
    let mut waiting = JoinSet::new();
    eventually("a new event is stored before others", || {
        let receipt = audit.record(Event::new("call.made")).unwrap();
        waiting.spawn(async move { receipt.stored().await });
        let is_stored = waiting.try_join_next().is_some();
        async move { is_stored }
    })
    .await;
    let pending = audit.stats().pending;
    assert!(pending > BACKLOG / 50, "{pending} events wait behind the new one");
}

#[tokio::test]
async fn a_new_event_is_stored_before_a_backlog_that_stays_as_it_was_sealed() {
    for (connections, is_personal) in [(1, true), (3, false)] {
        let (database, master) = (Database::new().await, MasterKey::generate());
        let proxy = Proxy::start(Cluster::shared().port());
        let audit = recorded(&database, &proxy, connections, &master, is_personal).await;
        proxy.target(Cluster::shared().port());
        stored_before_others(&audit).await;
        let all = audit.record_all((0..3).map(|_| Event::new("call.made"))).unwrap();
        all.stored().await.unwrap();

        if is_personal {
            // The values that wait were encrypted by this key. Most often, that is thousands of them.
            database.admin().forget("customer:7").await.unwrap();
        }
        audit.shutdown(Duration::from_secs(60)).await.unwrap();
        assert_eq!(
            database.count("SELECT count(DISTINCT id) FROM audit_events WHERE event_type = 'mail.changed'").await,
            BACKLOG as i64
        );
        database.is_unharmed().await;
        if !is_personal {
            continue;
        }
        let trail = Trail::new(database.pool.clone()).master_key(master);
        let number = async |number: u64| {
            let filter = EventFilter::new().event("mail.changed").data(json!({"number": number})).limit(1);
            trail.events(&filter).await.unwrap().events.remove(0)
        };
        assert_eq!(number(BACKLOG - 1).await.data["email"], format!("{}@example.com", BACKLOG - 1));
        // (20,000 and 93 less is a hundred's 7.)
        assert_eq!(number(BACKLOG - 93).await.data["email"], "[erased]");
    }
}

#[tokio::test]
async fn a_process_that_dies_over_a_backlog_leaves_it_to_the_next() {
    let (database, master) = (Database::new().await, MasterKey::generate());
    let proxy = Proxy::start(Cluster::shared().port());
    let audit = recorded(&database, &proxy, 2, &master, false).await;
    proxy.target(Cluster::shared().port());
    stored_before_others(&audit).await;
    let recorded = audit.stats().recorded;
    let report = database.abandon(audit).await;
    assert!(report.left_in_journal > BACKLOG / 100, "{report:?}");

    let next = database.audit().batch_rows(7).master_key(master).start().unwrap();
    eventually("the rest is shipped", || async { database.journal_directories() == 1 }).await;
    next.shutdown(Duration::from_secs(30)).await.unwrap();
    let rows = "SELECT count(DISTINCT (data->>'number')::int) FROM audit_events WHERE event_type = 'mail.changed'";
    assert_eq!(database.count(rows).await, BACKLOG as i64);
    assert_eq!(database.events().await, recorded as i64);
    assert_eq!(database.count("SELECT count(*) FROM audit_batches WHERE origin NOT LIKE 'late@%'").await, 0);
    database.is_unharmed().await;
}
