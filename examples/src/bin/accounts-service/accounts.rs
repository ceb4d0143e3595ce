//! Accounts, their customers and invoices, of several tenants. Each function is a row of the trail.

use audit_runtime::sqlx::{self, PgPool, Postgres, Transaction};
use audit_runtime::{Audit, AuditEvent, Context, EntityId, RecordError, RecordInError, audited};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub(crate) type AppResult<T> = Result<T, AppError>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum AppError {
    #[error("{0}")]
    Refused(String),
    #[error("{0} is unknown")]
    Unknown(String),
    #[error("not done, because it cannot be recorded: {0}")]
    Unrecorded(#[from] RecordError),
    #[error("the database does not answer: {0}")]
    Database(#[from] sqlx::Error),
    #[error("not done, because it cannot be recorded: {0}")]
    Bulk(#[from] RecordInError<sqlx::Error>),
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Refused(_) => StatusCode::CONFLICT,
            Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::Unrecorded(_) | Self::Database(_) | Self::Bulk(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, self.to_string()).into_response()
    }
}

fn refused(why: impl Into<String>) -> AppError {
    AppError::Refused(why.into())
}

/// The key is the database's own, a BIGSERIAL.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, EntityId, sqlx::Type)]
#[sqlx(transparent)]
pub(crate) struct AccountId(pub(crate) i64);

#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub(crate) struct Customer {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) email: String,
}

#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) customer: i64,
    pub(crate) balance_cents: i64,
    pub(crate) limit_cents: i64,
    pub(crate) state: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Transfer {
    pub(crate) from: AccountId,
    pub(crate) to: AccountId,
    pub(crate) invoice: String,
    pub(crate) cents: i64,
}

/// A webhook's news for the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Settlement {
    pub(crate) number: String,
    pub(crate) status: String,
}

#[derive(Debug, Serialize, AuditEvent)]
#[audit(event = "account.closed")]
struct AccountClosed {
    account_id: AccountId,
    why: &'static str,
}

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS customers (id bigserial PRIMARY KEY, name text, email text UNIQUE);
    CREATE TABLE IF NOT EXISTS accounts (id bigserial PRIMARY KEY, customer bigint NOT NULL REFERENCES customers,
        balance_cents bigint NOT NULL DEFAULT 0, limit_cents bigint NOT NULL, state text NOT NULL DEFAULT 'open');
    CREATE TABLE IF NOT EXISTS invoices (number text PRIMARY KEY, cents bigint NOT NULL, state text NOT NULL DEFAULT 'open');";

pub(crate) async fn migrate(db: &PgPool) -> AppResult<()> {
    sqlx::raw_sql(TABLES).execute(db).await?;
    Ok(())
}

/// Nobody knows the key of a new customer before the INSERT: entity and subject are late.
#[audited(event = "customer.registered", err = "customer.refused", id = |customer| customer.id, tx = tx, result = skip,
    personal(name, email), subject = |customer| format!("customer:{}", customer.id))]
pub(crate) async fn register(tx: &mut Transaction<'_, Postgres>, name: &str, email: &str) -> AppResult<Customer> {
    let insert = "INSERT INTO customers (name, email) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING *";
    let customer = sqlx::query_as(insert).bind(name).bind(email).fetch_optional(&mut **tx).await?;
    customer.ok_or_else(|| refused("the address is taken"))
}

#[audited(event = "session.opened", err = "session.refused", entity = "customer", id = |customer| customer.id,
    skip(db), redact(password), result = skip, personal(email), subject = |customer| format!("customer:{}", customer.id))]
pub(crate) async fn log_in(db: &PgPool, email: &str, password: &str) -> AppResult<Customer> {
    let customer = sqlx::query_as("SELECT * FROM customers WHERE email = $1").bind(email).fetch_optional(db).await?;
    customer.filter(|_| password == "correct horse").ok_or_else(|| refused("wrong address or password"))
}

/// No look without a record of it.
#[audited(event = "customer.viewed", required, skip(db), result = skip)]
pub(crate) async fn view(db: &PgPool, customer_id: i64) -> AppResult<Customer> {
    let customer = sqlx::query_as("SELECT * FROM customers WHERE id = $1").bind(customer_id).fetch_optional(db).await?;
    customer.ok_or_else(|| AppError::Unknown(format!("customer {customer_id}")))
}

#[audited(event = "account.opened", id = |account| account.id, also(customer = customer_id), tx = tx, result = skip)]
pub(crate) async fn open(tx: &mut Transaction<'_, Postgres>, customer_id: i64, limit_cents: i64) -> AppResult<Account> {
    let insert = "INSERT INTO accounts (customer, limit_cents) VALUES ($1, $2) RETURNING *";
    Ok(sqlx::query_as(insert).bind(customer_id).bind(limit_cents).fetch_one(&mut **tx).await?)
}

