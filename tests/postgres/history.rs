//! `Trail::history`: values over time, and the state as of a moment.

use audit_runtime::trail::{FieldChange, FieldState, FieldValue, Trail};
use audit_runtime::{Context, Event, Json, Timestamp, audited};
use chrono::{TimeDelta, Utc};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use std::time::Duration;
use tests::Database;

#[derive(serde::Serialize)]
struct Account {
    limit_cents: i64,
    status: &'static str,
}

#[audited(event = "account.limit_changed", id = account_id, only(account_id), changes(account))]
fn change_limit(account_id: i64, account: &mut Account, limit_cents: i64) {
    account.limit_cents = limit_cents;
}

async fn changes(trail: &Trail, field: Option<&str>) -> Vec<FieldChange> {
    let mut history = trail.history("account", 42);
    history = field.into_iter().fold(history, audit_runtime::trail::History::field);
    history.changes().try_collect().await.unwrap()
}

fn known(value: &Value) -> FieldValue {
    FieldValue::Known(Json::from(value))
}

#[tokio::test]
async fn the_values_of_a_field_come_with_who_when_and_why() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let entered = audit.enter();
    let mut account = Account { limit_cents: 100, status: "open" };
    {
        let _inside = Context::new().actor("user:ada").tenant("acme").attribute("reason", "asked by phone").enter();
        change_limit(42, &mut account, 500);
    }
    change_limit(42, &mut account, 900);
    change_limit(43, &mut account, 1);
    // By hand, and about another account.
    let by_hand = json!({"changes": {"account": {"status": {"from": account.status, "to": "closed"}}}});
    audit.record(Event::new("account.closed").entity("account", 42).data(&by_hand)).unwrap();
    audit.record(Event::new("transfer.made").entity("transfer", 1).target("account", 42).data(&by_hand)).unwrap();
    drop(entered);
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    let trail = Trail::new(database.pool.clone());
    let all = changes(&trail, None).await;
    let told: Vec<_> = all.iter().map(|change| (change.field.as_str(), &change.from, &change.to)).collect();
    let [hundred, five, nine] = [100, 500, 900].map(|limit| known(&json!(limit)));
    let [open, closed] = ["open", "closed"].map(|status| known(&json!(status)));
    let limit = "account.limit_cents";
    assert_eq!(told, [(limit, &hundred, &five), (limit, &five, &nine), ("account.status", &open, &closed)]);
    let first = &all[0].by;
    assert_eq!((first.actor.as_str(), first.reason.as_deref()), ("user:ada", Some("asked by phone")));
    assert_eq!((first.event_type.as_str(), first.tenant.as_deref()), ("account.limit_changed", Some("acme")));
    assert!(all.iter().all(|change| change.unrecorded.is_none()));
    assert_eq!(changes(&trail, Some("status")).await.len(), 1);
    assert_eq!(changes(&trail, Some("limit")).await.len(), 0);
    let of_tenant: Vec<_> = trail.history("account", 42).tenant("acme").changes().try_collect().await.unwrap();
    assert_eq!(of_tenant.len(), 1);
    let nothing: Vec<_> = trail.history("account", None::<i64>).changes().try_collect().await.unwrap();
    assert!(nothing.is_empty());
}

#[tokio::test]
async fn the_state_as_of_a_moment_is_folded_and_never_guessed() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let now = Utc::now();
    let day = |days: i64| now - TimeDelta::days(100) + TimeDelta::days(days);
    let record = |days: i64, changes: Value| {
        let event = Event::new("account.changed").entity("account", 42).data(&json!({"changes": changes}));
        audit.record_at(event, day(days)).unwrap();
    };
    record(10, json!({"limit": {"from": 1, "to": 5}}));
    record(20, json!({"status": {"from": "open", "to": "closed"}}));
    // Somebody changed it in between, and no event tells of that.
    record(30, json!({"limit": {"from": 6, "to": 7}}));
    record(40, json!({"mail": {"from": "[erased]", "to": "[erased]"}}));
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    let trail = Trail::new(database.pool.clone());
    let state = async |days: i64| -> Vec<FieldValue> {
        let state: Vec<FieldState> = trail.history("account", 42).as_of(day(days)).await.unwrap();
        assert_eq!(state.iter().map(|field| field.field.as_str()).collect::<Vec<_>>(), ["limit", "mail", "status"]);
        state.into_iter().map(|field| field.value).collect()
    };
    let [open, closed] = ["open", "closed"].map(|status| known(&json!(status)));
    assert_eq!(state(0).await, [known(&json!(1)), FieldValue::Erased, open.clone()]);
    assert_eq!(state(15).await, [FieldValue::Unknown, FieldValue::Erased, open]);
    assert_eq!(state(30).await, [known(&json!(7)), FieldValue::Erased, closed]);
    let limit = trail.history("account", 42).field("limit").as_of(Timestamp::INFINITY).await.unwrap();
    assert_eq!((limit.len(), limit[0].by.as_ref().unwrap().at), (1, Timestamp::from(day(30))));
    let third = &changes(&trail, Some("limit")).await[1];
    assert_eq!(third.unrecorded, Some(known(&json!(5))));
}
