//! Failures within successes, calls within other trails, and what lints propose.

#![allow(
    clippy::type_complexity,
    clippy::unnecessary_wraps,
    clippy::large_futures,
    reason = "they are as odd as they can be"
)]

use crate::support::{ID, caught, caught_later};
use audit_runtime::testing::Probe;
use audit_runtime::trail::TrailEvent;
use audit_runtime::{Audit, Outcome, audited};
use serde::Serialize;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

type No<T = u8> = Result<T, String>;

fn no<T>() -> No<T> {
    Err("no".into())
}

macro_rules! failures {
    ($($name:ident: $ty:ty, $bad:expr, $good:expr;)+) => {
        $(mod $name {
            use super::*;
            #[audited(event = "a.b", id = ID)]
            pub fn shown(good: bool) -> $ty { if good { $good } else { $bad } }
            #[audited(event = "a.b", id = ID, result = skip)]
            pub async fn skipped(good: bool) -> $ty { if good { $good } else { $bad } }
        })+

        #[test]
        fn a_failure_within_a_success_is_one() {
            $(
                for good in [true, false] {
                    let expected = if good { Outcome::Ok } else { Outcome::Error };
                    assert_eq!(caught(|| drop($name::shown(good))).1.outcome, expected, "{} {good}", stringify!($name));
                    assert_eq!(caught_later(async { drop($name::skipped(good).await) }).1.outcome, expected, "{} {good}", stringify!($name));
                }
            )+
        }
    };
}

failures! {
    twice: No<No>, Ok(no()), Ok(Ok(1));
    three_times: No<No<No>>, Ok(Ok(no())), Ok(Ok(Ok(1)));
    in_an_option: Option<No<No>>, Some(Ok(no())), Some(Ok(Ok(1)));
    around_an_option: No<Option<No>>, Ok(Some(no())), Ok(Some(Ok(1)));
    around_none: No<Option<No>>, no(), Ok(None);
    of_a_task: Poll<No<No>>, Poll::Ready(Ok(no())), Poll::Ready(Ok(Ok(1)));
    of_a_stream: Poll<Option<No<No>>>, Poll::Ready(Some(Ok(no()))), Poll::Ready(Some(Ok(Ok(1))));
    options: Option<Option<No>>, Some(Some(no())), Some(Some(Ok(1)));
}

/// A `Result` of a value that cannot be serialised.
#[audited(event = "a.b", id = ID, result = skip)]
fn twice_of_no_data(good: bool) -> No<No<std::time::Instant>> {
    if good { Ok(Ok(std::time::Instant::now())) } else { Ok(no()) }
}

#[audited(event = "a.b", id = ID, only(n))]
async fn in_time<T: Serialize>(n: u8, of: impl Future<Output = T>) -> No<T> {
    Ok(of.await)
}

#[audited(event = "a.b", id = ID, only(n), result = skip)]
fn locked<T>(n: u8, of: impl FnOnce() -> T) -> std::io::Result<T> {
    Ok(of())
}

#[test]
fn so_is_one_that_only_the_caller_knows() {
    for (good, expected) in [(true, Outcome::Ok), (false, Outcome::Error)] {
        let of = || if good { Ok(7) } else { no() };
        let (_, event) = caught_later(in_time(1, async { of() }));
        assert_eq!(event.outcome, expected, "{}", event.data);
    }
    assert_eq!(caught_later(in_time(1, async { 7 })).1.outcome, Outcome::Ok);
    assert_eq!(caught(|| drop(locked(1, || 7))).1.outcome, Outcome::Ok);
    // Nobody knows that this is not a `Result`.
    for event in [caught(|| drop(locked(1, no::<u8>))).1, caught(|| drop(twice_of_no_data(false))).1] {
        assert_eq!(event.outcome, Outcome::Error, "{}", event.data);
    }
}

#[audited(event = "x.unrecorded", id = none)]
fn unrecorded() {}

#[audited(event = "x.inner", id = none, recorder = audit)]
fn inner(audit: &Audit, n: u8) {}

