//! Errors that several layers share.

use crate::event::{MAX_EVENT_TYPE, Timestamp};

/// The reason an event is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The event type is not of the form `noun.verb`.
    #[error(
        "invalid event type {0:?}: expected noun.verb in lower case, as in \"order.submitted\", of at most {MAX_EVENT_TYPE} bytes"
    )]
    EventType(String),
    /// The data cannot be serialised.
    #[error("the data of {event_type} cannot be serialised: {message}")]
    Data {
        /// The event's type.
        event_type: String,
        /// The serialiser's message.
        message: String,
    },
    /// The journal cannot represent this time.
    #[error("cannot record an event at {0}: the journal holds times from 4714 BC to the year 294246")]
    Time(Timestamp),
    /// The data is not a JSON object.
    #[error("the data of {0} must be a JSON object; pass a struct or a map with text keys")]
    NotAnObject(String),
}

/// The reason an event was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The event itself is at fault.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The journal has reached its limit.
    #[error("the journal is full: PostgreSQL has been unavailable for too long, or journal_limit is too small")]
    JournalFull,
    /// The journal cannot grow.
    #[error("the journal cannot make another segment; most likely its disk is full")]
    Disk,
    /// The event is larger than a segment of the journal, or than a message of the broker.
    #[error(
        "the event has {0} bytes, more than the journal takes: a segment, or behind NATS three eighths of max_payload; record a reference to the data instead"
    )]
    TooLarge(usize),
    /// The journal could not be written to its disk.
    #[error("the journal could not be written to its disk: the event would not survive a power failure")]
    NotSynced,
    /// No handle is in force, and the function requires one.
    #[error(
        "no audit trail is installed, and {0} does not run without one; call Audit::install, or run it in Audit::scope"
    )]
    NotInstalled(&'static str),
    /// The handle was shut down.
    #[error("the audit trail was shut down")]
    Closed,
    /// The process was forked after the handle was started.
    #[error(
        "this process is a fork of the one that started the audit trail, whose journal it must not touch; start one of its own after the fork"
    )]
    Forked,
}

/// The reason a caller cannot wait any longer for events to be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The writer has ended. The events are in the journal, unless it is in memory.
    #[error("the audit trail was shut down before PostgreSQL had taken the events; they are in the journal")]
    Closed,
    /// The process was forked after the handle was started.
    #[error(
        "this process is a fork of the one that started the audit trail; what was recorded before the fork is shipped by that one"
    )]
    Forked,
    /// The journal is in memory.
    #[error("the journal is in memory: nothing of it is ever on disk; name a directory with .journal(..)")]
    InMemory,
    /// The system could not write the journal to its disk.
    #[error("the journal could not be written to its disk: the event would not survive a power failure")]
    NotSynced,
}
