//! The history of an entity: the values of its fields over time, and its state as of a moment.

use super::filter::EventFilter;
use super::fold::{FieldChange, FieldState, Fold, is_of};
use super::read::Trail;
use crate::event::{IntoEntityId, IntoTenant, Timestamp};
use crate::postgres::DatabaseError;
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use std::pin::pin;

/// The events of one query.
const PAGE: u32 = 500;

/// The recorded changes of one entity, which [`Trail::history`] names.
#[derive(Debug, Clone)]
#[must_use = "a history does nothing until it is asked for changes or a state"]
pub struct History {
    trail: Trail,
    filter: EventFilter,
    field: Option<String>,
}

impl Trail {
    /// Names the history of an entity, by its id or its own key.
    ///
    /// The history consists of what the entity's own events report in `data.changes`: the argument
    /// `changes(..)` of `#[audited]` records that, and any program may write
    /// `{"changes": {"status": {"from": "open", "to": "closed"}}}`.
    ///
    /// ```no_run
    /// # use audit_runtime::Timestamp;
    /// # use audit_runtime::trail::Trail;
    /// # async fn print(trail: Trail) -> Result<(), Box<dyn std::error::Error>> {
    /// use futures_util::TryStreamExt;
    ///
    /// let mut changes = std::pin::pin!(trail.history("account", 42).field("limit_cents").changes());
    /// while let Some(change) = changes.try_next().await? {
    ///     println!("{} {}: {:?} to {:?} by {}", change.by.at, change.field, change.from, change.to, change.by.actor);
    /// }
    /// for field in trail.history("account", 42).as_of("2026-05-01T00:00:00Z".parse::<Timestamp>()?).await? {
    ///     println!("{}: {:?}", field.field, field.value);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn history(&self, entity_type: &str, entity_id: impl IntoEntityId) -> History {
        // Every event with changes contains them as an object.
        let changes: crate::capture::Json =
            [("changes", crate::capture::Json::Object([].into()))].into_iter().collect();
        let filter = EventFilter::new().entity(entity_type, entity_id).data(changes).limit(PAGE);
        History { trail: self.clone(), filter, field: None }
    }
}

impl History {
    /// Selects one field, by its name or by the way to it: `limit_cents`, `account.limit_cents`.
    ///
    /// A field below the selected one is part of it.
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Selects changes that are about data of this tenant.
    pub fn tenant(mut self, tenant: impl IntoTenant) -> Self {
        self.filter = self.filter.tenant(tenant);
        self
    }

    /// Streams the changes, oldest first.
    ///
    /// It keeps the last value of each field in memory, and one page of events.
    ///
    /// # Errors
    /// A query fails. The stream ends then.
    pub fn changes(self) -> impl Stream<Item = Result<FieldChange, DatabaseError>> + Send + 'static {
        let Self { trail, filter, field } = self;
        let mut fold = Fold::default();
        let changes = trail.stream(filter).map_ok(move |event| {
            let mut changes = fold.take(&event);
            changes.retain(|change| field.as_deref().is_none_or(|field| is_of(&change.field, field)));
            stream::iter(changes.into_iter().map(Ok))
        });
        changes.try_flatten()
    }

    /// Returns the entity's fields at a time, by their paths. It is empty if no event reports a
    /// change.
    ///
    /// A change counts from the time at which its call began. The value before the first change of
    /// a field is the one that this change found. If no event reports a value, it is
    /// [`FieldValue::Unknown`](super::FieldValue::Unknown): after a call that failed, where leaves
    /// were left out, within lists, and where the next change found another value than the last one
    /// left. A field that never changed is not contained.
    ///
    /// # Errors
    /// A query fails.
    pub async fn as_of(self, time: impl Into<Timestamp>) -> Result<Vec<FieldState>, DatabaseError> {
        let time = time.into();
        let mut fold = Fold::default();
        let mut events = pin!(self.trail.stream(self.filter).fuse());
        while let Some(event) = events.try_next().await? {
            if event.created_at <= time {
                fold.take(&event);
            } else {
                fold.settle(&event);
            }
        }
        let mut state = fold.state();
        state.retain(|state| self.field.as_deref().is_none_or(|field| is_of(&state.field, field)));
        Ok(state)
    }
}
