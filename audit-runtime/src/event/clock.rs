//! Time: the wall clock for the row, the monotonic clock for durations, by one read of the
//! processor's time-stamp counter.
//!
//! A read of a system clock costs more than twice a read of the counter, and a call would need
//! three. So each thread keeps an *anchor*: the readings of both system clocks, and the counter
//! with them. Within [`WINDOW`] behind it, a time is the anchor's and the counter's advance since
//! then. After that the clocks are read again. So no error grows: over days a time is as far from
//! the system clock as over microseconds. A clock that is slewed (by at most a twelfth: chrony's
//! `maxslewrate`) is a few microseconds away at the end of a window. After a clock was stepped,
//! times are as before for at most one window.
//!
//! The counter is used only where Linux uses it as its own clock source. Linux does so where the
//! counter runs evenly and is the same on every processor. Elsewhere the system clocks are read
//! each time. The crates that offer this clock (quanta, minstant, fastant) take their anchor once,
//! from which the wall clock then drifts away.

use crate::sys::platform;
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// For so long a thread goes on from its anchor, in nanoseconds.
const WINDOW: u64 = 50_000;
/// The most the counter goes on in a window, whatever its rate: 50 microseconds at 2.6 GHz.
const WINDOW_TICKS: u64 = 1 << 17;
/// The counter's rate is measured over at least so many nanoseconds. A read of the clocks takes
/// less than 100, so the rate is right to 10^-4.
const BASELINE: u64 = 1_000_000;
/// An anchor is taken if reading the clocks took no longer: the thread was not interrupted
/// meanwhile.
const UNINTERRUPTED_TICKS: u64 = 2_000;

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Nanoseconds since 1970, UTC.
    wall: i64,
    /// Nanoseconds of the monotonic clock since its first use.
    monotonic: u64,
}

impl Moment {
    /// This moment.
    #[inline]
    pub(crate) fn now() -> Self {
        thread_local! {
            static ANCHOR: Cell<Anchor> = const { Cell::new(Anchor::NONE) };
        }
        ANCHOR.with(|anchor| COUNTER.now(anchor, &Machine))
    }

    /// Microseconds since 1970, UTC.
    #[inline]
    pub(crate) fn micros(self) -> i64 {
        self.wall.div_euclid(1_000)
    }

    /// Microseconds since then. A step of the wall clock does not change it.
    #[inline]
    pub(crate) fn elapsed_micros(self) -> i64 {
        (Self::now().monotonic.saturating_sub(self.monotonic) / 1_000).cast_signed()
    }

    #[inline]
    fn after(self, nanos: u64) -> Self {
        Self { wall: self.wall.wrapping_add_unsigned(nanos), monotonic: self.monotonic.wrapping_add(nanos) }
    }
}

/// Microseconds since 1970, UTC.
#[inline]
pub(crate) fn micros_now() -> i64 {
    Moment::now().micros()
}

/// One reading of the clocks, together with the counter.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    ticks: u64,
    moment: Moment,
}

impl Anchor {
    /// So far back that nobody goes on from it, unless the counter began just now: then its rate is
    /// not known yet.
    const NONE: Self = Self { ticks: 0, moment: Moment { wall: 0, monotonic: 0 } };
}

/// A source of times.
trait Clocks {
    /// The counter, or 0 where it cannot be used.
    fn ticks(&self) -> u64;
    /// The system's clocks.
    fn moment(&self) -> Moment;
}

/// The measured rate of the counter.
#[derive(Debug)]
struct Counter {
    /// Nanoseconds a tick, as a fraction of 2^32, or 0 while that is unknown.
    rate: AtomicU64,
    /// The reading at which the measurement began.
    begin: OnceLock<Anchor>,
}

static COUNTER: Counter = Counter::new();

impl Counter {
    const fn new() -> Self {
        Self { rate: AtomicU64::new(0), begin: OnceLock::new() }
    }

    #[inline]
    fn now(&self, anchor: &Cell<Anchor>, clocks: &impl Clocks) -> Moment {
        let rate = self.rate.load(Ordering::Relaxed);
        if rate != 0 {
            let from = anchor.get();
            let ticks = clocks.ticks().wrapping_sub(from.ticks);
            if ticks < WINDOW_TICKS {
                let nanos = (ticks * rate) >> 32;
                if nanos < WINDOW {
                    return from.moment.after(nanos);
                }
            }
        }
        let (moment, taken) = self.read(clocks);
        if let Some(taken) = taken {
            anchor.set(taken);
        }
        moment
    }

