//! The stack that audited functions take beside plain ones: at most 128 bytes more, and one copy of
//! what is large and given by value.

#![allow(clippy::result_large_err, reason = "how large values are moved is what is looked at")]

use audit_runtime::audited;
use std::fmt::Error;
use std::hint::black_box;

const DEPTH: u8 = 20;
const LARGE: usize = 8192;
const MORE: usize = 128;

/// Has no destructor, and cannot be copied.
struct Owned([u8; LARGE]);

struct Dropped([u8; LARGE]);

impl Drop for Dropped {
    fn drop(&mut self) {
        black_box(&self.0);
    }
}

/// Notes where the stack is.
fn note(at: &mut Vec<usize>) {
    let here = black_box(0_u8);
    at.push(&raw const here as usize);
}

#[inline(never)]
fn consumed<T>(all: T) -> u8 {
    drop(black_box(Box::new(all)));
    0
}

macro_rules! twins {
    ($($module:ident $on:meta;)+) => {$(
        mod $module {
            use super::*;

            pub(super) struct Receiver([u8; LARGE]);

            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all))]
            #[inline(never)]
            pub(super) fn small(n: u8, at: &mut Vec<usize>) -> u8 {
                note(at);
                if n > 0 { black_box(small(n - 1, at)) + 1 } else { n }
            }

            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all))]
            #[inline(never)]
            pub(super) fn fallible(n: u8, at: &mut Vec<usize>) -> Result<u8, Error> {
                note(at);
                if n > 0 { Ok(black_box(fallible(n - 1, at)?) + 1) } else { Ok(n) }
            }

            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, fields(length = all.len())))]
            #[inline(never)]
            pub(super) fn reference(n: u8, at: &mut Vec<usize>, all: &[u8; LARGE]) -> u8 {
                note(at);
                if n > 0 { black_box(reference(n - 1, at, black_box(all))) + 1 } else { n }
            }

            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, fields(length = all.len())))]
            #[inline(never)]
            pub(super) fn array(n: u8, at: &mut Vec<usize>, all: [u8; LARGE]) -> u8 {
                note(at);
                let n = n + black_box(&all)[0] - 7;
                if n > 0 { black_box(array(n - 1, at, [7; LARGE])) + 1 } else { n }
            }

            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, fields(length = all.0.len())))]
            #[inline(never)]
            pub(super) fn structure(n: u8, at: &mut Vec<usize>, all: Owned) -> u8 {
                note(at);
                let n = n + black_box(&all).0[0] - 7;
                if n > 0 { black_box(structure(n - 1, at, Owned([7; LARGE]))) + 1 } else { n }
            }

            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all))]
            #[inline(never)]
            pub(super) fn not_captured(n: u8, at: &mut Vec<usize>, all: Owned) -> u8 {
                note(at);
                let n = n + black_box(&all).0[0] - 7;
                if n > 0 { black_box(not_captured(n - 1, at, Owned([7; LARGE]))) + 1 } else { n }
            }

            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, fields(first = all.0[0])))]
            #[inline(never)]
            pub(super) fn destructor(n: u8, at: &mut Vec<usize>, all: Dropped) -> u8 {
                note(at);
                let n = n + black_box(&all).0[0] - 7;
                if n > 0 { black_box(destructor(n - 1, at, Dropped([7; LARGE]))) + 1 } else { n }
            }

            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, fields(first = all.0[0])))]
            #[inline(never)]
            pub(super) fn consuming(n: u8, at: &mut Vec<usize>, all: Owned) -> u8 {
                note(at);
                let n = n + consumed(all);
                if n > 0 { black_box(consuming(n - 1, at, Owned([7; LARGE]))) + 1 } else { n }
            }

            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, fields(first = all.0[0])))]
            #[inline(never)]
            pub(super) fn consuming_destructor(n: u8, at: &mut Vec<usize>, all: Dropped) -> u8 {
                note(at);
                let n = n + consumed(all);
                if n > 0 { black_box(consuming_destructor(n - 1, at, Dropped([7; LARGE]))) + 1 } else { n }
            }

            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, fields(first = all.0[0])))]
            #[inline(never)]
            pub(super) fn fallible_structure(n: u8, at: &mut Vec<usize>, all: Dropped) -> Result<u8, Error> {
                note(at);
                let n = n + black_box(&all).0[0] - 7;
                if n > 0 { Ok(black_box(fallible_structure(n - 1, at, Dropped([7; LARGE]))?) + 1) } else { Ok(n) }
            }

            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, result = |all: &Owned| all.0[0]))]
            #[inline(never)]
            pub(super) fn large_result(n: u8, at: &mut Vec<usize>) -> Owned {
                note(at);
                if n == 0 {
                    return Owned([n; LARGE]);
                }
                let mut all = large_result(n - 1, at);
                black_box(&mut all);
                all
            }

            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, result = |all: &Owned| all.0[0]))]
            #[inline(never)]
            pub(super) fn passed_on(n: u8, at: &mut Vec<usize>) -> Owned {
                note(at);
                if n == 0 {
                    return Owned([n; LARGE]);
                }
                let all = passed_on(n - 1, at);
                // So that the call is not the last one, for which a plain function makes room on no
                // stack.
                black_box(());
                all
            }

            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, result = |all: &Owned| all.0[0]))]
            #[inline(never)]
            pub(super) fn large_ok(n: u8, at: &mut Vec<usize>) -> Result<Owned, Error> {
                note(at);
                if n > 0 { Ok(black_box(large_ok(n - 1, at)?)) } else { Ok(Owned([n; LARGE])) }
            }

            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all))]
            #[inline(never)]
            pub(super) fn large_error(n: u8, at: &mut Vec<usize>) -> Result<u8, Owned> {
                note(at);
                if n > 0 { Ok(black_box(large_error(n - 1, at)?) + 1) } else { Err(Owned([n; LARGE])) }
            }

            pub(super) fn receiver(n: u8, at: &mut Vec<usize>, all: [u8; LARGE]) -> u8 {
                Receiver(all).method(n, at)
            }

            impl Receiver {
                #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, fields(first = self.0[0])))]
                #[inline(never)]
                fn method(self, n: u8, at: &mut Vec<usize>) -> u8 {
                    note(at);
                    let n = n + black_box(&self).0[0] - 7;
                    if n > 0 { black_box(Self([7; LARGE]).method(n - 1, at)) + 1 } else { n }
                }
            }
        }
    )+};
}
twins! { plain any(); with all(); }

