//! A server that crashes loses transactions that it has committed and not yet written. No adopter
//! removes the journal of such events.

use audit_runtime::{Audit, Event, audited};
use sqlx::{Connection, PgConnection};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tests::{Cluster, Config, Database, Gate, Held, Proxy, RelayProcess, eventually};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Events of the journal that is adopted.
const EVENTS: i64 = 7;
/// An adopter that asks for so many journals, each for 200 ms, always has one that is due.
const HELD: usize = 6;

/// A server that writes its log only when a session waits for that: its other processes would do so
/// at any time.
struct Lazy {
    cluster: Cluster,
}

impl Lazy {
    async fn start(settings: &'static str) -> (Self, Database) {
        let cluster = Cluster::start(Config { settings, ..Config::default() });
        let database = Database::migrated_in(&cluster).await;
        let pid = database.count("SELECT pid::bigint FROM pg_stat_activity WHERE backend_type = 'walwriter'").await;
        let writer = rustix::process::Pid::from_raw(pid as i32).unwrap();
        rustix::process::kill_process(writer, rustix::process::Signal::STOP).unwrap();
        (Self { cluster }, database)
    }

    /// Crashes, and comes back with what it has on its disk.
    fn crash(&mut self, database: &mut Database) {
        self.cluster.kill();
        self.cluster.up();
        database.reconnect();
    }
}

/// The bgwriter and autovacuum write the log, too.
const QUIET: &str = "bgwriter_lru_maxpages = 0\nautovacuum = off";
const QUIET_AND_OFF: &str = "bgwriter_lru_maxpages = 0\nautovacuum = off\nsynchronous_commit = off";

/// An adopter that has stored the events of a journal, and keeps the journal, because others are
/// due. A transaction holds these.
struct Busy {
    audit: Audit,
    proxy: Proxy,
    journal: PathBuf,
    held: Vec<PathBuf>,
    holder: PgConnection,
}

async fn busy(server: &Lazy, database: &Database) -> Busy {
    let journal = database.orphan(EVENTS as usize).await;
    let mut holder = PgConnection::connect(&database.url).await.unwrap();
    // An idle process stores its catalogue after a while, and waits for the disk.
    sqlx::raw_sql("BEGIN; LOCK TABLE audit_catalogue").execute(&mut holder).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..HELD {
        let path = database.orphan(1).await;
        let id: Uuid = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let insert = "INSERT INTO audit_journals (journal_id, role) VALUES ($1, 'postgres')";
        sqlx::query(insert).bind(id).execute(&mut holder).await.unwrap();
        held.push(path);
    }
    let proxy = Proxy::start(server.cluster.port());
    let url = proxy.url(database.url.rsplit('/').next().unwrap());
    let audit = database.audit().postgres(url).adopt_every(Duration::from_secs(3_600)).start().unwrap();
    eventually("the first is stored", || async { database.events().await == EVENTS }).await;
    assert!(journal.exists());
    Busy { audit, proxy, journal, held, holder }
}

#[tokio::test]
async fn a_journal_stays_until_the_server_has_its_events_again_that_it_lost_in_a_crash() {
    let (mut server, mut database) = Lazy::start(QUIET).await;
    let Busy { audit, proxy, journal, holder: _holder, .. } = busy(&server, &database).await;
    // The adopter does not notice before the test has looked.
    proxy.target(1);
    server.crash(&mut database);
    assert_eq!(database.events().await, 0, "the server has lost them");
    eventually("the adopter looks for the server", || async { audit.stats().last_error.is_some() }).await;
    assert!(journal.exists());

    proxy.target(server.cluster.port());
    eventually("all are removed", || async { database.journal_directories() == 1 }).await;
    assert_eq!(database.events().await, EVENTS + HELD as i64);
    assert_eq!(database.count("SELECT count(DISTINCT id) FROM audit_events").await, EVENTS + HELD as i64);
    assert_eq!(audit.stats().adopted_journals, 1 + HELD as u64);
    // What was lost was shipped twice.
    assert_eq!(audit.stats().adopted as i64, 2 * EVENTS + HELD as i64);
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    database.is_unharmed().await;
}

#[tokio::test]
async fn a_journal_is_removed_once_the_disk_of_the_server_has_its_events() {
    let (mut server, mut database) = Lazy::start(QUIET).await;
    database.orphan(EVENTS as usize).await;
    let audit = database.audit().start().unwrap();
    eventually("it is removed", || async { database.journal_directories() == 1 }).await;
    server.crash(&mut database);
    assert_eq!(database.events().await, EVENTS);
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    database.is_unharmed().await;
}

#[tokio::test]
async fn events_that_an_earlier_adopter_has_stored_are_on_the_disk_of_the_server_before_their_journal_is_removed() {
    let (mut server, mut database) = Lazy::start(QUIET_AND_OFF).await;
    let Busy { audit, proxy, journal, held, holder } = busy(&server, &database).await;
    proxy.target(1);
    proxy.cut();
    database.abandon(audit).await;
    assert!(journal.exists());
    // Otherwise the next adopter would wait for the disk for their sake.
    drop(holder);
    held.iter().for_each(|path| std::fs::remove_dir_all(path).unwrap());
    let next = database.audit().start().unwrap();
    eventually("it is removed", || async { !journal.exists() }).await;
    assert_eq!(next.stats().adopted, 0, "all was stored");
    server.crash(&mut database);
    assert_eq!(database.events().await, EVENTS);
    next.shutdown(Duration::from_secs(30)).await.unwrap();
    database.is_unharmed().await;
}

#[audited(event = "job.done", id = none, intent)]
async fn job(ends: oneshot::Receiver<()>) {
    let _ = ends.await;
}

/// Behind a relay, the adopter's own connection lasts while the server crashes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_end_the_server_loses_in_a_crash_is_not_taken_for_interrupted() {
    let (server, mut database) = Lazy::start(QUIET).await;
    let mut relay = RelayProcess::start(&database.url);
    let journals = database.journals.path().to_owned();
    let behind = |relay: &str| Audit::builder().relay(relay).journal(&journals).segment_bytes(1 << 20);
    let audit = behind(&relay.address()).start().unwrap();
    let (end, ends) = oneshot::channel();
    let working = tokio::spawn(audit.scope(job(ends)));
    eventually("the intent is stored", || async { database.events_of("job.done").await == 1 }).await;
    relay.kill();
    end.send(()).unwrap();
    working.await.unwrap();
    database.abandon(audit).await;
    relay.up();
    let cluster = Arc::new(Mutex::new(server.cluster));
    let crashing = cluster.clone();
    let (others, address) = (tempfile::tempdir().unwrap(), relay.address());
    let gate = Gate::before(relay.socket(), Held::End, move || {
        let mut cluster = crashing.lock().unwrap();
        cluster.kill();
        cluster.up();
        // Another service has the relay connect again.
        let other = Audit::builder().relay(&address).journal(others.path()).segment_bytes(1 << 20).start().unwrap();
        other.record(Event::new("order.submitted")).unwrap().stored_blocking().unwrap();
        other.shutdown_blocking(Duration::from_secs(10)).unwrap();
    });
    let next = behind(&gate.address()).start().unwrap();
    eventually("it is adopted", || async { database.journal_directories() == 1 }).await;
    next.shutdown(Duration::from_secs(30)).await.unwrap();
    database.reconnect();
    assert_eq!((database.events_of("job.done").await, database.events_of("audit.interrupted").await), (2, 0));
    assert_eq!(database.count("SELECT count(*) FROM audit_quarantine").await, 0);
    database.is_unharmed().await;
}
