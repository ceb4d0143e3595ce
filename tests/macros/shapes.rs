//! Every shape of a function. Each is recorded as it was called, returns the same as without the
//! attribute, and draws no warning from the strictest set of lints.

#![deny(
    warnings,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    unused_variables,
    dead_code,
    missing_debug_implementations,
    elided_lifetimes_in_paths,
    let_underscore_drop,
    single_use_lifetimes,
    unreachable_pub,
    unused_qualifications
)]

use crate::support::{ID, caught, caught_later};
use audit_runtime::testing::Probe;
use audit_runtime::{Outcome, audited};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::{Debug, Display};
use std::future::{Future, ready};
use std::panic::catch_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use uuid::Uuid;

fn data<R>(call: impl FnOnce() -> R) -> Value {
    caught(call).1.data.value()
}

fn data_later<R>(future: impl Future<Output = R>) -> Value {
    caught_later(future).1.data.value()
}

#[audited(event = "a.b")]
fn sync(id: Uuid, text: &str) -> usize {
    text.len()
}

#[audited(event = "a.b")]
async fn asynchronous(id: Uuid, text: &str) -> usize {
    ready(text.len()).await
}

#[audited(event = "a.b")]
unsafe fn dangerous(id: Uuid, pointer: &u8) -> u8 {
    // SAFETY: it comes from a reference.
    unsafe { std::ptr::from_ref(pointer).read() }
}

#[audited(event = "a.b")]
async unsafe fn dangerous_later(id: Uuid, number: u8) -> u8 {
    ready(number).await
}

#[audited(event = "a.b", id = ID)]
extern "C" fn foreign(number: u32) -> u32 {
    number + 1
}

#[test]
fn plain_async_unsafe_and_extern() {
    assert_eq!(data(|| sync(ID, "abc")), json!({"id": ID, "text": "abc", "result": 3}));
    assert_eq!(data_later(asynchronous(ID, "abc")), json!({"id": ID, "text": "abc", "result": 3}));
    // SAFETY: it only reads through a reference.
    assert_eq!(data(|| unsafe { dangerous(ID, &3) }), json!({"id": ID, "pointer": 3, "result": 3}));
    // SAFETY: it does nothing that is not safe.
    assert_eq!(data_later(unsafe { dangerous_later(ID, 3) }), json!({"id": ID, "number": 3, "result": 3}));
    assert_eq!(data(|| foreign(3)), json!({"number": 3, "result": 4}));
}

#[audited(event = "a.b", skip(items), fields(items = items.as_slice(), count = N))]
fn generic<'a, T, U, const N: usize>(id: Uuid, items: &'a [T; N], other: U) -> Option<&'a T>
where
    T: Serialize + PartialEq<U> + 'a,
    U: Serialize,
{
    items.iter().find(|item| **item == other)
}

#[audited(event = "a.b", only(id, ?item))]
async fn generic_later<T: Clone + Debug + Send>(id: Uuid, item: T) -> Result<usize, T> {
    ready(Err(item)).await
}

#[audited(event = "a.b", id = ID)]
fn opaque_arguments(text: impl AsRef<str> + Serialize, number: &(impl Into<u64> + Copy + Serialize)) -> u64 {
    (*number).into() + text.as_ref().len() as u64
}

#[audited(event = "a.b", id = ID, skip(f))]
fn opaque_closure(f: impl FnOnce() -> u8) -> u8 {
    f()
}

#[audited(event = "a.b", id = ID)]
fn opaque_result(number: u8) -> impl Iterator<Item = u8> + use<> {
    (0..number).map(|n| n * 2)
}

#[audited(event = "a.b", id = ID)]
fn opaque_serialisable(number: u8) -> impl Serialize + Debug + use<> {
    (number, "x")
}

#[audited(event = "a.b", id = ID)]
fn opaque_in_a_result(number: u8) -> Result<impl Iterator<Item = u8> + use<>, String> {
    if number > 9 {
        return Err("too many".to_owned());
    }
    Ok(0..number)
}

