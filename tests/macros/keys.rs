//! Entities by keys of companies' own, further entities, tenants: by the attribute, the derives and by hand.

use crate::support::{ID, caught, caught_later};
use audit_runtime::testing::{Probe, record};
use audit_runtime::trail::TrailEvent;
use audit_runtime::{AuditEvent, Context, EntityId, Event, IntoEntityId, Outcome, audited};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug, Clone, Serialize, EntityId)]
struct AccountId(i64);

#[derive(Debug, Clone, Serialize, EntityId)]
struct Numbered<T> {
    number: T,
}

fn named(kind: &str, key: &str) -> Uuid {
    match EntityId::named(kind, key) {
        EntityId::Id(id) => id,
        other => panic!("{other:?}"),
    }
}

/// The event's key, which its id has to be of.
fn key(event: &TrailEvent) -> Option<&str> {
    let key = event.entity_key.as_deref();
    if let Some(key) = key {
        assert_eq!(event.entity_id, Some(named(&event.entity_type, key)));
    }
    key
}

fn targets(event: &TrailEvent) -> Value {
    event.targets.as_ref().map_or(Value::Null, |targets| targets.value())
}

#[test]
fn a_call_is_about_whatever_its_key_is() {
    #[audited(event = "account.closed")]
    fn close(account_id: i64) {}
    #[audited(event = "account.closed")]
    fn close_typed(account_id: AccountId) {}
    #[audited(event = "account.closed", id = &number)]
    fn close_generic<T: IntoEntityId + Serialize>(number: Numbered<T>) {}
    #[audited(event = "invoice.paid", id = (country, number))]
    fn pay(country: &str, number: Option<u32>) {}
    #[audited(event = "file.read", id = path)]
    fn read(path: &str) {}
    #[audited(event = "file.read", id = path)]
    fn read_shared(path: Arc<String>) {}

    assert_eq!(key(&record(|| close(-42))), Some("-42"));
    assert_eq!(key(&record(|| close_typed(AccountId(i64::MIN)))), Some("-9223372036854775808"));
    assert_eq!(key(&record(|| close_generic(Numbered { number: u128::MAX }))), Some(&*u128::MAX.to_string()));
    assert_eq!(key(&record(|| close_generic(Numbered { number: AccountId(7) }))), Some("7"));
    assert_eq!(key(&record(|| pay("D/E", Some(7)))), Some(r"D\/E/7"));
    assert_eq!(key(&record(|| pay("D", None))), Some(r"D/\-"));
    assert_eq!(key(&record(|| read_shared(Arc::new("a".into())))), Some("a"));
    let by_id = record(|| close_generic(Numbered { number: ID }));
    assert_eq!((key(&by_id), by_id.entity_id), (None, Some(ID)));
    let none = record(|| close_generic(Numbered { number: None::<u8> }));
    assert_eq!((key(&none), none.entity_id), (None, None));
}

#[test]
fn hostile_keys_stay_apart() {
    #[audited(event = "file.read", id = path, skip(path))]
    fn read(path: &str) {}
    let long = "k".repeat(100_000);
    let umlauts = "ä".repeat(400);
    let digits = ID.simple().to_string();
    let keys = ["", "\0", "\u{fffd}", "a/b", r"a\/b", "\"}]", " ", &digits, &long, &long[1..], &umlauts];
    let events: Vec<TrailEvent> = keys.iter().map(|key| record(|| read(key))).collect();
    let mut ids: Vec<Uuid> = events.iter().map(|event| event.entity_id.unwrap()).collect();
    for (event, given) in events.iter().zip(keys) {
        let key = key(event).unwrap();
        assert!(
            key == given || key.starts_with("sha256:") && (given.len() > 1_000 || given == "\0"),
            "{given:?}: {key}"
        );
        assert_eq!(event.data, json!({}));
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), keys.len());
    let by_id = record(|| read(&ID.to_string().to_uppercase()));
    assert_eq!((by_id.entity_id, by_id.entity_key), (Some(ID), None));
}

