//! Records each call of an annotated function as one row of `audit_events` in PostgreSQL.
//!
//! ```
//! use audit_runtime::{Audit, audited};
//! use std::time::Duration;
//!
//! #[audited(event = "order.submitted", err = "order.rejected", id = none, actor = "user:ada")]
//! fn submit(ticker: &str, quantity: u32) -> Result<u32, String> {
//!     if quantity > 100 { Err("at most 100 shares".into()) } else { Ok(quantity) }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Prints each event to standard error. With a database: Audit::builder().postgres(url).journal("/var/lib/desk/audit")
//! let audit = Audit::builder().print().start()?;
//! audit.install()?;
//! let _ = submit("ACME", 10);
//! audit.shutdown_blocking(Duration::from_secs(1))?;
//! # Ok(())
//! # }
//! ```
//!
//! The caller writes the event into a journal, a memory-mapped file that survives the process, and
//! continues. A thread of the library ships the journal to PostgreSQL, exactly once.
//!
//! # Modules
//!
//! | where | what |
//! | --- | --- |
//! | the root | what every user touches: [`audited`], [`Audit`], [`Context`], [`Event`], [`Json`], [`Timestamp`], and their errors |
//! | [`trail`] | reading back: [`trail::Trail`] and the [`trail::TrailEvent`]s that it returns |
//! | [`admin`] | [`admin::Admin`]: tables, roles, partitions, retention, the quarantine; [`admin::journals`] |
//! | [`feed`] | events in the order in which they arrived, and the positions of feeds |
//! | [`evidence`] | keys, checkpoints, verification and proofs |
//! | [`mod@catalogue`] | what [`catalogue()`] lists: each annotated function, and what it records |
//! | [`policy`] | the rules of a [`Builder::policy`]: which events are recorded, and how much of each |
//! | [`testing`] | tests of audited code without a database |
//! | [`execution`] | the event types and events of a trading system |
//! | [`tower`] | a layer that puts the context of each HTTP request in force |
//!
//! # Features
//!
//! Without default features, the crate is the annotating half: macro, capture, context, journal,
//! probe and [`Builder::print`]. A library depends on that alone, and the application chooses where
//! the library's events go.
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `policy` (default) | [`Builder::policy`]: a file of rules, by `toml` and `wildmatch` |
//! | `postgres` (default) | the writer, reading back, administration, `tx` by sqlx. Pools and connections are those of sqlx 0.9, which is exported as [`sqlx`] |
//! | `tls` (default) | TLS connections to PostgreSQL, by rustls and the system's certificates. Implies `postgres` |
//! | `evidence` | signed checkpoints, verification, proofs, and retention, which verifies what it prunes. Implies `postgres` |
//! | `timestamp` | time stamps of checkpoints by RFC 3161. Implies `evidence` |
//! | `personal` | encryption of `personal(..)` values by keys of their subjects. Without it, such values are recorded as `"[redacted]"`. Implies `postgres` |
//! | `actix-web` | HTTP responses (actix-web 4): the status is the result of a call and decides its outcome |
//! | `axum` | HTTP responses (axum 0.8, `http` 1): the status is the result of a call and decides its outcome. Extractors are [`Captured`] |
//! | `sqlx08`, `tokio-postgres`, `sea-orm`, `diesel-async` | `tx` and [`Audit::record_in`] by transactions of these clients: see [`InsertRow`] |
//! | `diesel` | [`Audit::record_in_blocking`] by connections of diesel 2.3: see [`InsertRowBlocking`] |
//! | `chrono` | conversions between [`Timestamp`] and the types of `chrono` 0.4 |
//! | `metrics` | counts, sizes and times for the facade `metrics` 0.24: see [`Stats`] |
//! | `opentelemetry` | the trace of the `opentelemetry` 0.33 span that is current where an event is recorded |
//! | `tonic` | `Request` and `Response` of tonic 0.14 are [`Captured`] |
//! | `tower` | [`tower::ContextLayer`] for services of `http` 1 requests |
//!
//! A new major version of sqlx, `http`, `metrics` or `opentelemetry` in these interfaces is a new
//! major version of this crate. [`trail::TrailEvent`], [`Json`] and [`Timestamp`] implement sqlx's
//! traits for queries of your own.
#![deny(missing_docs)]
// On docs.rs, each item names the feature that enables it.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(audit_loom, allow(dead_code, reason = "the models replace mapped files by memory"))]

pub mod admin;
mod audit;
mod call;
mod capture;
pub mod catalogue;
mod clients;
mod context;
mod error;
mod event;
#[cfg(feature = "evidence")]
#[cfg_attr(docsrs, doc(cfg(feature = "evidence")))]
pub mod evidence;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub mod feed;
#[cfg(all(feature = "postgres", any(fuzzing, test)))]
#[cfg_attr(fuzzing, doc(hidden))]
pub mod fuzz;
mod journal;
#[cfg(feature = "postgres")]
mod pack;
#[cfg(feature = "policy")]
#[cfg_attr(docsrs, doc(cfg(feature = "policy")))]
pub mod policy;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod privacy;
mod record;
mod recorder;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub mod relay;
#[cfg(feature = "evidence")]
mod retention;
#[cfg(feature = "postgres")]
mod seal;
mod sys;
pub mod testing;
pub mod trail;
#[cfg(feature = "postgres")]
mod writer;

