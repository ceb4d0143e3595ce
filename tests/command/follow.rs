//! `audit-trail events --follow`.

use crate::{command, morning};
use audit_runtime::Event;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;
use tests::{Cluster, Config, Database, terminal::Terminal};

#[tokio::test]
async fn it_shows_what_arrives_until_it_is_interrupted() {
    let database = morning().await;
    let mut terminal = Terminal::start(command(&database, &["events", "--follow", "--limit", "1"]), 140);
    terminal.until("note.left");
    let audit = database.audit().start().unwrap();
    let late = chrono::Utc::now() - chrono::TimeDelta::days(3);
    audit.record_at(Event::new("order.late"), late).unwrap();
    let shown = terminal.until("order.late");
    assert!(!shown.contains("payment.sent"), "only the newest of those before: {shown}");
    audit.record(Event::new("order.next")).unwrap();
    terminal.until("order.next");
    kill_process(Pid::from_raw(terminal.id().cast_signed()).unwrap(), Signal::INT).unwrap();
    let (shown, status) = terminal.end();
    assert!(status.success(), "{shown}");
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn it_goes_on_when_the_server_is_back() {
    let mut cluster = Cluster::start(Config::default());
    let database = Database::migrated_in(&cluster).await;
    let audit = database.audit().start().unwrap();
    audit.record(Event::new("order.before")).unwrap().stored().await.unwrap();
    let mut child =
        command(&database, &["events", "--follow"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut notices = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("order.before"));
    cluster.down();
    assert!(notices.next().unwrap().unwrap().contains("the connection is lost, trying again"));
    audit.record(Event::new("order.meanwhile")).unwrap();
    cluster.up();
    assert!(lines.next().unwrap().unwrap().contains("order.meanwhile"));
    assert!(notices.next().unwrap().unwrap().contains("connected again"));
    child.kill().unwrap();
    child.wait().unwrap();
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}
