//! Feeds as they are run: paused, moved, by two processes, killed, beside a database that goes away.

use crate::endpoint::Endpoint;
use crate::{Running, forward, ids, lines, record, run, stored};
use audit_runtime::admin::Role;
use audit_runtime::sqlx;
use std::collections::HashSet;
use std::io::{Read, Write};
use tests::{Cluster, Config, Database, eventually};
use uuid::Uuid;

async fn sent(database: &Database) -> i64 {
    database.count("SELECT coalesce(sum(sent), 0)::bigint FROM audit_feeds").await
}

#[tokio::test]
async fn a_feed_is_paused_resumed_rewound_and_removed() {
    let database = Database::new().await;
    record(&database, 5).await;
    let file = database.journals.path().join("events");
    let to = file.to_str().unwrap();
    let running = Running::start(&database, &["forward", "--to", to, "--from", "beginning", "--name", "siem"]);
    eventually("they are sent", async || sent(&database).await == 5).await;
    assert_eq!(run(&database, &["feed", "pause", "siem"]).0, 0);
    eventually("it waits", async || {
        database.count("SELECT count(*) FROM audit_feeds WHERE waits_for = 'paused'").await == 1
    })
    .await;
    record(&database, 2).await;
    let (_, text) = run(&database, &["feed", "list"]);
    assert!(text.contains("behind by 2 events") && text.contains("paused"), "{text}");
    let (_, text) = run(&database, &["status"]);
    assert!(text.contains("feed          siem to ") && text.contains("behind by 2 events"), "{text}");
    assert_eq!(sent(&database).await, 5);
    assert_eq!(run(&database, &["feed", "resume", "siem"]).0, 0);
    eventually("it goes on", async || sent(&database).await == 7).await;
    assert_eq!(run(&database, &["feed", "rewind", "siem", "--from", "beginning"]).0, 0);
    eventually("it sends all again", async || sent(&database).await == 14).await;
    assert_eq!(lines(&file).len(), 14);
    assert_eq!(ids(&lines(&file)).into_iter().collect::<HashSet<_>>(), stored(&database).await.into_iter().collect());
    assert_eq!(run(&database, &["feed", "remove", "siem"]).0, 0);
    let mut running = running;
    let code = tests::wait::until("it ends", || running.0.try_wait().unwrap()).code();
    assert_eq!(code, Some(1));
    for arguments in
        [&["feed", "pause", "siem"][..], &["feed", "remove", "siem"], &["feed", "list"], &["feed", "refused", "siem"]]
    {
        assert_eq!(run(&database, arguments).0, 1, "{arguments:?}");
    }
}

#[tokio::test]
async fn two_processes_take_turns() {
    let database = Database::new().await;
    let file = database.journals.path().join("events");
    let to = file.to_str().unwrap();
    let arguments = ["forward", "--to", to, "--from", "beginning"];
    let mut first = Running::start(&database, &arguments);
    eventually("the first runs", async || database.count("SELECT count(*) FROM audit_feeds").await == 1).await;
    let (code, text) = forward(&database, to, &[]);
    assert!(code == 1 && text.contains("another process runs the feed"), "{text}");
    let second = Running::start(&database, &arguments);
    record(&database, 3).await;
    eventually("they are sent", async || sent(&database).await == 3).await;
    first.kill();
    record(&database, 4).await;
    eventually("the second goes on", async || sent(&database).await == 7).await;
    assert_eq!(second.terminate(), 0);
    assert_eq!(ids(&lines(&file)), stored(&database).await);
}

#[tokio::test]
async fn a_database_that_goes_away_is_waited_for() {
    let mut cluster = Cluster::start(Config::default());
    let database = Database::migrated_in(&cluster).await;
    record(&database, 2).await;
    let file = database.journals.path().join("events");
    let running = Running::start(&database, &["forward", "--to", file.to_str().unwrap(), "--from", "beginning"]);
    eventually("they are sent", async || sent(&database).await == 2).await;
    cluster.kill();
    cluster.up();
    let mut database = database;
    database.reconnect();
    record(&database, 3).await;
    eventually("it goes on", async || sent(&database).await == 5).await;
    assert_eq!(running.terminate(), 0);
    assert_eq!(ids(&lines(&file)), stored(&database).await);
}

