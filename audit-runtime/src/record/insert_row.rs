//! Rows that go through a client of the user's own, whichever that is: the statement and its
//! values, which every client can bind.

use super::EventRef;
use crate::capture::nul::{without_nul, without_nul_escapes};
use crate::event::Timestamp;
use std::error::Error;
use std::future::Future;

/// A connection or transaction that can take rows of `audit_events`.
///
/// The argument `tx` of [`#[audited]`](macro@crate::audited) and
/// [`Audit::record_in`](crate::Audit::record_in) accept it. Each implementation belongs to a
/// feature:
///
/// | feature | client | types |
/// | --- | --- | --- |
/// | `postgres` | sqlx 0.9 | `Transaction<'_, Postgres>`, `PgConnection`, `PoolConnection<Postgres>` |
/// | `sqlx08` | sqlx 0.8 | the same |
/// | `tokio-postgres` | tokio-postgres 0.7 | `Transaction<'_>`, `Client` |
/// | `sea-orm` | sea-orm 2 | `DatabaseTransaction` |
/// | `diesel-async` | diesel-async 0.9 | `AsyncPgConnection` |
///
/// A mutable reference to one of these types implements it, too. Diesel's synchronous connections
/// implement [`InsertRowBlocking`].
///
/// # A failed insert
///
/// The library sets no savepoint. If the insert fails, the caller gets the client's own error, and
/// PostgreSQL refuses every later statement of that transaction (SQLSTATE 25P02). PostgreSQL
/// answers its COMMIT by a rollback, so that no change is stored without its row. Most clients
/// report that answer as a success, so a caller must not ignore the error. Outside of a
/// transaction, the row commits by itself.
///
/// # Another client
///
/// A type of your own passes the statement on. It binds each of [`values`](RowInsert::values) as a
/// `text[]`, or each of [`literals`](RowInsert::literals) as a `text`.
///
/// ```
/// # #[cfg(feature = "postgres")] mod example {
/// use audit_runtime::sqlx::{self, Postgres, Transaction};
/// use audit_runtime::{InsertRow, RowInsert};
///
/// struct UnitOfWork {
///     tx: Transaction<'static, Postgres>,
/// }
///
/// impl InsertRow for UnitOfWork {
///     type Error = sqlx::Error;
///
///     async fn insert_rows(&mut self, rows: &RowInsert) -> Result<(), sqlx::Error> {
///         self.tx.insert_rows(rows).await
///     }
/// }
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot take the row of an audited call",
    label = "not a connection whose transaction can take the row",
    note = "give `tx` the transaction that the body works in: a `&mut sqlx::Transaction<'_, sqlx::Postgres>` or a \
            `&mut sqlx::PgConnection` (feature `postgres`)",
    note = "other clients need a feature of audit-runtime: `sqlx08`, `tokio-postgres`, `sea-orm`, `diesel-async`",
    note = "a generic function has the bound `C: InsertRow`, and a type of your own implements `InsertRow`"
)]
pub trait InsertRow {
    /// The client's error.
    ///
    /// The error of a function with `tx` implements `From` it.
    type Error: Error + Send + Sync + 'static;

    /// Executes the statement of these rows.
    ///
    /// # Errors
    /// PostgreSQL refuses or drops a row, or cannot be reached.
    fn insert_rows(&mut self, rows: &RowInsert) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

#[diagnostic::do_not_recommend]
impl<T: InsertRow + ?Sized> InsertRow for &mut T {
    type Error = T::Error;

