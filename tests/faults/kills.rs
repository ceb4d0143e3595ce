//! SIGKILL, and who ships what is left.

use audit_runtime::{Audit, Event};
use std::io::{BufReader, Write};
use std::process::Child;
use std::time::Duration;
use tests::again::{again, is_again, ready};
use tests::{Cluster, Database, Proxy, Rule, eventually};
use uuid::Uuid;

const KILLED: &str = "kills::killed_at_any_instant_each_call_that_returned_has_one_row";

/// Records, and prints the number of each event once its call has returned.
fn recording(url: &str, journals: &str) -> ! {
    let audit =
        Audit::builder().postgres(url).journal(journals).segment_bytes(1 << 16).data_limit(1 << 14).start().unwrap();
    let mut output = std::io::stdout().lock();
    writeln!(output, "ready").unwrap();
    for number in 0_u64.. {
        let event = Event::new("call.made").entity("run", Uuid::nil()).actor(std::process::id());
        let padding = "x".repeat((number % 700) as usize);
        audit.record(event.data(&serde_json::json!({"number": number, "padding": padding}))).unwrap();
        writeln!(output, "{number}").unwrap();
        output.flush().unwrap();
    }
    unreachable!("there is always a next number")
}

struct Recorder {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Recorder {
    fn start(database: &Database) -> Self {
        let mut again = again(KILLED);
        again.env("AUDIT_TEST_URL", &database.url).env("AUDIT_TEST_JOURNALS", database.journals.path());
        let (child, lines) = ready(&mut again);
        Self { child, lines }
    }

