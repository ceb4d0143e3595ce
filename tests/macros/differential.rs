//! Annotated functions beside their plain twins: the same source, once with the attribute and once
//! without. Results, panics, what is dropped and in which order, and cancellation at every await
//! point have to be the same.

use audit_runtime::audited;
use audit_runtime::testing::Probe;
use serde::{Serialize, Serializer};
use std::any::Any;
use std::cell::RefCell;
use std::fmt::Debug;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use uuid::Uuid;

thread_local!(static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) });

fn note(text: impl Into<String>) {
    LOG.with_borrow_mut(|log| log.push(text.into()));
}

/// Tells when it is dropped.
#[derive(Debug, PartialEq)]
struct Noisy(&'static str);

impl Drop for Noisy {
    fn drop(&mut self) {
        note(format!("drop {}", self.0));
    }
}

impl Serialize for Noisy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl Noisy {
    fn borrowed(&self) -> Borrowed<'_> {
        Borrowed(self)
    }
}

/// A temporary that needs what it borrows until it is dropped.
struct Borrowed<'a>(&'a Noisy);

impl Borrowed<'_> {
    fn length(&self) -> usize {
        self.0.0.len()
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        note(format!("give back {}", self.0.0));
    }
}

/// Pending once, and noisy.
struct Yield(bool);

fn yielding() -> Yield {
    Yield(false)
}

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        note("poll");
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[derive(Debug, PartialEq)]
struct Failed(String);

impl From<std::num::ParseIntError> for Failed {
    fn from(error: std::num::ParseIntError) -> Self {
        note("convert");
        Self(error.to_string())
    }
}

const ID: Uuid = Uuid::from_u128(1);

struct Pair {
    left: Noisy,
    right: Noisy,
}

