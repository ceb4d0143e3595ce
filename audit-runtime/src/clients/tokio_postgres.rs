//! tokio-postgres.

use crate::record::{InsertRow, RowInsert};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Transaction};

fn parameters(rows: &RowInsert) -> Vec<&(dyn ToSql + Sync)> {
    rows.values().iter().map(|column| column as &(dyn ToSql + Sync)).collect()
}

impl InsertRow for Client {
    type Error = Error;

    async fn insert_rows(&mut self, rows: &RowInsert) -> Result<(), Error> {
        self.execute(rows.sql(), &parameters(rows)).await.map(drop)
    }
}

impl InsertRow for Transaction<'_> {
    type Error = Error;

    async fn insert_rows(&mut self, rows: &RowInsert) -> Result<(), Error> {
        self.execute(rows.sql(), &parameters(rows)).await.map(drop)
    }
}