#[derive(Serialize)]
struct Booked {
    number: u64,
    invoices: Vec<&'static str>,
}

#[audited(
    event = "transfer.booked", err = "transfer.refused", id = |booked| booked.number, err_id = (from, to),
    also(account = from, account = to, invoice = |booked| &booked.invoices, order = ID), tenant = tenant, result = skip,
)]
fn transfer(from: u32, to: u32, tenant: Option<&str>) -> Result<Booked, String> {
    if from == to { Err("the same".into()) } else { Ok(Booked { number: 9, invoices: vec!["A-1", "A-2"] }) }
}

#[test]
fn further_entities_are_known_as_far_as_the_call_came() {
    let booked = record(|| transfer(1, 2, Some("acme")));
    assert_eq!((key(&booked), booked.tenant.as_deref()), (Some("9"), Some("acme")));
    let account = |key: &str| json!({"type": "account", "id": named("account", key), "key": key});
    let invoice = |key: &str| json!({"type": "invoice", "id": named("invoice", key), "key": key});
    let order = json!({"type": "order", "id": ID});
    assert_eq!(targets(&booked), json!([account("1"), account("2"), order, invoice("A-1"), invoice("A-2")]));
    let refused = record(|| transfer(3, 3, None));
    assert_eq!((key(&refused), refused.tenant.as_deref(), refused.outcome), (Some("3/3"), None, Outcome::Error));
    assert_eq!(targets(&refused), json!([account("3"), account("3"), order]));
}

#[test]
fn of_a_list_each_is_an_entity_and_what_is_too_much_is_counted() {
    #[audited(event = "batch.settled", id = none, also(invoice = invoices, ledger = ledger), only(ledger))]
    fn settle(invoices: &[u32], ledger: Option<&str>) {}
    let few = record(|| settle(&[1, 2], None));
    assert_eq!(targets(&few).as_array().unwrap().len(), 2);
    assert_eq!((&few.data, few.entity_id), (&json!({"ledger": null}).into(), None));
    assert_eq!(targets(&record(|| settle(&[], None))), Value::Null);
    let many: Vec<u32> = (0..1_500).collect();
    let many = record(|| settle(&many, Some("main")));
    assert_eq!(targets(&many).as_array().unwrap().len(), 1_000);
    assert_eq!(many.data, json!({"ledger": "main", "$targets": 1_501}));

    #[audited(event = "batch.settled", id = none, also(invoice = all), skip_all)]
    fn nothing_else(all: Vec<u32>) {}
    assert_eq!(record(|| nothing_else((0..2_000).collect())).data, json!({"$targets": 2_000}));
}

#[test]
fn a_tenant_is_the_events_own_or_the_contexts() {
    #[audited(event = "order.opened")]
    fn open(order_id: u8) {}
    #[audited(event = "order.opened", tenant = tenant)]
    fn open_for(order_id: u8, tenant: u64) {}
    let inside = |context: Context, call: fn()| {
        record(|| {
            let _outer = Context::new().tenant("outer").actor("ann").enter();
            let _inner = context.enter();
            call();
        })
    };
    assert_eq!(record(|| open(1)).tenant, None);
    let inherited = inside(Context::new().attribute("a", 1), || open(1));
    assert_eq!(
        (inherited.tenant.as_deref(), inherited.actor.as_str(), key(&inherited)),
        (Some("outer"), "ann", Some("1"))
    );
    assert_eq!(inherited.context.unwrap(), json!({"a": 1}));
    assert_eq!(inside(Context::new().tenant("inner"), || open(1)).tenant.as_deref(), Some("inner"));
    assert_eq!(inside(Context::new().tenant(None::<&str>), || open(1)).tenant.as_deref(), Some("outer"));
    assert_eq!(inside(Context::new(), || open_for(1, 5)).tenant.as_deref(), Some("5"));
    let probe = Probe::new();
    let _entered = probe.enter();
    let _inside = Context::new().tenant(ID).enter();
    probe.audit().record(Event::new("a.b")).unwrap();
    probe.audit().record(Event::new("a.c").tenant("other")).unwrap();
    assert_eq!(probe.only("a.b").tenant, Some(ID.to_string()));
    assert_eq!(probe.only("a.c").tenant.as_deref(), Some("other"));
}

