//! A service in a pod: records personal events, has one call under way, and ends when it is
//! terminated. `fleet/pod.rs` starts it.

use audit_runtime::{Audit, Event, LastResort, MasterKey, audited};
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

static BEGUN: Notify = Notify::const_new();

#[audited(event = "report.made", id = none, intent)]
async fn make_report() {
    BEGUN.notify_one();
    std::future::pending::<()>().await;
}

/// Records so many events each time a line comes in, and prints when they are recorded.
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, url, journals, key, seconds, to, target] = &*arguments else {
        panic!("a database, a directory, a master key, seconds for the end, `file` or `command`, a path or a command")
    };
    let timeout = Duration::from_secs(seconds.parse().expect("a number"));
    let last_resort = if to == "file" { LastResort::file(target) } else { LastResort::command(target) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut terminated = signal(SignalKind::terminate()).expect("a signal");
        let audit = Audit::builder()
            .postgres(&**url)
            .journal(journals)
            .segment_bytes(1 << 20)
            .service("pod")
            .master_key(MasterKey::from_file(key).expect("a key"))
            .last_resort(last_resort)
            .start()
            .expect("the trail starts");
        audit.install().expect("the first one");
        tokio::spawn(make_report());
        BEGUN.notified().await;
        let recording = audit.clone();
        // Not the runtime's, which would wait for the next line.
        std::thread::spawn(move || record(&recording));
        terminated.recv().await;
        let report = audit.shutdown(timeout).await.expect("it ends");
        println!("stored {}, left {}, packed {}", report.stored, report.left_in_journal, report.packed);
        report.exit_code()
    })
}

fn record(audit: &Audit) {
    for line in std::io::stdin().lines() {
        let Some(events) = line.ok().and_then(|line| line.parse::<u64>().ok()) else { return };
        for number in 0..events {
            let event = Event::new("mail.sent").data(&json!({"number": number}));
            let event = event.personal("customer:42", &json!({"to": "ann@example.com"}));
            audit.record(event).expect("there is room");
        }
        println!("recorded");
    }
}
