//! Several batches into PostgreSQL in one transaction: for a relay, whose services have many small
//! ones.
//!
//! It is the way where nothing is odd. A batch that a transaction cannot take, because a row of it is
//! refused, or another batch has its place, fails them all. The caller then stores each by itself, as
//! [`store`](super::store) does, which isolates what is odd.

use super::already_stored;
use super::batch::Batch;
use super::store::{BEGIN_TIMEOUT, insert, opening, waiting};
use crate::postgres::copy::{self, Columns};
use crate::postgres::failure::Swallowed;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor, Row};
use std::collections::HashSet;
use std::io;
use uuid::Uuid;

/// Stores batches, those that are stored already among them. They are in order of journal and
/// position, so that two relays never wait for each other in a circle.
///
/// # Errors
/// None of them is stored, or it is not known whether they are. The connection is not to be used
/// again.
pub(super) async fn store_together(
    connection: &mut PgConnection,
    batches: &[&Batch],
    waits_for_disk: bool,
    sets_keepalives: bool,
) -> Result<(), sqlx::Error> {
    let mut sql = format!("{}SELECT {}; ", opening(sets_keepalives), waiting(waits_for_disk));
    for batch in batches {
        insert(&mut sql, batch);
        sql.push_str(" ON CONFLICT (journal_id, first_position) DO NOTHING RETURNING journal_id, first_position; ");
    }
    let begun = tokio::time::timeout(BEGIN_TIMEOUT, connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql)))).await;
    let rows = begun.map_err(|_| sqlx::Error::Io(io::ErrorKind::TimedOut.into()))??;
    // The first row is the setting.
    let inserted: HashSet<(Uuid, i64)> = rows
        .iter()
        .skip(1)
        .map(|row| Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<_, _>>()?;
    let is_new = |batch: &Batch| inserted.contains(&(batch.journal_id, batch.first.cast_signed()));
    for columns in [Columns::First, Columns::All] {
        let of_form = |batch: &&&Batch| is_new(batch) && batch.encoded.columns() == columns;
        let (mut bytes, mut expected) = (Vec::new(), 0);
        for batch in batches.iter().filter(of_form) {
            if !batch.undecoded.is_empty() {
                return Err(sqlx::Error::Protocol(
                    "a batch has a record that does not decode as an event; the batch is stored by itself".into(),
                ));
            }
            bytes.extend_from_slice(batch.encoded.bytes(0..batch.rows.len()));
            expected += batch.rows.len() as u64;
        }
        if expected > 0 && copy::send(connection, columns.statement(), &bytes).await? != expected {
            return Err(Swallowed.into());
        }
    }
    connection.execute("COMMIT").await?;
    for batch in batches.iter().filter(|batch| !is_new(batch)) {
        already_stored::is_this(connection, batch).await?;
    }
    Ok(())
}
