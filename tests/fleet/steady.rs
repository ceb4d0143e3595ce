//! Calls in a rhythm that a busy machine stores, too.

use audit_runtime::{Audit, audited};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use uuid::Uuid;

#[audited(event = "order.submitted")]
fn submit(order_id: Uuid, padding: &str) {}

/// A thread that makes two hundred calls a second.
pub(crate) struct Steady {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Uuid>>,
}

impl Steady {
    pub(crate) fn begin(audit: &Audit) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (audit, until) = (audit.clone(), ended.clone());
        let thread = std::thread::spawn(move || {
            let _entered = audit.enter();
            let mut ids = Vec::new();
            while !until.load(Ordering::Relaxed) {
                let id = Uuid::now_v7();
                submit(id, "0123456789");
                ids.push(id);
                std::thread::sleep(Duration::from_millis(5));
            }
            ids
        });
        Self { ended, thread }
    }

    /// Ends the calls, and gives their ids.
    pub(crate) fn stop(self) -> Vec<Uuid> {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }

    /// Ends the calls, waits until all are stored, and gives their ids.
    pub(crate) async fn end(self, audit: &Audit) -> Vec<Uuid> {
        let made = self.stop();
        audit.flush().await.unwrap();
        assert_eq!(audit.stats().refused, 0);
        made
    }
}
