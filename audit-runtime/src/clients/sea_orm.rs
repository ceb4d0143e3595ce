//! sea-orm. It panics at an array that contains a NULL, so each column is bound as a literal.

use crate::record::{InsertRow, RowInsert};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Statement};

impl InsertRow for DatabaseTransaction {
    type Error = DbErr;

    async fn insert_rows(&mut self, rows: &RowInsert) -> Result<(), DbErr> {
        let values = rows.literals().map(sea_orm::Value::from);
        self.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, rows.sql(), values)).await.map(drop)
    }
}