    fn insert_rows(&mut self, rows: &RowInsert) -> impl Future<Output = Result<(), Self::Error>> + Send {
        (**self).insert_rows(rows)
    }
}

/// A synchronous connection that can take rows of `audit_events`.
///
/// The argument `tx` of a synchronous function and
/// [`Audit::record_in_blocking`](crate::Audit::record_in_blocking) accept it. Feature `diesel`
/// implements it for every `diesel::Connection` to PostgreSQL, pooled ones included. A failed
/// insert has the consequences that [`InsertRow`] describes.
///
/// ```
/// # #[cfg(feature = "diesel")]
/// # mod example {
/// use audit_runtime::audited;
/// use diesel::{Connection, QueryResult, RunQueryDsl, pg::Pg, sql_query};
///
/// #[audited(event = "account.closed", tx = connection)]
/// fn close<C: Connection<Backend = Pg>>(connection: &mut C, account_id: i64) -> QueryResult<()> {
///     sql_query("UPDATE accounts SET closed = true").execute(connection).map(drop)
/// }
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot take the row of a synchronous audited call",
    label = "not a synchronous connection that can take the row",
    note = "a connection of sqlx, tokio-postgres, SeaORM or diesel-async is awaited: write an `async fn`",
    note = "connections of Diesel need the feature `diesel` of audit-runtime, and a type of your own implements \
            `InsertRowBlocking`"
)]
pub trait InsertRowBlocking {
    /// The client's error.
    type Error: Error + Send + Sync + 'static;

    /// Executes the statement of these rows.
    ///
    /// # Errors
    /// PostgreSQL refuses or drops a row, or cannot be reached.
    fn insert_rows_blocking(&mut self, rows: &RowInsert) -> Result<(), Self::Error>;
}

/// How many columns a row has: all but `batch_id`.
const COLUMNS: usize = 16;

/// One row costs no scan of a function.
const ONE: &str = "\
    WITH stored AS (INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, data, created_at, outcome, \
    duration_us, correlation_id, causation_id, context, origin, entity_key, targets, tenant) \
    VALUES (($1::text[])[1]::uuid, ($2::text[])[1], ($3::text[])[1], ($4::text[])[1]::uuid, ($5::text[])[1], \
    ($6::text[])[1]::jsonb, ($7::text[])[1]::timestamptz, ($8::text[])[1], ($9::text[])[1]::bigint, \
    ($10::text[])[1]::uuid, ($11::text[])[1]::uuid, ($12::text[])[1]::jsonb, ($13::text[])[1], ($14::text[])[1], \
    ($15::text[])[1]::jsonb, ($16::text[])[1]) RETURNING 1) \
    SELECT CASE WHEN count(*) = 1 THEN 1 ELSE format('audit_events took the row and stored none (%s): a trigger or a \
    rule on it drops rows; let it pass every row, or remove it, then retry', count(*))::bigint END FROM stored";

/// The count is compared by the server, so that a dropped row is an error of every client.
const MANY: &str = "\
    WITH stored AS (INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, data, created_at, outcome, \
    duration_us, correlation_id, causation_id, context, origin, entity_key, targets, tenant) \
    SELECT id::uuid, event_type, entity_type, entity_id::uuid, actor, data::jsonb, created_at::timestamptz, outcome, \
    duration_us::bigint, correlation_id::uuid, causation_id::uuid, context::jsonb, origin, entity_key, targets::jsonb, \
    tenant FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], \
    $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[]) AS given \
    (id, event_type, entity_type, entity_id, actor, data, created_at, outcome, duration_us, correlation_id, \
    causation_id, context, origin, entity_key, targets, tenant) RETURNING 1) \
    SELECT CASE WHEN count(*) = cardinality($1::text[]) THEN count(*) ELSE format('audit_events took %s rows and \
    stored %s: a trigger or a rule on it drops rows; let it pass every row, or remove it, then retry', \
    cardinality($1::text[]), count(*))::bigint END FROM stored";

/// Fails with the reason in place of the first id, so that the caller gets an error of its client.
const REFUSED: &str = "\
    SELECT ($1::text[])[1]::uuid, $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], \
    $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[]";

/// Rows of `audit_events` on their way through a user's own client.
///
/// They are one SQL statement with 16 values. Each value is the array of one column's texts. The
/// statement casts them to the columns' types, so that numbers keep their digits and times their
/// microseconds. If a trigger drops a row, the statement fails.
#[derive(Debug, Clone, Default)]
pub struct RowInsert {
    columns: [Vec<Option<String>>; COLUMNS],
    bytes: usize,
    is_refused: bool,
}

