//! So many captured calls and nothing else, for callgrind and perf: `scripts/bench.sh --instructions` counts what one costs.
//!
//! Two runs that differ in the number of calls differ in the instructions of those calls alone.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use audit_runtime::{Audit, audited};
use std::hint::black_box;
use std::time::Duration;
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(0x0193_5c2e_7c4a_7bbd_8f8e_2d6c_5b4a_3921);

#[audited(event = "order.submitted")]
#[inline(never)]
fn submit(order_id: Uuid, ticker: &str, side: &str, quantity: u64, limit_price: f64) -> Result<u64, std::fmt::Error> {
    black_box((order_id, ticker, side, limit_price));
    if quantity == 0 { Err(std::fmt::Error) } else { Ok(quantity) }
}

fn main() {
    // Cargo runs a benchmark with --bench, and tests it with neither.
    let calls = std::env::args().nth(1).and_then(|calls| calls.parse::<u64>().ok()).unwrap_or(1_000);
    let journal = tempfile::tempdir().unwrap();
    // Nobody takes them: the port answers nobody.
    let audit = Audit::builder()
        .postgres("postgres://postgres@127.0.0.1:1/x")
        .journal(journal.path())
        .segment_bytes(1 << 30)
        .journal_limit(16 << 30)
        .service("bench")
        .start()
        .unwrap();
    audit.install().unwrap();
    for _ in 0..calls {
        let _ = black_box(submit(ID, black_box("AAPL"), black_box("buy"), black_box(1_200), black_box(187.25)));
    }
    assert_eq!(audit.stats().recorded, calls);
    audit.shutdown_blocking(Duration::ZERO).unwrap();
}
