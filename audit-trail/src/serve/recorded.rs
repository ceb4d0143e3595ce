//! Records of each view: events of the library's own, which are on record before anything is shown.

use super::access::Viewer;
use super::refusal::Refusal;
use audit_runtime::{Audit, Event, Receipt, StoreError};
use serde_json::{Value, json};
use std::time::Duration;

/// A viewer waits so long for the record, and is then refused.
const PATIENCE: Duration = Duration::from_secs(5);

/// The journal of the page's own events.
pub(crate) struct Recorded {
    audit: Audit,
    /// Whether the journal is in a directory: then the disk has an event before it is shown.
    /// Otherwise PostgreSQL has.
    is_on_disk: bool,
}

impl Recorded {
    pub(crate) fn new(audit: Audit, is_on_disk: bool) -> Self {
        Self { audit, is_on_disk }
    }

    /// Records that a page was viewed: which one, by which query, and how many rows it shows.
    pub(crate) async fn viewed(&self, viewer: &Viewer, page: &str, query: &str, rows: usize) -> Result<(), Refusal> {
        self.record(viewer, "audit.viewed", json!({"page": page, "query": query, "rows": rows})).await
    }

    /// Records an event of the page, and waits until it is safe.
    ///
    /// # Errors
    /// It cannot be recorded now. Then nothing may be shown.
    pub(crate) async fn record(
        &self,
        viewer: &Viewer,
        event_type: &'static str,
        mut data: Value,
    ) -> Result<(), Refusal> {
        data["from"] = viewer.peer.to_string().into();
        let event = Event::new(event_type).actor(&viewer.name).data(&data);
        let refused = |why: String| {
            Refusal::unavailable(format!(
                "your request cannot be recorded now, and what is not recorded is not shown ({why}); try again later"
            ))
        };
        let receipt = self.audit.record(event).map_err(|error| refused(error.to_string()))?;
        match tokio::time::timeout(PATIENCE, self.safe(&receipt)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(refused(error.to_string())),
            Err(_) => Err(refused(format!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }

    async fn safe(&self, receipt: &Receipt) -> Result<(), StoreError> {
        if self.is_on_disk { receipt.synced().await } else { receipt.stored().await }
    }

    /// Stores what is recorded.
    pub(crate) async fn close(&self) {
        let _ = self.audit.shutdown(PATIENCE).await;
    }
}
