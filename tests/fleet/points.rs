//! A service behind a relay is killed at each point of a batch's way. An adopter then ships what it
//! left: each call that returned has its one row.
//!
//! `tests/model` explores the same points in every order. Here they are met by the real programs.

use super::relay::behind;
use audit_runtime::{Audit, audited};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tests::again::{again_under, is_again};
use tests::{Database, Gate, Held, RelayProcess, eventually, wait};
use uuid::Uuid;

#[audited(event = "order.submitted")]
fn submit(order_id: Uuid, note: &str) {}

/// Records until it is killed. It prints the id of each call that has returned.
fn record(relay: &str, journals: &str) -> ! {
    let audit = behind(relay, Path::new(journals)).batch_rows(20).start().unwrap();
    audit.install().unwrap();
    loop {
        let id = Uuid::now_v7();
        submit(id, &"x".repeat(4_000));
        let mut output = std::io::stdout().lock();
        writeln!(output, "\n{id}").and_then(|()| output.flush()).unwrap();
        // The rhythm of the load: some hundred calls a second.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A service that records until it is killed.
struct Service {
    /// The leader of its process group: strace is in one with the program that it runs.
    process: Child,
    returned: Arc<Mutex<Vec<Uuid>>>,
    reader: Option<JoinHandle<()>>,
}

impl Service {
    fn start(test: &str, relay: &str, journals: &Path) -> Self {
        Self::start_under(None::<&OsStr>, &[], test, relay, journals)
    }

    /// Starts it under strace, which kills it at its first call of this kind, before the system does
    /// the call.
    fn start_killed_at(call: &str, test: &str, relay: &str, journals: &Path) -> Self {
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=SIGKILL:when=1"));
        let arguments = ["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        Self::start_under(Some("strace"), &arguments, test, relay, journals)
    }

    fn start_under(
        program: Option<impl AsRef<OsStr>>,
        arguments: &[&str],
        test: &str,
        relay: &str,
        journals: &Path,
    ) -> Self {
        let mut process = again_under(program, arguments, test)
            .env("AUDIT_TEST_RELAY", relay)
            .env("AUDIT_TEST_JOURNALS", journals)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let returned = Arc::<Mutex<Vec<Uuid>>>::default();
        let (lines, all) = (BufReader::new(process.stdout.take().unwrap()).lines(), returned.clone());
        let reader = std::thread::spawn(move || {
            let ids = lines.map_while(Result::ok).filter_map(|line| line.parse().ok());
            ids.for_each(|id| all.lock().unwrap().push(id));
        });
        Self { process, returned, reader: Some(reader) }
    }

    fn calls(&self) -> usize {
        self.returned.lock().unwrap().len()
    }

    /// Waits until so many further calls have returned.
    async fn goes_on(&self, calls: usize) {
        let before = self.calls();
        eventually("calls go on", || async { self.calls() >= before + calls }).await;
    }

    /// Kills it, and returns the calls that had returned.
    fn kill(mut self) -> Vec<Uuid> {
        self.end();
        self.returned()
    }

    /// Waits until it is killed, and returns the calls that had returned.
    fn killed(mut self) -> Vec<Uuid> {
        let status = wait::until("the service is killed", || self.process.try_wait().unwrap());
        assert!(!status.success());
        self.returned()
    }

    fn returned(&mut self) -> Vec<Uuid> {
        self.reader.take().unwrap().join().unwrap();
        self.returned.lock().unwrap().clone()
    }

    fn end(&mut self) {
        if self.process.try_wait().is_ok_and(|status| status.is_none()) {
            let group = rustix::process::Pid::from_child(&self.process);
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = self.process.wait();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs the child if this is one.
fn as_child(test: &str) {
    let variable = |name: &str| std::env::var(name).unwrap();
    if is_again(test) {
        record(&variable("AUDIT_TEST_RELAY"), &variable("AUDIT_TEST_JOURNALS"));
    }
}

/// Starts a process that adopts all journals.
async fn adopt(database: &Database, relay: &RelayProcess) -> Audit {
    let audit = behind(&relay.address(), database.journals.path()).start().unwrap();
    eventually("the journal is adopted", || async { database.journal_directories() == 1 }).await;
    audit
}

/// Each call that returned has its one row, and `verify` finds nothing.
async fn have_a_row_each(returned: &[Uuid], database: &Database) {
    let rows: Vec<Uuid> =
        sqlx::query_scalar("SELECT entity_id FROM audit_events").fetch_all(&database.pool).await.unwrap();
    let found: HashSet<Uuid> = rows.iter().copied().collect();
    let lost = returned.iter().filter(|id| !found.contains(id)).count();
    assert!(!returned.is_empty());
    assert_eq!((lost, rows.len() - found.len()), (0, 0), "lost and doubled, of {} calls", returned.len());
    assert_eq!(database.count("SELECT count(*) FROM audit_quarantine").await, 0);
    database.is_unharmed().await;
}

async fn is_shipped(returned: &[Uuid], database: &Database, relay: &RelayProcess) {
    let audit = adopt(database, relay).await;
    have_a_row_each(returned, database).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

const SYNC: &str = "points::between_cut_and_sync";

#[tokio::test]
async fn between_cut_and_sync() {
    as_child(SYNC);
    let database = Database::new().await;
    let relay = RelayProcess::start(&database.url);
    let gate = Gate::start(relay.socket(), Held::Greeting);
    // The cut log alone is synced by this call.
    let service = Service::start_killed_at("fdatasync", SYNC, &gate.address(), database.journals.path());
    let returned = service.killed();
    assert!(!database.cut_logs().is_empty(), "a batch was cut");
    assert_eq!(gate.held(), 0, "it was to be synced before it leaves");
    is_shipped(&returned, &database, &relay).await;
}

const SEND: &str = "points::between_append_and_cut_and_between_sync_and_send";

#[tokio::test]
async fn between_append_and_cut_and_between_sync_and_send() {
    as_child(SEND);
    let database = Database::new().await;
    let relay = RelayProcess::start(&database.url);
    let gate = Gate::start(relay.socket(), Held::Greeting);
    let service = Service::start(SEND, &gate.address(), database.journals.path());
    gate.holds();
    let cuts = database.cut_logs();
    // While the first batch waits, no further one is cut.
    service.goes_on(50).await;
    let returned = service.kill();
    assert!(!cuts.is_empty() && database.cut_logs() == cuts);
    is_shipped(&returned, &database, &relay).await;
}

const BEGIN: &str = "points::between_send_and_the_relay";

#[tokio::test]
async fn between_send_and_the_relay() {
    as_child(BEGIN);
    for is_early in [true, false] {
        let database = Database::new().await;
        let relay = RelayProcess::start(&database.url);
        let gate = Gate::start(relay.socket(), Held::Batch);
        let service = Service::start(BEGIN, &gate.address(), database.journals.path());
        gate.holds();
        service.goes_on(50).await;
        let returned = service.kill();
        assert_eq!(database.events().await, 0);
        // A message of the dead process arrives before its adopter asks, or after all is shipped.
        if is_early {
            assert_eq!(gate.deliver(), 1);
            assert_ne!(database.events().await, 0);
        }
        is_shipped(&returned, &database, &relay).await;
        if !is_early {
            let events = database.events().await;
            assert_eq!(gate.deliver(), 1);
            assert_eq!(database.events().await, events);
            database.is_unharmed().await;
        }
    }
}

const COMMIT: &str = "points::between_begin_and_commit";

#[tokio::test]
async fn between_begin_and_commit() {
    as_child(COMMIT);
    let database = Database::new().await;
    let relay = RelayProcess::start(&database.url);
    let mut lock = database.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE audit_events IN SHARE MODE").execute(&mut *lock).await.unwrap();
    let service = Service::start(COMMIT, &relay.address(), database.journals.path());
    // The transaction holds its journal, and cannot insert rows.
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'RowExclusiveLock' \
                 AND relation = 'audit_events'::regclass";
    eventually("a transaction waits", || async { database.count(waits).await > 0 }).await;
    service.goes_on(50).await;
    let returned = service.kill();
    let audit = behind(&relay.address(), database.journals.path()).start().unwrap();
    lock.rollback().await.unwrap();
    eventually("the journal is adopted", || async { database.journal_directories() == 1 }).await;
    have_a_row_each(&returned, &database).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

const ANSWER: &str = "points::between_commit_and_answer";

#[tokio::test]
async fn between_commit_and_answer() {
    as_child(ANSWER);
    let database = Database::new().await;
    let relay = RelayProcess::start(&database.url);
    let gate = Gate::start(relay.socket(), Held::Stored);
    let service = Service::start(ANSWER, &gate.address(), database.journals.path());
    gate.holds();
    assert_ne!(database.events().await, 0, "the batch is committed");
    service.goes_on(50).await;
    let returned = service.kill();
    is_shipped(&returned, &database, &relay).await;
}

const RELEASE: &str = "points::between_answer_and_release";

#[tokio::test]
async fn between_answer_and_release() {
    as_child(RELEASE);
    let database = Database::new().await;
    let relay = RelayProcess::start(&database.url);
    // The first segment that is stored is removed by this call.
    let service = Service::start_killed_at("unlink,unlinkat", RELEASE, &relay.address(), database.journals.path());
    let returned = service.killed();
    assert_ne!(database.events().await, 0, "its batches are stored");
    let segments =
        std::fs::read_dir(database.journals.path()).unwrap().flatten().flat_map(|journal| journal.path().read_dir());
    let has_first = segments.flatten().flatten().any(|file| file.file_name() == "00000000000000000000.journal");
    assert!(has_first, "the journal has not let go of its first segment");
    is_shipped(&returned, &database, &relay).await;
}
