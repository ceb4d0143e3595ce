//! Personal values as readers see them.

use super::encrypted::{ENCRYPTED_FORM, encrypted};
#[cfg(not(feature = "personal"))]
use super::no_keys::{MasterKey, SubjectKey};
#[cfg(feature = "personal")]
use super::{master::MasterKey, value::SubjectKey};
use crate::capture::json::Json;
use crate::capture::personal::{BELOW, CHANGES};
use crate::event::Outcome;
use crate::record::TrailEvent;
use sqlx::postgres::PgPool;
use std::collections::HashMap;
use uuid::Uuid;

/// Replaces a value whose key was destroyed.
const ERASED: &str = "[erased]";
/// Replaces a value whose key this process cannot unwrap.
const ENCRYPTED: &str = "[encrypted]";

/// The levels below a change at which a value may be: a path in it, `from` or `to`.
const DEEPER: usize = 2;

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
    let mut ids = Vec::new();
    for event in &mut *events {
        each_encrypted(event, &mut |_, id, _| {
            ids.push(id);
            None
        });
    }
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
    each_encrypted(event, &mut |name, id, text| match keys.get(&id)? {
        Found::Destroyed => Some(ERASED.into()),
        Found::Wrapped => Some(ENCRYPTED.into()),
        Found::Key(key) => sources.iter().flatten().find_map(|event_id| key.decrypt(*event_id, name, text)),
    });
}

/// Puts a value in the place of an encrypted one, unless there is none: a value that only looks
/// encrypted is shown as it was recorded.
type Shown<'a> = &'a mut dyn FnMut(&str, Uuid, &str) -> Option<Json>;

/// Visits the encrypted values of an event by their names, which are those of their marks.
fn each_encrypted(event: &mut TrailEvent, show: Shown<'_>) {
    within(&mut event.data, "", 0, show);
    if let Some(changes) = event.data.as_object_mut().and_then(|fields| fields.get_mut(CHANGES)) {
        within(changes, CHANGES, DEEPER, show);
    }
    if let Some(context) = &mut event.context {
        within(context, "context", 0, show);
    }
    if event.actor.starts_with(ENCRYPTED_FORM)
        && let Some(actor) = event.actor.parse().ok().and_then(|actor: Json| {
            let (id, text) = encrypted(&actor)?;
            show(&format!("{BELOW}actor"), id, text)
        })
    {
        event.actor = actor.as_str().map_or_else(|| actor.to_string(), str::to_owned);
    }
}

/// Visits the members of an object, and as many levels below them.
fn within(object: &mut Json, path: &str, levels: usize, show: Shown<'_>) {
    for (name, value) in object.as_object_mut().into_iter().flatten() {
        let below = if path.is_empty() { name.clone() } else { format!("{path}{BELOW}{name}") };
        match encrypted(value) {
            Some((id, text)) => {
                if let Some(shown) = show(&below, id, text) {
                    *value = shown;
                }
            }
            None if levels > 0 => within(value, &below, levels - 1, show),
            None => {}
        }
    }
}
