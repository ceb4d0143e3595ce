//! The time of a captured call in bursts of many sizes, each from a journal that has been at rest.
//! `scripts/bursts.sh` runs it beside an older revision.

use audit_runtime::{Audit, audited};
use std::time::{Duration, Instant};
use uuid::Uuid;

#[audited(event = "order.submitted", id = order_id)]
fn submit(order_id: Uuid, ticker: &str, quantity: u32, price: f64) -> u32 {
    let _ = (order_id, ticker, price);
    quantity
}

const BURSTS: [u32; 6] = [1_000, 5_000, 20_000, 50_000, 100_000, 200_000];

fn burst(calls: u32, mut each: impl FnMut(u32)) -> Duration {
    let begin = Instant::now();
    (0..calls).for_each(&mut each);
    begin.elapsed()
}

/// Prints a line for each size: calls, nanoseconds a call, and the nanoseconds that the slowest
/// call in a thousand takes at least, from a second burst.
fn main() {
    let url = std::env::args().nth(1).expect("the URL of a database");
    let journals = std::env::args().nth(2).expect("a directory for journals");
    let audit = Audit::builder().postgres(&*url).journal(journals).start().expect("the trail starts");
    audit.install().expect("it is the first");
    // The first burst finds what a process of its own would.
    let call = |number: u32, calls: u32| {
        submit(Uuid::from_u128(u128::from(number) << 64 | u128::from(calls)), "SAP", number, 127.35);
    };
    let rest = || {
        audit.flush_blocking().expect("PostgreSQL answers");
        // As long as it takes until the journal is at rest.
        std::thread::sleep(Duration::from_secs(1));
    };
    for calls in BURSTS {
        let nanoseconds = burst(calls, |number| call(number, calls)).as_nanos() / u128::from(calls);
        rest();
        let mut each = Vec::with_capacity(calls as usize);
        burst(calls, |number| {
            let begin = Instant::now();
            call(number, calls);
            each.push(begin.elapsed().as_nanos());
        });
        rest();
        each.sort_unstable();
        println!("{calls} {nanoseconds} {}", each[each.len() - 1 - each.len() / 1_000]);
    }
    let report = audit.shutdown_blocking(Duration::from_secs(60)).expect("it ends");
    assert_eq!((report.left_in_journal, report.refused), (0, 0));
}
