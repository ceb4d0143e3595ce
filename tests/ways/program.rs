//! A small service that records some events a second by one of the ways to PostgreSQL, and awaits one
//! of them each second: `scripts/ways.sh` runs many of it.

use audit_runtime::Event;
use std::time::{Duration, Instant};
use tests::programs::destination;

/// Prints how long each awaited event took until PostgreSQL had it, in microseconds.
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, url, journals, events, seconds] = &*arguments else {
        panic!("a destination, a directory, events a second, seconds")
    };
    let (events, seconds): (u32, u32) = (events.parse().expect("a number"), seconds.parse().expect("a number"));
    let audit = destination(url).service("service").journal(journals).start().expect("the trail starts");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    // All of them have started, and none keeps step with the others.
    std::thread::sleep(Duration::from_millis(2_000 + u64::from(std::process::id() % 1_000)));
    let begin = Instant::now();
    for number in 0..events * seconds {
        let receipt = audit.record(Event::new("order.accepted")).expect("there is room");
        if number % events == events / 2 {
            let waiting = Instant::now();
            runtime.block_on(receipt.stored()).expect("PostgreSQL answers");
            println!("{}", waiting.elapsed().as_micros());
        }
        let next = Duration::from_secs(1) / events * (number + 1);
        std::thread::sleep(next.saturating_sub(begin.elapsed()));
    }
    let report = audit.shutdown_blocking(Duration::from_secs(60)).expect("it ends");
    assert_eq!((report.left_in_journal, report.refused), (0, 0));
}
