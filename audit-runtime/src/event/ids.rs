//! Ids of events.

use crate::sys::fork;
use std::cell::Cell;
use uuid::Uuid;

/// A version 7 id (RFC 9562). It consists of milliseconds, microseconds of the millisecond in
/// `rand_a` (method 3), and 62 bits that count up. Each thread starts counting at a random number
/// of its own. A thread's ids are distinct by the counter. The ids of two threads are distinct by
/// the 2^62 room between their beginnings. A forked child begins anew.
pub(crate) fn event_id(micros: i64) -> Uuid {
    id_of(micros, counted(1))
}

/// Returns the ids of an intent and of its completion, which is the one after.
///
/// So an adopter that finds only the intent can derive the completion's id. Events inside the call
/// name that id as their cause.
pub(crate) fn intent_ids(micros: i64) -> (Uuid, Uuid) {
    let intent = id_of(micros, counted(2));
    (intent, completion_id(intent))
}

/// The id of the completion of an intent.
pub(crate) fn completion_id(intent: Uuid) -> Uuid {
    let (high, low) = intent.as_u64_pair();
    Uuid::from_u64_pair(high, variant(low.wrapping_add(1)))
}

/// The first of the next so many counts of this thread.
#[inline]
fn counted(counts: u64) -> u64 {
    /// The next count, and the process it belongs to: a fork copies the thread that forks, and with
    /// it this.
    #[derive(Clone, Copy)]
    struct Counter {
        next: u64,
        generation: u32,
    }
    const UNSEEDED: u32 = u32::MAX;
    thread_local! {
        static COUNTER: Cell<Counter> = const { Cell::new(Counter { next: 0, generation: UNSEEDED }) };
    }
    #[cold]
    fn seeded() -> Counter {
        fork::watch();
        Counter { next: random(), generation: fork::generation() }
    }
    let counter = COUNTER.get();
    let counter = if counter.generation == fork::generation() { counter } else { seeded() };
    COUNTER.set(Counter { next: counter.next.wrapping_add(counts), ..counter });
    counter.next
}

/// The first microsecond that an id of version 7 cannot state: its milliseconds have 48 bits.
#[cfg(feature = "postgres")]
pub(crate) const END: i64 = 1_000 << 48;

/// Returns the first microsecond of the millisecond that an id of version 7 states.
#[cfg(feature = "postgres")]
pub(crate) fn first_micros(id: Uuid) -> Option<i64> {
    let millis = (id.get_version_num() == 7).then(|| id.as_u64_pair().0 >> 16)?;
    i64::try_from(millis).ok()?.checked_mul(1_000)
}

fn id_of(micros: i64, count: u64) -> Uuid {
    let micros = micros.max(0).cast_unsigned();
    let (millis, fraction) = (micros / 1000, micros % 1000);
    // 1000 microseconds spread over the 12 bits.
    let rand_a = fraction * 4096 / 1000;
    let high = (millis << 16) | 0x7000 | rand_a;
    Uuid::from_u64_pair(high, variant(count))
}

/// The lower half of an id: 62 bits, behind those that RFC 9562 prescribes.
fn variant(bits: u64) -> u64 {
    (bits & (u64::MAX >> 2)) | (1 << 63)
}

fn random() -> u64 {
    let (high, low) = Uuid::new_v4().as_u64_pair();
    // The version and variant bits of one half are covered by the other.
    high.rotate_left(32) ^ low
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_valid_v7_of_their_time_and_distinct_across_threads() {
        let micros = 1_764_000_000_123_456;
        let ids: Vec<Uuid> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(move || (0..10_000).map(|_| event_id(micros)).collect::<Vec<_>>()))
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        for id in &ids {
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            assert_eq!(id.get_timestamp().unwrap().to_unix(), (1_764_000_000, 123_000_000));
        }
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 40_000);
    }

    #[test]
    fn a_completion_has_an_id_of_its_own_that_its_intent_tells() {
        let micros = 1_764_000_000_123_456;
        let ids: Vec<Uuid> = (0..100)
            .flat_map(|_| {
                let (intent, completion) = intent_ids(micros);
                assert_eq!(completion, completion_id(intent));
                assert!(intent < completion);
                [intent, completion, event_id(micros)]
            })
            .collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        let last = Uuid::from_u64_pair(0x7000, u64::MAX >> 1 | 1 << 63 & !(1 << 62));
        assert_eq!(completion_id(last).get_variant(), uuid::Variant::RFC4122);
    }

    #[cfg(unix)]
    #[test]
    fn a_forked_child_begins_anew() {
        use std::io::{Read, Write};
        let micros = 1_764_000_000_123_456;
        event_id(micros);
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        // SAFETY: the child only writes to the pipe and exits.
        match unsafe { libc::fork() } {
            0 => {
                let written = writer.write_all(event_id(micros).as_bytes());
                // SAFETY: ends the process at once.
                unsafe { libc::_exit(i32::from(written.is_err())) };
            }
            child => {
                drop(writer);
                let mut id = Vec::new();
                reader.read_to_end(&mut id).unwrap();
                // SAFETY: waits for the child made above.
                unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
                assert_ne!(Uuid::from_slice(&id).unwrap(), event_id(micros));
            }
        }
    }

    #[test]
    fn ids_of_later_microseconds_sort_later() {
        assert!(event_id(1_764_000_000_123_456) < event_id(1_764_000_000_123_457));
        assert!(event_id(1_764_000_000_123_999) < event_id(1_764_000_000_124_000));
    }
}
