//! The journal's append alone: its cost by the size of the record, and the time of single appends.
//! Meanwhile another thread takes the records out, and their segments are removed.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

mod results;

use audit_runtime::__private::BenchedJournal;
use hdrhistogram::Histogram;
use results::Rounds;
use serde_json::json;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SEGMENT: u64 = 16 << 20;
/// Appends in one go: the journal is emptied in between, and the next segment made, untimed.
const BURST: u64 = 1_000;
const BURSTS: u64 = 300;
/// Appends of which each is timed.
const TIMED: u64 = 4_000_000;

fn main() {
    let mut kept = serde_json::Map::new();
    for bytes in [100, 400, 4_000] {
        let directory = tempfile::tempdir().unwrap();
        let journal = BenchedJournal::create(directory.path(), SEGMENT).unwrap();
        let record = vec![7; bytes];
        let mut rounds = Rounds::default();
        for _ in 0..BURSTS {
            let begin = Instant::now();
            let taken = (0..BURST).all(|_| journal.append(black_box(&record)));
            rounds.add(begin.elapsed().as_nanos() as f64 / BURST as f64);
            assert!(taken);
            assert_eq!(journal.drain(), BURST);
            while !journal.is_ahead() {
                std::thread::sleep(Duration::from_micros(100));
            }
        }
        println!("append of {bytes:>5} bytes {:>8.1} ns", rounds.median());
        kept.insert(format!("{bytes} bytes"), rounds.to_json());
    }

    let directory = tempfile::tempdir().unwrap();
    let journal = BenchedJournal::create(directory.path(), SEGMENT).unwrap();
    let mut times = Histogram::<u64>::new_with_max(60_000_000_000, 3).unwrap();
    let over = AtomicBool::new(false);
    let drained = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut drained = 0;
            while !over.load(Ordering::Relaxed) {
                drained += journal.drain();
                std::thread::sleep(Duration::from_millis(1));
            }
            drained + journal.drain()
        });
        let record = [7; 400];
        for number in 0..TIMED {
            let begin = Instant::now();
            assert!(journal.append(black_box(&record)));
            times.record(begin.elapsed().as_nanos() as u64).unwrap();
            // A million a second: many times what a writer ships.
            if number % 1_000 == 999 {
                let next = begin + Duration::from_millis(1) - Duration::from_micros(50);
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        }
        over.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert_eq!(drained, TIMED);
    let at = [50.0, 99.0, 99.9, 99.99].map(|share| times.value_at_percentile(share));
    println!("single appends of 400 bytes: p50 {} p99 {} p99.9 {} p99.99 {} ns", at[0], at[1], at[2], at[3]);
    let single = json!({"p50": at[0], "p99": at[1], "p99.9": at[2], "p99.99": at[3]});
    results::keep("journal", &json!({"appends": kept, "single": single}));
}
