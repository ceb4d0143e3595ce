//! How calls end, and that they end as they would without the attribute.

use audit_runtime::testing::Probe;
use audit_runtime::{Outcome, audited};
use serde_json::json;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(7);

#[derive(Debug, thiserror::Error)]
#[error("cannot parse")]
struct Parse(#[from] std::num::ParseIntError);

#[audited(event = "number.parsed", id = ID)]
fn parse(text: &str) -> Result<i32, Parse> {
    if text.is_empty() {
        return Ok(0);
    }
    let number: i32 = text.parse()?;
    Ok(number)
}

#[audited(event = "number.parsed", id = ID)]
async fn parse_later(text: String) -> Result<i32, Parse> {
    tokio::task::yield_now().await;
    if text.is_empty() {
        return Ok(0);
    }
    let number: i32 = text.parse()?;
    drop(text);
    Ok(number)
}

#[test]
fn return_and_question_mark_leave_the_body_and_not_the_record() {
    let probe = Probe::new();
    let _entered = probe.enter();
    assert_eq!(parse("").unwrap(), 0);
    assert_eq!(parse("12").unwrap(), 12);
    parse("x").unwrap_err();
    let ends: Vec<_> = probe.events().into_iter().map(|event| (event.outcome, event.data)).collect();
    let causes = ["invalid digit found in string"];
    assert_eq!(
        ends,
        [
            (Outcome::Ok, json!({"text": "", "result": 0}).into()),
            (Outcome::Ok, json!({"text": "12", "result": 12}).into()),
            (Outcome::Error, json!({"text": "x", "error": {"message": "cannot parse", "causes": causes}}).into()),
        ]
    );
}

#[tokio::test]
async fn the_same_holds_for_async_functions() {
    let probe = Probe::new();
    for (text, outcome) in [("", Outcome::Ok), ("12", Outcome::Ok), ("x", Outcome::Error)] {
        let result = probe.scope(parse_later(text.into())).await;
        assert_eq!(result.is_ok(), outcome == Outcome::Ok);
        assert_eq!(probe.events().last().unwrap().outcome, outcome);
    }
}

#[test]
fn a_panic_is_recorded_and_goes_on() {
    #[audited(event = "order.submitted", id = ID)]
    fn panics(number: u8) -> Result<u8, ()> {
        panic!("number {number}")
    }
    #[audited(event = |_| "order.submitted", entity = "order", id = ID)]
    fn panics_with_a_late_event(number: u8) {
        assert!(number > 10, "number {number}");
    }
    let probe = Probe::new();
    let entered = probe.enter();
    let panic = catch_unwind(|| panics(3)).unwrap_err();
    assert_eq!(panic.downcast_ref::<String>().unwrap(), "number 3");
    catch_unwind(|| panics_with_a_late_event(3)).unwrap_err();
    panics_with_a_late_event(11);
    drop(entered);
    let events = probe.events();
    assert_eq!(events[0].event_type, "order.submitted");
    assert_eq!(
        (events[0].outcome, &events[0].data),
        (Outcome::Panicked, &json!({"number": 3, "$panic": "number 3"}).into())
    );
    assert_eq!((events[1].outcome, events[1].event_type.as_str()), (Outcome::Panicked, "order.panicked"));
    assert_eq!((events[2].outcome, events[2].event_type.as_str()), (Outcome::Ok, "order.submitted"));
}

#[test]
fn a_panic_of_the_attributes_own_expressions_is_data() {
    #[audited(event = "a.b", id = ID, fields(first = items[0], length = items.len()))]
    fn early(items: &[u8]) -> usize {
        items.len()
    }
    #[audited(event = |n| ["a.b"][usize::from(*n)], err = |e| if e.to_string().is_empty() { "a.c" } else { unreachable!() }, entity = "a", id = ID)]
    fn late(text: &str) -> Result<u8, std::num::ParseIntError> {
        text.parse()
    }
    let probe = Probe::new();
    let entered = probe.enter();
    assert_eq!(early(&[]), 0);
    assert_eq!((late("1"), late("x").is_err()), (Ok(1), true));
    drop(entered);
    let message = "panicked: index out of bounds: the len is 0 but the index is 0";
    assert_eq!(probe.only("a.b").data, json!({"items": [], "$error": message, "result": 0}));
    let message = "panicked: index out of bounds: the len is 1 but the index is 1";
    assert_eq!(probe.only("a.ok").data, json!({"text": "1", "$error": message}));
    let error = &probe.only("a.error").data["$error"];
    assert!(error.as_str().unwrap().contains("unreachable"), "{error}");
}

#[test]
fn a_call_made_while_its_thread_unwinds_is_not_mistaken_for_a_panic() {
    #[audited(event = "order.cancelled", id = ID)]
    fn clean_up() -> u8 {
        1
    }
    struct OnDrop;
    impl Drop for OnDrop {
        fn drop(&mut self) {
            clean_up();
        }
    }
    let probe = Probe::new();
    let entered = probe.enter();
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _on_drop = OnDrop;
        panic!("outside");
    }));
    drop(entered);
    assert_eq!(probe.only("order.cancelled").outcome, Outcome::Ok);
}

