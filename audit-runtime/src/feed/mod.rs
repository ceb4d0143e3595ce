//! Events in the order in which they arrived, for other systems: each once, whenever it was
//! recorded, and however late it was stored.
//!
//! ```text
//! batches        by the transaction that stored each. The batches below every running transaction are complete
//! late rows      rows of others, and of `tx`, arrive with the batch that seals them
//! retried rows   rows that left the quarantine arrive when they do
//! lineages       dump and restore, or a failover, count transactions anew: the batches of the server before come first
//! ```
//!
//! [`Arrivals`] reads them behind a [`Position`], and [`Feeds`] keeps the position of each feed in the
//! database.

mod arrivals;
mod arrived;
mod entries;
mod feeds;
mod lag;
mod position;
mod rows;
mod start;
#[cfg(feature = "evidence")]
mod unsent;

pub use arrivals::{Arrivals, Portion};
pub use arrived::{Arrived, Leaf};
pub use feeds::{FeedError, FeedState, Feeds, NewFeed, OpenFeed, SetAside};
pub use lag::Lag;
pub use position::{Position, PositionError};
pub use start::Start;
#[cfg(feature = "evidence")]
pub(crate) use unsent::{Last, Progressed};
