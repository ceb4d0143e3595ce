//! What calls know of themselves, kept by each thread for its next calls.

use super::changes::Changes;
use super::kept::{self, Kept};
use super::{About, Active, Intent, Recorder};
use crate::capture::Fields;
use crate::clock::Moment;
use std::borrow::Cow;
use std::cell::RefCell;
use uuid::Uuid;

thread_local! {
    static POOL: Kept<Box<Active>> = const { RefCell::new(Vec::new()) };
}

/// That of some call that is over.
#[inline]
pub(super) fn take() -> Box<Active> {
    kept::take(&POOL, new)
}

/// Keeps it, without what others may wait for to be dropped.
#[inline]
pub(super) fn give(mut active: Box<Active>) {
    active.recorder = Recorder::Nobody;
    active.about.context = None;
    let bytes = active.fields.capacity();
    kept::give(&POOL, active, bytes);
}

#[cold]
fn new() -> Box<Active> {
    Box::new(Active {
        recorder: Recorder::Nobody,
        fields: Fields::new(Vec::with_capacity(1024)),
        changes: Changes::default(),
        about: About {
            id: Uuid::nil(),
            beginning: Moment::now(),
            event: Cow::Borrowed(""),
            error_event: Cow::Borrowed(""),
            entity: Cow::Borrowed(""),
            entity_id: None,
            actor: Cow::Borrowed(""),
            context: None,
            correlation: Uuid::nil(),
            causation: None,
            trace: None,
            is_personal: false,
        },
        intent: Intent::None,
        unwinding: false,
        unpolled: false,
        in_doubt: false,
    })
}
