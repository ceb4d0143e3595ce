//! No failure is `ok`, by whatever name a return type is written: thirty spellings, each plain and
//! async and in `#[async_trait]`.

#![allow(clippy::unnecessary_wraps, clippy::unused_async, reason = "they are as functions are written")]

use crate::support::{ID, caught, caught_later};
use audit_runtime::trail::TrailEvent;
use audit_runtime::{InsertRow, Outcome, RecordError, RowInsert, audited};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::future::Future;
use std::task::Poll;

/// An error that cannot be serialised.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("refused {0}")]
    Number(u8),
    #[error("unrecorded")]
    Unrecorded(#[from] RecordError),
    #[error("not stored")]
    NotStored(#[from] sqlx::Error),
}

impl Refused {
    fn event(&self) -> &'static str {
        if matches!(self, Self::Number(0)) { "order.refused" } else { "order.unrecorded" }
    }
}

type AppResult<T = u8, E = Refused> = Result<T, E>;
type EmptyResult = Result<(), Refused>;
type Fixed = AppResult;
type Twice<T> = AppResult<AliasedInAnAlias<T>>;
type AliasedInAnAlias<T> = T;
mod api {
    pub(super) type Result<T> = std::result::Result<T, super::Refused>;
    pub(super) use self::Result as Answer;
    pub(super) type Outcome<T> = Result<T>;
}
pub trait Service {
    type Response;
    type Error;
    type Answer;
}
pub struct Orders;
impl Service for Orders {
    type Response = u8;
    type Error = Refused;
    type Answer = AppResult;
}
pub trait Family {
    type Of<T>;
}
impl Family for Orders {
    type Of<T> = Result<T, Refused>;
}
macro_rules! result_type {
    () => {
        AppResult<u8>
    };
}
struct Listed;
impl Listed {
    #[allow(clippy::wrong_self_convention)]
    fn number(n: u8) -> AppResult<u8> {
        if n == 0 { Err(Refused::Number(n)) } else { Ok(n) }
    }
}

/// Checks the record of a failure, however the function is written.
fn assert_failed(spelling: &str, event: &TrailEvent) {
    assert_eq!((event.outcome, event.event_type.as_str()), (Outcome::Error, "order.refused"), "{spelling}");
    assert_eq!(event.data["error"], json!({"message": "refused 0", "causes": []}), "{spelling}");
    assert_eq!(event.data.get("result"), None, "{spelling}");
}

fn assert_succeeded(spelling: &str, event: &TrailEvent, result: &Value) {
    assert_eq!((event.outcome, event.event_type.as_str()), (Outcome::Ok, "order.submitted"), "{spelling}");
    assert_eq!(event.data["result"], *result, "{spelling}");
}

