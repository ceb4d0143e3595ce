//! A migration that is killed at any step is continued by the next one.

use crate::is_as_new;
use sqlx::{AssertSqlSafe, Executor};
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use tests::examples::audit_trail;
use tests::{Database, before};

/// The duplicate of a row whose key everybody knows: no moment may accept it.
const DUPLICATE: &str = "INSERT INTO audit_events (id, event_type, entity_type, created_at) \
                         VALUES ('00000000-0000-0000-0000-000000000001', 'a.b', 'a', '2026-01-01 00:00:00+00')";

/// Runs it, kills it at the first step at which no other was killed, and returns this step; `None` where it ended by itself.
fn killed_at_a_new_step(url: &str, killed: &HashSet<String>) -> Option<String> {
    let mut child = Command::new(audit_trail());
    let mut child =
        child.arg("migrate").env("DATABASE_URL", url).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let step = lines
        .filter_map(|line| Some(line.strip_prefix("step ")?.split_once(": ")?.1.to_owned()))
        .find(|step| !killed.contains(step));
    if step.is_some() {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    assert!(step.is_some() || status.success());
    step
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_killed_at_every_step_while_others_write() {
    let database = before::version_5().await;
    before::fill(&database, 40_000).await;
    database.pool.execute(DUPLICATE).await.unwrap();
    let (ended, mut inserted) = (AtomicBool::new(false), 0);
    let writing = async {
        while !ended.load(Ordering::Relaxed) {
            let sql = "INSERT INTO audit_events (id, event_type, entity_type) VALUES (gen_random_uuid(), 'a.b', 'a')";
            database.pool.execute(sql).await.unwrap();
            inserted += 1;
            let error = database.pool.execute(DUPLICATE).await.expect_err("the key is unique at any moment");
            assert_eq!(error.as_database_error().and_then(|error| error.code()).as_deref(), Some("23505"), "{error}");
        }
    };
    let killing = async {
        let mut killed: HashSet<String> = HashSet::new();
        loop {
            let (url, known) = (database.url.clone(), killed.clone());
            let step = tokio::task::spawn_blocking(move || killed_at_a_new_step(&url, &known)).await.unwrap();
            let Some(step) = step else { break };
            // PostgreSQL finishes a statement whose client is gone; every other time it does not.
            if killed.len().is_multiple_of(2) {
                let end = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE datname = current_database() \
                           AND state = 'active' AND query ~ '^(CREATE|ALTER|DROP)' AND pid <> pg_backend_pid()";
                database.pool.execute(end).await.unwrap();
            }
            killed.insert(step);
        }
        ended.store(true, Ordering::Relaxed);
        killed
    };
    let (killed, ()) = futures_util::join!(killing, writing);
    eprintln!("killed at {} steps, {inserted} rows inserted meanwhile", killed.len());
    assert!(killed.len() > 40 && killed.iter().any(|step| step.contains("the primary key exchanged")), "{killed:#?}");
    assert_eq!(database.events().await, 40_001 + inserted);
    is_as_new(&database).await;
    database.is_unharmed().await;
}

#[tokio::test]
async fn an_index_that_a_server_left_invalid_is_built_again() {
    let database = before::version_5().await;
    before::fill(&database, 40_000).await;
    // A duplicate lets the unique index fail, as a lost connection would. In the first minutes of a month
    // its partition would have none.
    let two = "INSERT INTO audit_events (id, event_type, entity_type) SELECT gen_random_uuid(), 'a.b', 'a' FROM generate_series(1, 2)";
    database.pool.execute(two).await.unwrap();
    let month = format!("audit_events_{}", chrono::Utc::now().format("%Y_%m"));
    let broken = format!("CREATE UNIQUE INDEX CONCURRENTLY {month}_entity_bucket ON {month} (event_type)");
    assert!(database.pool.execute(AssertSqlSafe(broken)).await.is_err());
    assert_eq!(database.count("SELECT count(*) FROM pg_index WHERE NOT indisvalid").await, 1);
    database.admin().migrate().await.unwrap();
    is_as_new(&database).await;
}

#[tokio::test]
async fn two_batches_that_follow_on_one_are_reported_and_hold_up_nothing() {
    let database = before::version_5().await;
    let batches = "INSERT INTO audit_batches (id, journal_id, first_position, end_position, rows, origin, previous_position, root, leaves) \
                   SELECT gen_random_uuid(), '00000000-0000-0000-0000-0000000000aa', n, n + 1, 0, 'x', 0, sha256(n::text::bytea), '' \
                   FROM generate_series(1, 2) n";
    database.pool.execute(batches).await.unwrap();
    before::fill(&database, 40_000).await;
    let mut told = Vec::new();
    database.admin().migrate_with_progress(|step| told.push(step.to_string())).await.unwrap();
    let twice = "two batches of journal 00000000-0000-0000-0000-0000000000aa follow on the same one";
    assert!(told.iter().any(|step| step.contains(twice)), "{told:#?}");
    is_as_new(&database).await;
    // A new database refuses the second of them.
    let new = Database::new().await;
    let error = new.pool.execute(batches).await.unwrap_err().to_string();
    assert!(error.contains("audit_batches_follow"), "{error}");
}
