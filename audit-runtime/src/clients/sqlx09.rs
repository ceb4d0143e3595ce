//! sqlx 0.9, the version that the library itself uses.

use crate::record::{InsertRow, RowInsert};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::{Postgres, Transaction};
use std::future::Future;

impl InsertRow for PgConnection {
    type Error = sqlx::Error;

    async fn insert_rows(&mut self, rows: &RowInsert) -> Result<(), sqlx::Error> {
        let query = rows.values().iter().fold(sqlx::query(rows.sql()), |query, column| query.bind(&column[..]));
        query.execute(self).await.map(drop)
    }
}

impl InsertRow for Transaction<'_, Postgres> {
    type Error = sqlx::Error;

    fn insert_rows(&mut self, rows: &RowInsert) -> impl Future<Output = Result<(), sqlx::Error>> + Send {
        (**self).insert_rows(rows)
    }
}

impl InsertRow for PoolConnection<Postgres> {
    type Error = sqlx::Error;

    fn insert_rows(&mut self, rows: &RowInsert) -> impl Future<Output = Result<(), sqlx::Error>> + Send {
        (**self).insert_rows(rows)
    }
}
