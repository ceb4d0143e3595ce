//! The stack that audited functions take beside plain ones.

use audit_runtime::audited;
use std::fmt::Error;
use std::hint::black_box;

const DEPTH: u8 = 20;
const LARGE: usize = 8192;
struct Owned([u8; LARGE]);

/// Notes where the stack is.
fn note(at: &mut Vec<usize>) {
    let here = black_box(0_u8);
    at.push(&raw const here as usize);
}

macro_rules! twins {
    ($($module:ident $on:meta;)+) => {$(
        mod $module {
            use super::*;

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
        }
    )+};
}
twins! { plain any(); with all(); }

/// Prints the bytes of stack that a call takes: of a plain function, and of an audited one whose calls are recorded.
pub(super) fn print() {
    macro_rules! line {
        ($name:ident $($argument:expr)?) => {
            let plain = a_call(|at| _ = black_box(plain::$name(DEPTH, at $(, $argument)?)));
            let audited = a_call(|at| _ = black_box(with::$name(DEPTH, at $(, $argument)?)));
            println!("{:10} plain {plain:6} audited {audited:6}", stringify!($name));
        };
    }
    line!(small);
    line!(fallible);
    line!(reference & [7; LARGE]);
    line!(array [7; LARGE]);
    line!(structure Owned([7; LARGE]));
}

/// Returns how far calls within each other are apart: of all but the outermost.
fn a_call(calls: impl FnOnce(&mut Vec<usize>)) -> usize {
    let mut at = Vec::with_capacity(usize::from(DEPTH) + 1);
    calls(&mut at);
    let [_, _, first, .., last, _] = &*at else { return 0 };
    (first - last) / (at.len() - 4)
}
