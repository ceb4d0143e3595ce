//! The reader of arrivals.

use super::arrived::Arrived;
use super::entries;
use super::position::Position;
use super::rows::{Group, Read, read};
use crate::postgres::DatabaseError;
use crate::trail::EventFilter;
use sqlx::postgres::PgPool;

/// Leaves that are read at once.
const MOST: u32 = 500;
/// Bytes of events that are in memory at once.
const BUDGET: usize = 16 << 20;

/// Events that arrived one after another.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Portion {
    /// The events that match the filter, which may be none.
    pub events: Vec<Arrived>,
    /// The position behind them.
    pub position: Position,
}

/// Reads events in the order in which they arrived.
///
/// It reads what is committed, and what no running transaction can precede. So a transaction of any
/// program that stays open on the same server holds the reader back, and no event is missed.
///
/// ```no_run
/// use audit_runtime::feed::{Arrivals, Position};
/// use audit_runtime::trail::EventFilter;
/// # async fn print(pool: sqlx::PgPool) -> Result<(), audit_runtime::DatabaseError> {
/// let mut arrivals = Arrivals::new(pool, EventFilter::new().event("order.*"), Position::beginning());
/// while let Some(portion) = arrivals.next().await? {
///     for arrived in portion.events {
///         println!("{} stored at {}", arrived.event.id, arrived.stored_at);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Arrivals {
    pool: PgPool,
    filter: EventFilter,
    position: Position,
    most: u32,
    entries: Vec<entries::Entry>,
}

impl Arrivals {
    /// Reads the events behind a position that match the conditions of a filter. Its order, cursors and
    /// limit do not apply.
    #[must_use]
    pub fn new(pool: PgPool, filter: EventFilter, position: Position) -> Self {
        Self { pool, filter, position, most: MOST, entries: Vec::new() }
    }

    /// Returns the position behind all that was returned.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Returns the next events, or `None` if no further event has arrived yet. A portion may have no
    /// event that matches.
    ///
    /// After an error, the next call reads the same events.
    ///
    /// # Errors
    /// The database cannot be reached, or does not allow it. Or the schema is older than version 11.
    pub async fn next(&mut self) -> Result<Option<Portion>, DatabaseError> {
        let portion = self.read().await;
        if portion.is_err() {
            self.entries.clear();
        }
        portion.map_err(DatabaseError::of)
    }

    async fn read(&mut self) -> Result<Option<Portion>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        if self.entries.is_empty() {
            let (position, entries) = entries::behind(&mut connection, &self.position).await?;
            self.position = position;
            self.entries = entries;
        }
        if self.entries.is_empty() {
            return Ok(None);
        }
        loop {
            let group = Group::of(&self.entries, self.position.leaves.unwrap_or(0), self.most);
            let budget = if self.most == 1 { usize::MAX } else { BUDGET };
            match read(&mut connection, &self.position, &group, &self.filter, budget).await? {
                Read::TooLarge => self.most = (self.most / 4).max(1),
                Read::Events(events, position) => {
                    let is_part = position.leaves.is_some();
                    let read = group.entries.len() - usize::from(is_part);
                    self.entries.drain(..read);
                    self.most = (self.most * 2).min(MOST);
                    self.position = position.clone();
                    return Ok(Some(Portion { events, position }));
                }
            }
        }
    }
}
