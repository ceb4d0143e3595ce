//! Rows a second from recorded to committed, alone and beside viewers.

use crate::client::Server;
use crate::pages::{Sample, path, samples};
use audit_runtime::audited;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tests::Database;
use tokio::io::AsyncReadExt;
use uuid::Uuid;

const VIEWERS: u32 = 50;
/// Each viewer asks for a page so often.
const EVERY: Duration = Duration::from_secs(10);
const VIEWED: [&str; 5] = ["search", "search, an actor", "entity", "event, verified", "correlation"];
const ROUNDS: usize = 3;
/// Rows of one measurement: longer than each viewer waits.
const ROWS: u32 = 1_000_000;

#[audited(event = "order.submitted", actor = "broker_service", fields(order_type = "limit"))]
fn submit(order_id: Uuid, recommendation_id: Uuid, ticker: &str, quantity: u32, side: &str) {}

/// Records as fast as the journal takes it, on a thread of its own, as a service does.
async fn take_in(database: &Database) -> f64 {
    let audit = database.audit().segment_bytes(16 << 20).journal_limit(2 << 30).start().unwrap();
    let begin = Instant::now();
    {
        let _entered = audit.enter();
        (0..ROWS).for_each(|number| submit(Uuid::new_v4(), Uuid::new_v4(), "AAPL", number, "buy"));
    }
    audit.flush().await.unwrap();
    let took = begin.elapsed();
    let report = audit.shutdown(Duration::from_secs(60)).await.unwrap();
    assert_eq!((report.left_in_journal, report.refused), (0, 0));
    f64::from(ROWS) / took.as_secs_f64()
}

/// The times of the viewers' pages.
#[derive(Default)]
struct Viewed {
    times: std::sync::Mutex<Vec<Duration>>,
    refused: AtomicU64,
    tailed: AtomicU64,
}

async fn view(server: Arc<Server>, samples: Arc<Vec<Sample>>, viewed: Arc<Viewed>, number: u32) {
    let begin = tokio::time::Instant::now() + EVERY * number / VIEWERS;
    let mut ticks = tokio::time::interval_at(begin, EVERY);
    for round in 0.. {
        ticks.tick().await;
        let at = number as usize + round;
        let answer = server.get(&path(VIEWED[at % VIEWED.len()], &samples[at % samples.len()]), true).await;
        if answer.status != 200 {
            viewed.refused.fetch_add(1, Ordering::Relaxed);
        }
        viewed.times.lock().unwrap().push(answer.took);
    }
}

async fn tail(server: Arc<Server>, viewed: Arc<Viewed>) {
    let mut stream = server.ask("/tail", false).await;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the tail ends");
        viewed.tailed.fetch_add(read as u64, Ordering::Relaxed);
    }
}

/// Takes rows in, in turns alone and beside fifty viewers and a tail.
pub async fn measure(database: &Database, server: Server) {
    let server = Arc::new(server);
    let samples = Arc::new(samples(database, 200).await);
    let viewed = Arc::new(Viewed::default());
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (beside, rates) in rates.iter_mut().enumerate() {
            let mut tasks = tokio::task::JoinSet::new();
            if beside == 1 {
                (0..VIEWERS).for_each(|number| {
                    drop(tasks.spawn(view(server.clone(), samples.clone(), viewed.clone(), number)))
                });
                tasks.spawn(tail(server.clone(), viewed.clone()));
            }
            sqlx::raw_sql("CHECKPOINT").execute(&database.pool).await.unwrap();
            rates.push(take_in(database).await);
            if let Some(failed) = tasks.try_join_next() {
                failed.unwrap();
            }
            tasks.shutdown().await;
        }
    }
    println!("\n{ROWS} rows taken in by one process, median of {ROUNDS} rounds in turns");
    for (words, rates) in ["alone", "beside 50 viewers and a tail"].into_iter().zip(&mut rates) {
        rates.sort_by(f64::total_cmp);
        println!("{words:<40} {:>8.0} rows/s   ({:.0} to {:.0})", rates[ROUNDS / 2], rates[0], rates[ROUNDS - 1]);
    }
    let mut times = viewed.times.lock().unwrap();
    times.sort_unstable();
    let ms = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    println!(
        "{} pages beside it: p50 {:.1} ms, p95 {:.1} ms, worst {:.1} ms, {} without an answer; the tail sent {:.1} MiB",
        times.len(),
        ms(50),
        ms(95),
        ms(100),
        viewed.refused.load(Ordering::Relaxed),
        viewed.tailed.load(Ordering::Relaxed) as f64 / 1048576.0
    );
}
