//! The personal values of an event, each encrypted by the key of its subject.

#[cfg(feature = "personal")]
use super::keys::SubjectKeys;
#[cfg(not(feature = "personal"))]
use super::no_keys::SubjectKeys;
use crate::capture::mask::REDACTED;
use crate::record::EventRef;
use crate::record::payload;
use std::collections::BTreeSet;

/// Adds the subjects of an event's personal values.
pub(crate) fn subjects(event: &EventRef<'_>, subjects: &mut BTreeSet<String>) {
    event.replaced(&mut |mark| {
        if let Some(subject) = mark.subject.filter(|subject| !subjects.contains(*subject)) {
            subjects.insert(subject.to_owned());
        }
        String::new()
    });
}

/// Encodes the event as it is stored. Values without a key are redacted.
///
/// It returns whether a subject's own key could not be unwrapped.
pub(crate) fn encrypt(event: &EventRef<'_>, keys: &SubjectKeys, bytes: &mut Vec<u8>) -> bool {
    let mut is_rekeyed = false;
    let parts = event.replaced(&mut |mark| {
        is_rekeyed |= mark.subject.is_some_and(|subject| keys.is_unreadable(subject));
        match mark.subject.and_then(|subject| keys.of(subject)) {
            Some(key) => key.encrypt(event.id, mark.name, mark.value),
            None => format!("{REDACTED:?}"),
        }
    });
    payload::encode(bytes, &event.with(&parts, false));
    is_rekeyed
}