    /// Reads the system's clocks, and gives an anchor, too, if one can be taken.
    #[cold]
    fn read(&self, clocks: &impl Clocks) -> (Moment, Option<Anchor>) {
        let before = clocks.ticks();
        let moment = clocks.moment();
        if before == 0 || clocks.ticks().wrapping_sub(before) > UNINTERRUPTED_TICKS {
            return (moment, None);
        }
        let anchor = Anchor { ticks: before, moment };
        if self.rate.load(Ordering::Relaxed) == 0 {
            let begin = self.begin.get_or_init(|| anchor);
            let nanos = moment.monotonic.saturating_sub(begin.moment.monotonic);
            let ticks = before.saturating_sub(begin.ticks);
            if nanos < BASELINE || ticks < BASELINE / 10 {
                return (moment, None);
            }
            let rate = (u128::from(nanos) << 32) / u128::from(ticks);
            self.rate.store(u64::try_from(rate).unwrap_or(0), Ordering::Relaxed);
        }
        (moment, Some(anchor))
    }
}

/// The clocks of this machine.
struct Machine;

impl Clocks for Machine {
    #[inline]
    fn ticks(&self) -> u64 {
        platform::ticks()
    }

    fn moment(&self) -> Moment {
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
        };
        static BEGIN: OnceLock<Instant> = OnceLock::new();
        let monotonic = BEGIN.get_or_init(Instant::now).elapsed();
        Moment { wall, monotonic: u64::try_from(monotonic.as_nanos()).unwrap_or(u64::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clocks as a test moves them.
    struct Simulated {
        /// Nanoseconds of the monotonic clock.
        monotonic: Cell<u64>,
        /// The counter, in millionths of a tick.
        microticks: Cell<u128>,
        /// The wall clock's distance from the monotonic one.
        offset: Cell<i64>,
        /// Nanoseconds that pass between two looks at the clocks.
        interrupted: Cell<u64>,
    }

    /// Ticks in a thousand seconds: 2.345 GHz.
    const TICKS: u128 = 2_345_000_000_000;
    const START: i64 = 1_764_000_000_123_456_789;

    impl Simulated {
        fn new() -> Self {
            Self {
                monotonic: Cell::new(5_000_000_000),
                microticks: Cell::new(77_000_000_000),
                offset: Cell::new(START),
                interrupted: Cell::new(0),
            }
        }

        /// So many nanoseconds pass, of which the system's clocks show so many millionths more or
        /// less.
        fn pass(&self, nanos: u64, slewed: i64) {
            let shown = nanos.wrapping_add_signed(nanos.cast_signed() / 1_000 * slewed / 1_000);
            self.monotonic.set(self.monotonic.get() + shown);
            self.microticks.set(self.microticks.get() + u128::from(nanos) * TICKS / 1_000_000);
        }
    }

    impl Clocks for Simulated {
        fn ticks(&self) -> u64 {
            (self.microticks.get() / 1_000_000) as u64
        }

        fn moment(&self) -> Moment {
            self.pass(self.interrupted.get(), 0);
            let monotonic = self.monotonic.get();
            Moment { wall: self.offset.get().wrapping_add_unsigned(monotonic), monotonic }
        }
    }

    /// How far a time deviates from the clocks, in nanoseconds: from the wall clock, and from the
    /// monotonic one.
    fn errors(moment: Moment, clocks: &Simulated) -> (u64, u64) {
        let truth = clocks.moment();
        (moment.wall.abs_diff(truth.wall), moment.monotonic.abs_diff(truth.monotonic))
    }

    #[test]
    fn over_days_of_slewing_a_time_stays_within_microseconds_of_the_system_clock() {
        let (counter, anchor, clocks) = (Counter::new(), Cell::new(Anchor::NONE), Simulated::new());
        let (mut extrapolated, mut last) = (0, 0);
        for round in 0..400_000_u64 {
            // Calls close together and far apart, over five days in all.
            let apart = if round.is_multiple_of(7) { 7_560_000_000 } else { 20 + round * 31 % 30_000 };
            // The kernel's own slewing, and the fastest of chrony.
            let slewed = [0, 500, -500, 83_333, -83_333][(round / 1_000 % 5) as usize];
            clocks.pass(apart, slewed);
            extrapolated += u64::from(clocks.ticks().wrapping_sub(anchor.get().ticks) < 100_000);
            let moment = counter.now(&anchor, &clocks);
            let (wall, monotonic) = errors(moment, &clocks);
            assert!(wall < 10_000 && monotonic < 10_000, "round {round}: {wall} and {monotonic} ns");
            assert!(moment.monotonic + 10_000 > last);
            last = moment.monotonic;
        }
        assert!(clocks.monotonic.get() > 5 * 86_400 * 1_000_000_000, "{} s", clocks.monotonic.get() / 1_000_000_000);
        assert!(extrapolated > 200_000, "the counter was gone by: {extrapolated}");
    }

    #[test]
    fn a_step_of_the_system_clock_is_followed_within_a_window_and_is_in_no_duration() {
        let (counter, anchor, clocks) = (Counter::new(), Cell::new(Anchor::NONE), Simulated::new());
        for round in 0..10_000_i64 {
            clocks.pass(3_000, 0);
            let before = counter.now(&anchor, &clocks);
            // An hour forth, a day back, a second forth ..
            let step = [3_600, -86_400, 1][round as usize % 3] * 1_000_000_000;
            clocks.offset.set(clocks.offset.get() + step);
            clocks.pass(WINDOW, 0);
            let after = counter.now(&anchor, &clocks);
            assert!(errors(after, &clocks).0 < 1_000, "round {round}");
            assert!((after.monotonic - before.monotonic).abs_diff(WINDOW) < 100, "round {round}");
        }
    }

    #[test]
    fn a_counter_that_was_set_back_or_stood_still_is_not_believed() {
        let (counter, anchor, clocks) = (Counter::new(), Cell::new(Anchor::NONE), Simulated::new());
        for round in 0..1_000 {
            clocks.pass(2_000_000, 0);
            counter.now(&anchor, &clocks);
            match round % 3 {
                0 => clocks.microticks.set(1_000_000),
                // A suspended machine: the wall clock goes on alone. Behind the window at the
                // latest that is seen.
                1 => clocks.offset.set(clocks.offset.get() + 10_000_000_000_000),
                _ => clocks.microticks.set(clocks.microticks.get() * 2),
            }
            clocks.pass(WINDOW, 0);
            let (wall, monotonic) = errors(counter.now(&anchor, &clocks), &clocks);
            assert!(wall < 1_000 && monotonic < 1_000, "round {round}: {wall} and {monotonic} ns");
        }
    }

    #[test]
    fn no_anchor_is_taken_while_the_thread_is_interrupted() {
        let (counter, anchor, clocks) = (Counter::new(), Cell::new(Anchor::NONE), Simulated::new());
        for _ in 0..10 {
            clocks.pass(2_000_000, 0);
            counter.now(&anchor, &clocks);
        }
        clocks.pass(2_000_000, 0);
        clocks.interrupted.set(5_000_000);
        counter.now(&anchor, &clocks);
        clocks.interrupted.set(0);
        clocks.pass(1_000, 0);
        let (wall, monotonic) = errors(counter.now(&anchor, &clocks), &clocks);
        assert!(wall < 1_000 && monotonic < 1_000, "{wall} and {monotonic} ns");
    }

    #[test]
    fn times_of_this_machine_lie_between_two_looks_at_its_clocks() {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| {
                    let mut last = Moment::now();
                    for _ in 0..200_000 {
                        let before = Machine.moment();
                        let moment = Moment::now();
                        let after = Machine.moment();
                        // Nobody steps the clock of a machine that runs tests. The length of an
                        // interruption does not matter.
                        let wall = before.wall - 100_000..after.wall + 100_000;
                        let monotonic = before.monotonic.saturating_sub(100_000)..after.monotonic + 100_000;
                        assert!(wall.contains(&moment.wall) && monotonic.contains(&moment.monotonic));
                        assert!(moment.monotonic + 1_000 > last.monotonic);
                        last = moment;
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
