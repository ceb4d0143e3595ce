//! The vocabulary of events: outcomes, entities, event types, ids and times.

pub(crate) mod calendar;
pub(crate) mod clock;
mod entity_id;
mod event_type;
pub(crate) mod ids;
mod origin;
mod outcome;
pub(crate) mod reserved;
pub(crate) mod timestamp;

pub use entity_id::{EntityId, EntityRef, IntoEntityId, IntoTargets, IntoTenant};
pub(crate) use entity_id::{bounded, named, written};
pub use event_type::{MAX_EVENT_TYPE, is_event_type};
pub(crate) use origin::origin;
#[cfg(feature = "postgres")]
pub(crate) use origin::service_name;
pub use outcome::{Outcome, UnknownOutcome};
pub use timestamp::{Timestamp, TimestampError};
