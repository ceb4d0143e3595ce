//! The growth of an audited function's future over a plain one's: at most 128 bytes, and one copy
//! of its arguments by value.

use audit_runtime::{RecordError, audited};
use std::future::ready;

const LARGE: usize = 8192;

macro_rules! twins {
    ($($module:ident $on:meta;)+) => {$(
        mod $module {
            use super::*;

            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all))]
            pub(super) async fn small(n: u8) -> u8 { ready(()).await; n }
            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all))]
            pub(super) async fn local(n: u8) -> u8 { let all = [n; LARGE]; ready(()).await; all[7] }
            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, fields(length = all.len())))]
            pub(super) async fn reference(all: &[u8; LARGE]) -> u8 { ready(()).await; all[7] }
            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all))]
            pub(super) async fn alive(all: [u8; LARGE]) -> u8 { ready(()).await; all[7] }
            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all))]
            pub(super) async fn gone(all: [u8; LARGE]) -> u8 { let n = all[7]; ready(()).await; n }
            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, fields(length = all.len())))]
            pub(super) async fn looked(all: [u8; LARGE]) -> u8 { ready(()).await; all[7] }
            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, fields(length = all.len())))]
            pub(super) async fn gone_looked(all: [u8; LARGE]) -> u8 { let n = all[7]; ready(()).await; n }
            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, fields(length = all.len()), required))]
            pub(super) async fn required(all: [u8; LARGE]) -> Result<u8, RecordError> { ready(()).await; Ok(all[7]) }
            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, required))]
            pub(super) async fn small_required(n: u8) -> Result<u8, RecordError> { ready(()).await; Ok(n) }
            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, when = all[0] == 0, fields(first = |all: &u8| *all)))]
            pub(super) async fn late(all: [u8; LARGE]) -> u8 { ready(()).await; all[7] }
            #[cfg_attr($on, audited(event = "a.b", id = none, skip_all, changes(list), fields(length = all.len())))]
            pub(super) async fn changed(list: &mut Vec<u8>, all: [u8; LARGE]) -> u8 { ready(()).await; list.push(1); all[7] }
        }
    )+};
}
twins! { plain any(); with all(); }

#[test]
fn a_future_grows_by_little_and_a_copy_of_its_arguments() {
    let all = [0; LARGE];
    let (mut list, mut same) = (Vec::new(), Vec::new());
    macro_rules! more {
        ($most:expr; $($name:ident($($argument:expr),*);)+) => {$(
            let (plain, audited) = (size_of_val(&plain::$name($($argument),*)), size_of_val(&with::$name($($argument),*)));
            println!("{:16} {plain:6} {audited:6}", stringify!($name));
            assert!(audited <= plain + $most, "{}: {plain}, audited {audited}", stringify!($name));
        )+};
    }
    more! { 128; small(1); local(1); reference(&all); small_required(1); }
    more! { LARGE + 128; alive(all); gone(all); looked(all); gone_looked(all); required(all); late(all); }
    let (plain, audited) = (size_of_val(&plain::changed(&mut list, all)), size_of_val(&with::changed(&mut same, all)));
    assert!(audited <= plain + LARGE + 128, "changed: {plain}, audited {audited}");
}