#[audited(event = "x.outer", id = none, recorder = audit)]
async fn outer(audit: &Audit, n: u8) {
    tokio::task::yield_now().await;
    inner(audit, n);
    pending::<()>().await;
}

#[audited(event = "x.panicking", id = none, recorder = audit)]
async fn panicking(audit: &Audit) {
    tokio::task::yield_now().await;
    panic!("boom");
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn of<'a>(events: &'a [TrailEvent], event_type: &str) -> Vec<&'a TrailEvent> {
    events.iter().filter(|event| event.event_type == event_type).collect()
}

/// In a process of its own: whether anything is recorded is decided once for a process.
#[test]
fn a_recorder_of_ones_own_needs_nothing_installed() {
    const TEST: &str = "nested::a_recorder_of_ones_own_needs_nothing_installed";
    if !tests::again::is_again(TEST) {
        assert!(tests::again::again(TEST).status().unwrap().success());
        return;
    }
    unrecorded();
    let probe = Probe::new();
    let audit = probe.audit().clone();
    {
        let mut waiting = pin!(outer(&audit, 1));
        assert!(poll(waiting.as_mut()).is_pending());
        inner(&audit, 100);
        assert!(poll(waiting.as_mut()).is_pending());
    }
    inner(&audit, 101);
    let mut panics = pin!(panicking(&audit));
    assert!(poll(panics.as_mut()).is_pending());
    unrecorded();
    catch_unwind(AssertUnwindSafe(|| poll(panics.as_mut()))).unwrap_err();
    let events = probe.events();
    let [outer] = *of(&events, "x.outer") else { panic!("{events:?}") };
    assert_eq!(outer.outcome, Outcome::Cancelled);
    let causes: Vec<_> = of(&events, "x.inner").iter().map(|event| event.causation_id).collect();
    assert_eq!(causes, [None, Some(outer.id), None]);
}

#[test]
fn a_panic_is_told_whatever_becomes_of_other_calls() {
    let probe = Probe::new();
    let audit = probe.audit().clone();
    let mut panics = Box::pin(panicking(&audit));
    assert!(poll(panics.as_mut()).is_pending());
    catch_unwind(AssertUnwindSafe(|| poll(panics.as_mut()))).unwrap_err();
    drop(panics);
    let [event] = &*probe.events() else { panic!("one event") };
    assert_eq!((event.outcome, &event.data["$panic"]), (Outcome::Panicked, &"boom".into()));
}

#[audited(event = "x.around", id = none, skip_all)]
fn around(of: &Audit) {
    inner(of, 1);
}

#[test]
fn a_call_of_another_trail_is_no_cause() {
    let (one, other) = (Probe::new(), Probe::new());
    let entered = one.enter();
    around(other.audit());
    drop(entered);
    let event = other.only("x.inner");
    assert_eq!((event.causation_id, event.correlation_id), (None, Some(event.id)));
}

#[audited(event = "a.b", id = none)]
async fn plain(n: u8) -> u8 {
    std::future::ready(()).await;
    n
}

#[test]
fn a_future_may_be_unwound_as_before() {
    fn unwinds<T: UnwindSafe>(_: &T) {}
    unwinds(&plain(1));
}

struct Line {
    sku: u8,
    count: u8,
}

/// Names that no lint can rename, a parameter that a condition takes away, and a pattern without a
/// name.
#[deny(unused)]
#[audited(event = "a.b", id = none, skip(left_out))]
fn odd_parameters(
    Line { sku, count: _ }: Line,
    left_out: u8,
    #[cfg_attr(all(), cfg(any()))] absent: u8,
    _whole @ (Some(_) | None): Option<u8>,
) {
}

#[test]
fn code_that_lints_propose_compiles() {
    let line = Line { sku: 7, count: 1 };
    assert_eq!(line.count, 1);
    let (_, event) = caught(|| odd_parameters(line, 1, None));
    assert_eq!(event.data, serde_json::json!({"sku": 7}));
}
