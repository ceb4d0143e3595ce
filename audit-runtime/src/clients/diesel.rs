//! Diesel's synchronous connections, of libpq or not.

use crate::record::{InsertRowBlocking, RowInsert};
use diesel::pg::Pg;
use diesel::sql_types::{Array, Nullable, Text};
use diesel::{Connection, RunQueryDsl, sql_query};

#[diagnostic::do_not_recommend]
impl<C: Connection<Backend = Pg>> InsertRowBlocking for C {
    type Error = diesel::result::Error;

    fn insert_rows_blocking(&mut self, rows: &RowInsert) -> Result<(), diesel::result::Error> {
        let query = sql_query(rows.sql()).into_boxed::<Pg>();
        let bound = rows.values().iter().fold(query, |query, column| query.bind::<Array<Nullable<Text>>, _>(column));
        bound.execute(self).map(drop)
    }
}
