//! The row of a call that returned `Ok`, inside the caller's own transaction.

use super::active::Active;
use super::{Call, thinning};
use crate::event::Outcome;
use crate::record::{EventRef, InsertRow, InsertRowBlocking, RowInsert, payload};
use crate::recorder::buffer;
use crate::sys::block_on;

impl Call {
    /// Inserts the row of a call that returned `Ok` through this connection.
    ///
    /// The row exists if and only if the transaction commits.
    ///
    /// # Errors
    /// The row could not be inserted. The function must return this error. The call is recorded as
    /// failed with it.
    pub async fn finish_in<C: InsertRow>(&mut self, mut connection: C) -> Result<(), C::Error> {
        let Some(mut bytes) = self.complete_row() else {
            return Ok(());
        };
        self.in_doubt(false, true);
        let encrypted = self.encrypt(&mut bytes).await;
        let Some(row) = self.row(bytes, encrypted) else {
            return Ok(());
        };
        self.in_doubt(true, true);
        // The driver's future is larger than that of most calls.
        let inserted = Box::pin(connection.insert_rows(&row)).await;
        self.in_doubt(false, false);
        self.inserted(inserted)
    }

    /// Inserts the row like [`finish_in`](Self::finish_in), through a synchronous connection.
    ///
    /// # Errors
    /// As [`finish_in`](Self::finish_in).
    pub fn finish_in_blocking<C: InsertRowBlocking + ?Sized>(&mut self, connection: &mut C) -> Result<(), C::Error> {
        let Some(mut bytes) = self.complete_row() else {
            return Ok(());
        };
        let encrypted = block_on(self.encrypt(&mut bytes));
        let Some(row) = self.row(bytes, encrypted) else {
            return Ok(());
        };
        self.in_doubt(true, false);
        let inserted = connection.insert_rows_blocking(&row);
        self.in_doubt(false, false);
        self.inserted(inserted)
    }

    /// Encodes the row. If there is none to be inserted, the call is finished.
    fn complete_row(&mut self) -> Option<Vec<u8>> {
        let active = self.active.as_mut()?;
        if !active.recorder.settings.durability.has_database() {
            active.recorder.probed_in_transaction(active.metadata.id);
            self.finish(Outcome::Ok);
            return None;
        }
        let Active { recorder, fields, changes, metadata, .. } = &mut **active;
        changes.write(fields, recorder.rules(), &metadata.personal().changes);
        let duration = active.metadata.beginning.elapsed_micros();
        let mut bytes = buffer::take();
        active.fields.copy_to(&mut bytes);
        active.metadata.complete(&active.recorder, &mut bytes, active.metadata.id, Outcome::Ok, Some(duration));
        if active.recorder.policy().is_some() {
            thinning::note(&active.recorder, &active.metadata, &mut active.thinning, Outcome::Ok, &mut bytes);
        }
        Some(bytes)
    }

    /// Encrypts personal values, before the row and outside of the caller's transaction: keys are
    /// shared with others.
    async fn encrypt(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let Some(active) = self.active.as_ref().filter(|_| payload::is_personal(bytes)) else {
            return Ok(());
        };
        let recorder = active.recorder.clone();
        recorder.encrypt(std::slice::from_mut(bytes)).await
    }

    /// Returns the row to be inserted. If there is none, the call is finished.
    fn row(&mut self, bytes: Vec<u8>, encrypted: Result<(), String>) -> Option<RowInsert> {
        let mut json = buffer::take();
        let row = EventRef::decode(&bytes, &mut json).map(|event| RowInsert::from(&event));
        buffer::put(bytes);
        buffer::put(json);
        match (row, encrypted) {
            (Ok(row), Ok(())) => Some(row),
            (Ok(_), Err(why)) => Some(RowInsert::refused(&why)),
            (Err(_), _) => {
                // No call makes such a record. The writer would quarantine it.
                self.finish(Outcome::Ok);
                None
            }
        }
    }

    /// Notes whether the caller's transaction may hold the row, and whether a future waits for that.
    fn in_doubt(&mut self, in_doubt: bool, suspended: bool) {
        if let Some(active) = &mut *self.active {
            (active.in_doubt, active.suspended) = (in_doubt, suspended);
        }
    }

    fn inserted<E: std::error::Error + 'static>(&mut self, inserted: Result<(), E>) -> Result<(), E> {
        match &inserted {
            Ok(()) => {
                // Its intent, if it has one, stays open, because only the caller knows whether the
                // transaction commits.
                if let Some(active) = &*self.active {
                    active.recorder.counters.in_transactions(1);
                }
                self.discard();
            }
            Err(error) => self.fail(error),
        }
        inserted
    }
}
