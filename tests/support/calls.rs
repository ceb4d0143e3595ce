//! Calls that go on while something happens, and the proof that each has its one row.

use crate::Database;
use audit_runtime::{Audit, audited};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use uuid::Uuid;

#[audited(event = "order.submitted", err = "order.rejected")]
fn submit(order_id: Uuid, number: usize, padding: &str) -> Result<usize, std::fmt::Error> {
    if number % 10 == 3 { Err(std::fmt::Error) } else { Ok(number) }
}

/// A thread that makes calls.
#[derive(Debug)]
pub struct Calls {
    ended: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<Uuid>>,
}

impl Calls {
    /// Begins.
    pub fn begin(audit: &Audit) -> Self {
        let (ended, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (audit, until, count) = (audit.clone(), ended.clone(), made.clone());
        let thread = std::thread::spawn(move || {
            let _entered = audit.enter();
            let mut ids = Vec::new();
            while !until.load(Ordering::Relaxed) {
                for number in 0..20 {
                    let id = Uuid::now_v7();
                    let _ = submit(id, number, &"x".repeat(number * 10));
                    ids.push(id);
                }
                count.store(ids.len(), Ordering::Relaxed);
                // The rhythm of the load: ten thousand calls a second.
                std::thread::sleep(Duration::from_millis(2));
            }
            ids
        });
        Self { ended, made, thread }
    }

    /// How many were made so far.
    pub fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    /// Ends the calls, and gives their ids.
    pub fn end(self) -> Vec<Uuid> {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }

    /// Ends the calls, waits until all is stored, and compares.
    ///
    /// # Panics
    /// A call has no row, or more than one, or was refused.
    pub async fn have_a_row_each(self, audit: &Audit, database: &Database) {
        let made = self.end();
        audit.flush().await.unwrap();
        assert_eq!(audit.stats().refused, 0);
        have_a_row_each(&made, database).await;
    }
}

/// Compares the rows with the calls, and verifies their seals.
///
/// # Panics
/// A call has no row, or more than one, or a row differs from its seal.
pub async fn have_a_row_each(made: &[Uuid], database: &Database) {
    let rows: Vec<Uuid> = sqlx::query_scalar(
        "SELECT entity_id FROM audit_events WHERE event_type IN ('order.submitted', 'order.rejected')",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    let found: HashSet<Uuid> = rows.iter().copied().collect();
    assert_eq!(found.len(), rows.len(), "a row is there twice");
    assert!(
        !made.is_empty() && found == HashSet::from_iter(made.iter().copied()),
        "{} calls, {} rows",
        made.len(),
        rows.len()
    );
    database.is_unharmed().await;
}