#[test]
fn generics_and_impl_trait() {
    assert_eq!(
        data(|| generic(ID, &[1, 2, 3], 2)),
        json!({"id": ID, "items": [1, 2, 3], "count": 3, "other": 2, "result": 2})
    );
    let (returned, event) = caught_later(generic_later(ID, "x"));
    assert_eq!((returned, event.data["item"].as_str()), (Err("x"), Some("\"x\"")));
    assert_eq!((event.outcome, &event.data["error"]["message"]), (Outcome::Error, &json!("\"x\"").into()));
    assert_eq!(data(|| opaque_arguments("ab", &3_u8)), json!({"text": "ab", "number": 3, "result": 5}));
    assert_eq!(data(|| opaque_closure(|| 3)), json!({"result": 3}));
    let (twice, event) = caught(|| opaque_result(3));
    assert_eq!((twice.collect::<Vec<_>>(), event.data), (vec![0, 2, 4], json!({"number": 3}).into()));
    assert_eq!(data(|| opaque_serialisable(3)), json!({"number": 3, "result": [3, "x"]}));
    let (counted, event) = caught(|| opaque_in_a_result(2));
    assert_eq!((counted.map(Iterator::count), event.data), (Ok(2), json!({"number": 2}).into()));
    assert_eq!(caught(|| opaque_in_a_result(10).map(Iterator::count)).1.outcome, Outcome::Error);
}

#[derive(Debug, Clone, Default)]
struct Counter(u32);

impl Counter {
    #[audited(event = "a.b", id = ID)]
    fn by_value(self, more: u32) -> u32 {
        self.0 + more
    }

    #[audited(event = "a.b", id = ID)]
    fn by_mut_value(mut self, more: u32) -> u32 {
        self.0 += more;
        self.0
    }

    #[audited(event = "a.b", id = ID, fields(before = self.0))]
    fn by_reference(&self, more: u32) -> u32 {
        self.0 + more
    }

    #[audited(event = "a.b", id = ID, fields(before = self.0))]
    fn by_mut_reference(&mut self, more: u32) -> &mut u32 {
        self.0 += more;
        &mut self.0
    }

    #[audited(event = "a.b", id = ID)]
    fn by_box(self: Box<Self>, more: u32) -> u32 {
        self.0 + more
    }

    #[audited(event = "a.b", id = ID)]
    fn by_rc(self: &Rc<Self>, more: u32) -> u32 {
        self.0 + more
    }

    #[audited(event = "a.b", id = ID)]
    fn by_arc(self: Arc<Self>, more: u32) -> u32 {
        self.0 + more
    }

    #[audited(event = "a.b", id = ID)]
    fn by_pin(mut self: Pin<&mut Self>, more: u32) -> u32 {
        self.0 += more;
        self.0
    }

    #[audited(event = "a.b", id = ID)]
    async fn by_value_later(self, more: u32) -> u32 {
        ready(self.0 + more).await
    }

    #[audited(event = "a.b", id = ID)]
    async fn by_mut_reference_later(&mut self, more: u32) -> &mut u32 {
        self.0 += ready(more).await;
        &mut self.0
    }

    #[audited(event = "a.b", id = ID)]
    async fn by_arc_later(self: Arc<Self>, more: u32) -> u32 {
        self.0 + ready(more).await
    }

    #[audited(event = "a.b", id = ID)]
    async fn by_pin_later(mut self: Pin<&mut Self>, more: u32) -> u32 {
        self.0 += ready(more).await;
        self.0
    }

    #[audited(event = "a.b", id = ID, result = ?)]
    fn associated(start: u32) -> Self {
        Self(start)
    }
}

#[test]
fn every_receiver() {
    let counter = Counter(1);
    let expected = json!({"more": 2, "result": 3});
    assert_eq!(data(|| counter.clone().by_value(2)), expected);
    assert_eq!(data(|| counter.clone().by_mut_value(2)), expected);
    assert_eq!(data(|| counter.by_reference(2)), json!({"before": 1, "more": 2, "result": 3}));
    assert_eq!(data(|| *counter.clone().by_mut_reference(2)), json!({"before": 1, "more": 2, "result": 3}));
    assert_eq!(data(|| Box::new(counter.clone()).by_box(2)), expected);
    assert_eq!(data(|| Rc::new(counter.clone()).by_rc(2)), expected);
    assert_eq!(data(|| Arc::new(counter.clone()).by_arc(2)), expected);
    assert_eq!(data(|| Pin::new(&mut counter.clone()).by_pin(2)), expected);
    assert_eq!(data_later(counter.clone().by_value_later(2)), expected);
    assert_eq!(data_later(async { *counter.clone().by_mut_reference_later(2).await }), expected);
    assert_eq!(data_later(Arc::new(counter.clone()).by_arc_later(2)), expected);
    assert_eq!(data_later(async { Pin::new(&mut counter.clone()).by_pin_later(2).await }), expected);
    assert_eq!(data(|| Counter::associated(4)), json!({"start": 4, "result": "Counter(4)"}));
}

