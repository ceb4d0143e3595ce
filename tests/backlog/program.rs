//! A service that has recorded many events while PostgreSQL was away, and goes on recording when it
//! is back: `scripts/backlog.sh` runs it beside an older revision.

use audit_runtime::{Audit, audited};
use std::io::BufRead;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use uuid::Uuid;

#[audited(event = "order.submitted", id = order_id)]
fn submit(order_id: Uuid, ticker: &str, quantity: u32, price: f64) -> u32 {
    let _ = (order_id, ticker, price);
    quantity
}

/// How often a new event is recorded and awaited.
const EVERY: Duration = Duration::from_millis(50);

/// Records so many events, and prints a line. Once it is answered by a line, it prints for each new
/// event how long that took until PostgreSQL had it, in microseconds, until it has all of the first
/// ones. The last line is the time of that.
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, url, journals, events] = &*arguments else { panic!("a database, a directory, events") };
    let events: u32 = events.parse().expect("a number");
    let builder = Audit::builder().postgres(&**url).journal(journals).journal_limit(16 << 30);
    let audit = builder.start().expect("the trail starts");
    audit.install().expect("it is the first");
    (0..events).for_each(|number| _ = submit(Uuid::now_v7(), "SAP", number, 127.35));
    println!("recorded");
    std::io::stdin().lock().lines().next().expect("a line").expect("it can be read");

    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("a runtime");
    let begin = Instant::now();
    let all = runtime.spawn({
        let audit = audit.clone();
        async move { audit.flush().await.expect("PostgreSQL answers") }
    });
    let (took, takes) = channel();
    while !all.is_finished() {
        let (recorded, took) = (Instant::now(), took.clone());
        let receipt = audit.record(audit_runtime::Event::new("order.accepted")).expect("there is room");
        runtime.spawn(async move {
            receipt.stored().await.expect("PostgreSQL answers");
            took.send(recorded.elapsed().as_micros()).expect("the main thread receives");
        });
        std::thread::sleep(EVERY);
    }
    let all = begin.elapsed().as_micros();
    drop(took);
    takes.iter().for_each(|took| println!("{took}"));
    println!("{all}");
    let report = audit.shutdown_blocking(Duration::from_secs(60)).expect("it ends");
    assert_eq!((report.left_in_journal, report.refused), (0, 0));
}
