//! Any value, through capture and back from PostgreSQL.

use crate::any::{Any, Key, expected};
use audit_runtime::{Audit, Context, Event, audited};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::Row;
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;
use tests::Database;
use uuid::Uuid;

const VALUES: usize = 3_000;

#[audited(event = "value.captured", result = skip)]
fn capture<'a, T: Serialize>(value_id: Uuid, value: &'a T) -> &'a T {
    value
}

async fn back(database: &Database, audit: &Audit) -> HashMap<Uuid, Value> {
    audit.flush().await.unwrap();
    assert_eq!(audit.stats().quarantined, 0, "no value poisons its batch");
    let rows = sqlx::query("SELECT entity_id, data FROM audit_events").fetch_all(&database.pool).await.unwrap();
    rows.into_iter().map(|row| (row.get("entity_id"), row.get("data"))).collect()
}

/// No word of a few random letters names a secret: `pw` is the one that chance makes.
fn texts() -> impl Strategy<Value = String> {
    let any = ".{0,12}".prop_filter("it may name a secret", |text| !text.to_lowercase().contains("pw"));
    prop_oneof![any, "[a-f\0\"\\\\\u{7f}\u{80}\u{ffff}😀]{0,8}", Just("x".repeat(300))]
}

fn keys() -> impl Strategy<Value = Key> {
    prop_oneof![
        8 => texts().prop_map(Key::Text),
        2 => any::<i64>().prop_map(Key::Number),
        1 => any::<bool>().prop_map(Key::Bool),
        1 => Just(Key::Sequence),
        2 => prop::sample::select(vec!["password", "X-Api-Key", "the token\0", "pin"]).prop_map(|text| Key::Text(text.into())),
    ]
}

const NAMES: [&str; 6] = ["a", "value", "apiKey", "card_number", "secretary", "größe"];

fn values() -> impl Strategy<Value = Any> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Any::Bool),
        any::<i64>().prop_map(Any::I64),
        any::<u64>().prop_map(Any::U64),
        any::<u128>().prop_map(Any::U128),
        any::<i128>().prop_map(Any::I128),
        prop::num::f64::ANY.prop_map(Any::F64),
        any::<i16>().prop_map(|number| Any::F32(f32::from(number) / 8.0)),
        prop::sample::select(&[f32::NAN, f32::INFINITY][..]).prop_map(Any::F32),
        any::<char>().prop_map(Any::Char),
        texts().prop_map(Any::Text),
        prop::collection::vec(any::<u8>(), 0..5).prop_map(Any::Bytes),
        Just(Any::Nothing),
        Just(Any::Unit),
        prop::sample::select(&NAMES[..]).prop_map(Any::UnitVariant),
    ];
    let odd = prop_oneof![30 => leaf, 1 => Just(Any::Fails), 1 => Just(Any::Panics)];
    odd.prop_recursive(5, 40, 6, |inner| {
        let inner = inner.boxed();
        let fields = prop::collection::vec((prop::sample::select(&NAMES[..]), inner.clone()), 0..4);
        prop_oneof![
            inner.clone().prop_map(|value| Any::Something(Box::new(value))),
            inner.clone().prop_map(|value| Any::Newtype(Box::new(value))),
            prop::collection::vec(inner.clone(), 0..6).prop_map(Any::Seq),
            prop::collection::vec(inner.clone(), 0..6).prop_map(Any::Tuple),
            prop::collection::vec((keys(), inner.clone()), 0..6).prop_map(Any::Map),
            fields.clone().prop_map(Any::Struct),
            (prop::sample::select(&NAMES[..]), fields).prop_map(|(name, fields)| Any::StructVariant(name, fields)),
            (prop::sample::select(&NAMES[..]), inner)
                .prop_map(|(name, value)| Any::NewtypeVariant(name, Box::new(value))),
        ]
    })
}

/// Numbers that JSON does not distinguish are the same. The test's own parser is wrong in a
/// number's last digit at times.
fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(found), Value::Number(expected)) => {
            let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
            (found - expected).abs() <= expected.abs() * 1e-15
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| same(found, expected))
        }
        (Value::Object(found), Value::Object(expected)) => {
            found.len() == expected.len()
                && found.iter().all(|(key, found)| expected.get(key).is_some_and(|expected| same(found, expected)))
        }
        (found, expected) => found == expected,
    }
}