#[audited(event = "limit.changed", entity = "account", id = account.id, also(customer = account.customer), tx = tx,
    changes(account), skip(limit_cents))]
pub(crate) async fn change_limit(
    tx: &mut Transaction<'_, Postgres>,
    account: &mut Account,
    limit_cents: i64,
) -> AppResult<()> {
    account.limit_cents = limit_cents;
    let update = "UPDATE accounts SET limit_cents = $2 WHERE id = $1";
    sqlx::query(update).bind(account.id).bind(limit_cents).execute(&mut **tx).await?;
    Ok(())
}

#[audited(event = "address.changed", entity = "customer", id = customer.id, tx = tx, skip(to), changes(customer.email),
    personal(email), subject = format_args!("customer:{}", customer.id))]
pub(crate) async fn change_address(
    tx: &mut Transaction<'_, Postgres>,
    customer: &mut Customer,
    to: &str,
) -> AppResult<()> {
    to.clone_into(&mut customer.email);
    let update = "UPDATE customers SET email = $2 WHERE id = $1";
    sqlx::query(update).bind(customer.id).bind(to).execute(&mut **tx).await?;
    Ok(())
}

#[audited(event = "invoice.issued", id = number, tx = tx)]
pub(crate) async fn issue(tx: &mut Transaction<'_, Postgres>, number: &str, cents: i64) -> AppResult<()> {
    sqlx::query("INSERT INTO invoices (number, cents) VALUES ($1, $2)")
        .bind(number)
        .bind(cents)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Two accounts, their customers and an invoice: each of them finds the event.
#[audited(event = "transfer.made", err = "transfer.refused", entity = "account", id = from.id, tx = tx, skip_all, fields(cents = cents),
    also(account = to.id, customer = from.customer, customer = to.customer, invoice = number))]
pub(crate) async fn transfer(
    tx: &mut Transaction<'_, Postgres>,
    from: &Account,
    to: &Account,
    number: &str,
    cents: i64,
) -> AppResult<()> {
    if from.balance_cents + from.limit_cents < cents {
        let room = from.balance_cents + from.limit_cents;
        return Err(refused(format!("balance and limit are {room} cents, less than {cents}")));
    }
    let update = "UPDATE accounts SET balance_cents = balance_cents + $2 WHERE id = $1";
    for (account, cents) in [(from, -cents), (to, cents)] {
        sqlx::query(update).bind(account.id).bind(cents).execute(&mut **tx).await?;
    }
    Ok(())
}

/// A bulk job: all rows of the trail by one statement, in the transaction of the change.
#[audited(event = "dormant.closed", id = none, actor = "nightly", skip(db, audit))]
pub(crate) async fn close_dormant(db: &PgPool, audit: &Audit) -> AppResult<usize> {
    let mut tx = db.begin().await?;
    let update = "UPDATE accounts SET state = 'closed' WHERE balance_cents = 0 AND limit_cents = 0 AND state = 'open' RETURNING id";
    let closed: Vec<AccountId> = sqlx::query_scalar(update).fetch_all(&mut *tx).await?;
    audit.record_in(&mut tx, closed.iter().map(|id| AccountClosed { account_id: *id, why: "dormant" })).await?;
    tx.commit().await?;
    Ok(closed.len())
}

#[audited(event = "invoice.settled", err = "invoice.unsettled", id = number, skip(db))]
async fn settle(db: &PgPool, number: &str, status: &str) -> AppResult<()> {
    let update = "UPDATE invoices SET state = $2 WHERE number = $1";
    let updated = sqlx::query(update).bind(number).bind(status).execute(db).await?;
    if updated.rows_affected() == 1 { Ok(()) } else { Err(AppError::Unknown(format!("invoice {number}"))) }
}

/// A worker behind a channel goes on in each request's context: its tenant, actor and correlation.
pub(crate) async fn worker(db: PgPool, mut jobs: mpsc::Receiver<(Context, Settlement)>) {
    while let Some((context, job)) = jobs.recv().await {
        // Its outcome is on record, and the webhook was answered long ago.
        let _ = context.scope(settle(&db, &job.number, &job.status)).await;
    }
}

pub(crate) async fn account(db: &mut Transaction<'_, Postgres>, id: AccountId) -> AppResult<Account> {
    let account =
        sqlx::query_as("SELECT * FROM accounts WHERE id = $1 FOR UPDATE").bind(id).fetch_optional(&mut **db).await?;
    account.ok_or_else(|| AppError::Unknown(format!("account {}", id.0)))
}

pub(crate) async fn customer(db: &mut Transaction<'_, Postgres>, id: i64) -> AppResult<Customer> {
    let customer =
        sqlx::query_as("SELECT * FROM customers WHERE id = $1 FOR UPDATE").bind(id).fetch_optional(&mut **db).await?;
    customer.ok_or_else(|| AppError::Unknown(format!("customer {id}")))
}