/// A spelling as a function in every way there is to write one: (spelling, type, body over `n: u8`,
/// what is recorded of a success).
macro_rules! spellings {
    ($($name:ident: $ty:ty, |$n:ident| $body:expr, $result:expr;)+) => {
        $(mod $name {
            use super::*;

            #[audited(event = "order.submitted", err = "order.refused", id = ID)]
            pub fn plain($n: u8) -> $ty { $body }

            #[audited(event = "order.submitted", err = "order.refused", id = ID, result = skip)]
            pub fn skipping($n: u8) -> $ty { $body }

            #[audited(event = |_| "order.submitted", err = |error| error.event(), entity = "order", id = ID)]
            pub fn late($n: u8) -> $ty { $body }

            #[audited(event = "order.submitted", err = "order.refused", id = ID, intent)]
            pub fn intended($n: u8) -> $ty { $body }

            #[audited(event = "order.submitted", err = "order.refused", id = ID)]
            pub async fn later($n: u8) -> $ty { std::future::ready(()).await; $body }

            #[audited(event = |_| "order.submitted", err = |error| error.event(), entity = "order", id = ID, result = skip)]
            pub async fn late_later($n: u8) -> $ty { std::future::ready(()).await; $body }

            #[audited(event = "order.submitted", err = "order.refused", id = ID)]
            pub fn future($n: u8) -> impl Future<Output = $ty> { std::future::ready($body) }

            #[async_trait::async_trait(?Send)]
            pub trait Object {
                async fn call(&self, n: u8) -> $ty;
                async fn late(&self, n: u8) -> $ty;
            }

            #[async_trait::async_trait(?Send)]
            impl Object for () {
                #[audited(event = "order.submitted", err = "order.refused", id = ID)]
                async fn call(&self, $n: u8) -> $ty { $body }

                #[audited(event = |_| "order.submitted", err = |error| error.event(), entity = "order", id = ID, result = skip)]
                async fn late(&self, $n: u8) -> $ty { $body }
            }

            pub fn check() {
                use Object as _;
                let name = stringify!($name);
                let result: Value = $result;
                assert_failed(name, &caught(|| drop(plain(0))).1);
                assert_failed(name, &caught(|| drop(skipping(0))).1);
                assert_failed(name, &caught(|| drop(late(0))).1);
                assert_failed(name, &caught_later(async { drop(later(0).await) }).1);
                assert_failed(name, &caught_later(async { drop(late_later(0).await) }).1);
                assert_failed(name, &caught_later(async { drop(future(0).await) }).1);
                assert_failed(name, &caught_later(async { drop(().call(0).await) }).1);
                assert_failed(name, &caught_later(async { drop(().late(0).await) }).1);
                assert_succeeded(name, &caught(|| drop(plain(1))).1, &result);
                assert_succeeded(name, &caught(|| drop(skipping(1))).1, &Value::Null);
                assert_succeeded(name, &caught(|| drop(late(1))).1, &result);
                assert_succeeded(name, &caught_later(async { drop(later(1).await) }).1, &result);
                assert_succeeded(name, &caught_later(async { drop(late_later(1).await) }).1, &Value::Null);
                assert_succeeded(name, &caught_later(async { drop(future(1).await) }).1, &result);
                assert_succeeded(name, &caught_later(async { drop(().call(1).await) }).1, &result);
                assert_succeeded(name, &caught_later(async { drop(().late(1).await) }).1, &Value::Null);
                let intents = super::all(|| drop(intended(0)));
                assert_eq!((intents.len(), intents[0].outcome), (2, Outcome::Started), "{name}");
                assert_failed(name, &intents[1]);
            }
        })+

        #[test]
        fn no_failure_is_ok_by_whatever_name_the_type_is_written() {
            $($name::check();)+
        }
    };
}

fn all(call: impl FnOnce()) -> Vec<TrailEvent> {
    let probe = audit_runtime::testing::Probe::new();
    let entered = probe.enter();
    call();
    drop(entered);
    probe.events()
}

spellings! {
    written_out: Result<u8, Refused>, |n| Listed::number(n), json!(1);
    by_path: std::result::Result<u8, Refused>, |n| Listed::number(n), json!(1);
    of_a_module: api::Result<u8>, |n| Listed::number(n), json!(1);
    renamed: api::Answer<u8>, |n| Listed::number(n), json!(1);
    alias: AppResult<u8>, |n| Listed::number(n), json!(1);
    alias_with_defaults: AppResult, |n| Listed::number(n), json!(1);
    alias_without_arguments: Fixed, |n| Listed::number(n), json!(1);
    alias_of_unit: EmptyResult, |n| Listed::number(n).map(drop), Value::Null;
    alias_of_an_alias: api::Outcome<u8>, |n| Listed::number(n), json!(1);
    aliases_within: Twice<u8>, |n| Listed::number(n), json!(1);
    associated: <Orders as Service>::Answer, |n| Listed::number(n), json!(1);
    of_associated_types: Result<<Orders as Service>::Response, <Orders as Service>::Error>, |n| Listed::number(n), json!(1);
    generic_associated: <Orders as Family>::Of<u8>, |n| Listed::number(n), json!(1);
    by_a_macro: result_type!(), |n| Listed::number(n), json!(1);
    boxed_error: AppResult<u8, Box<Refused>>, |n| Listed::number(n).map_err(Box::new), json!(1);
    maybe: Option<Result<u8, Refused>>, |n| Some(Listed::number(n)), json!(1);
    maybe_by_alias: Option<AppResult>, |n| Some(Listed::number(n)), json!(1);
    maybe_unit: Option<EmptyResult>, |n| Some(Listed::number(n).map(drop)), Value::Null;
    poll: Poll<Result<u8, Refused>>, |n| Poll::Ready(Listed::number(n)), json!(1);
    poll_by_alias: Poll<AppResult>, |n| Poll::Ready(Listed::number(n)), json!(1);
    poll_of_a_stream: Poll<Option<AppResult>>, |n| Poll::Ready(Some(Listed::number(n))), json!(1);
    option_within: AppResult<Option<u8>>, |n| Listed::number(n).map(Some), json!(1);
    a_list_within: AppResult<Vec<u8>>, |n| Listed::number(n).map(|n| vec![n]), json!([1]);
    boxed_within: AppResult<Box<u8>>, |n| Listed::number(n).map(Box::new), json!(1);
    borrowed_within: AppResult<&'static str>, |n| Listed::number(n).map(|_| "one"), json!("one");
}