macro_rules! twin {
    ($on:meta) => {
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn unit() {}
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn number(n: i32) -> i32 { n * 2 }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn parsed(text: &str) -> Result<i32, Failed> { Ok(text.parse::<i32>()? + 1) }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn option(text: &str) -> Option<u32> { text.chars().next()?.to_digit(10) }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn early(n: i32) -> &'static str { if n < 0 { return "negative"; } "not" }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn panics(n: i32) -> i32 { let _local = Noisy("local"); assert!(n > 0, "n is {n}"); n }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn overflows(n: u8) -> u8 { [1, 2, 3][usize::from(n)] }
        #[cfg_attr($on, audited(event = "a.b", id = ID, skip_all))]
        pub(super) fn never(_a: Noisy) -> ! { let _local = Noisy("local"); panic!("never") }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn looping(mut n: u32) -> u32 { loop { n += 1; if n % 7 == 0 { return n; } } }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn labelled(n: u32) -> u32 { 'outer: loop { for i in 0.. { if i * i > n { break 'outer i; } } } }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn two(a: Noisy, b: Noisy) { note("body"); }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn unnamed(a: Noisy, _: Noisy, c: Noisy, _: Noisy) { note("body"); }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn underscored(a: Noisy, _b: Noisy, c: Noisy) { note("body"); }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn moved(a: Noisy, b: Noisy) { drop(a); note("body"); }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn moved_maybe(a: Noisy, b: Noisy, really: bool) { if really { drop(a); } note("body"); }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn given_back(a: Noisy, b: Noisy) -> Noisy { let _c = Noisy("c"); a }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn locals(a: Noisy) -> usize { let _x = Noisy("x"); let _y = Noisy("y"); a.0.len() }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn shadowed(a: Noisy) -> usize { let a = Noisy(if a.0 == "a" { "b" } else { "c" }); a.0.len() }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn tail_temporary(a: Noisy) -> usize { let _x = Noisy("x"); a.borrowed().length() }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn tail_lock(a: Arc<Mutex<i32>>) -> i32 { *a.lock().unwrap() }
        #[cfg_attr($on, audited(event = "a.b", id = ID, skip(a), result = skip))]
        pub(super) fn guard(a: &Mutex<i32>) -> MutexGuard<'_, i32> { let mut guard = a.lock().unwrap(); *guard += 1; guard }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn tuple((a, b): (Noisy, Noisy)) { note("body"); }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn tuple_in_part((a, _): (Noisy, Noisy)) { note("body"); }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn structure(Pair { right, left }: Pair, c: Noisy) { note("body"); drop(left); }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn by_ref(ref a: Noisy) -> usize { a.0.len() }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn mutable(mut a: Vec<u8>) -> Vec<u8> { a.push(1); a }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn mutable_reference(a: &mut Vec<u8>) -> usize { a.push(1); a.len() }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn reborrowed<'a>(a: &'a mut Vec<u8>, b: &mut u8) -> &'a mut [u8] { *b += 1; &mut a[1..] }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn borrowed<'a>(a: &'a str, _b: &str) -> &'a str { &a[1..] }
        #[cfg_attr($on, audited(event = "a.b", id = ID, only(n)))]
        pub(super) fn closure(n: i32, f: impl FnOnce(i32) -> i32) -> i32 { f(n) + 1 }
        #[cfg_attr($on, audited(event = "a.b", id = ID, only(n)))]
        pub(super) fn dynamic(n: i32, f: &mut dyn FnMut(i32)) { f(n); f(n + 1); }
        #[cfg_attr($on, audited(event = "a.b", id = ID, result = skip))]
        pub(super) fn returns_closure(n: i32) -> impl Fn(i32) -> i32 { move |m| n + m }
        #[cfg_attr($on, audited(event = "a.b", id = ID, result = skip))]
        pub(super) fn returns_boxed(n: i32) -> Box<dyn Fn(i32) -> i32> { Box::new(move |m| n + m) }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn iterator(n: u8) -> impl Iterator<Item = u8> { (0..n).filter(|n| n % 2 == 0) }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn generic<T: Serialize + Clone, const N: usize>(item: T) -> [T; N] where [T; N]: Serialize { std::array::from_fn(|_| item.clone()) }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn boxed_error(n: u8) -> Result<u8, Box<dyn std::error::Error>> { if n == 0 { return Err(Box::new(std::fmt::Error)); } let n: u8 = "x".repeat(n.into()).parse()?; Ok(n) }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn inferred(n: u8) -> Vec<u16> { let mut all = Vec::new(); all.push(n.into()); all.extend("".parse::<u16>()); all.into_iter().collect() }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn recursive(n: u64) -> u64 { if n < 2 { n } else { recursive(n - 1) + recursive(n - 2) } }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn catches(n: i32) -> bool { let inner = Noisy("inner"); catch_unwind(AssertUnwindSafe(move || { let _inner = inner; assert!(n > 0) })).is_err() }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn with_a_macro(n: i32) -> String { macro_rules! early { ($e:expr) => { if $e { return format!("early {n}", n = stringify!($e)); } }; } early!(n > 3); format!("{n}") }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn items_inside(n: i32) -> i32 { const TWO: i32 = 2; fn twice(n: i32) -> i32 { n * TWO } struct Add(i32); impl Add { fn to(&self, n: i32) -> i32 { self.0 + n } } Add(twice(n)).to(1) }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn matching(n: Option<Noisy>) -> Option<Noisy> { match n { Some(noisy) if noisy.0 == "a" => Some(noisy), Some(_) => None, None => Some(Noisy("none")) } }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn let_else(n: Option<u8>) -> Result<u8, &'static str> { let Some(n) = n else { return Err("none") }; Ok(n) }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) unsafe fn dangerous(n: &u8) -> u8 { unsafe { *std::ptr::from_ref(n) } }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) extern "C" fn foreign(n: u32) -> u32 { n + 1 }

        #[derive(Debug, Clone)]
        pub(super) struct Machine(pub(super) Vec<&'static str>);

        impl Drop for Machine { fn drop(&mut self) { note(format!("drop machine {:?}", self.0)); } }

        impl Machine {
            #[cfg_attr($on, audited(event = "a.b", id = ID))]
            pub(super) fn by_value(self, a: Noisy) -> usize { let _x = Noisy("x"); self.0.len() }
            #[cfg_attr($on, audited(event = "a.b", id = ID))]
            pub(super) fn by_mut_value(mut self, a: Noisy) -> usize { self.0.push("more"); self.0.len() }
            #[cfg_attr($on, audited(event = "a.b", id = ID))]
            pub(super) fn by_value_unused(self, a: Noisy) { note("body"); }
            #[cfg_attr($on, audited(event = "a.b", id = ID))]
            pub(super) fn by_reference(&self) -> Option<&&'static str> { self.0.first() }
            #[cfg_attr($on, audited(event = "a.b", id = ID))]
            pub(super) fn by_mut_reference(&mut self, a: Noisy) -> &mut Vec<&'static str> { self.0.push(a.0); &mut self.0 }
            #[cfg_attr($on, audited(event = "a.b", id = ID))]
            pub(super) fn by_box(self: Box<Self>) -> usize { self.0.len() }
            #[cfg_attr($on, audited(event = "a.b", id = ID))]
            pub(super) fn by_rc(self: Rc<Self>, a: Noisy) -> usize { Rc::strong_count(&self) }
            #[cfg_attr($on, audited(event = "a.b", id = ID, result = skip))]
            pub(super) fn chained(mut self, name: &'static str) -> Self { self.0.push(name); self }
            #[cfg_attr($on, audited(event = "a.b", id = ID))]
            pub(super) async fn by_value_later(self, a: Noisy) -> usize { yielding().await; let _x = Noisy("x"); yielding().await; self.0.len() }
            #[cfg_attr($on, audited(event = "a.b", id = ID))]
            pub(super) async fn by_mut_reference_later(&mut self, a: Noisy) -> usize { self.0.push(a.0); yielding().await; self.0.len() }
        }

        #[cfg_attr($on, audited(event = "a.b", id = ID, intent))]
        pub(super) fn intended(a: Noisy, n: i32) -> Result<i32, Failed> { let _x = Noisy("x"); assert!(n > 0, "n is {n}"); Ok("3".parse::<i32>()? + n) }
        #[cfg_attr($on, audited(event = "a.b", id = ID, changes(b)))]
        pub(super) fn changed(a: Noisy, mut b: &mut Vec<u8>, c: Noisy) -> Result<usize, Failed> { b.push(1); if a.0 == "early" { return Ok(1); } let n: usize = a.0.parse()?; b = { b.push(2); b }; drop(a); Ok(b.len() + n) }
        #[cfg_attr($on, audited(event = "a.b", id = ID, changes(b), intent))]
        pub(super) async fn changed_later(a: Noisy, b: &mut Vec<Noisy>, _: Noisy) -> usize { yielding().await; b.push(Noisy("pushed")); yielding().await; drop(b.remove(0)); a.borrowed().length() }
        #[cfg_attr($on, audited(event = "a.b", id = ID, changes(b), intent))]
        pub(super) fn changed_boxed<'a>(a: Noisy, mut b: &'a mut Vec<u8>, unused: Noisy) -> Pin<Box<dyn Future<Output = Result<usize, Failed>> + 'a>> { Box::pin(async move { let _x = Noisy("x"); yielding().await; b.push(1); yielding().await; b = { b.push(2); b }; Ok(a.0.parse::<usize>()? + b.len()) }) }

        #[derive(Debug)]
        pub(super) struct Desk { pub(super) mode: u8, pub(super) name: Noisy }

        impl Desk {
            #[cfg_attr($on, audited(event = "a.b", id = ID, changes(self.mode, self.name)))]
            pub(super) fn change(&mut self, a: Noisy, n: u8) -> Noisy { self.mode += n; assert!(n < 9); std::mem::replace(&mut self.name, a) }
            #[cfg_attr($on, audited(event = "a.b", id = ID, changes(self.mode, b), intent))]
            pub(super) async fn change_later(&mut self, a: Noisy, b: &mut Noisy) -> usize { yielding().await; *b = a; yielding().await; self.mode += 1; self.name.borrowed().length() }
        }

        pub(super) trait Talks {
            fn name(&self) -> Noisy;
            #[cfg_attr($on, audited(event = "a.b", id = ID))]
            fn twice(&self) -> usize { self.name().0.len() + self.name().0.len() }
            async fn later(&self, a: Noisy) -> usize;
        }

        impl Talks for Machine {
            #[cfg_attr($on, audited(event = "a.b", id = ID))]
            fn name(&self) -> Noisy { Noisy("name") }
            #[cfg_attr($on, audited(event = "a.b", id = ID))]
            async fn later(&self, a: Noisy) -> usize { yielding().await; self.0.len() + a.0.len() }
        }

        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) async fn later(a: Noisy, b: Noisy) -> i32 { let _x = Noisy("x"); yielding().await; drop(a); yielding().await; 7 }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) async fn later_unnamed(a: Noisy, _: Noisy, c: Noisy) { yielding().await; }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) async fn later_fallible(text: &str, a: Noisy) -> Result<i32, Failed> { yielding().await; let n: i32 = text.parse()?; yielding().await; Ok(n) }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) async fn later_early(n: i32, a: Noisy) -> &'static str { if n < 0 { return "negative"; } yielding().await; let _x = Noisy("x"); if n == 0 { return "zero"; } yielding().await; "positive" }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) async fn later_panics(n: i32, a: Noisy) -> i32 { yielding().await; let _x = Noisy("x"); assert!(n > 0, "n is {n}"); n }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) async fn later_tail(a: Noisy) -> usize { let _x = Noisy("x"); yielding().await; a.borrowed().length() }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) async fn later_nested(a: Noisy, b: Noisy) -> i32 { later(a, Noisy("c")).await + later(b, Noisy("d")).await }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) async fn later_joined(a: Noisy) -> (i32, i32) { futures_util::future::join(later(Noisy("b"), Noisy("c")), later(a, Noisy("d"))).await }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) async fn later_borrowing<'a>(a: &'a mut Vec<u8>, b: Noisy) -> &'a mut u8 { yielding().await; a.push(3); &mut a[0] }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) async fn later_recursive(n: u32) -> u32 { if n == 0 { return 0; } yielding().await; n + Box::pin(later_recursive(n - 1)).await }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn future(a: Noisy) -> impl Future<Output = usize> { note("made"); async move { yielding().await; a.0.len() } }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn boxed(a: Noisy) -> Pin<Box<dyn Future<Output = Result<usize, Failed>>>> { Box::pin(async move { yielding().await; let n: i32 = a.0.parse()?; Ok(n as usize) }) }
        #[cfg_attr($on, audited(event = "a.b", id = ID))]
        pub(super) fn future_of_a_future(n: u8) -> futures_util::future::BoxFuture<'static, u8> { if n == 0 { return Box::pin(async { 1 }); } Box::pin(async move { yielding().await; n }) }
    };
}