    /// Kills it once so many calls have returned, and returns how many had.
    fn kill_after(mut self, calls: usize) -> i64 {
        let mut returned = self.lines.by_ref().take(calls).last().map_or(0, |line| number(&line.unwrap()));
        self.child.kill().unwrap();
        // The rest of the pipe, whose last line may be torn.
        for line in self.lines.map_while(Result::ok) {
            returned = returned.max(number(&line));
        }
        self.child.wait().unwrap();
        returned
    }
}

fn number(line: &str) -> i64 {
    line.parse::<i64>().map_or(0, |number| number + 1)
}

#[tokio::test]
async fn killed_at_any_instant_each_call_that_returned_has_one_row() {
    if is_again(KILLED) {
        recording(&std::env::var("AUDIT_TEST_URL").unwrap(), &std::env::var("AUDIT_TEST_JOURNALS").unwrap());
    }
    let database = Database::new().await;
    let mut expected = Vec::new();
    for calls in [0, 1, 2, 7, 50, 300, 1_000, 3_000] {
        let recorder = Recorder::start(&database);
        let actor = recorder.child.id().to_string();
        expected.push((actor, recorder.kill_after(calls)));
    }
    // Each start adopted the journal of the one before. This one adopts the last.
    let next = database.audit().start().unwrap();
    eventually("all is shipped", || async { database.journal_directories() == 1 }).await;
    next.shutdown(Duration::from_secs(10)).await.unwrap();
    for (actor, returned) in expected {
        let (rows, distinct, last): (i64, i64, Option<i64>) = sqlx::query_as(
            "SELECT count(*), count(DISTINCT data->>'number'), max((data->>'number')::bigint) FROM audit_events WHERE actor = $1",
        )
        .bind(&actor)
        .fetch_one(&database.pool)
        .await
        .unwrap();
        // The last line may have been torn: its call, and the one under way, may have rows too.
        assert!(rows >= returned && rows <= returned + 2, "{rows} rows of {returned} calls");
        assert_eq!((rows, distinct), (last.map_or(0, |last| last + 1), rows));
    }
    assert_eq!(database.journal_directories(), 0);
}

#[tokio::test]
async fn stored_batches_of_a_dead_process_are_not_sent_again() {
    let database = Database::new().await;
    let proxy = Proxy::start(Cluster::shared().port());
    let url = proxy.url(database.url.rsplit('/').next().unwrap());
    let audit = database.audit().postgres(url).batch_rows(2).connections(1).start().unwrap();
    // Stored ranges at positions of two digits to five.
    (0..100).for_each(|_| drop(audit.record(Event::new("order.accepted")).unwrap()));
    audit.flush().await.unwrap();
    proxy.rule(Rule::Stall);
    proxy.cut();
    audit.record(Event::new("order.accepted")).unwrap();
    assert_eq!(audit.shutdown(Duration::ZERO).await.unwrap().left_in_journal, 1);
    let next = database.audit().start().unwrap();
    eventually("the rest is shipped", || async { database.journal_directories() == 1 }).await;
    assert_eq!((next.stats().adopted, next.stats().quarantined), (1, 0));
    assert_eq!(database.events().await, 101);
    next.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn many_that_start_at_once_adopt_what_is_left_once() {
    let database = Database::new().await;
    for _ in 0..4 {
        let nowhere = database.audit().postgres("postgres://postgres@127.0.0.1:1/x").start().unwrap();
        (0..250).for_each(|_| drop(nowhere.record(Event::new("order.accepted")).unwrap()));
        nowhere.shutdown(Duration::ZERO).await.unwrap();
    }
    assert_eq!(database.journal_directories(), 4);
    let starting: Vec<_> = (0..6)
        .map(|_| {
            let builder = database.audit();
            std::thread::spawn(move || builder.start().unwrap())
        })
        .collect();
    let started: Vec<Audit> = starting.into_iter().map(|thread| thread.join().unwrap()).collect();
    eventually("all is adopted", || async { started.iter().map(|audit| audit.stats().adopted).sum::<u64>() == 1_000 })
        .await;
    eventually("all is removed", || async { database.journal_directories() == started.len() }).await;
    for audit in started {
        audit.shutdown(Duration::from_secs(10)).await.unwrap();
    }
    assert_eq!((database.events().await, database.journal_directories()), (1_000, 0));
    assert_eq!(database.count("SELECT count(DISTINCT id) FROM audit_events").await, 1_000);
}

#[tokio::test]
async fn an_adopter_sends_the_batches_that_a_dead_process_had_cut() {
    let database = Database::new().await;
    let proxy = Proxy::start(Cluster::shared().port());
    proxy.rule(Rule::Stall);
    let url = proxy.url(database.url.rsplit('/').next().unwrap());
    let audit = database.audit().postgres(&*url).batch_rows(10).connections(1).service("dead").start().unwrap();
    (0..100).for_each(|_| drop(audit.record(Event::new("call.made")).unwrap()));
    eventually("a batch is cut", || async { database.cut_logs().len() > 100 }).await;
    database.abandon(audit).await;
    let cuts = database.cut_logs();
    proxy.rule(Rule::Pass);
    let next = database.audit().batch_rows(7).start().unwrap();
    eventually("it is shipped", || async { database.journal_directories() == 1 }).await;
    next.shutdown(Duration::from_secs(30)).await.unwrap();
    let batches: Vec<(Uuid, i32, String)> =
        sqlx::query_as("SELECT id, rows::int, origin FROM audit_batches ORDER BY first_position")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    // The dead process cut the first batch, with that id and of those rows. It may have cut it
    // before all of its 10 rows were recorded. The adopter cuts the others.
    assert!(cuts.windows(16).any(|bytes| bytes == batches[0].0.as_bytes()), "{batches:?}");
    let rows: Vec<i32> = batches.iter().map(|(_, rows, _)| *rows).collect();
    let (first, rest) = rows.split_first().unwrap();
    assert!((1..=10).contains(first), "{rows:?}");
    let left = (100 - first) as usize;
    let expected: Vec<i32> = (0..left).step_by(7).map(|cut| (left - cut).min(7) as i32).collect();
    assert_eq!(rest, expected, "{rows:?}");
    assert!(batches.iter().all(|(.., origin)| origin.starts_with("dead@")), "{batches:?}");
    database.is_unharmed().await;
}

/// The whole entries of a cut log, each of which contains its root.
fn entries(log: &[u8]) -> Vec<Vec<u8>> {
    let (mut rest, mut entries) = (log.get(32..).unwrap_or_default(), Vec::new());
    while let Some((length, _)) = rest.split_first_chunk::<4>()
        && let Some((entry, behind)) = rest.split_at_checked(8 + u32::from_le_bytes(*length) as usize)
    {
        entries.push(entry.to_vec());
        rest = behind;
    }
    entries
}

#[tokio::test]
async fn batches_that_the_cut_log_lacks_are_cut_as_the_next_one_states() {
    let database = Database::new().await;
    let proxy = Proxy::start(Cluster::shared().port());
    proxy.rule(Rule::Stall);
    let url = proxy.url(database.url.rsplit('/').next().unwrap());
    let audit = database.audit().postgres(&*url).batch_rows(10).connections(8).start().unwrap();
    let data = serde_json::json!({ "text": "x".repeat(4_000) });
    (0..2_000).for_each(|_| drop(audit.record(Event::new("call.made").data(&data)).unwrap()));
    let all = || -> Vec<Vec<u8>> {
        database.cut_files().iter().flat_map(|file| entries(&std::fs::read(file).unwrap_or_default())).collect()
    };
    eventually("connections have a batch each", || async { all().len() >= 4 }).await;
    database.abandon(audit).await;
    // The directory was away for a time, or the disk full: the first and the last one are left.
    let cuts = all();
    for file in database.cut_files() {
        let log = std::fs::read(&file).unwrap();
        let kept = entries(&log).into_iter().filter(|entry| *entry == cuts[0] || Some(entry) == cuts.last());
        std::fs::write(file, [log[..32].to_vec()].into_iter().chain(kept).flatten().collect::<Vec<_>>()).unwrap();
    }
    proxy.rule(Rule::Pass);
    let next = database.audit().batch_rows(500).start().unwrap();
    eventually("it is shipped", || async { database.journal_directories() == 1 }).await;
    next.shutdown(Duration::from_secs(30)).await.unwrap();
    assert_eq!(database.events().await, 2_000);
    let roots: Vec<Vec<u8>> = sqlx::query_scalar("SELECT root FROM audit_batches ORDER BY first_position LIMIT $1")
        .bind(cuts.len() as i64)
        .fetch_all(&database.pool)
        .await
        .unwrap();
    for (root, cut) in roots.iter().zip(cuts) {
        assert!(cut.windows(32).any(|bytes| bytes == root));
    }
    database.is_unharmed().await;
}