/// A connection that nobody asks for, for a failure inserts no row.
struct Unused;

impl InsertRow for Unused {
    type Error = sqlx::Error;

    async fn insert_rows(&mut self, _: &RowInsert) -> Result<(), sqlx::Error> {
        unreachable!("a failure inserts no row")
    }
}

/// The spellings of a `Result`, as functions that are `required` or insert their row by `tx`.
macro_rules! guaranteed {
    ($($name:ident: $ty:ty, |$n:ident| $body:expr;)+) => {
        mod guaranteed {
            $(pub(super) mod $name {
                use crate::failure::*;

                #[audited(event = "order.submitted", err = "order.refused", id = ID, required)]
                pub fn plain($n: u8) -> $ty { $body }

                #[audited(event = |_| "order.submitted", err = |error| error.event(), entity = "order", id = ID, required, result = skip)]
                pub async fn later($n: u8) -> $ty { std::future::ready(()).await; $body }

                #[audited(event = "order.submitted", err = "order.refused", id = ID, tx = tx)]
                pub async fn inserted(tx: &mut Unused, $n: u8) -> $ty { std::future::ready(()).await; $body }

                #[audited(event = |_| "order.submitted", err = |error| error.event(), entity = "order", id = ID, tx = tx, required)]
                pub async fn both(tx: &mut Unused, $n: u8) -> $ty { std::future::ready(()).await; $body }

                #[async_trait::async_trait(?Send)]
                pub trait Object {
                    async fn call(&self, n: u8) -> $ty;
                    async fn inserted(&self, tx: &mut Unused, n: u8) -> $ty;
                }

                #[async_trait::async_trait(?Send)]
                impl Object for () {
                    #[audited(event = "order.submitted", err = "order.refused", id = ID, required)]
                    async fn call(&self, $n: u8) -> $ty { $body }

                    #[audited(event = "order.submitted", err = "order.refused", id = ID, tx = tx)]
                    async fn inserted(&self, tx: &mut Unused, $n: u8) -> $ty { let _ = tx; $body }
                }

                pub fn check() {
                    use Object as _;
                    let name = stringify!($name);
                    let last = |mut events: Vec<TrailEvent>| events.pop().unwrap();
                    assert_failed(name, &last(all(|| drop(plain(0)))));
                    assert_failed(name, &last(all(|| drop(pollster::block_on(later(0))))));
                    assert_failed(name, &last(all(|| drop(pollster::block_on(inserted(&mut Unused, 0))))));
                    assert_failed(name, &last(all(|| drop(pollster::block_on(both(&mut Unused, 0))))));
                    assert_failed(name, &last(all(|| drop(pollster::block_on(().call(0))))));
                    assert_failed(name, &last(all(|| drop(pollster::block_on(().inserted(&mut Unused, 0))))));
                    let events = all(|| drop(plain(1)));
                    assert_eq!(events.iter().map(|event| event.outcome).collect::<Vec<_>>(), [Outcome::Started, Outcome::Ok], "{name}");
                }
            })+
        }

        #[test]
        fn nor_is_one_that_is_required_or_in_a_transaction() {
            $(guaranteed::$name::check();)+
        }
    };
}

