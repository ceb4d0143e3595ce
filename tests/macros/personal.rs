//! Personal values: whose they are, and in which places of an event.

use crate::support::caught;
use audit_runtime::testing::Probe;
use audit_runtime::trail::TrailEvent;
use audit_runtime::{Context, Event, Outcome, audited};
use serde::Serialize;
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};

struct Customer {
    id: u64,
}

#[audited(
    event = "customer.created", id = none, personal(email, born, result), fields(born = "1990-01-02"), intent,
    subject = |customer| format!("customer:{}", customer.id), result = |customer| customer.id, skip(fails),
)]
fn create(email: &str, fails: u8) -> Result<Customer, String> {
    match fails {
        0 => Ok(Customer { id: 42 }),
        1 => Err("no".into()),
        _ => panic!("no"),
    }
}

fn marked(value: impl Into<Value>) -> Value {
    json!({ "$personal": value.into() })
}

fn owned(value: impl Into<Value>, subject: &str) -> Value {
    json!({ "$personal": value.into(), "$subject": subject })
}

#[test]
fn a_late_subject_owns_the_values_of_a_success_and_all_others_are_left_out() {
    let probe = Probe::new();
    let entered = probe.enter();
    create("ann@example.com", 0).unwrap();
    create("ann@example.com", 1).err().unwrap();
    catch_unwind(AssertUnwindSafe(|| create("ann@example.com", 2))).err().unwrap();
    drop(entered);
    let events = probe.events();
    let data = |outcome| events.iter().find(|event| event.outcome == outcome).unwrap().data.value();
    assert_eq!(
        data(Outcome::Ok),
        json!({"email": marked("ann@example.com"), "born": marked("1990-01-02"), "result": marked(42), "$subject": "customer:42"})
    );
    let left_out = json!({"email": "[redacted]", "born": "[redacted]"});
    assert_eq!(data(Outcome::Started), left_out);
    for outcome in [Outcome::Error, Outcome::Panicked] {
        let mut data = data(outcome);
        data.as_object_mut().unwrap().retain(|name, _| name != "error" && name != "$panic");
        assert_eq!(data, left_out);
    }
    assert_eq!(events.len(), 6);
}

#[test]
fn a_late_subject_that_panics_leaves_no_personal_value() {
    #[audited(event = "a.b", id = none, personal(email), subject = |id: &u32| { assert!(*id > 7); *id })]
    fn call(email: &str) -> u32 {
        7
    }
    let (_, event) = caught(|| call("ann@example.com"));
    assert_eq!((event.outcome, &event.data["email"]), (Outcome::Ok, &"[redacted]".into()));
    assert!(event.data["$error"].as_str().unwrap().contains("panicked"), "{}", event.data);
}

#[test]
fn a_mark_may_name_its_own_subject() {
    #[audited(
        event = "message.sent", id = none, personal(text, to = format_args!("customer:{recipient}"), actor = "user:kim", result = recipient),
        subject = sender, actor = "kim@example.com", skip(sender),
    )]
    fn send(sender: &str, recipient: u32, to: String, text: &str) -> String {
        to
    }
    let (_, event) = caught(|| send("customer:1", 2, "bob@example.com".into(), "hello"));
    assert_eq!(
        event.data,
        json!({"recipient": 2, "to": owned("bob@example.com", "customer:2"), "text": marked("hello"),
               "result": owned("bob@example.com", "2"), "$subject": "customer:1"})
    );
    assert_eq!(serde_json::from_str::<Value>(&event.actor).unwrap(), owned("kim@example.com", "user:kim"));
}

#[test]
fn a_mark_with_its_own_subject_stays_where_the_late_one_is_unknown() {
    #[audited(
        event = "a.b", id = none, personal(mine, yours = "customer:2", actor), subject = |id| *id, actor = "login:ann", skip(actor),
    )]
    fn call(mine: &str, yours: &str, actor: u8) -> Result<u32, String> {
        if actor == 0 { Ok(1) } else { Err("no".into()) }
    }
    let (_, event) = caught(|| call("a", "b", 1));
    assert_eq!((&event.data["mine"], &event.data["yours"]), (&"[redacted]".into(), &owned("b", "customer:2").into()));
    assert_eq!(event.actor, "[redacted]");
    let (_, event) = caught(|| call("a", "b", 0));
    assert_eq!(event.actor, r#"{"$personal":"login:ann"}"#);
    assert_eq!((&event.data["mine"], &event.data["$subject"]), (&marked("a").into(), &"1".into()));
}

