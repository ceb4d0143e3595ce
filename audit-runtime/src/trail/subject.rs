//! All that is on record about a person.

use super::cursor::Cursor;
use super::read::Trail;
use super::row::columns;
use crate::capture::nul::without_nul_escapes;
use crate::event::Timestamp;
use crate::postgres::DatabaseError;
use crate::postgres::failure::is_not_allowed;
use crate::privacy::key_ids;
use crate::record::{Entity, TrailEvent};
use futures_util::stream::{self, Stream, TryStreamExt};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

/// The events of one page.
const PAGE: usize = 1_000;

/// The events about a person: see [`Trail::subject`].
#[derive(Debug, Clone)]
pub struct SubjectTrail {
    trail: Trail,
    subject: String,
    entity: Option<Entity>,
    /// The keys that encrypt the person's values, as texts.
    keys: Option<Vec<String>>,
}

impl Trail {
    /// Finds the events about a person, who is named as in `subject = ..`: for a subject access
    /// request.
    ///
    /// An event is about `customer:42` in one of these cases:
    ///
    /// * its entity or one of its targets is the customer with the id or key 42
    /// * it has a personal value of that subject, wherever in the event
    /// * its actor is `customer:42`, or that text is a value in its data or context, at any depth
    /// * its data name the person as `"customer_id": 42`
    ///
    /// Personal values are found by the keys that encrypt them. Once the person is forgotten, no
    /// key names it, and these events are no longer found by their values.
    ///
    /// ```no_run
    /// # use audit_runtime::trail::Trail;
    /// # use futures_util::TryStreamExt;
    /// # async fn print(trail: Trail) -> Result<(), audit_runtime::DatabaseError> {
    /// let mut events = Box::pin(trail.subject("customer:42").await?.stream());
    /// while let Some(event) = events.try_next().await? {
    ///     println!("{} {} {}", event.created_at, event.event_type, event.data);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The database cannot be reached.
    #[cfg_attr(docsrs, doc(cfg(feature = "personal")))]
    pub async fn subject(&self, subject: &str) -> Result<SubjectTrail, DatabaseError> {
        let keys = match key_ids(&self.pool, subject).await {
            Ok(keys) => Some(keys.iter().map(Uuid::to_string).collect()),
            Err(error) if is_not_allowed(&error) => None,
            Err(error) => return Err(DatabaseError::of(error)),
        };
        let entity = subject.split_once(':').map(|(kind, key)| Entity::new(kind.to_owned(), key));
        Ok(SubjectTrail { trail: self.clone(), subject: subject.to_owned(), entity, keys })
    }
}

impl SubjectTrail {
    /// Returns whether events are found by their personal values, too.
    ///
    /// That needs the column `subject` of `audit_keys`, which only the tables' owner may read by
    /// default.
    #[must_use]
    pub fn finds_personal_values(&self) -> bool {
        self.keys.is_some()
    }

    /// Streams the events, each once and oldest first.
    ///
    /// It reads the whole trail, in pages. Any number of events needs the memory of one page.
    pub fn stream(&self) -> impl Stream<Item = Result<TrailEvent, DatabaseError>> + Send + 'static + use<> {
        let subject = self.clone();
        let pages = stream::try_unfold(Some(None), move |after: Option<Option<Cursor>>| {
            let subject = subject.clone();
            async move {
                let Some(after) = after else {
                    return Ok::<_, DatabaseError>(None);
                };
                let events = subject.page(after).await.map_err(DatabaseError::of)?;
                let next = events.last().filter(|_| events.len() == PAGE).map(|last| Some(Cursor::of(last)));
                let events = subject.trail.shown(events).await.map_err(DatabaseError::of)?;
                Ok(Some((stream::iter(events.into_iter().map(Ok)), next)))
            }
        });
        pages.try_flatten()
    }

    async fn page(&self, after: Option<Cursor>) -> Result<Vec<TrailEvent>, sqlx::Error> {
        let mut query = QueryBuilder::<Postgres>::new(columns!());
        let (created_at, id) =
            after.map_or((Timestamp::NEG_INFINITY, Uuid::nil()), |after| (after.created_at, after.id));
        // An event with this time and id precedes the first page. No program makes one.
        query.push("(created_at, id) > (").push_bind(created_at).push(", ").push_bind(id).push(") AND (actor = ");
        query.push_bind(self.subject.clone());
        let value = serde_json::json!({ "subject": self.subject }).to_string();
        for column in ["data", "context"] {
            query.push(" OR jsonb_path_exists(").push(column).push(", 'strict $.** ? (@ == $subject)', ");
            query.push_bind(without_nul_escapes(&value).into_owned()).push("::jsonb)");
        }
        if let Some(entity) = &self.entity {
            query.push(" OR entity_type = ").push_bind(entity.kind.clone());
            query.push(" AND entity_id = ANY (").push_bind(entity.ids()).push(")");
            query.push(" OR targets @> ").push_bind(entity.target()).push("::jsonb");
            let name = entity.key.clone().or_else(|| entity.id.map(|id| id.to_string()));
            query.push(" OR data ->> ").push_bind(format!("{}_id", entity.kind)).push(" = ").push_bind(name);
            if let Some(old) = entity.old_data() {
                let old = without_nul_escapes(&old.storable().to_string()).into_owned();
                query.push(" OR entity_type = ").push_bind(entity.kind.clone());
                query.push(" AND entity_id IS NULL AND data @> ").push_bind(old).push("::jsonb");
            }
        }
        if let Some(keys) = self.keys.as_ref().filter(|keys| !keys.is_empty()) {
            query.push(" OR EXISTS (SELECT FROM unnest(").push_bind(keys.clone());
            query.push("::text[]) AS k (id) WHERE strpos(concat(data, context, actor), k.id) > 0)");
        }
        query.push(") ORDER BY created_at, id LIMIT ").push_bind(PAGE as i64);
        query.build_query_as().persistent(false).fetch_all(&self.trail.pool).await
    }
}
