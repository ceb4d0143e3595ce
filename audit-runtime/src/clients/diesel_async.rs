//! Diesel's asynchronous connection.

use crate::record::{InsertRow, RowInsert};
use diesel::pg::Pg;
use diesel::sql_query;
use diesel::sql_types::{Array, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

impl InsertRow for AsyncPgConnection {
    type Error = diesel::result::Error;

    async fn insert_rows(&mut self, rows: &RowInsert) -> Result<(), diesel::result::Error> {
        let query = sql_query(rows.sql()).into_boxed::<Pg>();
        let bound = rows.values().iter().fold(query, |query, column| query.bind::<Array<Nullable<Text>>, _>(column));
        bound.execute(self).await.map(drop)
    }
}