impl RowInsert {
    /// Returns the SQL, with the parameters `$1` to `$16`.
    #[must_use]
    pub fn sql(&self) -> &'static str {
        match self.len() {
            _ if self.is_refused => REFUSED,
            1 => ONE,
            _ => MANY,
        }
    }

    /// Returns the values of `$1` to `$16`, in order: a `text[]` each, as long as there are rows.
    #[must_use]
    pub fn values(&self) -> &[Vec<Option<String>>] {
        &self.columns
    }

    /// Returns the values of `$1` to `$16` as PostgreSQL's array literals, to be bound as `text`.
    ///
    /// They are for clients that cannot bind an array with a NULL in it.
    pub fn literals(&self) -> impl Iterator<Item = String> {
        self.columns.iter().map(|column| literal(column))
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.columns[0].len()
    }

    /// Returns whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns a statement that PostgreSQL refuses with this reason: a row that cannot be made must
    /// not let the caller's transaction commit.
    pub(crate) fn refused(why: &str) -> Self {
        let mut columns = <[Vec<Option<String>>; COLUMNS]>::default();
        columns.iter_mut().for_each(|column| column.push(None));
        columns[0] = vec![Some(without_nul(why).into_owned())];
        Self { columns, bytes: 0, is_refused: true }
    }

    /// The bytes of all texts.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an event's row. It has no batch: the transaction of the connection's owner stores it.
    pub(crate) fn push(&mut self, event: &EventRef<'_>) {
        let text = |text: &str| Some(without_nul(text).into_owned());
        let json = |json: &str| Some(without_nul_escapes(json).into_owned());
        let id = |id: uuid::Uuid| id.hyphenated().to_string();
        let row: [Option<String>; COLUMNS] = [
            Some(id(event.id)),
            text(event.event_type),
            text(event.entity_type),
            event.entity_id.map(id),
            text(event.actor),
            json(event.data),
            Some(Timestamp::from_unix_micros(event.created_at).to_string()),
            text(event.outcome.as_str()),
            event.duration.map(|micros| micros.to_string()),
            event.correlation_id.map(id),
            event.causation_id.map(id),
            Some(event.context).filter(|context| !context.is_empty()).and_then(json),
            text(event.origin),
            event.further.entity_key.map(str::to_owned),
            event.further.targets.json(),
            event.further.tenant.map(str::to_owned),
        ];
        for (column, value) in self.columns.iter_mut().zip(row) {
            self.bytes += value.as_ref().map_or(0, String::len);
            column.push(value);
        }
    }
}

impl From<&EventRef<'_>> for RowInsert {
    fn from(event: &EventRef<'_>) -> Self {
        let mut rows = Self::default();
        rows.push(event);
        rows
    }
}

/// <https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO>
fn literal(column: &[Option<String>]) -> String {
    let mut literal = String::from("{");
    for (position, text) in column.iter().enumerate() {
        if position > 0 {
            literal.push(',');
        }
        match text {
            None => literal.push_str("NULL"),
            Some(text) => {
                literal.push('"');
                for part in text.split_inclusive(['"', '\\']) {
                    let plain = part.strip_suffix(['"', '\\']).unwrap_or(part);
                    literal.push_str(plain);
                    if plain.len() < part.len() {
                        literal.push('\\');
                        literal.push_str(&part[plain.len()..]);
                    }
                }
                literal.push('"');
            }
        }
    }
    literal.push('}');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_keeps_every_text_apart_from_null() {
        let column = [None, Some("NULL"), Some(""), Some(r#"{"a":"b\\c",}"#), Some("a,b\nä")];
        let column = column.map(|text| text.map(str::to_owned));
        assert_eq!(literal(&column), "{NULL,\"NULL\",\"\",\"{\\\"a\\\":\\\"b\\\\\\\\c\\\",}\",\"a,b\nä\"}");
        assert_eq!(literal(&[]), "{}");
    }
}
