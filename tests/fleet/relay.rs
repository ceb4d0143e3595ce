//! Services behind a relay: they need no way to the database, and nothing is lost or doubled.

use audit_runtime::trail::{EventFilter, Trail};
use audit_runtime::{Audit, Builder, Event, MasterKey, audited};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;
use tests::again::{again, is_again, ready};
use tests::examples::audit_trail;
use tests::{Calls, Cluster, Config, Database, RelayProcess, eventually};

/// A service behind a relay.
pub(crate) fn behind(relay: &str, journals: &Path) -> Builder {
    Audit::builder().relay(relay).journal(journals).segment_bytes(1 << 20).service("behind")
}

const MASTER_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[tokio::test]
async fn each_call_has_a_row_and_the_relay_tells_how_many_it_stored() {
    let database = Database::new().await;
    let mut relay = RelayProcess::start(&database.url);
    let audit = behind(&relay.address(), database.journals.path()).start().unwrap();
    let calls = Calls::begin(&audit);
    eventually("some are stored", || async { database.events().await > 500 }).await;
    calls.have_a_row_each(&audit, &database).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    let events = database.events().await;
    let told = relay.terminate();
    assert!(told.starts_with(&format!("{events} events of ")), "{told}");
    assert!(!relay.socket().exists(), "a relay that ends removes its socket");
    assert_eq!(database.journal_directories(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_while_relay_and_server_are_killed() {
    let mut cluster = Cluster::start(Config::default());
    let mut database = Database::migrated_in(&cluster).await;
    let mut relay = RelayProcess::start(&database.url);
    let audit = behind(&relay.address(), database.journals.path()).batch_rows(100).start().unwrap();
    let calls = Calls::begin(&audit);
    for round in 0..6 {
        let made = calls.made();
        eventually("calls go on", || async { calls.made() > made + 1_000 }).await;
        if round % 3 == 2 {
            cluster.kill();
            cluster.up();
        } else {
            relay.kill();
            relay.up();
        }
    }
    database.reconnect();
    calls.have_a_row_each(&audit, &database).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[audited(event = "customer.changed", id = none, personal(mail), subject = customer)]
fn change(customer: &str, mail: &str) {}

#[tokio::test]
async fn personal_values_are_encrypted_before_the_relay_has_them() {
    let database = Database::new().await;
    let relay = RelayProcess::start(&database.url);
    let master: MasterKey = MASTER_KEY.parse().unwrap();
    let audit = behind(&relay.address(), database.journals.path()).master_key(master.clone()).start().unwrap();
    audit.scope(async { change("customer:42", "ann@example.com") }).await;
    audit.scope(async { change("customer:42", "ann@example.org") }).await;
    audit.flush().await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM audit_keys WHERE subject = 'customer:42'").await, 1);
    let clear = "SELECT count(*) FROM audit_events WHERE data::text LIKE '%example%'";
    assert_eq!(database.count(clear).await, 0);
    let events = Trail::new(database.pool.clone()).master_key(master).events(&EventFilter::new()).await.unwrap().events;
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.data["mail"].to_string().contains("ann@example.")), "{events:?}");
    // The wrapped key names the master key that wraps it.
    let of_master = "SELECT count(*) FROM audit_keys WHERE encode(substring(wrapped FROM 1 FOR 8), 'hex') = $1";
    let found: i64 = sqlx::query_scalar(of_master).bind(master_id()).fetch_one(&database.pool).await.unwrap();
    assert_eq!(found, 1);
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    database.is_unharmed().await;
}

fn master_id() -> String {
    MASTER_KEY.parse::<MasterKey>().unwrap().id()
}

const UNDER_WAY: &str = "relay::the_relay_records_the_interruptions_of_a_killed_service_once";

#[audited(event = "job.done", id = none, intent)]
fn job(number: u64) {
    std::thread::sleep(Duration::from_secs(600));
}

fn under_way(relay: &str, journals: &str) -> ! {
    let audit = behind(relay, Path::new(journals)).start().unwrap();
    audit.install().unwrap();
    let threads: Vec<_> = (0..3).map(|number| std::thread::spawn(move || job(number))).collect();
    audit.record(Event::new("service.ready")).unwrap();
    let mut output = std::io::stdout().lock();
    writeln!(output, "ready").unwrap();
    output.flush().unwrap();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    unreachable!("its calls go on until it is killed")
}

fn spawn(test: &str, relay: &str, journals: &Path) -> Child {
    ready(again(test).env("AUDIT_TEST_RELAY", relay).env("AUDIT_TEST_JOURNALS", journals)).0
}

#[tokio::test]
async fn the_relay_records_the_interruptions_of_a_killed_service_once() {
    let variable = |name: &str| std::env::var(name).unwrap();
    if is_again(UNDER_WAY) {
        under_way(&variable("AUDIT_TEST_RELAY"), &variable("AUDIT_TEST_JOURNALS"));
    }
    let database = Database::new().await;
    let relay = RelayProcess::start(&database.url);
    let mut service = spawn(UNDER_WAY, &relay.address(), database.journals.path());
    eventually("the intents are stored", || async { database.events_of("job.done").await == 3 }).await;
    service.kill().unwrap();
    service.wait().unwrap();
    let next = behind(&relay.address(), database.journals.path()).start().unwrap();
    eventually("they are interrupted", || async { database.events_of("audit.interrupted").await == 3 }).await;
    eventually("the journal goes", || async { database.journal_directories() == 1 }).await;
    next.shutdown(Duration::from_secs(10)).await.unwrap();
    let made_by = "SELECT count(*) FROM audit_batches b JOIN audit_events e ON e.batch_id = b.id \
                   WHERE e.event_type = 'audit.interrupted' AND e.origin LIKE 'audit-relay@%'";
    assert_eq!(database.count(made_by).await, 3, "the relay has made them");
    assert_eq!(database.events_of("audit.interrupted").await, 3);
    assert_eq!(database.journal_directories(), 0);
    database.is_unharmed().await;
}

#[tokio::test]
async fn journal_ship_needs_a_relay_alone() {
    let database = Database::new().await;
    database.orphan(12).await;
    database.orphan(5).await;
    let relay = RelayProcess::start(&database.url);
    let shipped = Command::new(audit_trail())
        .args(["journal", "ship", "--relay", &relay.address()])
        .arg(database.journals.path())
        .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&shipped.stdout).into_owned();
    assert!(shipped.status.success() && text.contains("17 events of 2 journals shipped"), "{shipped:?}");
    assert_eq!(database.events().await, 17);
    database.is_unharmed().await;
}
