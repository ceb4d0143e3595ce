//! Every argument of the attribute, by what it records.

use audit_runtime::execution::{ORDER_SUBMITTED, RISK_EVALUATED, RISK_REJECTED};
use audit_runtime::testing::Probe;
use audit_runtime::trail::TrailEvent;
use audit_runtime::{Context, EntityId, audited};
use serde_json::json;
use std::cell::Cell;
use std::fmt;
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(7);

fn only<R>(event_type: &str, call: impl FnOnce() -> R) -> TrailEvent {
    let probe = Probe::new();
    let entered = probe.enter();
    call();
    drop(entered);
    assert_eq!(probe.events().len(), 1);
    probe.only(event_type)
}

fn none<R>(call: impl FnOnce() -> R) {
    let probe = Probe::new();
    let entered = probe.enter();
    call();
    drop(entered);
    assert_eq!(probe.events(), []);
}

#[test]
fn all_arguments_are_captured_but_receivers_and_underscored_ones() {
    struct Desk;
    impl Desk {
        #[audited(event = "order.submitted")]
        fn submit(&self, order_id: Uuid, (ticker, quantity): (&str, f64), _secret_sauce: u8, _: u8) -> Vec<u8> {
            vec![1, 2]
        }
    }
    let event = only("order.submitted", || Desk.submit(ID, ("AAPL", 1.5), 3, 4));
    assert_eq!((event.entity_type.as_str(), event.entity_id, event.actor.as_str()), ("order", Some(ID), "system"));
    assert_eq!(event.data, json!({"order_id": ID, "ticker": "AAPL", "quantity": 1.5, "result": [1, 2]}));
}

#[test]
fn skip_only_and_redact_choose() {
    #[audited(event = "a.b", skip(db))]
    fn skipping(id: Uuid, db: Cell<u8>, x: u8) {
        db.set(x);
    }
    assert_eq!(only("a.b", || skipping(ID, Cell::new(0), 1)).data, json!({"id": ID, "x": 1}));

    #[audited(event = "a.b", skip_all)]
    fn nothing(id: Uuid, x: u8) -> u8 {
        x
    }
    assert_eq!(only("a.b", || nothing(ID, 1)).data, json!({"result": 1}));

    struct Shown;
    impl fmt::Display for Shown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("\"shown\"")
        }
    }
    #[derive(Debug)]
    struct Debugged;
    #[audited(event = "a.b", only(x, %shown, ?debugged))]
    fn few(id: Uuid, x: u8, shown: Shown, debugged: Debugged, other: Cell<u8>) -> u8 {
        other.get()
    }
    let event = only("a.b", || few(ID, 1, Shown, Debugged, Cell::new(9)));
    assert_eq!(event.data, json!({"x": 1, "shown": "\"shown\"", "debugged": "Debugged", "result": 9}));

    #[audited(event = "a.b", redact(password), plain(page_token), id = None::<Uuid>)]
    fn secret(password: &str, page_token: u8) -> usize {
        password.len()
    }
    let event = only("a.b", || secret("hunter2", 3));
    assert_eq!(event.data, json!({"password": "[redacted]", "page_token": 3, "result": 7}));
}

#[test]
fn entity_and_id_have_defaults_and_can_be_said() {
    #[audited(event = ORDER_SUBMITTED, entity = "order")]
    fn by_entity(id: Uuid, order_id: Uuid) {}
    assert_eq!(only(ORDER_SUBMITTED, || by_entity(Uuid::nil(), ID)).entity_id, Some(ID));

    #[audited(event = "order.x")]
    fn by_id(id: String) {}
    assert_eq!(only("order.x", || by_id(ID.to_string())).entity_id, Some(ID));

    let kind = |n: u8| format!("kind_{n}");
    let event = only("order.x", || computed(2, kind));
    assert_eq!((event.entity_type.as_str(), event.entity_id), ("kind_2", Some(ID)));
    #[audited(event = "order.x", entity = kind(number), id = ID, skip(kind))]
    fn computed(number: u8, kind: impl Fn(u8) -> String) {}

    #[audited(event = "order.x", entity = "account", id = EntityId::named("account", key))]
    fn named(key: &str) {}
    let EntityId::Id(id) = EntityId::named("account", "DE89") else { panic!("a name gives an id") };
    assert_eq!(only("order.x", || named("DE89")).entity_id, Some(id));

    #[audited(event = "order.x", id = order)]
    fn no_uuid(order: Option<&str>) {}
    let event = only("order.x", || no_uuid(Some("B-1")));
    let EntityId::Id(id) = EntityId::named("order", "B-1") else { panic!("a name gives an id") };
    assert_eq!((event.entity_id, event.entity_key.as_deref()), (Some(id), Some("B-1")));
    assert_eq!(only("order.x", || no_uuid(None)).entity_id, None);
}

#[derive(Clone)]
struct Verdict {
    id: Uuid,
    eligible: bool,
    reasons: Vec<String>,
}

#[audited(
    event = |v| if v.eligible { RISK_EVALUATED } else { RISK_REJECTED }, err = "risk.failed",
    entity = "risk_evaluation", id = |v| v.id, result = |v| v.reasons.len(),
    fields(reasons = |v| &v.reasons, first = ?|v| v.reasons.first(), twice = 2 * number, shown = %number),
)]
fn evaluate(number: u8, verdict: &Verdict) -> Result<Verdict, &'static str>
where
    Verdict: Clone,
{
    if number == 0 {
        return Err("no number");
    }
    Ok(verdict.clone())
}

