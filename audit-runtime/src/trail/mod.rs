//! Reading the trail back: its events, the filters that select them, and pages of them.
//!
//! [`Trail`] reads from PostgreSQL, with the feature `postgres`. An event is the same
//! [`TrailEvent`] for it and for [`testing::Probe`](crate::testing::Probe).

#[cfg(feature = "postgres")]
mod catalogue;
#[cfg(feature = "postgres")]
mod conditions;
#[cfg(feature = "postgres")]
mod counts;
#[cfg(feature = "postgres")]
mod cursor;
#[cfg(feature = "postgres")]
mod filter;
#[cfg(feature = "postgres")]
mod find;
#[cfg(feature = "postgres")]
mod find_page;
#[cfg(feature = "postgres")]
mod fold;
#[cfg(feature = "postgres")]
mod folded;
#[cfg(feature = "postgres")]
mod follow;
#[cfg(feature = "postgres")]
mod history;
#[cfg(feature = "postgres")]
mod look;
#[cfg(feature = "postgres")]
mod matching;
#[cfg(feature = "postgres")]
mod places;
#[cfg(feature = "postgres")]
mod read;
#[cfg(feature = "postgres")]
pub(crate) mod row;
#[cfg(feature = "postgres")]
mod served;
#[cfg(feature = "personal")]
mod subject;
#[cfg(feature = "postgres")]
mod wall;

pub use crate::record::{Change, IntentState, TrailEvent};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use catalogue::{RecordedType, StoredCatalogue};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use counts::{Facet, FacetCount, Parts, TimeCount};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use cursor::{Cursor, CursorError};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use filter::{EventFilter, Page};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use find::{Find, Found, FoundEvent};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use find_page::{FoundPage, TextSearch};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use fold::{ChangedBy, FieldChange, FieldState, FieldValue};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use history::History;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use look::Looked;
#[cfg(feature = "postgres")]
#[doc(hidden)]
pub use matching::Needed;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use places::Place;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use read::Trail;
#[cfg(feature = "personal")]
#[cfg_attr(docsrs, doc(cfg(feature = "personal")))]
pub use subject::SubjectTrail;
