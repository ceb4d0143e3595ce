//! The settings of a prune.

use super::filter::PruneFilter;
use super::kept::Kept;
use crate::event::{IntoEntityId, Timestamp};
use crate::record::Entity;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

/// The settings of a prune, which [`Admin::prune`](crate::admin::Admin::prune) runs.
///
/// ```no_run
/// use audit_runtime::Timestamp;
/// use audit_runtime::admin::{Admin, Prune, PruneError};
/// # async fn prune(pool: sqlx::PgPool) -> Result<(), PruneError> {
/// let before: Timestamp = "2020-01-01T00:00:00Z".parse().expect("a time");
/// let prune = Prune::new(before).archive("/archive/2019.ndjson");
/// let report = Admin::new(pool).actor("retention job").prune(&prune, |step| println!("{step}")).await?;
/// println!("{} rows in {} months", report.rows, report.months);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Prune {
    pub(super) before: Timestamp,
    pub(super) only: Option<PruneFilter>,
    pub(super) except: Vec<PruneFilter>,
    pub(super) archive: Option<Target>,
    pub(super) holds: Given,
    pub(super) ignore_findings: bool,
    pub(super) ignore_feeds: bool,
    pub(super) dry_run: bool,
}

/// The entities whose events this prune keeps: their types, their ids, and what others call them in
/// data.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    pub(super) types: Vec<String>,
    pub(super) ids: Vec<Uuid>,
    pub(super) names: Vec<String>,
}

/// Where the archives of a prune go.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// All rows to one file.
    One(PathBuf),
    /// The rows of each month to a file of its own, whose name has parts for year and month.
    ByMonth(String),
    /// A lake has the rows already.
    Kept(Arc<dyn Kept>),
}

impl Prune {
    /// Selects all months that end at this time or before.
    ///
    /// A part of a month is not pruned, unless [`only`](Self::only) or [`except`](Self::except) is
    /// set. Months are those of UTC.
    #[must_use]
    pub fn new(before: impl Into<Timestamp>) -> Self {
        Self {
            before: before.into(),
            only: None,
            except: Vec::new(),
            archive: None,
            holds: Given::default(),
            ignore_findings: false,
            ignore_feeds: false,
            dry_run: false,
        }
    }

    /// Prunes the events that match this filter and began before the time, to the day.
    ///
    /// Rows of other programs that no batch has sealed when the prune begins stay.
    #[must_use]
    pub fn only(mut self, filter: PruneFilter) -> Self {
        self.only = Some(filter);
        self
    }

    /// Leaves events out that match this filter, as those of a rule that comes first.
    ///
    /// Called again, it adds a filter. Like [`only`](Self::only), it prunes parts of months.
    #[must_use]
    pub fn except(mut self, filter: PruneFilter) -> Self {
        self.except.push(filter);
        self
    }

    /// Exports the rows to this file first, which must not exist.
    ///
    /// Each row is a line of JSON in the form of PostgreSQL's `row_to_json`. The file is read again
    /// before anything is removed.
    #[must_use]
    pub fn archive(mut self, path: impl Into<PathBuf>) -> Self {
        self.archive = Some(Target::One(path.into()));
        self
    }

    /// Exports the rows of each month to a file of its own.
    ///
    /// In the name, `%Y` and `%m` stand for the year and the month of the events, and `%%` for `%`. If
    /// a file of that name exists, the new one gets the next number, as in `2026-08-2.ndjson`.
    #[must_use]
    pub fn archive_by_month(mut self, pattern: impl Into<String>) -> Self {
        self.archive = Some(Target::ByMonth(pattern.into()));
        self
    }

    /// Compares the rows with those of a lake first, which must have all of them.
    #[doc(hidden)]
    #[must_use]
    pub fn kept(mut self, kept: Arc<dyn Kept>) -> Self {
        self.archive = Some(Target::Kept(kept));
        self
    }

    /// Keeps the events of this entity, be it a further one of an event, and those whose data name it
    /// as `<entity_type>_id`.
    ///
    /// An id is a `Uuid` or any key. They are kept by this prune only:
    /// [`Admin::add_hold`](crate::admin::Admin::add_hold) adds a hold that every prune respects.
    #[must_use]
    pub fn hold(mut self, entity_type: impl Into<String>, id: impl IntoEntityId) -> Self {
        let Entity { kind, id, key, .. } = Entity::new(entity_type.into(), &id);
        // No entity has no events.
        if let Some(id) = id {
            self.holds.types.push(kind);
            self.holds.ids.push(id);
            self.holds.names.push(key.unwrap_or_else(|| id.to_string()));
        }
        self
    }

    /// Prunes although verification finds problems. The event records how many.
    #[must_use]
    pub fn ignore_findings(mut self, yes: bool) -> Self {
        self.ignore_findings = yes;
        self
    }

    /// Prunes rows although a [feed](crate::feed) has not sent them, which it then misses.
    #[must_use]
    pub fn ignore_feeds(mut self, yes: bool) -> Self {
        self.ignore_feeds = yes;
        self
    }

    /// Reports the rows that a prune would remove, and changes nothing.
    #[must_use]
    pub fn dry_run(mut self, yes: bool) -> Self {
        self.dry_run = yes;
        self
    }

    /// Returns whether it prunes parts of months.
    pub(super) fn is_filtered(&self) -> bool {
        self.only.is_some() || !self.except.is_empty()
    }
}