#[audited(event = "a.b", id = ID)]
fn longest<'a>(a: &'a str, b: &'a str) -> &'a str {
    if a.len() < b.len() { b } else { a }
}

#[audited(event = "a.b", id = ID)]
async fn first<'a>(words: &'a [String], _fallback: &str) -> Option<&'a String> {
    ready(words.first()).await
}

#[audited(event = "a.b", id = ID)]
fn last_mut(numbers: &mut Vec<u8>) -> Option<&mut u8> {
    numbers.push(9);
    numbers.last_mut()
}

#[test]
fn borrowed_returns() {
    assert_eq!(data(|| longest("ab", "abc").len()), json!({"a": "ab", "b": "abc", "result": "abc"}));
    let words = vec!["x".to_owned()];
    assert_eq!(data_later(first(&words, "")), json!({"words": ["x"], "result": "x"}));
    let mut numbers = vec![1];
    let before = data(|| {
        *last_mut(&mut numbers).unwrap() += 1;
    });
    assert_eq!((before, numbers), (json!({"numbers": [1], "result": 9}), vec![1, 10]));
}

struct Wrapped<T>(T);
struct Point {
    x: u8,
    y: u8,
}

#[allow(clippy::too_many_arguments, clippy::toplevel_ref_arg)]
#[audited(event = "a.b")]
fn patterns(
    Wrapped(id): Wrapped<Uuid>,
    (a, (b, ..)): (u8, (u8, u8)),
    Point { x, y: renamed }: Point,
    mut counted: u8,
    ref borrowed: String,
    &dereferenced: &u8,
    [one, .., last]: [u8; 3],
    whole @ (_, _): (u8, u8),
    _: u8,
    _underscored: u8,
) -> usize {
    counted += a + b + x + renamed + dereferenced + one + last + whole.0;
    borrowed.len() + usize::from(counted)
}

#[audited(event = "a.b")]
async fn patterns_later(
    Wrapped(id): Wrapped<Uuid>,
    (a, mut b): (u8, u8),
    Point { x, .. }: Point,
    _: u8,
    r#type: u8,
) -> u8 {
    b += ready(a).await;
    b + x + r#type
}

#[test]
fn patterns_of_parameters() {
    let call = || {
        let point = Point { x: 4, y: 5 };
        patterns(Wrapped(ID), (1, (2, 3)), point, 6, "seven".to_owned(), &8, [9, 0, 10], (11, 12), 13, 14)
    };
    assert_eq!(
        data(call),
        json!({"id": ID, "a": 1, "b": 2, "x": 4, "renamed": 5, "counted": 6, "borrowed": "seven", "dereferenced": 8,
               "one": 9, "last": 10, "whole": [11, 12], "result": 61})
    );
    let later = patterns_later(Wrapped(ID), (1, 2), Point { x: 3, y: 4 }, 5, 6);
    assert_eq!(data_later(later), json!({"id": ID, "a": 1, "b": 2, "x": 3, "type": 6, "result": 12}));
}

#[audited(event = "a.b", id = ID)]
fn moved(text: String, numbers: Vec<u8>) -> String {
    drop(numbers);
    text
}

#[audited(event = "a.b", id = ID)]
async fn moved_later(text: String) -> usize {
    ready(text).await.len()
}

#[audited(event = "a.b", id = ID)]
fn changed(numbers: &mut Vec<u8>, count: &mut usize) {
    numbers.clear();
    *count += 1;
}

#[test]
fn arguments_are_captured_before_the_body_moves_or_changes_them() {
    assert_eq!(data(|| moved("a".to_owned(), vec![1])), json!({"text": "a", "numbers": [1], "result": "a"}));
    assert_eq!(data_later(moved_later("ab".to_owned())), json!({"text": "ab", "result": 2}));
    let (mut numbers, mut count) = (vec![1, 2], 3);
    assert_eq!(data(|| changed(&mut numbers, &mut count)), json!({"numbers": [1, 2], "count": 3}));
    assert_eq!((numbers, count), (vec![], 4));
}

