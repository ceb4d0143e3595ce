use super::*;
use serde_json::{Value, json};

/// An event at a second, with these changes.
fn event(second: i64, outcome: &str, duration: i64, changes: &Value) -> TrailEvent {
    let event = json!({
        "id": Uuid::from_u128(u128::try_from(second).unwrap()), "event_type": "a.b", "entity_type": "a", "entity_id": null,
        "actor": "ann", "data": {"changes": changes}, "created_at": Timestamp::from_unix_micros(second * 1_000_000).to_string(),
        "outcome": outcome, "duration_us": duration, "correlation_id": Uuid::nil(), "causation_id": null,
        "context": {"reason": "why"}, "origin": null, "batch_id": null,
    });
    serde_json::from_value(event).unwrap()
}

fn ok(second: i64, changes: &Value) -> TrailEvent {
    event(second, "ok", 1, changes)
}

fn known(value: &Value) -> FieldValue {
    FieldValue::Known(Json::from(value))
}

/// The state as of a second.
fn at(second: i64, events: &[TrailEvent]) -> Vec<(String, FieldValue)> {
    let mut fold = Fold::default();
    for event in events {
        if event.created_at <= Timestamp::from_unix_micros(second * 1_000_000) {
            fold.take(event);
        } else {
            fold.settle(event);
        }
    }
    fold.state().into_iter().map(|state| (state.field, state.value)).collect()
}

fn one(second: i64, events: &[TrailEvent]) -> FieldValue {
    let state = at(second, events);
    assert_eq!(state.len(), 1, "{state:?}");
    state[0].1.clone()
}

fn limit(from: u32, to: u32) -> Value {
    json!({"account": {"limit": {"from": from, "to": to}}})
}

#[test]
fn a_value_is_known_before_between_and_after_its_changes() {
    let events = [ok(10, &limit(1, 5)), ok(20, &limit(5, 7))];
    for (second, value) in [(0, 1), (9, 1), (10, 5), (19, 5), (20, 7), (99, 7)] {
        assert_eq!(one(second, &events), known(&json!(value)), "{second}");
    }
    let mut fold = Fold::default();
    let changes: Vec<FieldChange> = events.iter().flat_map(|event| fold.take(event)).collect();
    assert!(changes.iter().all(|change| change.unrecorded.is_none() && !change.is_within));
    assert_eq!(changes[1].by.reason.as_deref(), Some("why"));
    assert_eq!((&changes[1].from, &changes[1].to), (&known(&json!(5)), &known(&json!(7))));
}

#[test]
fn a_change_that_nobody_recorded_makes_the_value_unknown_between() {
    let events = [ok(10, &limit(1, 5)), ok(20, &limit(6, 7))];
    assert_eq!(one(15, &events), FieldValue::Unknown);
    assert_eq!([one(9, &events), one(20, &events)], [known(&json!(1)), known(&json!(7))]);
    let mut fold = Fold::default();
    fold.take(&events[0]);
    assert_eq!(fold.take(&events[1])[0].unrecorded, Some(known(&json!(5))));
}

#[test]
fn a_failed_call_may_have_been_taken_back() {
    let failed = event(10, "error", 1, &limit(1, 5));
    assert_eq!(one(15, std::slice::from_ref(&failed)), FieldValue::Unknown);
    for found in [1, 5] {
        let events = [failed.clone(), ok(20, &limit(found, 7))];
        assert_eq!(one(15, &events), known(&json!(found)));
        let mut fold = Fold::default();
        fold.take(&events[0]);
        assert_eq!(fold.take(&events[1])[0].unrecorded, None, "{found}");
    }
    assert_eq!(one(15, &[failed, ok(20, &limit(9, 7))]), FieldValue::Unknown);
}

#[test]
fn a_call_within_another_reports_the_same_change_once_more() {
    let outer = event(10, "ok", 5_000_000, &limit(1, 9));
    let inner = [ok(11, &limit(1, 5)), ok(12, &limit(5, 9))];
    let mut fold = Fold::default();
    fold.take(&outer);
    for inner in &inner {
        let change = &fold.take(inner)[0];
        assert!(change.is_within && change.unrecorded.is_none(), "{change:?}");
    }
    let after = ok(20, &limit(9, 10));
    assert_eq!(fold.take(&after)[0].unrecorded, None);
}

