//! A service that records many events at once, and waits until PostgreSQL has them:
//! `scripts/ingest.sh` runs it beside an older revision.

use audit_runtime::{Audit, audited};
use std::time::{Duration, Instant};
use uuid::Uuid;

#[audited(event = "order.submitted", actor = "broker_service")]
fn submit(
    order_id: Uuid,
    ticker: &str,
    quantity: u32,
    side: &str,
    limit_price: Option<f64>,
) -> Result<u64, std::fmt::Error> {
    let _ = (order_id, ticker, quantity, side, limit_price);
    Ok(4)
}

/// Prints how many microseconds pass from the first event until all are committed.
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, url, journals, events, ids] = &*arguments else {
        panic!("a database, a directory, events, and `distinct` or `one` order id")
    };
    let events: u32 = events.parse().expect("a number");
    let one = (ids == "one").then(|| Uuid::from_u128(42));
    let audit = Audit::builder().postgres(&**url).journal(journals).start().expect("the trail starts");
    audit.install().expect("it is the first");
    let record = |number| {
        submit(one.unwrap_or_else(Uuid::now_v7), "AAPL", number, "buy", Some(187.25)).expect("it succeeds");
    };
    // Connected, and the tables known.
    record(0);
    audit.flush_blocking().expect("PostgreSQL answers");
    let begin = Instant::now();
    (1..events).for_each(record);
    audit.flush_blocking().expect("PostgreSQL answers");
    println!("{}", begin.elapsed().as_micros());
    let report = audit.shutdown_blocking(Duration::from_secs(60)).expect("it ends");
    assert_eq!((report.left_in_journal, report.refused), (0, 0));
}
