//! Rows that are sent by COPY.

#[cfg(feature = "evidence")]
use super::encode::push_field;
use super::encode::{Columns, CopyRows, HEADER, TRAILER};
use crate::postgres::failure::Swallowed;
use crate::record::EventRef;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

/// Sends rows to the input of a statement, and returns how many PostgreSQL took.
pub(crate) async fn send(connection: &mut PgConnection, statement: &str, rows: &[u8]) -> Result<u64, sqlx::Error> {
    let mut copy = connection.copy_in_raw(statement).await?;
    for part in [HEADER, rows, TRAILER] {
        copy.send(part).await?;
    }
    copy.finish().await
}

/// Stores a single row, in the transaction of the caller's.
pub(crate) async fn store_one(
    connection: &mut PgConnection,
    event: &EventRef<'_>,
    batch_id: Uuid,
) -> Result<(), sqlx::Error> {
    let mut row = CopyRows::new(Columns::All);
    row.row(event, batch_id);
    if send(connection, row.columns().statement(), row.bytes(0..1)).await? == 1 {
        Ok(())
    } else {
        Err(Swallowed.into())
    }
}

#[cfg(feature = "evidence")]
/// Appends a row of fields that are not NULL, as binary COPY has it.
pub(crate) fn push_row(rows: &mut Vec<u8>, fields: &[&[u8]]) {
    rows.extend_from_slice(&(fields.len() as i16).to_be_bytes());
    for field in fields {
        push_field(rows, Some(field));
    }
}
