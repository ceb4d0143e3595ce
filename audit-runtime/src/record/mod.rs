//! One event: as an application makes it, as the bytes of a journal's record, and as readers see
//! it.

mod change;
#[cfg(feature = "postgres")]
mod entity;
mod event;
mod event_data;
pub mod execution;
mod insert_row;
mod line;
pub(crate) mod payload;
mod personal;
pub(crate) mod trace;
pub(crate) mod trail_event;

pub use change::Change;
#[cfg(feature = "postgres")]
pub(crate) use entity::Entity;
pub use event::{AuditEvent, Event};
pub use event_data::EventData;
pub use insert_row::{InsertRow, InsertRowBlocking, RowInsert};
pub(crate) use payload::{EventRef, Further};
pub(crate) use trace::Trace;
pub(crate) use trail_event::mark_intents;
pub use trail_event::{IntentState, TrailEvent};