guaranteed! {
    written_out: Result<u8, Refused>, |n| Listed::number(n);
    by_path: std::result::Result<u8, Refused>, |n| Listed::number(n);
    of_a_module: api::Result<u8>, |n| Listed::number(n);
    renamed: api::Answer<u8>, |n| Listed::number(n);
    alias: AppResult<u8>, |n| Listed::number(n);
    alias_with_defaults: AppResult, |n| Listed::number(n);
    alias_without_arguments: Fixed, |n| Listed::number(n);
    alias_of_unit: EmptyResult, |n| Listed::number(n).map(drop);
    alias_of_an_alias: api::Outcome<u8>, |n| Listed::number(n);
    aliases_within: Twice<u8>, |n| Listed::number(n);
    associated: <Orders as Service>::Answer, |n| Listed::number(n);
    of_associated_types: Result<<Orders as Service>::Response, <Orders as Service>::Error>, |n| Listed::number(n);
    generic_associated: <Orders as Family>::Of<u8>, |n| Listed::number(n);
    by_a_macro: result_type!(), |n| Listed::number(n);
    option_within: AppResult<Option<u8>>, |n| Listed::number(n).map(Some);
    a_list_within: AppResult<Vec<u8>>, |n| Listed::number(n).map(|n| vec![n]);
    boxed_within: AppResult<Box<u8>>, |n| Listed::number(n).map(Box::new);
    borrowed_within: AppResult<&'static str>, |n| Listed::number(n).map(|_| "one");
}

// Those that a macro cannot pass on, or that have no `async` twin.

#[audited(event = "order.submitted", err = "order.refused", id = ID)]
fn opaque(n: u8) -> impl Debug + use<> {
    Listed::number(n).map(drop)
}

#[audited(event = "order.submitted", err = "order.refused", id = ID)]
fn opaque_in_an_alias(n: u8) -> AppResult<impl Iterator<Item = u8> + use<>> {
    Listed::number(n).map(|n| 0..n)
}

#[audited(event = "order.submitted", err = "order.refused", id = ID)]
fn of_any_success<T: From<u8> + Serialize>(n: u8) -> AppResult<T> {
    Ok(T::from(Listed::number(n)?))
}

#[audited(event = "order.submitted", err = "order.refused", id = ID)]
async fn of_any_error<E: From<Refused> + Debug>(n: u8) -> AppResult<u8, E> {
    Ok(Listed::number(n)?)
}

trait Logged: Sized {
    type Same;
    fn logged(self, n: u8) -> Self;
    fn the_same(self, n: u8) -> Self::Same;
}

impl Logged for Result<(), Refused> {
    type Same = Self;

    #[audited(event = "order.submitted", err = "order.refused", id = ID)]
    fn logged(self, n: u8) -> Self {
        self
    }

    #[audited(event = "order.submitted", err = "order.refused", id = ID)]
    fn the_same(self, n: u8) -> Self::Same {
        self
    }
}

#[audited(event = "order.submitted", err = "order.refused", id = ID)]
fn boxed(n: u8) -> std::pin::Pin<Box<dyn Future<Output = AppResult<u8>> + Send>> {
    Box::pin(std::future::ready(Listed::number(n)))
}

#[audited(event = "order.submitted", err = "order.refused", id = ID)]
fn named_boxed(n: u8) -> futures_util::future::BoxFuture<'static, AppResult> {
    Box::pin(async move { Listed::number(n) })
}

#[audited(event = "order.submitted", err = "order.refused", id = ID)]
async fn an_opaque_value_of_an_async_function(n: u8) -> impl Debug {
    Listed::number(n)
}

#[test]
fn nor_where_the_type_is_of_no_name() {
    let failed = |name: &str, event: TrailEvent| {
        assert_eq!((event.outcome, event.event_type.as_str()), (Outcome::Error, "order.refused"), "{name}");
        assert_eq!(event.data["error"]["message"], "refused 0", "{name}");
    };
    failed("opaque", caught(|| drop(opaque(0))).1);
    failed("opaque in an alias", caught(|| drop(opaque_in_an_alias(0))).1);
    assert_eq!(caught(|| drop(opaque_in_an_alias(2))).1.data, json!({"n": 2}));
    failed("of any success", caught(|| drop(of_any_success::<u16>(0))).1);
    failed("Self", caught(|| drop(Err(Refused::Number(0)).logged(0))).1);
    failed("Self::Same", caught(|| drop(Err(Refused::Number(0)).the_same(0))).1);
    failed("boxed", caught_later(async { drop(boxed(0).await) }).1);
    failed("BoxFuture", caught_later(async { drop(named_boxed(0).await) }).1);
    let of_any_error = caught_later(async { drop(of_any_error::<Refused>(0).await) }).1;
    assert_eq!(
        (of_any_error.outcome, &of_any_error.data["error"]["message"]),
        (Outcome::Error, &json!("Number(0)").into())
    );
    assert_eq!(caught_later(async { drop(an_opaque_value_of_an_async_function(0).await) }).1.outcome, Outcome::Error);
}

