#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod audit;
mod blocking;
mod bounds;
mod builder;
mod calendar;
mod call;
mod capture;
mod changes;
mod clock;
mod context;
mod core;
mod error;
mod event;
mod event_data;
pub mod evidence;
pub mod execution;
#[cfg(any(fuzzing, test))]
#[cfg_attr(fuzzing, doc(hidden))]
pub mod fuzz;
mod gap;
mod ids;
mod journal;
mod json;
mod mask;
mod nul;
mod payload;
mod personal;
mod quarantine;
mod retention;
mod schema;
mod secret;
mod stats;
pub mod testing;
mod timestamp;
#[cfg(feature = "tower")]
pub mod tower;
mod trace;
mod trail;
mod url;
mod warning;
mod writer;

pub use self::core::RecordError;
pub use audit::{AlreadyInstalled, Audit, Receipt, ShutdownReport, StoreError};
pub use audit_macros::{AuditEvent, audited};
pub use bounds::Capture;
pub use builder::{Builder, StartError};
pub use context::{Context, Entered, InContext, Scoped, in_context};
pub use event::{
    AuditEvent, EntityId, Event, EventError, IntoEntityId, MAX_EVENT_TYPE, Outcome, UnknownOutcome, is_event_type,
};
pub use journal::{JournalError, JournalState, JournalStatus, Overflow, journals};
pub use json::{DeepJson, Json, JsonError, JsonNumber};
pub use personal::{Forgotten, MasterKey, MasterKeyError, forget};
pub use quarantine::{Quarantine, Quarantined, Retried};
pub use retention::{Prune, PruneError, Pruned};
pub use schema::{Duty, grant, make_partitions, migrate, migrate_telling};
/// The version of sqlx whose types this crate takes: pools, connections, options.
pub use sqlx;
pub use stats::Stats;
pub use timestamp::{Timestamp, TimestampError};
pub use trail::{Change, Cursor, CursorError, EventFilter, IntentState, Page, Trail, TrailEvent};
pub use writer::{ConnectOptions, FreshOptions, IntoConnectOptions};

/// What the expansion of `#[audited]` calls. Not for users: it may change with any version.
#[doc(hidden)]
pub mod __private {
    pub use crate::bounds::Capture;
    #[cfg(feature = "axum")]
    pub use crate::call::response::{AsItIs, ByResponse, IntoResponse, Response, into_response, ok_into_response};
    pub use crate::call::{
        ByCapture, ByFuture, ByName, ByOutcome, ByResult, BySerialize, ByTypeOutcome, Call, Ended, EndsInError, Fails,
        Fallible, Handed, Handover, InCall, Never, NoError, NoErrorBeside, Refusal, Refused, Returned, RowConnection,
        Shown, Site, SiteTexts, checked_event_type, ends_in_error, fails, fallible, late, late_condition, late_error,
        no_error, no_error_beside, refused, refused_by_type,
    };
    pub use crate::capture::Key;
    pub use crate::error::{ByDebug, ByDisplay, ByDyn, ByError, BySend, BySendSync, ByTypeName, Described, ErrorText};
    pub use crate::event_data::EventData;
    pub use ::core;
    pub use std::boxed::Box;

    pub use crate::journal::BenchedJournal;

    /// Looks for secrets as a captured value is looked through, for the benchmark of that.
    pub mod looking {
        /// Returns whether a name says secret.
        #[must_use]
        pub fn at_a_name(name: &str) -> bool {
            crate::secret::says_secret(name)
        }

        /// Returns whether the name of a field says secret, which is remembered.
        #[must_use]
        pub fn at_a_field(name: &'static str) -> bool {
            crate::mask::Mask::NONE.role_of_field(name) == crate::mask::Role::Secret
        }

        /// Returns the length of a text without the passwords of its URLs.
        #[must_use]
        pub fn at_a_text(text: &str) -> usize {
            if crate::url::may_hold_url(text.as_bytes()) { crate::url::mask_urls(text).len() } else { text.len() }
        }
    }

    /// The calendar of all times that PostgreSQL knows, for the command.
    pub mod calendar {
        pub use crate::calendar::{date, days, month_length};
    }

    /// The canonical form of a JSON text, for the tests that compare it with what PostgreSQL makes of the text.
    #[must_use]
    pub fn canonical_json(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        crate::evidence::canonical::Canonical::default().json(text.as_bytes(), &mut out).ok().map(|()| out)
    }
}
