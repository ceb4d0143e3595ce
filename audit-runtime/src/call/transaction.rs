//! The row of a call that returned `Ok`, inside the caller's own transaction.

use super::Call;
use super::active::Active;
use crate::event::Outcome;
use crate::postgres::insert;
use crate::record::EventRef;
use crate::recorder::buffer;
use sqlx::postgres::PgConnection;

/// The argument of `tx`: a connection inside the caller's transaction.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot take the row of an audited call",
    label = "not a connection to PostgreSQL",
    note = "give `tx` the transaction that the body works in: a `&mut sqlx::Transaction<'_, sqlx::Postgres>`, a \
            `&mut sqlx::PgConnection`, or anything that is `AsMut<sqlx::PgConnection>`"
)]
pub trait RowConnection: AsMut<PgConnection> {}

#[diagnostic::do_not_recommend]
impl<T: AsMut<PgConnection> + ?Sized> RowConnection for T {}

impl Call {
    /// Inserts the row of a call that returned `Ok` through this connection.
    ///
    /// The row exists if and only if the transaction commits.
    ///
    /// # Errors
    /// The row could not be inserted. The function must return this error. The call is recorded as
    /// failed with it.
    pub async fn finish_in<C: RowConnection>(&mut self, mut connection: C) -> Result<(), sqlx::Error> {
        let Some(active) = &mut *self.active else {
            return Ok(());
        };
        if !active.recorder.settings.durability.has_database() {
            self.finish(Outcome::Ok);
            return Ok(());
        }
        let Active { recorder, fields, changes, metadata, .. } = &mut **active;
        changes.write(fields, recorder.rules(), &metadata.personal().changes);
        let duration = active.metadata.beginning.elapsed_micros();
        let mut row = buffer::take();
        active.fields.copy_to(&mut row);
        active.metadata.complete(&active.recorder, &mut row, active.metadata.id, Outcome::Ok, Some(duration));
        let mut json = buffer::take();
        // Before the row, and outside of the caller's transaction: keys are shared with others.
        active.suspended = true;
        let encrypted = active.recorder.encrypt(std::slice::from_mut(&mut row)).await;
        active.suspended = false;
        let inserted = match encrypted.and_then(|()| decoded(&row, &mut json)) {
            Ok(event) => {
                (active.in_doubt, active.suspended) = (true, true);
                // The driver's future is larger than that of most calls.
                let inserted = Box::pin(insert(connection.as_mut(), &event)).await;
                (active.in_doubt, active.suspended) = (false, false);
                inserted
            }
            Err(error) => Err(error),
        };
        buffer::put(row);
        buffer::put(json);
        match inserted {
            Ok(()) => {
                // Its intent, if it has one, stays open, because only the caller knows whether the
                // transaction commits.
                active.recorder.counters.in_transaction();
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

fn decoded<'a>(row: &'a [u8], json: &'a mut Vec<u8>) -> Result<EventRef<'a>, sqlx::Error> {
    EventRef::decode(row, json).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}