#[tokio::test]
async fn whatever_serialises_comes_back_as_it_was_and_the_call_is_as_if_nothing_watched() {
    let database = Database::new().await;
    let audit = database.audit().segment_bytes(1 << 22).data_limit(500_000).start().unwrap();
    let (mut runner, values) = (TestRunner::default(), values());
    let mut called: HashMap<Uuid, Any> = HashMap::new();
    let entered = audit.enter();
    for _ in 0..VALUES {
        let value = values.new_tree(&mut runner).unwrap().current();
        let id = Uuid::now_v7();
        assert!(std::ptr::eq(capture(id, &value), &value));
        called.insert(id, value);
    }
    drop(entered);
    let rows = back(&database, &audit).await;
    assert_eq!(rows.len(), VALUES);
    for (id, value) in &called {
        let found = &rows[id];
        assert_eq!(found["value_id"], json!(id));
        match expected(value) {
            Ok(expected) => assert!(same(&found["value"], &expected), "{value:?}\n{found}\n{expected}"),
            Err(_) => assert!(found["value"]["$error"].is_string(), "{value:?}\n{found}"),
        }
    }
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn the_extremes_are_recorded_too() {
    let database = Database::new().await;
    let audit = database.audit().mask(["iban"]).start().unwrap();
    let entered = audit.enter();
    let ids: Vec<Uuid> = (0..8).map(|_| Uuid::now_v7()).collect();
    capture(ids[0], &"x".repeat(10_000_000));
    let deep = (0..1_000).fold(Value::Null, |inner, level| match level % 2 {
        0 => Value::Array(vec![inner]),
        _ => Value::Object([("a".to_owned(), inner)].into_iter().collect()),
    });
    capture(ids[1], &deep);
    let odd = OsString::from_vec(vec![b'a', 0xff, 0xed, 0xa0, 0x80]);
    capture(ids[2], &odd);
    capture(ids[3], &PathBuf::from(odd));
    capture(ids[4], &json!({"user": {"iban": "DE89", "token": 1, "name": "ann"}}));
    let raw = serde_json::value::RawValue::from_string(r#"{"lone": "\ud800"}"#.into()).unwrap();
    capture(ids[5], &raw);
    let in_context = Context::new().attribute("text", "x".repeat(10_000_000)).attribute("iban", "DE89");
    let inside = in_context.enter();
    capture(ids[7], &1);
    drop(inside);
    let by_hand = Event::new("value.given").entity("value", ids[6]);
    audit.record(by_hand.data(&json!({"iban": "DE89", "password": 1, "text": "x".repeat(100_000)}))).unwrap();
    drop(entered);
    let rows = back(&database, &audit).await;
    let value = |at: usize| &rows[&ids[at]]["value"];
    assert_eq!(value(0)["$truncated"], 10_000_002);
    assert_eq!(value(0)["$sha256"].as_str().unwrap().len(), 64);
    assert!(value(1)["$error"].as_str().unwrap().contains("within each other"));
    assert_eq!(*value(2), json!({"Unix": [97, 255, 237, 160, 128]}));
    assert!(value(3)["$error"].is_string());
    assert_eq!(*value(4), json!({"user": {"iban": "[redacted]", "token": "[redacted]", "name": "ann"}}));
    assert_eq!(*value(5), json!({"lone": "\u{fffd}"}));
    assert!(rows[&ids[6]]["$truncated"].as_u64().unwrap() > 100_000);
    assert_eq!(*value(7), json!(1));
    let context: Value = sqlx::query_scalar("SELECT context FROM audit_events WHERE entity_id = $1")
        .bind(ids[7])
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert!(context["$truncated"].as_u64().unwrap() > 10_000_000, "{context}");
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_text_of_any_length_under_a_trail_key_is_no_obstacle() {
    #[audited(event = "order.submitted", id = None::<Uuid>)]
    fn submit(order_id: &str, recommendation_id: &str) {}
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    // Incompressible: an index entry of a B-tree would be refused.
    let long: String = (0..300).map(|_| Uuid::new_v4().to_string()).collect();
    audit.scope(async { submit(&long, &long) }).await;
    audit.flush().await.unwrap();
    assert_eq!((audit.stats().quarantined, database.events().await), (0, 1));
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}
