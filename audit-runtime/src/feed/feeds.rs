//! The feeds that the database knows, and how far each has come.

use super::position::Position;
use super::start::Start;
use crate::event::Timestamp;
use crate::postgres::{DatabaseError, session};
use sqlx::Connection;
use sqlx::FromRow;
use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

/// The feeds of a trail.
///
/// ```no_run
/// use audit_runtime::feed::Feeds;
/// # async fn show(pool: sqlx::PgPool) -> Result<(), audit_runtime::DatabaseError> {
/// for feed in Feeds::new(pool).list().await? {
///     println!("{}: {} events sent to {}", feed.name, feed.sent, feed.target);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Feeds {
    pool: PgPool,
}

/// A feed as it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFeed {
    /// The name.
    pub name: String,
    /// The target in words, without secrets.
    pub target: String,
    /// The form of events.
    pub form: String,
    /// The conditions on events in words, or an empty text.
    pub conditions: String,
    /// The point at which the feed begins if the database does not know it.
    pub start: Start,
}

/// A feed as the database knows it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
#[non_exhaustive]
pub struct FeedState {
    /// The name.
    pub name: String,
    /// The target in words.
    pub target: String,
    /// The form of events.
    pub form: String,
    /// The conditions on events in words, or an empty text.
    pub conditions: String,
    /// The position as a text.
    pub position: String,
    /// The number of events that the target has taken.
    pub sent: i64,
    /// The number of events that the target has refused.
    pub set_aside: i64,
    /// Whether the feed waits until it is resumed.
    pub paused: bool,
    /// The reason why the feed waits.
    pub waits_for: Option<String>,
    /// The time at which the feed was made.
    pub created_at: Timestamp,
    /// The time at which it last came further.
    pub moved_at: Option<Timestamp>,
}

/// An event that the target of a feed refused.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
#[non_exhaustive]
pub struct SetAside {
    /// The event.
    pub event_id: Uuid,
    /// The time at which the event began.
    pub event_at: Timestamp,
    /// The reason of the target.
    pub error: String,
    /// The time at which the target refused it.
    pub created_at: Timestamp,
}

impl SetAside {
    /// Creates the note of an event that was refused now.
    #[must_use]
    pub fn new(event_id: Uuid, event_at: Timestamp, error: impl Into<String>) -> Self {
        Self { event_id, event_at, error: error.into(), created_at: Timestamp::now() }
    }
}

/// The reason a feed does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// Another process runs it.
    #[error("another process runs the feed {0}")]
    Running(String),
    /// It was moved or removed by somebody else.
    #[error("the feed {0} was moved or removed meanwhile")]
    Moved(String),
    /// The database has a position that this program does not know.
    #[error("the feed {0} has a position of another version; use a newer audit-trail")]
    Position(String),
    /// No feed has the name.
    #[error("no feed is named {0}; audit-trail feed list shows all")]
    Unknown(String),
    /// The database cannot be reached, does not allow it, or fails.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<sqlx::Error> for FeedError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(DatabaseError::of(error))
    }
}

const COLUMNS: &str =
    "name, target, form, conditions, position, sent, set_aside, paused, waits_for, created_at, moved_at";

impl Feeds {
    /// Creates the list of feeds of the trail that this pool reaches.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Returns all feeds by their names.
    ///
    /// # Errors
    /// The database cannot be reached, or does not allow it.
    pub async fn list(&self) -> Result<Vec<FeedState>, DatabaseError> {
        let sql = format!("SELECT {COLUMNS} FROM audit_feeds ORDER BY name");
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await.map_err(DatabaseError::of)
    }

