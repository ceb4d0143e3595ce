//! How much larger the future of an audited function is than that of a plain one: at most 128 bytes, and one copy of its arguments by value.

use audit_runtime::audited;
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
        }
    )+};
}
twins! { plain any(); with all(); }

#[test]
fn a_future_grows_by_little_and_a_copy_of_its_arguments() {
    let more = |plain: usize, audited: usize| audited - plain;
    assert!(more(size_of_val(&plain::small(1)), size_of_val(&with::small(1))) <= 128);
    assert!(more(size_of_val(&plain::local(1)), size_of_val(&with::local(1))) <= 128);
    let all = [0; LARGE];
    assert!(more(size_of_val(&plain::reference(&all)), size_of_val(&with::reference(&all))) <= 128);
    assert!(more(size_of_val(&plain::alive(all)), size_of_val(&with::alive(all))) <= LARGE + 128);
    assert!(more(size_of_val(&plain::gone(all)), size_of_val(&with::gone(all))) <= LARGE + 128);
}
