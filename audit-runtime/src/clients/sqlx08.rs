//! sqlx 0.8, beside the version that the library itself uses.

use crate::record::{InsertRow, RowInsert};
use sqlx08::pool::PoolConnection;
use sqlx08::postgres::PgConnection;
use sqlx08::{Postgres, Transaction};
use std::future::Future;

impl InsertRow for PgConnection {
    type Error = sqlx08::Error;

    async fn insert_rows(&mut self, rows: &RowInsert) -> Result<(), sqlx08::Error> {
        let query = rows.values().iter().fold(sqlx08::query(rows.sql()), |query, column| query.bind(&column[..]));
        query.execute(self).await.map(drop)
    }
}

impl InsertRow for Transaction<'_, Postgres> {
    type Error = sqlx08::Error;

    fn insert_rows(&mut self, rows: &RowInsert) -> impl Future<Output = Result<(), sqlx08::Error>> + Send {
        (**self).insert_rows(rows)
    }
}

impl InsertRow for PoolConnection<Postgres> {
    type Error = sqlx08::Error;

    fn insert_rows(&mut self, rows: &RowInsert) -> impl Future<Output = Result<(), sqlx08::Error>> + Send {
        (**self).insert_rows(rows)
    }
}