    /// Opens a feed for this process alone, and makes it if the database does not know it.
    ///
    /// # Errors
    /// Another process runs the feed, or the database cannot be reached or does not allow it.
    pub async fn open(&self, feed: &NewFeed) -> Result<OpenFeed, FeedError> {
        let mut connection = session::own(&self.pool).await?;
        let is_ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('audit-feed:' || $1, 0))")
            .bind(&feed.name)
            .fetch_one(&mut connection)
            .await?;
        if !is_ours {
            let _ = connection.close().await;
            return Err(FeedError::Running(feed.name.clone()));
        }
        let begin = Position::find(&mut connection, feed.start).await?;
        sqlx::query(
            "INSERT INTO audit_feeds (name, target, form, conditions, position) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) \
             DO UPDATE SET target = excluded.target, form = excluded.form, conditions = excluded.conditions, waits_for = NULL, \
             has_taken = audit_feeds.has_taken AND audit_feeds.target = excluded.target AND audit_feeds.form = excluded.form",
        )
        .bind(&feed.name)
        .bind(&feed.target)
        .bind(&feed.form)
        .bind(&feed.conditions)
        .bind(begin.to_string())
        .execute(&mut connection)
        .await?;
        let (position, is_paused, has_taken): (String, bool, bool) =
            sqlx::query_as("SELECT position, paused, has_taken FROM audit_feeds WHERE name = $1")
                .bind(&feed.name)
                .fetch_one(&mut connection)
                .await?;
        let position = position.parse().map_err(|_| FeedError::Position(feed.name.clone()))?;
        Ok(OpenFeed { connection, name: feed.name.clone(), position, is_paused, has_taken, waits_for: None })
    }

    /// Has a feed wait, or go on.
    ///
    /// # Errors
    /// No feed has the name, or the database cannot be reached or does not allow it.
    pub async fn pause(&self, name: &str, is_paused: bool) -> Result<(), FeedError> {
        let done = sqlx::query("UPDATE audit_feeds SET paused = $2 WHERE name = $1")
            .bind(name)
            .bind(is_paused)
            .execute(&self.pool)
            .await?;
        if done.rows_affected() == 0 { Err(FeedError::Unknown(name.to_owned())) } else { Ok(()) }
    }

    /// Has a feed go on at another point, and forgets what it has set aside.
    ///
    /// A process that runs the feed begins there, too.
    ///
    /// # Errors
    /// No feed has the name, or the database cannot be reached or does not allow it.
    pub async fn rewind(&self, name: &str, start: Start) -> Result<(), FeedError> {
        let mut transaction = self.pool.begin().await?;
        let position = Position::find(&mut transaction, start).await?;
        let done = sqlx::query("UPDATE audit_feeds SET position = $2, moved_at = now() WHERE name = $1")
            .bind(name)
            .bind(position.to_string())
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Err(FeedError::Unknown(name.to_owned()));
        }
        sqlx::query("DELETE FROM audit_set_aside WHERE feed = $1").bind(name).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Removes a feed. Only the owner of the tables may.
    ///
    /// # Errors
    /// No feed has the name, or the database cannot be reached or does not allow it.
    pub async fn remove(&self, name: &str) -> Result<(), FeedError> {
        let done = sqlx::query("DELETE FROM audit_feeds WHERE name = $1").bind(name).execute(&self.pool).await?;
        if done.rows_affected() == 0 { Err(FeedError::Unknown(name.to_owned())) } else { Ok(()) }
    }

    /// Returns the events that the target of a feed refused, the first one first, at most 10,000.
    ///
    /// # Errors
    /// The database cannot be reached, or does not allow it.
    pub async fn set_aside(&self, name: &str) -> Result<Vec<SetAside>, DatabaseError> {
        sqlx::query_as(
            "SELECT event_id, event_at, error, created_at FROM audit_set_aside WHERE feed = $1 ORDER BY created_at, event_id LIMIT 10000",
        )
        .bind(name)
        .fetch_all(&self.pool)
        .await
        .map_err(DatabaseError::of)
    }
}

/// A feed that this process runs. Its session holds a lock until it is closed.
#[derive(Debug)]
pub struct OpenFeed {
    connection: PgConnection,
    name: String,
    position: Position,
    is_paused: bool,
    has_taken: bool,
    waits_for: Option<String>,
}

impl OpenFeed {
    /// Returns the position behind what the target has.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Returns whether the feed was paused when it was last saved or looked at.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Returns whether this target has ever taken an event in this form.
    #[must_use]
    pub fn has_taken(&self) -> bool {
        self.has_taken
    }

    /// Saves that the target has all events up to a position, except those that it refused.
    ///
    /// # Errors
    /// Somebody else moved or removed the feed, or the database fails. Then nothing is saved.
    pub async fn save(&mut self, position: &Position, sent: u64, refused: &[SetAside]) -> Result<(), FeedError> {
        let mut transaction = self.connection.begin().await?;
        let paused: Option<bool> = sqlx::query_scalar(
            "UPDATE audit_feeds SET position = $3, sent = sent + $4, set_aside = set_aside + $5, moved_at = now(), waits_for = NULL, \
             has_taken = has_taken OR $4 > 0 WHERE name = $1 AND position = $2 RETURNING paused",
        )
        .bind(&self.name)
        .bind(self.position.to_string())
        .bind(position.to_string())
        .bind(sent.cast_signed())
        .bind(refused.len() as i64)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(paused) = paused else {
            return Err(FeedError::Moved(self.name.clone()));
        };
        for refused in refused {
            sqlx::query(
                "INSERT INTO audit_set_aside (feed, event_id, event_at, error) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            )
            .bind(&self.name)
            .bind(refused.event_id)
            .bind(refused.event_at)
            .bind(refused.error.replace('\0', ""))
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        self.position = position.clone();
        self.is_paused = paused;
        self.has_taken |= sent > 0;
        self.waits_for = None;
        Ok(())
    }

    /// Looks whether the feed is paused or was moved, and notes the reason why it waits, if it does.
    ///
    /// # Errors
    /// Somebody else moved or removed the feed, or the database fails.
    pub async fn look(&mut self, waits_for: Option<&str>) -> Result<(), FeedError> {
        if self.waits_for.as_deref() != waits_for {
            sqlx::query("UPDATE audit_feeds SET waits_for = $2 WHERE name = $1")
                .bind(&self.name)
                .bind(waits_for.map(|reason| reason.replace('\0', "")))
                .execute(&mut self.connection)
                .await?;
            self.waits_for = waits_for.map(str::to_owned);
        }
        let state: Option<(String, bool)> = sqlx::query_as("SELECT position, paused FROM audit_feeds WHERE name = $1")
            .bind(&self.name)
            .fetch_optional(&mut self.connection)
            .await?;
        match state {
            Some((position, paused)) if position == self.position.to_string() => {
                self.is_paused = paused;
                Ok(())
            }
            _ => Err(FeedError::Moved(self.name.clone())),
        }
    }

    /// Ends the session, and with it the lock.
    pub async fn close(self) {
        let _ = self.connection.close().await;
    }
}
