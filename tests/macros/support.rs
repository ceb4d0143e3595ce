//! Catching what a call records.

use audit_runtime::testing::Probe;
use audit_runtime::trail::TrailEvent;
use std::pin::Pin;
use uuid::Uuid;

/// The id that every call of these tests is about.
pub const ID: Uuid = Uuid::from_u128(7);

/// The return value of the call, and the one event it records.
pub fn caught<R>(call: impl FnOnce() -> R) -> (R, TrailEvent) {
    let probe = Probe::new();
    let entered = probe.enter();
    let returned = call();
    drop(entered);
    (returned, one(&probe))
}

/// The same for a future, whose type stays out of the caller's.
pub fn caught_later<R>(future: impl Future<Output = R>) -> (R, TrailEvent) {
    let probe = Probe::new();
    let boxed: Pin<Box<dyn Future<Output = R> + '_>> = Box::pin(future);
    let returned = pollster::block_on(probe.scope(boxed));
    (returned, one(&probe))
}

fn one(probe: &Probe) -> TrailEvent {
    let events = probe.events();
    assert_eq!(events.len(), 1, "{events:#?}");
    events.into_iter().next().unwrap()
}
