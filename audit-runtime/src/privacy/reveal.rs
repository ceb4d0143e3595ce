//! Personal values as readers see them.

use super::encrypted::encrypted;
#[cfg(not(feature = "personal"))]
use super::no_keys::{MasterKey, SubjectKey};
#[cfg(feature = "personal")]
use super::{master::MasterKey, value::SubjectKey};
use crate::capture::json::Json;
use crate::event::Outcome;
use crate::record::TrailEvent;
use sqlx::postgres::PgPool;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// Replaces a value whose key was destroyed.
const ERASED: &str = "[erased]";
/// Replaces a value whose key this process cannot unwrap.
const ENCRYPTED: &str = "[encrypted]";

/// A key as it was found.
enum Found {
    Key(SubjectKey),
    Wrapped,
    Destroyed,
}

/// Replaces what is encrypted in these events by what it is, or by why that is not to be seen.
///
/// # Errors
/// The database cannot be reached or does not allow it.
pub(crate) async fn reveal(
    pool: &PgPool,
    master: Option<&MasterKey>,
    events: &mut [TrailEvent],
) -> Result<(), sqlx::Error> {
    let values = |event: &TrailEvent| -> Vec<Uuid> {
        let fields = event.data.as_object().into_iter().flat_map(BTreeMap::values);
        fields.filter_map(encrypted).map(|(id, _)| id).collect()
    };
    let mut ids: Vec<Uuid> = events.iter().flat_map(values).collect();
    if ids.is_empty() {
        return Ok(());
    }
    ids.sort_unstable();
    ids.dedup();
    let rows: Vec<(Uuid, Option<Vec<u8>>)> =
        match sqlx::query_as("SELECT id, wrapped FROM audit_keys WHERE id = ANY ($1)").bind(&ids).fetch_all(pool).await
        {
            // A role that may not read the keys gets every encrypted value as encrypted.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42501") => {
                ids.iter().map(|id| (*id, Some(Vec::new()))).collect()
            }
            rows => rows?,
        };
    let found = |(id, wrapped): (Uuid, Option<Vec<u8>>)| {
        let found = match (wrapped, master) {
            (None, _) => Found::Destroyed,
            (Some(wrapped), Some(master)) => {
                master.unwrap(id, &wrapped).map_or(Found::Wrapped, |key| Found::Key(SubjectKey::new(id, key)))
            }
            (Some(_), None) => Found::Wrapped,
        };
        (id, found)
    };
    let keys: HashMap<Uuid, Found> = rows.into_iter().map(found).collect();
    for event in events {
        show(event, &keys);
    }
    Ok(())
}

fn show(event: &mut TrailEvent, keys: &HashMap<Uuid, Found>) {
    // The event of an interruption repeats the values of the call's intent, encrypted under the
    // intent's id.
    let sources = [Some(event.id), event.causation_id.filter(|_| event.outcome == Outcome::Interrupted)];
    let Some(fields) = event.data.as_object_mut() else {
        return;
    };
    for (name, value) in fields {
        let Some((id, text)) = encrypted(value) else {
            continue;
        };
        *value = match keys.get(&id) {
            // A value that only looks encrypted is shown as it was recorded.
            None => continue,
            Some(Found::Destroyed) => Json::from(ERASED),
            Some(Found::Wrapped) => Json::from(ENCRYPTED),
            Some(Found::Key(key)) => {
                match sources.iter().flatten().find_map(|event_id| key.decrypt(*event_id, name, text)) {
                    Some(value) => value,
                    None => continue,
                }
            }
        };
    }
}
