//! Annotated functions.

use crate::record::payload::EncodedTexts;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The facts about an annotated function that are known at compile time.
///
/// Its static is the function's entry in the catalogue as well.
#[derive(Debug)]
pub struct Site {
    /// The path of the function.
    pub function: &'static str,
    /// The event type, or empty if only the call knows it.
    pub event: &'static str,
    /// The event type of a call that did not return `Ok`, or empty.
    pub error_event: &'static str,
    /// The entity type, or empty if it is not a literal.
    pub entity: &'static str,
    /// The actor, or empty if it is not a literal.
    pub actor: &'static str,
    /// Whether an intent precedes each call.
    pub intent: bool,
    /// Its description in the catalogue: `catalogue/about.rs` has the grammar.
    pub about: &'static str,
    /// The texts that its first call encodes for those that follow.
    pub texts: SiteTexts,
    pub(super) unnamed: Unnamed,
}

impl Site {
    /// Makes a site that no call has passed.
    #[must_use]
    pub const fn new(function: &'static str, texts: [&'static str; 4], intent: bool, about: &'static str) -> Self {
        let [event, error_event, entity, actor] = texts;
        let unnamed = Unnamed::new();
        Self { function, event, error_event, entity, actor, intent, about, texts: SiteTexts::new(), unnamed }
    }
}

/// The texts that most events of a function have in common, as they stand in the journal.
#[derive(Debug, Default)]
pub struct SiteTexts(pub(super) OnceLock<EncodedTexts>);

impl SiteTexts {
    /// Makes texts that no call has encoded yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }
}

/// The version of the rules of which none is about a function's event types.
///
/// Handles with policies of their own overwrite each other's. That costs time only.
#[derive(Debug)]
pub(super) struct Unnamed(AtomicU64);

impl Unnamed {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    #[inline]
    pub(super) fn is_known(&self, version: u64) -> bool {
        self.0.load(Ordering::Relaxed) == version
    }

    pub(super) fn learn(&self, version: u64) {
        self.0.store(version, Ordering::Relaxed);
    }
}
