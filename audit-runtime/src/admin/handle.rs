//! The handle of administration.

use sqlx::postgres::PgPool;

/// Administers a trail in PostgreSQL.
///
/// ```no_run
/// use audit_runtime::DatabaseError;
/// use audit_runtime::admin::{Admin, Role};
/// # async fn set_up(pool: sqlx::PgPool) -> Result<(), DatabaseError> {
/// let admin = Admin::new(pool);
/// admin.migrate().await?;
/// admin.grant(Role::Writer, "desk").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Admin {
    pub(super) pool: PgPool,
    /// The actor of the events that report administration.
    pub(super) actor: Option<String>,
    /// Whether migrations include the indexes for other readers of the trading vocabulary.
    pub(super) execution: bool,
}

#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
impl Admin {
    /// Creates a handle that administers the trail this pool reaches.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool, actor: None, execution: false }
    }

    /// Includes the indexes of `data->>'order_id'` and `data->>'recommendation_id'` in migrations.
    ///
    /// They are for other programs that read the vocabulary of [`execution`](crate::execution) with
    /// these expressions. The library's own queries do not need them. They slow down the storing of
    /// events, above all where many events have one order. Once made, they stay.
    #[must_use]
    pub fn with_execution(mut self) -> Self {
        self.execution = true;
        self
    }

    /// Sets the actor of the events that administration records.
    ///
    /// By default, it is the role of the database session.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }
}