#[audited(event = "order.submitted", id = ID)]
async fn never(resource: Arc<()>) {
    parse_later("5".into()).await.unwrap();
    pending::<()>().await;
}

#[test]
fn a_future_that_is_dropped_is_cancelled() {
    let probe = Probe::new();
    let resource = Arc::new(());
    {
        let mut future = pin!(probe.scope(never(resource.clone())));
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(future.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(future.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(probe.events().len(), 1, "the inner call has returned");
    }
    // The future was dropped outside of the scope: the call still knows where it belongs.
    let event = probe.only("order.submitted");
    assert_eq!(event.outcome, Outcome::Cancelled);
    assert_eq!(probe.only("number.parsed").causation_id, Some(event.id));
    assert_eq!(Arc::strong_count(&resource), 1);
}

#[test]
fn a_future_that_is_dropped_while_its_thread_unwinds_is_cancelled_not_panicked() {
    struct OnDrop;
    impl Drop for OnDrop {
        fn drop(&mut self) {
            let mut future = pin!(never(Arc::new(())));
            let mut context = Context::from_waker(Waker::noop());
            let _ = future.as_mut().poll(&mut context);
        }
    }
    let probe = Probe::new();
    let entered = probe.enter();
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _on_drop = OnDrop;
        panic!("outside");
    }));
    drop(entered);
    assert_eq!(probe.only("order.submitted").outcome, Outcome::Cancelled);
}

#[test]
fn only_the_call_that_panicked_is_panicked() {
    #[audited(event = "order.sent", id = ID)]
    async fn send() {
        pending::<()>().await;
    }
    #[audited(event = "order.made", id = ID)]
    fn make() -> impl Future<Output = ()> {
        Box::pin(pending())
    }
    #[audited(event = "order.submitted", id = ID)]
    async fn submit() -> Result<u8, Parse> {
        tokio::task::yield_now().await;
        panic!("no broker");
    }
    #[audited(event = "order.checked", id = ID)]
    async fn check() -> Result<u8, Parse> {
        submit().await
    }
    let probe = Probe::new();
    let calls = async { tokio::join!(send(), make(), send(), check()) };
    let entered = probe.enter();
    let unpolled = make();
    drop(entered);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _unpolled = unpolled;
        pollster::block_on(probe.scope(calls))
    }));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"no broker"));
    let outcomes = |event_type: &str| -> Vec<Outcome> {
        probe.events().iter().filter(|event| event.event_type == event_type).map(|event| event.outcome).collect()
    };
    assert_eq!(outcomes("order.sent"), [Outcome::Cancelled; 2]);
    assert_eq!(outcomes("order.made"), [Outcome::Cancelled; 2]);
    for panicked in ["order.submitted", "order.checked"] {
        let event = probe.only(panicked);
        assert_eq!((event.outcome, &event.data["$panic"]), (Outcome::Panicked, &json!("no broker").into()));
    }
    assert_eq!(probe.only("order.submitted").causation_id, Some(probe.only("order.checked").id));
}

#[test]
fn a_synchronous_call_is_never_cancelled() {
    #[audited(event = "order.cancelled", id = ID)]
    fn clean_up() {
        panic!("inside");
    }
    struct OnDrop;
    impl Drop for OnDrop {
        fn drop(&mut self) {
            catch_unwind(clean_up).unwrap_err();
        }
    }
    let probe = Probe::new();
    let entered = probe.enter();
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _on_drop = OnDrop;
        panic!("outside");
    }));
    drop(entered);
    let event = probe.only("order.cancelled");
    assert_eq!((event.outcome, event.data), (Outcome::Panicked, json!({"$panic": "inside"}).into()));
}

#[test]
fn a_panic_with_a_value_that_is_no_text_goes_on_as_it_is() {
    #[audited(event = "order.submitted", id = ID)]
    fn submit() -> u8 {
        std::panic::panic_any(7_u8)
    }
    let probe = Probe::new();
    let entered = probe.enter();
    assert_eq!(catch_unwind(submit).unwrap_err().downcast_ref::<u8>(), Some(&7));
    drop(entered);
    let event = probe.only("order.submitted");
    assert_eq!((event.outcome, event.data), (Outcome::Panicked, json!({}).into()));
}

#[test]
fn a_future_that_was_never_polled_was_no_call() {
    let probe = Probe::new();
    drop(probe.scope(never(Arc::new(()))));
    assert_eq!(probe.events(), []);
}

#[tokio::test]
async fn a_timeout_cancels_and_the_duration_is_the_time_until_then() {
    let probe = Probe::new();
    let call = probe.scope(never(Arc::new(())));
    tokio::time::timeout(Duration::from_millis(1), call).await.unwrap_err();
    assert_eq!(probe.only("order.submitted").outcome, Outcome::Cancelled);
}

#[test]
fn futures_stay_send() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&parse_later(String::new()));
    is_send(&Probe::new().scope(never(Arc::new(()))));
}

#[test]
fn without_a_handle_a_function_is_only_itself() {
    assert_eq!(parse("12").unwrap(), 12);
    assert!(parse("x").is_err());
}