impl serde::Serialize for Verdict {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("verdict")
    }
}

#[test]
fn late_closures_see_the_success_value() {
    let verdict = Verdict { id: ID, eligible: true, reasons: vec!["a".into(), "b".into()] };
    let event = only(RISK_EVALUATED, || evaluate(3, &verdict));
    assert_eq!(event.entity_id, Some(ID));
    assert_eq!(
        event.data,
        json!({"number": 3, "verdict": "verdict", "twice": 6, "shown": "3", "reasons": ["a", "b"],
               "first": "Some(\"a\")", "result": 2})
    );
    let event = only(RISK_REJECTED, || evaluate(1, &Verdict { eligible: false, ..verdict.clone() }));
    assert_eq!(event.data["number"], 1);
    let event = only("risk.failed", || evaluate(0, &verdict));
    assert_eq!(event.entity_id, None, "it was to come from the result");
    assert_eq!(event.data["error"], json!({"message": "no number", "causes": []}));
}

#[test]
fn the_error_event_can_be_late_too() {
    #[audited(event = "order.submitted", err = |e| if *e > 9 { "order.halted" } else { "order.rejected" }, id = ID)]
    fn submit(code: u8) -> Result<(), u8> {
        Err(code)
    }
    only("order.rejected", || submit(1));
    only("order.halted", || submit(10));
}

#[test]
fn result_is_captured_as_told_and_a_unit_is_none() {
    #[audited(event = "a.b", id = ID, result = skip)]
    fn skipped() -> Cell<u8> {
        Cell::new(1)
    }
    assert_eq!(only("a.b", skipped).data, json!({}));
    #[audited(event = "a.b", id = ID, result = ?)]
    fn debugged() -> Result<Cell<u8>, ()> {
        Ok(Cell::new(1))
    }
    assert_eq!(only("a.b", debugged).data, json!({"result": "Cell { value: 1 }"}));
    #[audited(event = "a.b", id = ID, result = %)]
    fn displayed() -> u8 {
        1
    }
    assert_eq!(only("a.b", displayed).data, json!({"result": "1"}));
    type Unit = Result<(), ()>;
    #[audited(event = "a.b", id = ID, fallible)]
    fn unit() -> Unit {
        Ok(())
    }
    assert_eq!(only("a.b", unit).data, json!({}));
}

#[test]
fn when_decides_before_or_after() {
    #[audited(event = "a.b", id = ID, when = *amount > 10)]
    fn early(amount: &u32) {}
    none(|| early(&10));
    only("a.b", || early(&11));

    #[audited(event = "a.b", err = "a.c", id = ID, when = |out| *out > 10)]
    fn late(amount: u32) -> Result<u32, ()> {
        if amount == 0 { Err(()) } else { Ok(amount) }
    }
    none(|| late(10));
    only("a.b", || late(11));
    only("a.c", || late(0));
}

#[test]
fn the_actor_is_the_attributes_else_the_contexts_else_system() {
    #[audited(event = "a.b", id = ID, actor = user.name)]
    fn named(user: &User) {}
    #[derive(serde::Serialize)]
    struct User {
        name: String,
    }
    #[audited(event = "a.b", id = ID)]
    fn unnamed() {}
    let user = User { name: "ann".into() };
    let bob = || Context::new().actor("bob");
    assert_eq!(only("a.b", || bob().enter().then(|| named(&user))).actor, "ann");
    assert_eq!(only("a.b", || bob().enter().then(unnamed)).actor, "bob");
    assert_eq!(only("a.b", unnamed).actor, "system");
}

/// Runs something while a guard is held.
trait Then: Sized {
    fn then<R>(self, run: impl FnOnce() -> R) -> R {
        run()
    }
}
impl Then for audit_runtime::Entered {}

#[test]
fn a_runtime_by_another_name_is_found() {
    mod renamed {
        pub use audit_runtime as audit;
    }
    #[audited(event = "a.b", id = ID, crate = renamed::audit)]
    fn call() {}
    only("a.b", call);
}

#[test]
fn expressions_are_evaluated_only_when_something_is_recorded() {
    thread_local!(static COUNT: Cell<u8> = const { Cell::new(0) });
    fn counted() -> u8 {
        COUNT.set(COUNT.get() + 1);
        COUNT.get()
    }
    #[audited(event = "a.b", id = ID, fields(count = counted()))]
    fn call() {}
    call();
    assert_eq!(only("a.b", call).data["count"], 1);
}

#[test]
fn an_event_type_may_be_computed_when_it_is_compiled() {
    const fn verb(done: bool) -> &'static str {
        if done { "order.done" } else { "order.begun" }
    }
    #[audited(event = const { verb(true) }, entity = "order", id = ID)]
    fn in_a_block() {}
    #[audited(event = concat!("order", ".", "made"), err = const { verb(false) }, entity = "order", id = ID)]
    fn put_together() -> Result<(), ()> {
        Err(())
    }
    only("order.done", in_a_block);
    only("order.begun", put_together);
}

#[test]
fn habits_that_do_no_harm_are_accepted() {
    struct Desk;
    impl Desk {
        #[audited(event = "a.b", id = ID, skip(self), crate = "audit_runtime")]
        fn call(&self, n: u8) {}
    }
    assert_eq!(only("a.b", || Desk.call(1)).data, json!({"n": 1}));
}