#[test]
fn late_closures_see_the_success_value_by_whatever_name() {
    #[derive(Serialize)]
    struct Order {
        number: u8,
    }
    fn order(n: u8) -> AppResult<Order> {
        Listed::number(n).map(|number| Order { number })
    }
    #[audited(event = "order.submitted", id = ID, result = |order| order.number, when = |order| order.number > 1,
              fields(twice = |order| 2 * order.number))]
    fn of_an_alias(n: u8) -> AppResult<Order> {
        order(n)
    }
    #[audited(event = "order.submitted", id = ID, result = |order| order.map(|order| order.number))]
    fn of_an_option(n: u8) -> Option<AppResult<Order>> {
        (n != 9).then(|| order(n))
    }
    #[audited(event = "order.submitted", id = ID, result = |order| order.is_pending())]
    fn of_a_poll(n: u8) -> Poll<AppResult<Order>> {
        if n == 9 { Poll::Pending } else { Poll::Ready(order(n)) }
    }
    assert_eq!(caught(|| drop(of_an_alias(2))).1.data, json!({"n": 2, "result": 2, "twice": 4}));
    assert_eq!(all(|| drop(of_an_alias(1))), []);
    assert_eq!(caught(|| drop(of_an_alias(0))).1.outcome, Outcome::Error);
    assert_eq!(caught(|| drop(of_an_option(2))).1.data, json!({"n": 2, "result": 2}));
    assert_eq!(caught(|| drop(of_an_option(9))).1.data, json!({"n": 9, "result": null}));
    assert_eq!(caught(|| drop(of_a_poll(9))).1.data, json!({"n": 9, "result": true}));
}

#[test]
fn an_err_within_an_ok_is_none() {
    #[audited(event = "order.submitted", err = "order.refused", id = ID)]
    fn nested(n: u8) -> AppResult<Result<u8, String>> {
        Listed::number(n).map(|n| n.checked_sub(2).ok_or_else(|| "too few".to_owned()))
    }
    #[audited(event = "order.submitted", id = ID, ok = |_| true)]
    fn overruled(n: u8) -> AppResult<Result<u8, u8>> {
        Listed::number(n).map(Err)
    }
    assert_failed("nested", &caught(|| nested(0).is_ok()).1);
    let event = caught(|| nested(1).is_ok()).1;
    assert_eq!((event.outcome, event.event_type.as_str()), (Outcome::Error, "order.refused"));
    assert_eq!(event.data["result"], json!({"Err": "too few"}));
    assert_eq!(caught(|| nested(2).is_ok()).1.outcome, Outcome::Ok);
    assert_eq!(caught(|| overruled(1).is_ok()).1.outcome, Outcome::Ok);
}

#[test]
fn nothing_is_recorded_of_what_is_not_there_yet() {
    #[audited(event = "order.submitted", id = ID)]
    fn pending() -> Poll<AppResult> {
        Poll::Pending
    }
    #[audited(event = "order.submitted", id = ID)]
    fn none() -> Option<AppResult> {
        None
    }
    assert_eq!(caught(|| drop(pending())).1.data, json!({}));
    assert_eq!(caught(|| drop(none())).1.data, json!({"result": null}));
}

