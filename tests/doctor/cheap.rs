//! A trail of many rows is examined without reading them.

use crate::scene::{Trail, ran};
use std::time::{Duration, Instant};
use tests::{before, eventually};

/// Rows of events that sessions have read. A session counts them at its end.
async fn read(trail: &mut Trail) -> i64 {
    trail.database.pool.close().await;
    trail.database.reconnect();
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                  AND backend_type = 'client backend'";
    let database = &trail.database;
    eventually("other sessions have ended", async || database.count(others).await == 0).await;
    let read = "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables \
                WHERE relname LIKE 'audit\\_events%'";
    database.count(read).await
}

#[tokio::test]
async fn many_rows_are_not_read() {
    let mut trail = Trail::healthy().await;
    before::fill(&trail.database, 60_000).await;
    trail.database.admin().checkpoint(&trail.key).await.unwrap();
    trail.database.admin().make_partitions(|_| {}).await.unwrap();
    trail.sql("ANALYZE").await;
    let before = read(&mut trail).await;
    assert!(before > 60_000, "the counts are of all sessions: {before}");
    let begin = Instant::now();
    let ran = ran(trail.command().arg("doctor").args(trail.options()).arg("--json"));
    let took = begin.elapsed();
    assert_eq!((ran.code, ran.names()), (0, Vec::new()), "{}{}", ran.stdout, ran.stderr);
    let rows = read(&mut trail).await - before;
    // Those of the last day that were sealed late are looked at: 60,000 rows are of 40 days.
    assert!(rows < 6_000, "{rows} rows were read");
    assert!(took < Duration::from_secs(60), "{took:?}");
}
