//! The row of a call that returned `Ok`, inside the caller's own transaction.

use super::Call;
use super::active::Active;
use crate::event::Outcome;
use crate::record::{EventRef, InsertRow, RowInsert};
use crate::recorder::buffer;

impl Call {
    /// Inserts the row of a call that returned `Ok` through this connection.
    ///
    /// The row exists if and only if the transaction commits.
    ///
    /// # Errors
    /// The row could not be inserted. The function must return this error. The call is recorded as
    /// failed with it.
    pub async fn finish_in<C: InsertRow>(&mut self, mut connection: C) -> Result<(), C::Error> {
        let Some(active) = &mut *self.active else {
            return Ok(());
        };
        if !active.recorder.settings.durability.has_database() {
            active.recorder.probed_in_transaction(active.metadata.id);
            self.finish(Outcome::Ok);
            return Ok(());
        }
        let Active { recorder, fields, changes, .. } = &mut **active;
        changes.write(fields, recorder.rules());
        let duration = active.metadata.beginning.elapsed_micros();
        let mut row = buffer::take();
        active.fields.copy_to(&mut row);
        active.metadata.complete(&active.recorder, &mut row, active.metadata.id, Outcome::Ok, Some(duration));
        let mut json = buffer::take();
        let rows = EventRef::decode(&row, &mut json).map(|event| RowInsert::from(&event));
        buffer::put(row);
        buffer::put(json);
        let Ok(rows) = rows else {
            // No call makes such a record. The writer would quarantine it.
            self.finish(Outcome::Ok);
            return Ok(());
        };
        (active.in_doubt, active.suspended) = (true, true);
        // The driver's future is larger than that of most calls.
        let inserted = Box::pin(connection.insert_rows(&rows)).await;
        (active.in_doubt, active.suspended) = (false, false);
        match inserted {
            Ok(()) => {
                // Its intent, if it has one, stays open, because only the caller knows whether the
                // transaction commits.
                active.recorder.counters.in_transactions(1);
                self.discard();
                Ok(())
            }
            Err(error) => {
                self.fail(&error);
                Err(error)
            }
        }
    }
}
