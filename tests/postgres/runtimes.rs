//! Every kind of runtime, and none: no hang, no loss.

use audit_runtime::trail::Trail;
use audit_runtime::{Audit, Context, Event, audited};
use rayon::prelude::*;
use std::time::Duration;
use tests::Database;
use uuid::Uuid;

#[audited(event = "order.submitted")]
fn blocking(order_id: Uuid) -> u32 {
    1
}

#[audited(event = "order.submitted")]
async fn yielding(order_id: Uuid) -> u32 {
    tokio::task::yield_now().await;
    blocking(order_id)
}

async fn finish(audit: &Audit, database: &Database, rows: i64) {
    audit.flush().await.unwrap();
    assert_eq!(database.events().await, rows);
    let report = audit.shutdown(Duration::from_secs(10)).await.unwrap();
    assert_eq!((report.stored, report.left_in_journal), (rows.cast_unsigned(), 0));
}

#[tokio::test(flavor = "current_thread")]
async fn on_a_current_thread_runtime_blocking_waits_do_not_deadlock() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    audit.scope(yielding(Uuid::now_v7())).await;
    // They block the only thread of this runtime. The writer has its own.
    audit.flush_blocking().unwrap();
    audit.record(Event::new("order.accepted")).unwrap().stored_blocking().unwrap();
    assert_eq!(database.events().await, 3);
    let report = audit.shutdown_blocking(Duration::from_secs(10)).unwrap();
    assert_eq!(report.stored, 3);
}

#[tokio::test(flavor = "current_thread")]
async fn a_task_may_block_more_often_than_tokio_lets_it_wait_without_yielding() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    for _ in 0..300 {
        let receipt = audit.record(Event::new("order.accepted")).unwrap();
        receipt.synced_blocking().unwrap();
        receipt.stored_blocking().unwrap();
    }
    finish(&audit, &database, 300).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spawned_tasks_record_into_the_handle_they_are_given() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            tokio::spawn(audit.scope(async {
                for _ in 0..10 {
                    yielding(Uuid::now_v7()).await;
                }
            }))
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    finish(&audit, &database, 4_000).await;
}

struct Desk {
    audit: Audit,
}

impl Desk {
    #[audited(event = "order.submitted", id = order_id, recorder = &self.audit)]
    async fn submit(&self, order_id: Uuid) -> u32 {
        yielding(order_id).await
    }
}

#[tokio::test]
async fn two_handles_with_journals_and_databases_of_their_own_keep_apart_however_their_scopes_nest() {
    let (one, two) = (Database::new().await, Database::new().await);
    let (first, second) = (one.audit().start().unwrap(), two.audit().start().unwrap());
    let desk = Desk { audit: second.clone() };
    first
        .scope(async {
            blocking(Uuid::now_v7());
            second.scope(yielding(Uuid::now_v7())).await;
            // The handle of the attribute records this call alone. Calls below belong to the
            // scope's handle.
            desk.submit(Uuid::now_v7()).await;
            let entered = second.enter();
            blocking(Uuid::now_v7());
            drop(entered);
            blocking(Uuid::now_v7());
        })
        .await;
    finish(&first, &one, 4).await;
    finish(&second, &two, 4).await;
}

#[test]
fn without_any_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = runtime.block_on(Database::new());
    // No runtime is entered from here on.
    let audit = database.audit().start().unwrap();
    let entered = audit.enter();
    for _ in 0..1_000 {
        blocking(Uuid::now_v7());
    }
    drop(entered);
    audit.flush_blocking().unwrap();
    let report = audit.shutdown_blocking(Duration::from_secs(10)).unwrap();
    assert_eq!(report.stored, 1_000);
    assert_eq!(runtime.block_on(database.events()), 1_000);
}

#[tokio::test]
async fn rayon_threads_record() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    (0..10_000).into_par_iter().for_each(|_| {
        let _entered = audit.enter();
        blocking(Uuid::now_v7());
    });
    finish(&audit, &database, 10_000).await;
}

#[tokio::test]
async fn an_installed_handle_records_everywhere() {
    // The one test of this process that installs: the others use scopes.
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let installed = Audit::current().is_some();
    assert!(!installed, "another test of this process installed a handle");
    audit.install().unwrap();
    assert!(audit.install().is_err());
    let order_id = Uuid::now_v7();
    tokio::spawn(yielding(order_id)).await.unwrap();
    std::thread::spawn(move || blocking(order_id)).join().unwrap();
    // Calls in a thread's last moments, when its own values are being dropped, before and after the
    // library's.
    for early in [true, false] {
        let thread = std::thread::spawn(move || {
            if early {
                LAST.with(|_| ());
            }
            blocking(order_id);
            LAST.with(|_| ());
        });
        thread.join().unwrap();
    }
    audit.flush().await.unwrap();
    assert_eq!(audit.stats().stored, 7);
    each_call_says_what_is_its_own(&audit, &database).await;
}

#[audited(event = "order.routed", err = "order.rejected", id = order_id)]
fn route(order_id: Uuid, venue: &str) -> Result<(), std::fmt::Error> {
    if venue.is_empty() { Err(std::fmt::Error) } else { Ok(()) }
}

#[audited(event = "order.routed", id = order_id, actor = desk)]
fn route_for(order_id: Uuid, desk: &str) {}

/// The common part of a function's calls is found out once, and the first call does not decide it
/// for later ones.
async fn each_call_says_what_is_its_own(audit: &Audit, database: &Database) {
    let order_id = Uuid::now_v7();
    let scoped = database.audit().actor("scoped").start().unwrap();
    let context = Context::new().actor("ann").attribute("tenant", "acme");
    for _ in 0..2 {
        {
            let _inside = context.clone().enter();
            route(order_id, "XNYS").unwrap();
        }
        route(order_id, "").unwrap_err();
        {
            let _entered = scoped.enter();
            route(order_id, "XNYS").unwrap();
        }
        route(order_id, "XNYS").unwrap();
        route_for(order_id, "desk:7");
    }
    audit.flush().await.unwrap();
    scoped.shutdown(Duration::from_secs(10)).await.unwrap();
    let trail = Trail::new(database.pool.clone()).entity("order", order_id).await.unwrap();
    let said: Vec<_> =
        trail.iter().map(|event| (event.event_type.as_str(), event.actor.as_str(), event.context.is_some())).collect();
    let once = [
        ("order.routed", "ann", true),
        ("order.rejected", "system", false),
        ("order.routed", "scoped", false),
        ("order.routed", "system", false),
        ("order.routed", "desk:7", false),
    ];
    assert_eq!(said, [once, once].concat());
}

struct Last;

impl Drop for Last {
    fn drop(&mut self) {
        blocking(Uuid::now_v7());
    }
}

thread_local!(static LAST: Last = const { Last });