#[audited(event = "a.b", id = ID)]
fn from_a_loop(mut number: u32) -> u32 {
    loop {
        number *= 2;
        if number > 100 {
            return number;
        }
    }
}

#[audited(event = "a.b", id = ID)]
fn never(number: u32) -> ! {
    panic!("never {number}")
}

#[audited(event = "a.b", id = ID)]
async fn never_later(number: u32) -> ! {
    ready(()).await;
    panic!("never {number}")
}

#[audited(event = "a.b", id = ID)]
fn with_closures(numbers: Vec<u32>) -> Vec<u32> {
    let add = |n: u32| {
        if n == 1 {
            return 10;
        }
        n + 1
    };
    numbers.into_iter().map(add).collect()
}

#[audited(event = "number.parsed", id = ID)]
fn with_question_marks(text: &str) -> Option<u32> {
    let digit = text.chars().next()?.to_digit(10)?;
    Some(digit + 1)
}

#[test]
fn returns_from_within() {
    assert_eq!(data(|| from_a_loop(30)), json!({"number": 30, "result": 120}));
    let panicked = caught(|| catch_unwind(|| never(1)).is_err()).1;
    assert_eq!(
        (panicked.outcome, panicked.data),
        (Outcome::Panicked, json!({"number": 1, "$panic": "never 1"}).into())
    );
    let panicked = caught(|| catch_unwind(|| pollster::block_on(never_later(1))).is_err()).1;
    assert_eq!(panicked.outcome, Outcome::Panicked);
    assert_eq!(data(|| with_closures(vec![1, 2])), json!({"numbers": [1, 2], "result": [10, 3]}));
    assert_eq!(data(|| with_question_marks("7")), json!({"text": "7", "result": 8}));
    assert_eq!(data(|| with_question_marks("x")), json!({"text": "x", "result": null}));
}

#[audited(event = "a.b", id = ID, when = n == 3)]
fn factorial(n: u64) -> u64 {
    if n == 0 { 1 } else { n * factorial(n - 1) }
}

#[audited(event = "a.b", id = ID, when = n == 3)]
async fn factorial_later(n: u64) -> u64 {
    if n == 0 {
        return 1;
    }
    n * Box::pin(factorial_later(n - 1)).await
}

#[audited(event = "a.b", id = ID)]
fn outer(number: u8) -> u8 {
    #[audited(event = "c.d", id = ID, when = false)]
    fn inner(number: u8) -> u8 {
        number + 1
    }
    inner(number) * 2
}

#[test]
fn recursion_and_nesting() {
    assert_eq!(data(|| factorial(5)), json!({"n": 3, "result": 6}));
    assert_eq!(data_later(factorial_later(5)), json!({"n": 3, "result": 6}));
    assert_eq!(data(|| outer(2)), json!({"number": 2, "result": 6}));
}

#[audited(event = "a.b", id = ID)]
fn future(number: u8) -> impl Future<Output = u8> + Send + use<> {
    let twice = number * 2;
    async move { ready(twice).await + 1 }
}

#[audited(event = "a.b", id = ID, err = "a.c")]
fn boxed_future(text: &str) -> Pin<Box<dyn Future<Output = Result<u8, std::num::ParseIntError>> + Send + '_>> {
    Box::pin(async move {
        let number: u8 = text.parse()?;
        Ok(ready(number).await)
    })
}

#[audited(event = "a.b", id = ID)]
fn named_boxed_future(number: u8) -> futures_util::future::BoxFuture<'static, u8> {
    Box::pin(ready(number))
}

#[audited(event = "a.b", id = ID)]
fn numbers(count: u8) -> impl Stream<Item = u8> + Send + use<> {
    stream::iter(0..count)
}