#[rustfmt::skip]
#[allow(dead_code, unused_variables, unused_mut, clippy::all)]
mod plain { use super::*; twin!(any()); }
#[rustfmt::skip]
#[allow(dead_code, unused_variables, unused_mut, clippy::all)]
mod annotated { use super::*; twin!(all()); }

/// How a call went.
#[derive(Debug, PartialEq)]
struct Course {
    ended: Result<String, String>,
    log: Vec<String>,
}

fn course<R: Debug>(call: impl FnOnce() -> R) -> Course {
    LOG.take();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let result = call();
        note("returned");
        format!("{result:?}")
    }));
    Course { ended: ended.map_err(|panic| message(panic.as_ref())), log: LOG.take() }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).expect("a panic with a text")
}

/// Polls a future `polls` times, then drops it.
fn cancelled<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        note("pending");
    }
    note("dropped");
    None
}

fn compare<R: Debug>(what: &str, plain: impl Fn() -> R, annotated: impl Fn() -> R) -> Course {
    let expected = course(&plain);
    assert_eq!(course(&annotated), expected, "{what}, with nothing installed");
    let probe = Probe::new();
    let entered = probe.enter();
    assert_eq!(course(&annotated), expected, "{what}");
    drop(entered);
    expected
}

macro_rules! twins {
    ($(|$twin:ident| $call:expr;)+) => {$(
        compare(
            stringify!($call),
            || { use plain as $twin; #[allow(unused_imports)] use plain::Talks as _; $call },
            || { use annotated as $twin; #[allow(unused_imports)] use annotated::Talks as _; $call },
        );
    )+};
}

macro_rules! futures {
    ($(|$twin:ident| $call:expr;)+) => {$(
        for polls in 0.. {
            let course = compare(
                &format!("{} cancelled after {polls} polls", stringify!($call)),
                || { use plain as $twin; #[allow(unused_imports)] use plain::Talks as _; cancelled(polls, async { $call.await }) },
                || { use annotated as $twin; #[allow(unused_imports)] use annotated::Talks as _; cancelled(polls, async { $call.await }) },
            );
            assert!(polls < 50);
            if !course.log.iter().any(|line| line == "dropped") {
                break;
            }
        }
    )+};
}

fn machine() -> Vec<&'static str> {
    vec!["on"]
}

#[test]
fn functions_behave_as_their_plain_twins() {
    twins! {
        |t| t::unit();
        |t| t::number(3);
        |t| t::parsed("3");
        |t| t::parsed("x");
        |t| t::option("3");
        |t| t::option("");
        |t| t::early(-1);
        |t| t::early(1);
        |t| t::panics(1);
        |t| t::panics(0);
        |t| t::overflows(2);
        |t| t::overflows(3);
        |t| if true { t::never(Noisy("a")) };
        |t| t::looping(1);
        |t| t::labelled(30);
        |t| t::two(Noisy("a"), Noisy("b"));
        |t| t::unnamed(Noisy("a"), Noisy("b"), Noisy("c"), Noisy("d"));
        |t| t::underscored(Noisy("a"), Noisy("b"), Noisy("c"));
        |t| t::moved(Noisy("a"), Noisy("b"));
        |t| t::moved_maybe(Noisy("a"), Noisy("b"), true);
        |t| t::moved_maybe(Noisy("a"), Noisy("b"), false);
        |t| t::given_back(Noisy("a"), Noisy("b"));
        |t| t::locals(Noisy("a"));
        |t| t::shadowed(Noisy("a"));
        |t| t::tail_temporary(Noisy("a"));
        |t| t::tail_lock(Arc::new(Mutex::new(3)));
        |t| *t::guard(&Mutex::new(3));
        |t| t::tuple((Noisy("a"), Noisy("b")));
        |t| t::tuple_in_part((Noisy("a"), Noisy("b")));
        |t| t::structure(Pair { left: Noisy("a"), right: Noisy("b") }, Noisy("c"));
        |t| t::by_ref(Noisy("a"));
        |t| t::mutable(vec![0]);
        |t| { let mut a = vec![0]; (t::mutable_reference(&mut a), a) };
        |t| { let (mut a, mut b) = (vec![0, 1], 2); t::reborrowed(&mut a, &mut b)[0] = 9; (a, b) };
        |t| t::borrowed("abc", "d").to_owned();
        |t| { let a = Noisy("a"); t::closure(1, move |n| n + a.0.len() as i32) };
        |t| { let mut all = Vec::new(); t::dynamic(1, &mut |n| all.push(n)); all };
        |t| t::returns_closure(1)(2);
        |t| t::returns_boxed(1)(2);
        |t| t::iterator(5).collect::<Vec<_>>();
        |t| t::generic::<_, 2>("x");
        |t| t::boxed_error(0).map_err(|error| error.to_string());
        |t| t::boxed_error(1).map_err(|error| error.to_string());
        |t| t::inferred(3);
        |t| t::recursive(9);
        |t| t::catches(0);
        |t| t::with_a_macro(4);
        |t| t::with_a_macro(3);
        |t| t::items_inside(3);
        |t| t::matching(Some(Noisy("a")));
        |t| t::matching(Some(Noisy("b")));
        |t| t::matching(None);
        |t| t::let_else(None);
        |t| unsafe { t::dangerous(&3) };
        |t| t::foreign(3);
        |t| t::Machine(machine()).by_value(Noisy("a"));
        |t| t::Machine(machine()).by_mut_value(Noisy("a"));
        |t| t::Machine(machine()).by_value_unused(Noisy("a"));
        |t| t::Machine(machine()).by_reference().copied();
        |t| t::Machine(machine()).by_mut_reference(Noisy("a")).len();
        |t| Box::new(t::Machine(machine())).by_box();
        |t| Rc::new(t::Machine(machine())).by_rc(Noisy("a"));
        |t| t::Machine(machine()).chained("a").chained("b").0.len();
        |t| t::Machine(machine()).name();
        |t| t::Machine(machine()).twice();
        |t| t::intended(Noisy("a"), 1);
        |t| t::intended(Noisy("a"), 0);
        |t| { let mut b = vec![0]; (t::changed(Noisy("3"), &mut b, Noisy("c")), b) };
        |t| { let mut b = vec![0]; (t::changed(Noisy("x"), &mut b, Noisy("c")), b) };
        |t| { let mut b = vec![0]; (t::changed(Noisy("early"), &mut b, Noisy("c")), b) };
        |t| { let mut desk = t::Desk { mode: 1, name: Noisy("name") }; (desk.change(Noisy("a"), 2), desk.mode) };
        |t| t::Desk { mode: 1, name: Noisy("name") }.change(Noisy("a"), 9);
    }
}

#[test]
fn futures_behave_as_their_plain_twins_wherever_they_are_cancelled() {
    futures! {
        |t| t::later(Noisy("a"), Noisy("b"));
        |t| t::later_unnamed(Noisy("a"), Noisy("b"), Noisy("c"));
        |t| t::later_fallible("3", Noisy("a"));
        |t| t::later_fallible("x", Noisy("a"));
        |t| t::later_early(-1, Noisy("a"));
        |t| t::later_early(0, Noisy("a"));
        |t| t::later_early(1, Noisy("a"));
        |t| t::later_panics(0, Noisy("a"));
        |t| t::later_tail(Noisy("a"));
        |t| t::later_nested(Noisy("a"), Noisy("b"));
        |t| t::later_joined(Noisy("a"));
        |t| async { *t::later_borrowing(&mut vec![1], Noisy("b")).await };
        |t| t::later_recursive(4);
        |t| t::future(Noisy("a"));
        |t| t::boxed(Noisy("3"));
        |t| t::boxed(Noisy("x"));
        |t| t::future_of_a_future(0);
        |t| t::future_of_a_future(1);
        |t| t::Machine(machine()).by_value_later(Noisy("a"));
        |t| async { t::Machine(machine()).by_mut_reference_later(Noisy("a")).await };
        |t| async { t::Machine(machine()).later(Noisy("a")).await };
        |t| async { let mut b = vec![Noisy("0")]; (t::changed_later(Noisy("a"), &mut b, Noisy("c")).await, b) };
        |t| async { let mut b = vec![0]; (t::changed_boxed(Noisy("3"), &mut b, Noisy("c")).await, b) };
        |t| async { let mut b = vec![0]; (t::changed_boxed(Noisy("x"), &mut b, Noisy("c")).await, b) };
        |t| async { let (mut desk, mut b) = (t::Desk { mode: 1, name: Noisy("name") }, Noisy("b")); (desk.change_later(Noisy("a"), &mut b).await, desk.mode) };
    }
}
