//! The mapped memory of a journal: the only module of this crate with `unsafe` in it for memory that threads share. (Beside it: processor
//! instructions in `clock` and `checksum`, short copies in `json/room`, a type that is known in `capture/simple`.)
//!
//! # Protocol
//!
//! A journal is one logical sequence of bytes, cut into segments of equal size, and those into blocks. `cursor` is the
//! logical position behind the last block that was claimed, `frontier` the end of the last segment that exists.
//!
//! 1. *Claim a block.* A thread moves `cursor` by compare-and-swap over the blocks it needs for a record (mostly one), never
//!    past `frontier`. From then on it owns these bytes. (A `fetch_add` could not be taken back where it ran past the
//!    frontier, and would leave a hole that no file backs.) What is left of the last block behind its record it gives to a
//!    *track*: a word that says where in its block the next record goes. Blocks that do not fit their segment get a pad each.
//! 2. *Claim a record.* Most records go to the block of a track: the thread moves the track's word by compare-and-swap over
//!    the bytes it needs. Threads that meet there go on by different tracks, so that they do not write to the same cache
//!    lines (with one cursor for all, two threads at once were as fast as one). If the block is too short, the thread claims another block,
//!    puts that on the track in its place, and publishes a pad behind its last record.
//! 3. *Mark, copy, publish.* It stores the length with the top bit set, copies checksum and payload, and stores the length with
//!    `Release`.
//! 4. *Read.* One reader goes from word to word with `Acquire` and stops at the first unpublished one. At a pad it goes on with
//!    the next block. If a block is not filled, and others behind it wait or somebody wants to know that all is read, the
//!    reader closes it: it takes it from its track, by compare-and-swap from where the reader itself is, and publishes the pad.
//! 5. *Retire.* A segment is unmapped only when the reader has passed its end.
//! 6. *Damage.* Where the bytes are not what was published (somebody else wrote to the memory or the file), the reader goes on with the next
//!    intact record, or where claims ended. It may pass blocks that are on tracks, and words that will yet be published: it takes those
//!    blocks from their tracks first, waits half a second, and keeps the segment mapped as long as the ring lives.
//!
//! # Why a claimant's segment is still mapped
//!
//! The reader stops at the first unpublished word. A claimant's own word is unpublished until its last access
//! to the segment; therefore the reader has not passed it, and the segment is not retired. The claim itself
//! is the pin: no reference count, no lock. A block on a track is pinned by nobody, and nobody touches its bytes before the track's
//! word was moved: which fails if the reader has closed the block, and keeps the reader from closing it if not. The rule "retire
//! only behind the reader" is enforced in [`Ring::retire`], not left to its callers.
//!
//! # How it is checked
//!
//! - `scripts/model.sh`: the protocol under loom, with the real `Ring` over watched memory. With up to five preemptions,
//!   two writers and a reader have 981,585 interleavings, a segment that is installed while they want it 30,226, one that
//!   they overrun while it is retired 3,406, a block that is closed while it is written to 976, a close 15.
//! - `scripts/sanitize.sh`: the journal's tests under AddressSanitizer.
//! - `cargo miri test -p audit-runtime --lib journal::segment`, for those who have Miri: mappings are memory there.
//! - `journal/model.rs`: random runs against a queue, with crashes. `fuzz/`: any bytes as a segment.

mod claim;
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
