//! What calls that are under way know of themselves, kept by each thread for its next calls.

use super::{Changes, Intent, State};
use crate::capture::Fields;
use crate::clock::Moment;
use std::borrow::Cow;
use std::cell::RefCell;
use uuid::Uuid;

/// How many are kept, and the largest buffer that is worth keeping.
const KEPT: usize = 8;
const KEPT_BYTES: usize = 128 * 1024;

thread_local! {
    static STATES: RefCell<Vec<Box<State>>> = const { RefCell::new(Vec::new()) };
}

/// A state of some call that is over.
pub(super) fn take() -> Box<State> {
    STATES.try_with(|states| states.borrow_mut().pop()).ok().flatten().unwrap_or_else(new)
}

/// Keeps it, without what others may wait for to be dropped.
pub(super) fn give(mut state: Box<State>) {
    state.context = None;
    let _ = STATES.try_with(|states| {
        let mut states = states.borrow_mut();
        if states.len() < KEPT && state.fields.capacity() <= KEPT_BYTES {
            states.push(state);
        }
    });
}

#[cold]
fn new() -> Box<State> {
    Box::new(State {
        fields: Fields::new(Vec::with_capacity(1024)),
        id: Uuid::nil(),
        intent: Intent::None,
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
        changes: Changes::default(),
        unwinding: false,
        unpolled: false,
        is_personal: false,
        in_doubt: false,
    })
}
