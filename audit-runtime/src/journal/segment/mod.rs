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
//!
//! # How it is checked
//!
//! - `scripts/model.sh`: the protocol under loom, with the real `Ring` over watched memory. With up to five preemptions,
//!   two writers and a reader have 29,239 interleavings, a segment that is installed while they want it 4,734, one that
//!   they overrun while it is retired 1,356, a close 14.
//! - `scripts/sanitize.sh`: the journal's tests under AddressSanitizer.
//! - `cargo miri test -p audit-runtime --lib journal::segment`, for those who have Miri: mappings are memory there.
//! - `journal/model.rs`: random runs against a queue, with crashes. `fuzz/`: any bytes as a segment.

pub(crate) mod fork;
#[cfg(not(audit_loom))]
mod map;
#[cfg(audit_loom)]
#[path = "map_loom.rs"]
mod map;
#[cfg(not(audit_loom))]
mod memory;
mod reader;
mod ring;
mod sync;

pub(crate) use map::Segment;
pub(crate) use reader::{Next, Record};
pub(crate) use ring::{NoRoom, Ring};
