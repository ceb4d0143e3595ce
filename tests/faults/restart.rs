//! The server is restarted while calls are made.

use audit_runtime::{Outcome, audited};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::Row;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tests::{Cluster, Config, Database, wait};
use uuid::Uuid;

const THREADS: usize = 4;
const CALLS: usize = 25_000;

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Order {
    ticker: String,
    quantity: f64,
    tags: Vec<u16>,
    note: Option<&'static str>,
}

#[derive(Debug, thiserror::Error)]
#[error("refused: {0}")]
struct Refused(usize);

#[audited(event = "order.submitted", err = "order.rejected", entity = "order", actor = format!("thread-{thread}"))]
fn submit(order_id: Uuid, thread: usize, number: usize, order: &Order) -> Result<String, Refused> {
    if number % 10 == 3 { Err(Refused(number)) } else { Ok(format!("B-{number}")) }
}

fn order(thread: usize, number: usize) -> Order {
    Order {
        ticker: format!("T{thread} \"ü\" \n {}", "x".repeat(number % 50)),
        quantity: number as f64 / 8.0,
        tags: (0..(number % 5) as u16).collect(),
        note: number.is_multiple_of(2).then_some("even"),
    }
}

/// The expected content of a call's row.
fn expected(order_id: Uuid, thread: usize, number: usize) -> (String, String, String, Value) {
    let order = serde_json::to_value(order(thread, number)).unwrap();
    let mut data = json!({"order_id": order_id, "thread": thread, "number": number, "order": order});
    let (event, outcome) = if number % 10 == 3 {
        data["error"] = json!({"message": format!("refused: {number}"), "causes": []});
        ("order.rejected", Outcome::Error)
    } else {
        data["result"] = json!(format!("B-{number}"));
        ("order.submitted", Outcome::Ok)
    };
    (event.into(), outcome.to_string(), format!("thread-{thread}"), data)
}

#[test]
fn a_hundred_thousand_calls_while_the_server_is_restarted_twice_have_a_row_each() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut cluster = Cluster::start(Config::default());
    let database = runtime.block_on(Database::migrated_in(&cluster));
    runtime.block_on(database.pool.close());
    let audit = database.audit().start().unwrap();
    // Calls are made in three thirds: before the first restart, while it goes on, while the second
    // one goes on.
    let (done, phase) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let ids: Vec<Vec<Uuid>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (audit, done, phase) = (&audit, &done, &phase);
                scope.spawn(move || {
                    let _entered = audit.enter();
                    (0..CALLS)
                        .map(|number| {
                            let third = number * 3 / CALLS;
                            wait::until("the restart", || (phase.load(Ordering::Acquire) >= third).then_some(()));
                            let order_id = Uuid::now_v7();
                            let _ = submit(order_id, thread, number, &order(thread, number));
                            done.fetch_add(1, Ordering::Relaxed);
                            order_id
                        })
                        .collect()
                })
            })
            .collect();
        for restart in 1..=2 {
            // Batches are on their way: the server goes while rows come in.
            let recorded = THREADS * CALLS.div_ceil(3) * restart - THREADS * 3;
            wait::until("a third of the calls", || (done.load(Ordering::Relaxed) >= recorded).then_some(()));
            // The first time connections are cut in an orderly way, the second time by SIGKILL.
            if restart == 1 {
                cluster.down()
            } else {
                cluster.kill()
            }
            phase.store(restart, Ordering::Release);
            cluster.up();
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let report = audit.shutdown_blocking(Duration::from_secs(60)).unwrap();
    assert_eq!((report.stored, report.left_in_journal, report.refused), ((THREADS * CALLS) as u64, 0, 0));

    let mut calls: HashMap<Uuid, (usize, usize)> = HashMap::new();
    for (thread, ids) in ids.into_iter().enumerate() {
        calls.extend(ids.into_iter().enumerate().map(|(number, id)| (id, (thread, number))));
    }
    let rows = runtime.block_on(async {
        let pool = sqlx::PgPool::connect(&database.url).await.unwrap();
        sqlx::query("SELECT entity_id, event_type, outcome, actor, data, entity_type FROM audit_events")
            .fetch_all(&pool)
            .await
            .unwrap()
    });
    assert_eq!(rows.len(), THREADS * CALLS);
    for row in rows {
        let id: Uuid = row.get("entity_id");
        let (thread, number) = calls.remove(&id).expect("a row without a call, or the second one of its call");
        let found = (row.get("event_type"), row.get("outcome"), row.get("actor"), row.get("data"));
        assert_eq!(found, expected(id, thread, number));
        assert_eq!(row.get::<String, _>("entity_type"), "order");
    }
    assert!(calls.is_empty());
}
