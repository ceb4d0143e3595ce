//! A network that falls silent between a feed and its database.

use crate::{command, ids, lines, record, stored};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tests::{Cluster, Database, Proxy, Rule, eventually};

async fn sent(database: &Database) -> i64 {
    database.count("SELECT coalesce(sum(sent), 0)::bigint FROM audit_feeds").await
}

/// Waits longer than a kernel needs to notice that a network is silent, which is 30 seconds.
async fn in_time(what: &str, database: &Database, events: i64) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while sent(database).await != events {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_the_network_has_forgotten_is_taken_over_and_comes_back() {
    let database = Database::new().await;
    let proxy = Proxy::start(Cluster::shared().port());
    // As on two machines.
    let files = ["first", "second"].map(|name| database.journals.path().join(name));
    let forward = |url: &str, file: &Path| {
        let mut command =
            command(&database, &["forward", "--to", file.to_str().unwrap(), "--from", "beginning", "--name", "siem"]);
        let child = command.env("DATABASE_URL", url).stderr(Stdio::null()).spawn().unwrap();
        crate::Running(child)
    };
    let name = database.url.rsplit('/').next().unwrap();
    let first = forward(&format!("{}?sslmode=disable", proxy.url(name)), &files[0]);
    record(&database, 2).await;
    eventually("the first sends them", async || sent(&database).await == 2).await;
    let mut second = forward(&database.url, &files[1]);
    // Neither side is told, and nothing is answered that is new.
    proxy.rule(Rule::Stall);
    proxy.forget();
    record(&database, 3).await;
    in_time("the second takes over", &database, 5).await;
    second.kill();
    proxy.rule(Rule::Pass);
    record(&database, 1).await;
    in_time("the first comes back", &database, 6).await;
    assert_eq!(first.terminate(), 0);
    let all: Vec<_> = files.iter().flat_map(|file| lines(file)).collect();
    assert_eq!(ids(&all), stored(&database).await);
}
