//! An event reports each change of a call, and the timeline shows it.

use crate::printed;
use audit_runtime::testing::Probe;
use audit_runtime::{Event, audited};
use serde::Serialize;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tests::Database;
use uuid::Uuid;

#[derive(Serialize, Clone)]
struct State {
    members: HashSet<u32>,
    nested: Vec<HashMap<String, HashSet<u32>>>,
    list: Vec<u32>,
    limit: f64,
    mode: Option<&'static str>,
}

#[audited(event = "state.changed", id = None::<Uuid>, changes(state), skip_all)]
fn change(state: &mut State, after: State) {
    *state = after;
}

#[audited(event = "leaf.changed", id = None::<Uuid>, changes(mode), skip_all)]
fn change_leaf(mode: &mut u32) {
    *mode += 1;
}

#[derive(Serialize)]
struct Credentials {
    kind: &'static str,
    value: String,
    url: String,
}

#[audited(event = "secret.changed", id = None::<Uuid>, changes(account), skip_all)]
fn change_secret(account: &mut Credentials, to: &str) {
    account.value = to.to_owned();
    account.url = format!("redis://:{to}@host/0");
}

fn state() -> State {
    let members: HashSet<u32> = (0..40).collect();
    State {
        nested: vec![HashMap::from([("a".into(), members.clone())])],
        members,
        list: (0..5_000).collect(),
        limit: 199.4,
        mode: None,
    }
}

#[test]
fn sets_have_no_phantom_changes_and_lists_are_compared_by_content() {
    let probe = Probe::new();
    let _entered = probe.enter();
    let mut before = state();
    // The same sets, filled in another order.
    let mut after = state();
    after.members = (0..40).rev().collect();
    after.nested = vec![HashMap::from([("a".into(), (0..40).rev().collect())])];
    change(&mut before, after.clone());
    assert_eq!(probe.events()[0].data["changes"], json!({"state": {}}));
    after.members.insert(99);
    after.list.insert(0, 7);
    after.limit = 199.39999999999998;
    after.mode = Some("open");
    change(&mut before, after);
    let event = &probe.events()[1];
    assert_eq!(
        event.data["changes"]["state"],
        json!({
            "members[40]": {"to": 99}, "list[0]": {"to": 7}, "limit": {"from": 199.4, "to": 199.39999999999998},
            "mode": {"from": null, "to": "open"},
        })
    );
    let told: Vec<String> = event.changes().iter().map(|change| change.path.clone()).collect();
    assert_eq!(told, ["state.limit", "state.list[0]", "state.members[40]", "state.mode"]);
}

#[test]
fn a_secret_that_changed_is_told_without_being_told() {
    let probe = Probe::new();
    let _entered = probe.enter();
    let mut credentials =
        Credentials { kind: "password", value: "hunter2".into(), url: "redis://:hunter2@host/0".into() };
    change_secret(&mut credentials, "hunter3");
    let data = probe.only("secret.changed").data;
    assert!(!data.to_string().contains("hunter"), "{data}");
    assert_eq!(data["changes"]["account"]["value"], "[redacted]");
    assert_eq!(data["changes"]["account"]["url"]["to"], "redis://[redacted]@host/0");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_shows_every_change_and_every_error() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let entered = audit.enter();
    let mut mode = 1;
    change_leaf(&mut mode);
    drop(entered);
    for (event_type, data) in [
        ("hand.leaf", json!({"changes": {"status": {"from": "dormant", "to": "closed"}}})),
        ("hand.odd", json!({"changes": ["qty 1 to 2"]})),
        ("hand.error", json!({"error": "insufficient funds"})),
        ("hand.code", json!({"error": {"code": 17}})),
        ("hand.note", json!({"changes": {"x": {"$error": "number out of range"}}})),
        ("hand.secret", json!({"changes": {"x": {"password": "[redacted]"}}})),
        ("hand.truncated", json!({"changes": {"$truncated": 70_000, "$sha256": "ab"}})),
    ] {
        audit.record(Event::new(event_type).entity("thing", Uuid::from_u128(0xfeed_beef)).data(&data)).unwrap();
    }
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    for wide in [&[][..], &["--wide"]] {
        let shown = printed(&database, &[&["events", "--output", "timeline"], wide].concat());
        let line =
            |event_type: &str| shown.lines().find(|line| line.contains(event_type)).unwrap_or_default().to_owned();
        for (event_type, expected) in [
            ("leaf.changed", "mode=1\u{2192}2"),
            ("hand.leaf", "status=dormant\u{2192}closed"),
            ("hand.odd", "qty 1 to 2"),
            ("hand.error", "error=\"insufficient funds\""),
            ("hand.code", "error.code=17"),
            ("hand.note", "number out of range"),
            ("hand.secret", "x.password=[redacted]"),
            ("hand.truncated", "70000"),
        ] {
            assert!(line(event_type).contains(expected), "{event_type}: {shown}");
        }
        assert!(line("hand.leaf").contains("thing"), "{shown}");
        assert!(line("hand.leaf").contains("feedbeef"), "{shown}");
    }
}
