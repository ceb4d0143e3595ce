//! The holdings of the desk.

use crate::broker::Order;
use crate::desk::DeskError;
use crate::orders::Side;
use audit_runtime::audited;
use audit_runtime::execution::position_event;
use serde::Serialize;
use sqlx::postgres::PgPool;
use sqlx::{Postgres, Transaction};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shares held, and what they cost.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Position {
    /// Shares.
    pub quantity: f64,
    /// Dollars a share.
    pub average_entry: f64,
}

/// A position before and after a fill.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Before.
    pub before: Position,
    /// After.
    pub after: Position,
}

impl Position {
    /// Books a fill.
    ///
    /// # Errors
    /// More is sold than is held, and nothing is changed.
    pub fn fill(&mut self, order: &Order, price: f64) -> Result<Change, DeskError> {
        let before = *self;
        *self = match order.side {
            Side::Buy => {
                let quantity = before.quantity + order.quantity;
                let cost = before.quantity * before.average_entry + order.quantity * price;
                Self { quantity, average_entry: cost / quantity }
            }
            Side::Sell if order.quantity > before.quantity => {
                let (ticker, sold, held) = (order.ticker.clone(), order.quantity, before.quantity);
                return Err(DeskError::Oversold { ticker, sold, held });
            }
            Side::Sell if order.quantity == before.quantity => Self::default(),
            Side::Sell => Self { quantity: before.quantity - order.quantity, ..before },
        };
        Ok(Change { before, after: *self })
    }
}

/// Where positions are kept.
pub trait Positions: Send + Sync {
    /// The position in an instrument, or an empty one if the desk holds none.
    fn get(&self, ticker: &str) -> impl Future<Output = Result<Position, DeskError>> + Send;

    /// Books a fill.
    fn fill(&self, order: &Order, price: f64) -> impl Future<Output = Result<Change, DeskError>> + Send;
}

/// Positions in memory.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<HashMap<String, Position>>);

impl InMemory {
    fn positions(&self) -> MutexGuard<'_, HashMap<String, Position>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Positions for InMemory {
    async fn get(&self, ticker: &str) -> Result<Position, DeskError> {
        Ok(self.positions().get(ticker).copied().unwrap_or_default())
    }

    async fn fill(&self, order: &Order, price: f64) -> Result<Change, DeskError> {
        book(self.positions().entry(order.ticker.clone()).or_default(), order, price)
    }
}

/// Books a fill in memory.
#[audited(
    event = |change| position_event(change.before.quantity, change.after.quantity), err = "position.failed",
    entity = "position", id = order.id, actor = "broker_service", skip_all, result = skip, changes(position),
    fields(
        ticker = order.ticker, side = order.side,
        quantity_before = |change| change.before.quantity, quantity_after = |change| change.after.quantity,
        avg_entry_before = |change| change.before.average_entry, avg_entry_after = |change| change.after.average_entry,
    ),
)]
fn book(position: &mut Position, order: &Order, price: f64) -> Result<Change, DeskError> {
    position.fill(order, price)
}

/// Positions in PostgreSQL, in a table of the application's own.
#[derive(Debug, Clone)]
pub struct Stored(PgPool);

impl Stored {
    /// Keeps positions by way of this pool.
    pub fn new(pool: PgPool) -> Self {
        Self(pool)
    }

    /// Makes the table, unless it is there.
    ///
    /// # Errors
    /// PostgreSQL cannot be reached, or does not allow it.
    pub async fn migrate(&self) -> Result<(), sqlx::Error> {
        let table = "CREATE TABLE IF NOT EXISTS positions (ticker text PRIMARY KEY, quantity float8 NOT NULL DEFAULT 0, \
                     average_entry float8 NOT NULL DEFAULT 0)";
        sqlx::query(table).execute(&self.0).await.map(|_| ())
    }
}

impl Positions for Stored {
    async fn get(&self, ticker: &str) -> Result<Position, DeskError> {
        let row: Option<(f64, f64)> = sqlx::query_as("SELECT quantity, average_entry FROM positions WHERE ticker = $1")
            .bind(ticker)
            .fetch_optional(&self.0)
            .await?;
        Ok(row.map(|(quantity, average_entry)| Position { quantity, average_entry }).unwrap_or_default())
    }

    async fn fill(&self, order: &Order, price: f64) -> Result<Change, DeskError> {
        let mut tx = self.0.begin().await?;
        // The row is locked: of two fills at once the second sees what the first made of it.
        let (quantity, average_entry) = sqlx::query_as(
            "INSERT INTO positions (ticker) VALUES ($1) ON CONFLICT (ticker) DO UPDATE SET ticker = excluded.ticker \
             RETURNING quantity, average_entry",
        )
        .bind(&order.ticker)
        .fetch_one(&mut *tx)
        .await?;
        let mut position = Position { quantity, average_entry };
        let change = book_stored(&mut tx, &mut position, order, price).await?;
        tx.commit().await?;
        Ok(change)
    }
}

/// Books a fill in the caller's transaction: the event is there if and only if the position is.
#[audited(
    event = |change| position_event(change.before.quantity, change.after.quantity), err = "position.failed",
    entity = "position", id = order.id, actor = "broker_service", skip_all, result = skip,
    tx = tx, changes(position),
    fields(
        ticker = order.ticker, side = order.side,
        quantity_before = |change| change.before.quantity, quantity_after = |change| change.after.quantity,
        avg_entry_before = |change| change.before.average_entry, avg_entry_after = |change| change.after.average_entry,
    ),
)]
async fn book_stored(
    tx: &mut Transaction<'_, Postgres>,
    position: &mut Position,
    order: &Order,
    price: f64,
) -> Result<Change, DeskError> {
    let change = position.fill(order, price)?;
    sqlx::query("UPDATE positions SET quantity = $2, average_entry = $3 WHERE ticker = $1")
        .bind(&order.ticker)
        .bind(position.quantity)
        .bind(position.average_entry)
        .execute(&mut **tx)
        .await?;
    Ok(change)
}