#[test]
fn an_intent_and_its_completion_are_about_the_same() {
    #[audited(event = "job.run", intent, tenant = "acme", also(machine = machine))]
    fn run(job_id: u32, machine: &str) -> Result<(), String> {
        Ok(())
    }
    let probe = Probe::new();
    let entered = probe.enter();
    run(7, "m-1").unwrap();
    drop(entered);
    let [intent, completion] = &*probe.events() else { panic!("two events") };
    assert_eq!((intent.outcome, completion.outcome), (Outcome::Started, Outcome::Ok));
    for event in [intent, completion] {
        assert_eq!((key(event), event.tenant.as_deref()), (Some("7"), Some("acme")));
        assert_eq!(targets(event)[0]["key"], "m-1");
    }
}

#[test]
fn an_event_by_hand_and_a_derived_one_have_them_too() {
    #[derive(AuditEvent)]
    #[audit(event = "transfer.booked", id = (from, number), also(account = from, account = to), tenant = tenant)]
    struct Transferred<'a> {
        from: AccountId,
        to: Vec<AccountId>,
        number: u8,
        #[audit(skip)]
        tenant: Option<&'a str>,
    }
    let probe = Probe::new();
    let transferred =
        Transferred { from: AccountId(1), to: vec![AccountId(2), AccountId(3)], number: 4, tenant: Some("acme") };
    probe.audit().record(&transferred).unwrap();
    let derived = probe.only("transfer.booked");
    assert_eq!((key(&derived), derived.tenant.as_deref()), (Some("1/4"), Some("acme")));
    let keys: Vec<_> = targets(&derived).as_array().unwrap().iter().map(|target| target["key"].clone()).collect();
    assert_eq!(keys, ["1", "2", "3"]);
    let event = Event::new("batch.settled").entity("batch", 7_u64).target("ledger", "main").targets("line", 0..1_200);
    probe.audit().record(event.data(&json!({"a": 1}))).unwrap();
    let by_hand = probe.only("batch.settled");
    assert_eq!((key(&by_hand), &by_hand.data), (Some("7"), &json!({"a": 1, "$targets": 1_201}).into()));
}

#[test]
fn a_call_after_one_with_them_has_none_of_them() {
    #[audited(event = "order.opened", id = none)]
    fn plain() {}
    #[audited(event = "order.keyed")]
    fn keyed(order_id: u8) {}
    let probe = Probe::new();
    let entered = probe.enter();
    for _ in 0..3 {
        transfer(1, 2, Some("acme")).unwrap();
        plain();
        transfer(1, 2, Some("acme")).unwrap();
        keyed(5);
    }
    drop(entered);
    for event in probe.events().iter().filter(|event| event.event_type == "order.opened") {
        assert_eq!((&event.entity_id, &event.entity_key, &event.tenant, &event.targets), (&None, &None, &None, &None));
    }
    for event in probe.events().iter().filter(|event| event.event_type == "order.keyed") {
        assert_eq!((key(event), &event.tenant, &event.targets), (Some("5"), &None, &None));
    }
}

#[test]
fn a_panic_in_an_expression_is_data_and_fails_no_call() {
    #[audited(event = "order.opened", id = 1, tenant = text.parse::<u8>().unwrap(), skip_all)]
    fn open(text: &str) -> usize {
        text.len()
    }
    let (length, event) = caught(|| open("no"));
    assert!(length == 2 && event.data["$error"].as_str().unwrap().contains("panicked"), "{event:?}");
    let (_, event) = caught_later(async { open("5") });
    assert_eq!(event.tenant.as_deref(), Some("5"));
}
