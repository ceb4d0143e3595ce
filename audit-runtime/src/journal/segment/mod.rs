//! The mapped memory of a journal: the only module of this crate with `unsafe` for memory that
//! threads share. Elsewhere, `unsafe` is for processor instructions (`clock`, `checksum`), short
//! copies (`json/reserved_buf`), a type that is known (`capture/scalar`), and calls of the system.
//!
//! # Protocol
//!
//! A journal is one logical sequence of bytes, cut into segments of equal size, and those into
//! blocks. `cursor` is the logical position behind the last claimed block, and `frontier` the end
//! of the existing bytes. A segment's file grows inside the segment, and the frontier moves with
//! it.
//!
//! 1. *Claim a block.* A thread moves `cursor` by compare-and-swap over the blocks it needs for a
//!    record (mostly one), never past `frontier`. From then on it owns these bytes. (A `fetch_add`
//!    could not be taken back where it ran past the frontier, and would leave a hole that no file
//!    backs.) The thread gives the rest of the last block to a *track*: a word that holds where in
//!    its block the next record goes. Blocks that do not fit their segment wait for its end.
//! 2. *Claim a record.* Most records go to the block of a track: the thread moves the track's word
//!    by compare-and-swap over the bytes it needs. Threads that meet there move to different
//!    tracks, so that they do not write to the same cache lines. With one cursor for all, two
//!    threads at once were as fast as one. If the block is too short, the thread claims another
//!    block and puts that on the track in its place. It then publishes a pad behind its last
//!    record.
//! 3. *Mark, copy, publish.* It stores the length with the top bit set, copies checksum and
//!    payload, and stores the length with `Release`.
//! 4. *Read.* One reader goes from word to word with `Acquire` and stops at the first unpublished
//!    one. At a pad it goes on with the next block. The reader closes a block that is not filled,
//!    if others behind it wait or a caller waits for all to be read. It takes the block from its
//!    track, by compare-and-swap from where the reader itself is, and publishes the pad.
//! 5. *End.* The thread that makes room can end the last segment early. It moves `cursor` to the
//!    next one, by compare-and-swap from where claims are, and the frontier after it. Records
//!    claimed before are still published and read, and the reader goes on where claims do.
//! 6. *Retire.* A segment is unmapped only when the reader has passed its end.
//! 7. *Damage.* Where another process wrote to the memory or the file, the bytes differ from those
//!    published. The reader goes on with the next intact record of the file, or where claims ended.
//!    It may pass blocks that are on tracks, and words that will yet be published. It takes those
//!    blocks from their tracks first, waits half a second, and keeps the segment mapped as long as
//!    the ring lives.
//!
//! # Why a claimant's segment is still mapped
//!
//! The reader stops at the first unpublished word. A claimant's own word is unpublished until its
//! last access to the segment. Therefore the reader has not passed it, and the segment is not
//! retired. The claim itself is the pin: no reference count, no lock. A block on a track is not
//! pinned, and its bytes stay untouched until the track's word was moved. That move fails if the
//! reader has closed the block. Otherwise it keeps the reader from closing it. The rule "retire
//! only behind the reader" is enforced in [`Ring::retire`], not left to its callers.
//!
//! A claimant knows its segment only by the address of the bytes, and has no reference to it. From
//! the store that publishes its word on, the segment may be unmapped, which a reference would have
//! to outlive.
//!
//! # Assumptions
//!
//! No other process writes to a segment's file while it is mapped. The file has mode 0600 and
//! belongs to this user (or 0660 and a trusted group). Bytes of a published record are borrowed
//! from the mapping. Another process that wrote there would make them change under that borrow. If
//! it wrote before the reader came, the checksum detects it.
//!
//! # Checks
//!
//! - `scripts/model.sh`: the protocol under loom, with the real `Ring` over watched memory. These
//!   numbers of interleavings are for up to three preemptions. A segment that is ended and retired
//!   while two writers want it has 224,960, and two writers and a reader have 22,362. A frontier
//!   that moves within a segment and an installed segment have 1,834 each. A block that is closed
//!   while it is written to has 910, and a segment that two writers overrun while it is
//!   retired 693. A close has 39.
//! - `scripts/sanitize.sh`: the journal's tests under AddressSanitizer.
//! - `scripts/miri.sh`: this module's tests under Miri, with a schedule of threads for each seed.
//!   Mappings are memory there.
//! - `journal/model_tests.rs`: random runs against a queue, with crashes. `fuzz/`: any bytes as a
//!   segment.

mod claim;
mod growth;
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
mod writing;

pub(crate) use growth::{NoPlace, Room};
pub(crate) use map::Segment;
pub(crate) use reader::Next;
#[cfg(feature = "postgres")]
pub(crate) use reader::Record;
pub(crate) use ring::{NoRoom, Ring};
pub(crate) use writing::Writing;