#[test]
fn futures_and_streams() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    // They are called when they are called, be it outside of a scope.
    assert_eq!(data_later(async { is_send(future(2)).await }), json!({"number": 2, "result": 5}));
    let (returned, event) = caught_later(async { is_send(boxed_future("x")).await });
    assert_eq!((returned.is_err(), event.event_type.as_str(), event.outcome), (true, "a.c", Outcome::Error));
    assert_eq!(data_later(async { boxed_future("3").await }), json!({"text": "3", "result": 3}));
    assert_eq!(data_later(async { named_boxed_future(3).await }), json!({"number": 3, "result": 3}));
    // An async block that is not polled has done nothing. Other code that made a future may have.
    let probe = Probe::new();
    let entered = probe.enter();
    drop((boxed_future("3"), future(2)));
    drop(entered);
    assert_eq!(probe.only("a.b").outcome, Outcome::Cancelled);
    // A stream is on record when it is returned, whatever is taken from it.
    let (stream, event) = caught(|| is_send(numbers(3)));
    assert_eq!((event.outcome, event.data), (Outcome::Ok, json!({"count": 3}).into()));
    assert_eq!(pollster::block_on(stream.collect::<Vec<_>>()), [0, 1, 2]);
}

trait Desk {
    const EVENT: &'static str = "desk.asked";

    fn ask(&self, id: Uuid) -> String;

    #[audited(event = Self::EVENT, entity = "desk")]
    fn ask_twice(&self, id: Uuid) -> String {
        self.ask(id).repeat(2)
    }

    async fn answer(&self, id: Uuid) -> usize;

    #[audited(event = "a.b")]
    async fn answer_by_default(&self, id: Uuid) -> usize {
        self.answer(id).await * 2
    }

    fn later(&self, id: Uuid) -> impl Future<Output = u8> + Send;
}

struct Front<T>(T);

impl<T: Display + Sync> Desk for Front<T> {
    #[audited(event = "a.b", when = false)]
    fn ask(&self, id: Uuid) -> String {
        self.0.to_string()
    }

    #[audited(event = "a.b", when = self.0.to_string().is_empty())]
    async fn answer(&self, id: Uuid) -> usize {
        ready(self.0.to_string().len()).await
    }

    #[audited(event = "a.b")]
    async fn later(&self, id: Uuid) -> u8 {
        ready(7).await
    }
}

#[test]
fn traits() {
    let (returned, event) = caught(|| Front(12).ask_twice(ID));
    assert_eq!((returned.as_str(), event.event_type.as_str()), ("1212", "desk.asked"));
    assert_eq!(event.data, json!({"id": ID, "result": "1212"}));
    assert_eq!(data_later(Front("").answer(ID)), json!({"id": ID, "result": 0}));
    assert_eq!(data_later(Front("ab").answer_by_default(ID)), json!({"id": ID, "result": 4}));
    assert_eq!(data_later(Front(1).later(ID)), json!({"id": ID, "result": 7}));
}

macro_rules! method {
    ($this:ident, $argument:ident) => {
        impl Counter {
            #[audited(event = "a.b", id = ID, fields(count = $this.0))]
            fn given($this, $argument: u32) -> u32 {
                $this.0 + $argument
            }

            #[audited(event = "a.b", skip(other), id = ID)]
            async fn given_later($this, $argument: u32, other: u32) -> u32 {
                $this.0 + ready($argument).await + other
            }
        }
    };
}

macro_rules! one_function {
    ($name:ident($argument:ident: $ty:ty) => $body:expr) => {
        #[audited(event = "a.b", id = order_id, fields(twice = 2 * $argument))]
        fn $name(order_id: Uuid, $argument: $ty) -> $ty {
            // Names of the macro's own and of its caller are distinguished.
            let call = 1;
            let value = call;
            $body + value
        }

        impl Counter {
            #[audited(event = "a.b", id = ID)]
            fn $name(mut self, $argument: $ty) -> $ty {
                self.0 += 1;
                $argument + self.0
            }
        }
    };
}

one_function!(made(value: u32) => value * 10);
method!(self, more);

#[test]
fn functions_made_by_macros() {
    assert_eq!(data(|| made(ID, 3)), json!({"order_id": ID, "value": 3, "twice": 6, "result": 31}));
    assert_eq!(data(|| Counter(1).made(3)), json!({"value": 3, "result": 5}));
    assert_eq!(data(|| Counter(1).given(3)), json!({"more": 3, "count": 1, "result": 4}));
    assert_eq!(data_later(Counter(1).given_later(3, 4)), json!({"more": 3, "result": 8}));
}