#[tokio::test]
async fn a_forwarder_needs_no_more_rights_than_its_role_has() {
    let database = Database::new().await;
    let role = format!("forwarder_{}", Uuid::now_v7().simple());
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE ROLE {role} LOGIN"))).execute(&database.pool).await.unwrap();
    database.admin().grant(Role::Forwarder, &role).await.unwrap();
    record(&database, 3).await;
    sqlx::raw_sql("INSERT INTO audit_events (id, event_type, entity_type, actor, data) VALUES (gen_random_uuid(), 'raw.row', 'x', 'x', '{}')")
        .execute(&database.pool)
        .await
        .unwrap();
    let file = database.journals.path().join("events");
    let url = database.url.replace("postgres@", &format!("{role}@"));
    let arguments =
        ["forward", "--to", file.to_str().unwrap(), "--from", "beginning", "--once", "--database-url", &url];
    let (code, text) = run(&database, &arguments);
    assert_eq!(code, 0, "{text}");
    assert_eq!(lines(&file).len(), 3, "the row without a batch waits for a checkpoint");
    database.admin().seal_rows(true).await.unwrap();
    assert_eq!(run(&database, &arguments).0, 0);
    assert_eq!(ids(&lines(&file)), stored(&database).await);
    assert_eq!(run(&database, &["doctor", "--forwarder", &role]).1.matches("forwarder").count(), 0);
    // It may change nothing else.
    for change in [
        "DELETE FROM audit_feeds",
        "DELETE FROM audit_events",
        "UPDATE audit_batches SET rows = 0",
        "INSERT INTO audit_late VALUES (gen_random_uuid(), now(), gen_random_uuid())",
    ] {
        let pool = sqlx::PgPool::connect(&url).await.unwrap();
        let error = sqlx::raw_sql(change).execute(&pool).await.unwrap_err().to_string();
        assert!(error.contains("permission denied"), "{change}: {error}");
        pool.close().await;
    }
}