#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use audit::LastResort;
pub use audit::{
    AlreadyInstalled, Audit, Builder, Receipt, Receipts, RecordAllError, RecordInError, ShutdownReport, StartError,
};
pub use audit_macros::{AuditEvent, EntityId, audited};
pub use call::catalogue;
pub use capture::diagnostics::Capture;
pub use capture::{Captured, DeepJson, Json, JsonError, JsonNumber};
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub use context::tower;
pub use context::{Context, Entered, InContext, Scoped, in_context};
pub use error::{EventError, RecordError, StoreError};
pub use event::{EntityId, IntoEntityId, IntoTargets, IntoTenant, MAX_EVENT_TYPE, is_event_type};
pub use event::{Outcome, Timestamp, TimestampError, UnknownOutcome};
pub use journal::{JournalError, Overflow};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use postgres::{ConnectOptions, DatabaseError, DatabaseErrorKind, FreshOptions, IntoConnectOptions};
#[cfg(feature = "personal")]
#[cfg_attr(docsrs, doc(cfg(feature = "personal")))]
pub use privacy::{MasterKey, MasterKeyError};
pub use record::{AuditEvent, Event, InsertRow, InsertRowBlocking, RowInsert, execution};
pub use recorder::{Health, Reason, Stats};
/// The version of sqlx whose types this crate accepts: pools, connections, options.
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use sqlx;
#[cfg(any(feature = "evidence", feature = "personal"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "evidence", feature = "personal"))))]
pub use sys::secret::KeySourceError;
#[cfg(feature = "nats")]
#[cfg_attr(docsrs, doc(cfg(feature = "nats")))]
pub use writer::nats::Nats;

/// The functions that the expansion of `#[audited]` calls.
///
/// They are not for users: they may change with any version.
#[doc(hidden)]
pub mod __private {
    pub use crate::__audited_registered as registered;
    #[cfg(feature = "axum")]
    pub use crate::call::response::{AsItIs, IntoResponse, Response, into_response, ok_into_response};
    pub use crate::call::{
        Call, Ended, EndsInError, Fails, Fallible, Handed, Handover, InCall, Never, NoError, NoErrorBeside, Refusal,
        Refused, ReturnedFuture, ShownValue, Site, SiteTexts, checked_event_type, described, ends_in_error, fails,
        fallible, late, late_condition, late_error, no_error, no_error_beside, parameter, refused, refused_by_type,
        returned, shown, sites,
    };
    pub use crate::capture::Key;
    pub use crate::capture::diagnostics::Capture;
    pub use crate::capture::error_text::ErrorText;
    pub use crate::event::EntityRef;
    pub use crate::record::EventData;
    pub use ::core;
    pub use std::boxed::Box;

    pub use crate::journal::BenchedJournal;

    /// Looks for secrets as a captured value is looked through, for the benchmark of that.
    pub mod looking {
        /// Returns whether a name is that of a secret.
        #[must_use]
        pub fn at_a_name(name: &str) -> bool {
            crate::capture::secret::says_secret(name)
        }

        /// Returns whether a field's name is that of a secret, and remembers the answer.
        #[must_use]
        pub fn at_a_field(name: &'static str) -> bool {
            crate::capture::mask::Mask::NONE.role_of_field(name) == crate::capture::mask::Role::Secret
        }

        /// Returns the length of a text without the passwords of its URLs.
        #[must_use]
        pub fn at_a_text(text: &str) -> usize {
            if crate::capture::url::may_hold_url(text.as_bytes()) {
                crate::capture::url::mask_urls(text).len()
            } else {
                text.len()
            }
        }
    }

    /// Files that only their owner may read, for the command.
    pub mod private_file {
        pub use crate::sys::private_file::{beside, create};
    }

    /// Texts that are secrets, from a private file or a command, for the command.
    #[cfg(any(feature = "evidence", feature = "personal"))]
    pub mod secret {
        pub use crate::sys::secret::{from_command, from_file};
    }

    /// The sealed trail in parts, for the command's lake.
    #[cfg(feature = "evidence")]
    pub mod detached {
        pub use crate::evidence::detached::*;
        pub use crate::retention::{Kept, KeptRows};
    }

    /// The calendar of all times that PostgreSQL can store, for the command.
    pub mod calendar {
        pub use crate::event::calendar::{date, days, month_length};
    }

    /// Returns the canonical form of a JSON text.
    ///
    /// Tests compare it with PostgreSQL's own form of the text.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn canonical_json(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        crate::seal::canonical::Canonical::default().json(text.as_bytes(), &mut out).ok().map(|()| out)
    }
}

/// Compiles the examples of documents outside of the API documentation.
#[cfg(all(doctest, feature = "postgres"))]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct Readme;

    #[doc = include_str!("../../docs/guide.md")]
    struct Guide;

    #[doc = include_str!("../README.md")]
    struct CrateReadme;
}