/// Prints the bytes of stack that a call takes, of a plain function and of an audited one whose
/// calls are recorded. Returns whether all keep the promise for an optimised build.
pub(super) fn print() -> bool {
    let mut all_within = true;
    macro_rules! lines {
        ($most:expr; $($name:ident($($argument:expr)?);)+) => {$(
            let plain = a_call(|at| _ = black_box(plain::$name(DEPTH, at $(, $argument)?)));
            let audited = a_call(|at| _ = black_box(with::$name(DEPTH, at $(, $argument)?)));
            let is_within = audited <= plain + $most;
            all_within &= is_within;
            let verdict = if is_within { "" } else { ": more than is promised" };
            println!("{:20} plain {plain:6} audited {audited:6}{verdict}", stringify!($name));
        )+};
    }
    lines! { MORE; small(); fallible(); reference(&[7; LARGE]); }
    lines! { LARGE + MORE;
        array([7; LARGE]);
        structure(Owned([7; LARGE]));
        not_captured(Owned([7; LARGE]));
        destructor(Dropped([7; LARGE]));
        consuming(Owned([7; LARGE]));
        consuming_destructor(Dropped([7; LARGE]));
        fallible_structure(Dropped([7; LARGE]));
        receiver([7; LARGE]);
        large_result();
        large_ok();
        large_error();
    }
    // A plain function has its caller's place filled.
    lines! { 2 * LARGE + MORE; passed_on(); }
    all_within
}

/// Returns how far calls within each other are apart: of all but the outermost.
fn a_call(calls: impl FnOnce(&mut Vec<usize>)) -> usize {
    let mut at = Vec::with_capacity(usize::from(DEPTH) + 1);
    calls(&mut at);
    let [_, _, first, .., last, _] = &*at else { return usize::MAX };
    (first - last) / (at.len() - 4)
}