#[derive(Debug, Serialize)]
struct Account {
    email: String,
    name: Option<String>,
    limit: u32,
    tags: Vec<String>,
}

fn account() -> Account {
    Account { email: "ann@old.com".into(), name: None, limit: 1, tags: vec!["a".into()] }
}

#[test]
fn both_sides_of_a_personal_change_are_marked() {
    #[audited(
        event = "account.changed", id = none, changes(account.email, account.limit, tags = account.tags, whole = account), skip_all,
        personal(email, tags = "customer:7", whole), subject = "customer:42",
    )]
    fn change(account: &mut Account) {
        account.email = "ann@new.com".into();
        account.name = Some("Ann".into());
        account.limit = 2;
        account.tags.push("b".into());
    }
    let (_, event) = caught(|| change(&mut account()));
    assert_eq!(
        event.data,
        json!({"$subject": "customer:42", "changes": {
            "email": {"from": marked("ann@old.com"), "to": marked("ann@new.com")},
            "limit": {"from": 1, "to": 2},
            "tags": {"[1]": {"to": owned("b", "customer:7")}},
            "whole": {
                "email": {"from": marked("ann@old.com"), "to": marked("ann@new.com")},
                "name": {"from": marked(Value::Null), "to": marked("Ann")},
                "limit": {"from": marked(1), "to": marked(2)},
                "tags[1]": {"to": marked("b")},
            },
        }})
    );
}

#[test]
fn a_changed_parameter_is_personal_in_its_change_alone() {
    #[audited(event = "a.b", id = none, changes(email), personal(email), subject = |id| *id)]
    fn change(email: &mut String) -> Result<u32, String> {
        email.push('!');
        if email.len() > 3 { Err("long".into()) } else { Ok(3) }
    }
    let (_, event) = caught(|| change(&mut "a".into()));
    assert_eq!(
        event.data,
        json!({"changes": {"email": {"from": marked("a"), "to": marked("a!")}}, "result": 3, "$subject": "3"})
    );
    let (_, event) = caught(|| change(&mut "abc".into()));
    assert_eq!(event.data["changes"], json!({"email": {"from": "[redacted]", "to": "[redacted]"}}));
}

#[test]
fn the_contexts_actor_and_attributes_may_be_personal() {
    #[audited(event = "a.b", id = none, personal(actor), subject = "user:kim")]
    fn call() {}
    let context =
        || Context::new().actor("kim@example.com").personal("ip", "customer:7", "192.0.2.7").attribute("app", 1);
    let seen = |event: TrailEvent| (event.actor, event.context.unwrap().value());
    let (_, event) = caught(|| {
        let _inside = context().enter();
        call();
    });
    let attributes = json!({"ip": owned("192.0.2.7", "customer:7"), "app": 1});
    assert_eq!(seen(event), (r#"{"$personal":"kim@example.com"}"#.into(), attributes.clone()));
    let probe = Probe::new();
    let entered = probe.enter();
    {
        let _outer = context().enter();
        let _inner = Context::new().attribute("app", 1).enter();
        probe.audit().record(Event::new("a.c")).unwrap();
    }
    drop(entered);
    assert_eq!(seen(probe.only("a.c")), ("kim@example.com".into(), attributes));
    assert_eq!(Context::new().personal("api_key", "customer:7", "k-17").attributes()["api_key"], "[redacted]");
}

#[test]
fn an_event_by_hand_holds_values_of_several_persons() {
    let probe = Probe::new();
    let event = Event::new("message.sent").data(&json!({"n": 1}));
    let event = event.personal("customer:1", &json!({"from": "ann"})).personal("customer:2", &json!({"to": "bob"}));
    probe.audit().record(event.personal("customer:3", &json!({}))).unwrap();
    assert_eq!(
        probe.only("message.sent").data,
        json!({"n": 1, "from": owned("ann", "customer:1"), "to": owned("bob", "customer:2")})
    );
}