/// Returns the text of a server at `/metrics`.
fn get(address: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn metrics_tell_what_is_sent_and_how_far_it_is_behind() {
    let database = Database::new().await;
    record(&database, 8).await;
    let endpoint = Endpoint::taking().await;
    let to = format!("http://127.0.0.1:{}/", endpoint.port);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let address = format!("127.0.0.1:{port}");
    let running = Running::start(
        &database,
        &["forward", "--to", &to, "--from", "beginning", "--name", "siem", "--metrics", &address],
    );
    eventually("they are sent", async || sent(&database).await == 8).await;
    // It stores the cursor first, and counts then.
    let counted = "audit_feed_sent_total{feed=\"siem\"} 8\n";
    eventually("they are counted", async || get(&address).contains(counted)).await;
    let text = get(&address);
    assert!(text.contains("# HELP audit_feed_lag_seconds "), "{text}");
    assert_eq!(running.terminate(), 0);
}

/// How far a feed is behind, as its metrics tell.
fn behind(address: &str) -> f64 {
    let text = get(address);
    let line = text.lines().find(|line| line.starts_with("audit_feed_lag_seconds{")).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn a_feed_that_stands_still_is_seen_to_fall_behind() {
    let mut cluster = Cluster::start(Config::default());
    let database = Database::migrated_in(&cluster).await;
    let answers = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let (yes, no) = (std::sync::Arc::clone(&answers), std::sync::Arc::clone(&answers));
    let endpoint = Endpoint::start(move |_| match yes.load(std::sync::atomic::Ordering::Relaxed) {
        true => Some((200, "", Vec::new())),
        false => Some((503, "", Vec::new())),
    })
    .await;
    let answer = |does: bool| no.store(does, std::sync::atomic::Ordering::Relaxed);
    let to = format!("http://127.0.0.1:{}/", endpoint.port);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let arguments = ["forward", "--to", &to, "--from", "beginning", "--name", "siem", "--metrics", address.as_str()];
    let running = Running::start(&database, &arguments);
    record(&database, 1).await;
    eventually("it is sent", async || sent(&database).await == 1).await;
    eventually("it is not behind", async || behind(&address) < 0.1).await;
    // The target is away.
    answer(false);
    record(&database, 1).await;
    eventually("it falls behind", async || behind(&address) > 4.0).await;
    let (_, text) = run(&database, &["status"]);
    assert!(text.contains("behind by 1 event, ") && text.contains("waits: 503"), "{text}");
    answer(true);
    eventually("it catches up", async || behind(&address) < 0.1).await;
    // The feed is paused.
    assert_eq!(run(&database, &["feed", "pause", "siem"]).0, 0);
    eventually("it waits", async || {
        database.count("SELECT count(*) FROM audit_feeds WHERE waits_for = 'paused'").await == 1
    })
    .await;
    record(&database, 1).await;
    eventually("it falls behind", async || behind(&address) > 4.0).await;
    let (_, text) = run(&database, &["status"]);
    assert!(text.contains("behind by 1 event, ") && text.contains(", paused"), "{text}");
    assert_eq!(run(&database, &["feed", "resume", "siem"]).0, 0);
    eventually("it catches up", async || behind(&address) < 0.1).await;
    // The database is away.
    cluster.kill();
    eventually("it falls behind", async || behind(&address) > 4.0).await;
    cluster.up();
    eventually("it catches up", async || behind(&address) < 0.1).await;
    assert_eq!(running.terminate(), 0);
}

#[tokio::test]
async fn a_cursor_file_has_a_follower_go_on() {
    let database = Database::new().await;
    record(&database, 4).await;
    let cursor = database.journals.path().join("cursor");
    let follow = || {
        let mut command = crate::command(&database, &["events", "--follow", "--output", "ndjson", "--cursor"]);
        command.arg(&cursor).stdout(std::process::Stdio::piped()).spawn().unwrap()
    };
    let mut first = follow();
    tests::wait::until("it begins", || cursor.exists().then_some(()));
    let before = std::fs::read_to_string(&cursor).unwrap();
    record(&database, 3).await;
    tests::wait::until("it moves", || (std::fs::read_to_string(&cursor).unwrap() != before).then_some(()));
    first.kill().unwrap();
    let printed = first.wait_with_output().unwrap().stdout;
    record(&database, 2).await;
    let before = std::fs::read_to_string(&cursor).unwrap();
    let mut second = follow();
    tests::wait::until("it goes on", || (std::fs::read_to_string(&cursor).unwrap() != before).then_some(()));
    second.kill().unwrap();
    let printed = [printed, second.wait_with_output().unwrap().stdout].concat();
    let found: HashSet<String> = String::from_utf8(printed)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(found.len(), 5);
    std::fs::write(&cursor, "nonsense").unwrap();
    let (code, text) = run(&database, &["events", "--follow", "--cursor", cursor.to_str().unwrap()]);
    assert!(code == 2 && text.contains("invalid position"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_on_a_standby_misses_nothing_before_and_after_its_promotion() {
    let primary = Cluster::start(Config::default());
    let database = Database::migrated_in(&primary).await;
    record(&database, 4).await;
    let standby = primary.standby();
    let copy = Database::at(&database.url.replace(&format!(":{}/", primary.port()), &format!(":{}/", standby.port())));
    let lineage = "SELECT audit_lineage()";
    let of_primary: String = sqlx::query_scalar(lineage).fetch_one(&database.pool).await.unwrap();
    let of_standby: String = sqlx::query_scalar(lineage).fetch_one(&copy.pool).await.unwrap();
    assert_eq!(of_primary, of_standby);
    let cursor = database.journals.path().join("cursor");
    let position = audit_runtime::feed::Position::beginning();
    std::fs::write(&cursor, format!("{position}\n")).unwrap();
    let follow = || {
        let mut command = crate::command(&copy, &["events", "--follow", "--output", "ndjson", "--cursor"]);
        command.arg(&cursor).stdout(std::process::Stdio::piped()).spawn().unwrap()
    };
    let (all, behind) = crate::arrived(&database, &position).await;
    let mut child = follow();
    let has_come = |behind: &str| std::fs::read_to_string(&cursor).unwrap().trim_end() == behind;
    tests::wait::until("it prints them", || has_come(&behind.to_string()).then_some(()));
    record(&database, 3).await;
    let (more, behind) = crate::arrived(&database, &behind).await;
    assert_eq!((all.len(), more.len()), (4, 3));
    tests::wait::until("it goes on", || has_come(&behind.to_string()).then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
    standby.promote().await;
    record(&copy, 2).await;
    assert_eq!(crate::arrived(&copy, &behind).await.0.len(), 2);
}
