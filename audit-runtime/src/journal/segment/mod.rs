//! The mapped memory of a journal: the only module of this crate with `unsafe` in it.
//!
//! # Protocol
//!
//! A journal is one logical sequence of bytes, cut into segments of equal size. `cursor` is the logical
//! position behind the last claim, `frontier` the end of the last segment that exists.
//!
//! 1. *Claim.* A thread moves `cursor` by compare-and-swap over the bytes it needs, never past `frontier`.
//!    From then on it owns these bytes. (A `fetch_add` could not be taken back where it ran past the
//!    frontier, and would leave a hole that no file backs.)
//! 2. *Mark, copy, publish.* It stores the length with the top bit set, copies checksum and payload, and stores
//!    the length with `Release`. A claim that does not fit its segment publishes a pad there and lies at the
//!    beginning of the next.
//! 3. *Read.* One reader goes from word to word with `Acquire` and stops at the first unpublished one.
//! 4. *Retire.* A segment is unmapped only when the reader has passed its end.
//!
//! # Why a claimant's segment is still mapped
//!
//! The reader stops at the first unpublished word. A claimant's own word is unpublished until its last access
//! to the segment; therefore the reader has not passed it, and the segment is not retired. The claim itself
//! is the pin: no reference count, no lock. The rule "retire only behind the reader" is enforced in
//! [`Ring::retire`], not left to its callers.

pub(super) mod fork;
#[cfg(not(audit_loom))]
mod map;
#[cfg(audit_loom)]
#[path = "map_loom.rs"]
mod map;
mod ring;
mod sync;

pub(crate) use map::Segment;
pub(crate) use ring::{Next, NoRoom, Record, Ring};
