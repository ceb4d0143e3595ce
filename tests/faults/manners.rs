//! Writers beside each other.

use audit_runtime::admin::Role;
use audit_runtime::{Audit, Event};
use std::time::{Duration, Instant};
use tests::{Cluster, Config, Database};

const WRITERS: usize = 30;
/// How long a writer may have no turn.
const AT_MOST: Duration = Duration::from_secs(30);

#[tokio::test]
async fn of_thirty_writers_and_twenty_connections_nobody_starves() {
    let settings = "max_connections = 20\nautovacuum = off\nmax_wal_senders = 0";
    let cluster = Cluster::start(Config { settings, hba: None });
    let database = Database::migrated_in(&cluster).await;
    sqlx::raw_sql("CREATE ROLE app LOGIN").execute(&database.pool).await.unwrap();
    database.admin().grant(Role::Writer, "app").await.unwrap();
    // Connections reserved for superusers are left to them: this pool.
    let url = database.url.replace("postgres@", "app@");
    let start = |number| database.audit().postgres(url.as_str()).service(format!("{number}")).start().unwrap();
    let writers: Vec<Audit> = (0..WRITERS).map(start).collect();
    let (begin, mut recorded) = (Instant::now(), 0);
    let mut waited = vec![Duration::ZERO; WRITERS];
    // None is ever idle: each records before the connection of any would be given back for that.
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    while begin.elapsed() < Duration::from_secs(20) || writers.iter().any(|writer| writer.stats().batches < 2) {
        pace.tick().await;
        recorded += 1;
        for (writer, waited) in writers.iter().zip(&mut waited) {
            writer.record(Event::new("order.accepted")).unwrap();
            *waited = (*waited).max(writer.stats().lag);
        }
        assert!(waited.iter().all(|waited| *waited < AT_MOST), "a writer had no turn: {waited:?}");
    }
    let longest = waited.iter().max().unwrap();
    println!("the longest wait for a turn was {longest:?}");
    for writer in writers {
        assert_eq!(writer.shutdown(AT_MOST).await.unwrap().left_in_journal, 0);
    }
    assert_eq!(database.events().await, (recorded * WRITERS) as i64);
}
