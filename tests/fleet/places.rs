//! The places of journals in a cluster, as docs/kubernetes.md has them, and what is lost when a pod
//! goes.

use audit_runtime::{Audit, Event};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tests::again::{again, is_again, ready};
use tests::examples::audit_trail;
use tests::{Database, RelayProcess, eventually};
use tokio::signal::unix::{SignalKind, signal};

const SERVICE: &str = "places::an_emptydir_without_a_last_resort_loses_what_waits_and_its_exit_status_says_so";

/// Records some events, and ends when it is terminated, as Kubernetes does it.
async fn service() -> ! {
    let variable = |name: &str| std::env::var(name).unwrap();
    let (to, events) = (variable("AUDIT_TEST_TO"), variable("AUDIT_TEST_EVENTS").parse().unwrap());
    let builder = if to.starts_with("unix:") { Audit::builder().relay(&to) } else { Audit::builder().postgres(&*to) };
    let audit = builder.journal(variable("AUDIT_TEST_JOURNALS")).segment_bytes(1 << 20).service("pod").start().unwrap();
    let mut terminated = signal(SignalKind::terminate()).unwrap();
    for _ in 0..events {
        audit.record(Event::new("order.submitted")).unwrap();
    }
    println!("ready");
    terminated.recv().await;
    let report = audit.shutdown(Duration::from_secs(1)).await.unwrap();
    std::process::exit(if report.left_in_journal > 0 { audit_runtime::ShutdownReport::EVENTS_LEFT.into() } else { 0 })
}

/// A pod that has recorded so many events.
fn pod(to: &str, journals: &Path, events: usize) -> Child {
    let mut again = again(SERVICE);
    again.env("AUDIT_TEST_TO", to).env("AUDIT_TEST_JOURNALS", journals).env("AUDIT_TEST_EVENTS", events.to_string());
    ready(&mut again).0
}

fn terminate(mut pod: Child) -> ExitStatus {
    kill_process(Pid::from_child(&pod), Signal::TERM).unwrap();
    pod.wait().unwrap()
}

fn kill(mut pod: Child) {
    pod.kill().unwrap();
    pod.wait().unwrap();
}

#[tokio::test]
async fn an_emptydir_without_a_last_resort_loses_what_waits_and_its_exit_status_says_so() {
    if is_again(SERVICE) {
        service().await;
    }
    let (mut cluster, mut database) = Database::out_of_reach().await;
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let status = terminate(pod(&database.url, first.path(), 50));
    assert_eq!(status.code(), Some(75), "events are left, and it says so");
    kill(pod(&database.url, second.path(), 50));
    // The disks go with the pods.
    drop((first, second));
    cluster.up();
    database.reconnect();
    let next = tempfile::tempdir().unwrap();
    let last = pod(&database.url, next.path(), 7);
    eventually("its own are stored", async || database.events().await == 7).await;
    assert_eq!(terminate(last).code(), Some(0));
    assert_eq!(database.events().await, 7, "what waited is lost, as docs/kubernetes.md says");
}

#[tokio::test]
async fn a_directory_of_the_node_is_shipped_whatever_ends_the_pod() {
    let (mut cluster, mut database) = Database::out_of_reach().await;
    let mut relay = RelayProcess::start(&database.url);
    let journals = database.journals.path().to_owned();
    kill(pod(&relay.address(), &journals, 50));
    assert_eq!(terminate(pod(&relay.address(), &journals, 30)).code(), Some(75));
    // The DaemonSet restarts, too.
    relay.kill();
    relay.up();
    cluster.up();
    database.reconnect();
    let mut daemon = Command::new(audit_trail())
        .args(["journal", "ship", "--watch", "--every", "1", "--relay", &relay.address()])
        .arg(&journals)
        .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("both are shipped", async || database.events().await == 80).await;
    kill(pod(&relay.address(), &journals, 20));
    eventually("so is the next one", async || database.events().await == 100).await;
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    assert!(daemon.wait().unwrap().success());
    database.is_unharmed().await;
}

#[tokio::test]
async fn a_volume_claim_is_adopted_by_the_next_pod_of_its_replica() {
    let (mut cluster, mut database) = Database::out_of_reach().await;
    let journals = database.journals.path().to_owned();
    kill(pod(&database.url, &journals, 50));
    cluster.up();
    database.reconnect();
    let next = pod(&database.url, &journals, 10);
    eventually("all is stored", async || database.events().await == 60).await;
    eventually("the adopted journal goes", async || database.journal_directories() == 1).await;
    assert_eq!(terminate(next).code(), Some(0));
    assert_eq!(database.journal_directories(), 0);
    database.is_unharmed().await;
}
