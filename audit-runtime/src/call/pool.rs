//! What calls know of themselves, kept by each thread for its next calls.

use super::about::About;
use super::active::{Active, Intent, Recorder};
use super::changes::Changes;
use super::kept::{self, Kept};
use crate::capture::Fields;
use std::cell::RefCell;

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
    active.about.clear();
    let bytes = active.fields.capacity();
    kept::give(&POOL, active, bytes);
}

#[cold]
fn new() -> Box<Active> {
    Box::new(Active {
        recorder: Recorder::Nobody,
        fields: Fields::new(Vec::with_capacity(1024)),
        changes: Changes::default(),
        about: About::nothing(),
        intent: Intent::None,
        outside: None,
        suspended: false,
        unpolled: false,
        in_doubt: false,
        fails: false,
    })
}
