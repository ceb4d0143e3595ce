//! What calls know of themselves, kept by each thread for its next calls.

use super::changes::Changes;
use super::{About, Active, Intent, Recorder};
use crate::capture::Fields;
use crate::clock::Moment;
use std::borrow::Cow;
use std::cell::RefCell;
use uuid::Uuid;

/// How many are kept, and the largest buffer that is worth keeping.
const KEPT: usize = 8;
const KEPT_BYTES: usize = 128 * 1024;

thread_local! {
    #[allow(clippy::vec_box, reason = "a call holds the box, and moves no more than that")]
    static POOL: RefCell<Vec<Box<Active>>> = const { RefCell::new(Vec::new()) };
}

/// That of some call that is over.
#[inline]
pub(super) fn take() -> Box<Active> {
    POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten().unwrap_or_else(new)
}

/// Keeps it, without what others may wait for to be dropped.
#[inline]
pub(super) fn give(mut active: Box<Active>) {
    active.recorder = Recorder::Nobody;
    active.about.context = None;
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        if pool.len() < KEPT && active.fields.capacity() <= KEPT_BYTES {
            pool.push(active);
        }
    });
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