#[test]
fn required_refuses_by_whatever_name() {
    #[audited(event = "order.submitted", id = ID, required)]
    fn of_an_alias(n: u8) -> AppResult<u8> {
        Listed::number(n)
    }
    #[audited(event = "order.submitted", err = |error| error.event(), id = ID, required, result = skip)]
    async fn of_a_fixed_alias(n: u8) -> Fixed {
        std::future::ready(Listed::number(n)).await
    }
    #[audited(event = "order.submitted", id = ID, tx = connection)]
    async fn in_a_transaction(connection: &mut sqlx::PgConnection, n: u8) -> AppResult<u8> {
        std::future::ready(Listed::number(n)).await
    }
    assert!(matches!(of_an_alias(1), Err(Refused::Unrecorded(RecordError::NotInstalled(_)))));
    assert!(matches!(pollster::block_on(of_a_fixed_alias(1)), Err(Refused::Unrecorded(_))));
    let events = all(|| drop(of_an_alias(0)));
    assert_eq!((events[0].outcome, events[1].outcome), (Outcome::Started, Outcome::Error));
    let events = all(|| drop(pollster::block_on(of_a_fixed_alias(0))));
    assert_eq!((events[1].outcome, events[1].event_type.as_str()), (Outcome::Error, "order.refused"));
    // It is enough that this compiles: the rest is in the suite that has a database.
    let _ = in_a_transaction;
}

#[test]
fn a_type_that_only_the_caller_knows_is_never_ok_by_mistake() {
    trait Ext: Sized {
        #[audited(event = "order.submitted", id = ID)]
        fn captured(self) -> Self
        where
            Self: Serialize,
        {
            self
        }

        #[audited(event = "order.submitted", id = ID, result = skip)]
        fn skipped(self) -> Self {
            self
        }
    }
    impl<T> Ext for T {}
    let outcome = |call: fn()| caught(call).1.outcome;
    assert_eq!(outcome(|| _ = Err::<u8, u8>(1).captured()), Outcome::Error);
    assert_eq!(outcome(|| _ = Some(Err::<u8, u8>(1)).captured()), Outcome::Error);
    assert_eq!(outcome(|| _ = Ok::<u8, u8>(1).captured()), Outcome::Ok);
    assert_eq!(outcome(|| _ = 7_u8.captured()), Outcome::Ok);
    assert_eq!(outcome(|| _ = 7_u8.skipped()), Outcome::Ok);
    let unknown = caught(|| _ = Err::<u8, u8>(1).skipped()).1;
    assert_eq!(unknown.outcome, Outcome::Error);
    let message = unknown.data["$outcome"].as_str().unwrap();
    assert!(message.contains("add `fallible` or `infallible`"), "{message}");
}

#[test]
fn fallible_and_infallible_are_the_users_word() {
    trait Ext<T, E>: Sized {
        fn log(self) -> Self;
    }
    impl<T, E: Debug> Ext<T, E> for Result<T, E> {
        #[audited(event = "order.submitted", id = ID, fallible, result = skip)]
        fn log(self) -> Self {
            self
        }
    }
    #[audited(event = "order.submitted", id = ID, infallible, result = ?)]
    fn as_a_value(n: u8) -> AppResult<u8> {
        Listed::number(n)
    }
    #[audited(event = "order.submitted", id = ID, infallible, result = skip)]
    fn made() -> std::future::Ready<AppResult> {
        std::future::ready(Listed::number(0))
    }
    #[audited(event = "order.submitted", id = ID, fallible, result = skip)]
    fn of_a_parameter<T: Serialize>(n: T) -> T {
        n
    }
    assert_eq!(caught(|| of_a_parameter(Err::<u8, u8>(1)).is_ok()).1.outcome, Outcome::Error);
    assert_eq!(caught(|| of_a_parameter(Ok::<u8, u8>(1)).is_ok()).1.outcome, Outcome::Ok);
    assert_eq!(caught(|| _ = Err::<u8, u8>(1).log()).1.outcome, Outcome::Error);
    let event = caught(|| drop(as_a_value(0))).1;
    assert_eq!((event.outcome, event.data["result"].as_str()), (Outcome::Ok, Some("Err(Number(0))")));
    assert_eq!(caught(|| drop(made())).1.outcome, Outcome::Ok);
}

#[test]
fn an_own_type_of_that_name_is_a_value() {
    #[derive(Debug, Serialize)]
    struct Result<T>(T);
    #[audited(event = "order.submitted", id = ID)]
    fn call() -> Result<u8> {
        Result(1)
    }
    let event = caught(|| call().0).1;
    assert_eq!((event.outcome, event.data), (Outcome::Ok, json!({"result": 1}).into()));
}