#[test]
fn objects_are_their_members_and_what_is_added_or_removed_is_absent() {
    let moved = json!({"c": {"address": {"from": null, "to": {"city": "Ulm", "zip": 1}}}});
    let renamed = json!({"c": {"address.city": {"from": "Ulm", "to": "Bonn"}}});
    let removed = json!({"c": {"address": {"from": {"city": "Bonn", "zip": 1}}}});
    let events = [ok(10, &moved), ok(20, &renamed), ok(30, &removed)];
    let both =
        |city: &str| vec![("c.address.city".into(), known(&json!(city))), ("c.address.zip".into(), known(&json!(1)))];
    assert_eq!(at(5, &events), [("c.address".into(), known(&Value::Null))]);
    assert_eq!(at(15, &events), both("Ulm"));
    assert_eq!(at(25, &events), both("Bonn"));
    assert_eq!(at(35, &events), [("c.address".into(), FieldValue::Absent)]);
    let mut fold = Fold::default();
    for event in &events {
        assert!(fold.take(event).iter().all(|change| change.unrecorded.is_none()), "{event:?}");
    }
}

#[test]
fn what_no_event_reports_is_unknown() {
    let lots = json!({"p": {"lots[0]": {"to": 3}, "lots[1].price": {"from": 1, "to": 2}}});
    assert_eq!(at(10, &[ok(10, &lots)]), [("p.lots".into(), FieldValue::Unknown)]);
    // A key that looks like an element is a key.
    let quoted = json!({"p": {"m[\"[0]\"]": {"from": 1, "to": 2}}});
    assert_eq!(one(10, &[ok(10, &quoted)]), known(&json!(2)));
    let truncated = json!({"account": {"$truncated": 3, "name": {"from": "a", "to": "b"}}});
    let events = [ok(10, &limit(1, 5)), ok(20, &truncated)];
    let state = |limit| vec![("account.limit".into(), limit), ("account.name".into(), known(&json!("b")))];
    assert_eq!(at(20, &events), state(FieldValue::Unknown));
    let events = [events[0].clone(), events[1].clone(), ok(30, &limit(6, 7))];
    assert_eq!(at(25, &events), state(known(&json!(6))));
    let hidden = json!({"a": {"pin": "[redacted]", "mail": {"from": "[erased]", "to": "[encrypted]"}}});
    let told = [("a.mail".to_owned(), FieldValue::Encrypted), ("a.pin".to_owned(), FieldValue::Redacted)];
    assert_eq!(at(10, &[ok(10, &hidden)]), told);
    assert_eq!(at(5, &[ok(10, &hidden)]), [("a.mail".into(), FieldValue::Erased)]);
}

#[test]
fn changes_made_by_hand_are_folded() {
    let events = [ok(10, &json!({"status": {"from": "open", "to": "closed"}}))];
    assert_eq!([one(9, &events), one(10, &events)], [known(&json!("open")), known(&json!("closed"))]);
    assert!(at(10, &[ok(10, &json!({})), ok(11, &json!({"status": "closed"}))]).is_empty());
}

#[test]
fn the_same_instant_in_another_zone_is_the_same_value() {
    let at = |from: &str, to: &str| json!({"a": {"due": {"from": from, "to": to}}});
    let mut fold = Fold::default();
    fold.take(&ok(10, &at("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")));
    assert_eq!(fold.take(&ok(20, &at("2026-02-01T01:00:00+01:00", "2026-03-01T00:00:00Z")))[0].unrecorded, None);
}

#[test]
fn a_field_is_named_by_its_end_its_beginning_or_all_of_its_path() {
    for (path, field, is) in [
        ("account.limit_cents", "limit_cents", true),
        ("account.limit_cents", "account", true),
        ("account.limit_cents", "account.limit_cents", true),
        ("account.limit_cents", "limit", false),
        ("account.limit_cents", "cents", false),
        ("account.limits.eur", "limits", true),
        ("position.lots[0].price", "lots", true),
        ("position.lots[0].price", "price", true),
        ("status", "status", true),
    ] {
        assert_eq!(is_of(path, field), is, "{path} {field}");
    }
}
