//! The writer's output equals that of `serde_json`.

use super::*;
use crate::capture::mask::Mask;
use proptest::prelude::*;
use serde::{Serialize, ser};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

static NO_MASK: Mask = Mask::NONE;

fn written<T: Serialize + ?Sized>(value: &T) -> std::result::Result<String, String> {
    let mut out = b"before ".to_vec();
    let mut json = JsonWriter::new(&mut out, &NO_MASK, usize::MAX);
    value.serialize(&mut json).map_err(|error| error.to_string())?;
    assert_eq!(json.end(), None);
    Ok(String::from_utf8(out).unwrap().split_off(7))
}

fn same_as_serde_json<T: Serialize + ?Sized>(value: &T) {
    assert_eq!(written(value), serde_json::to_string(value).map_err(|error| error.to_string()));
}

#[derive(Serialize)]
enum Every {
    Unit,
    Newtype(Option<u8>),
    Tuple(i8, (), &'static str),
    Struct { a: f32, b: Vec<Every> },
    Empty {},
}

#[derive(Serialize)]
struct Newtype<T>(T);

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Flattened {
    #[serde(rename = "odd \"name\"\n")]
    odd: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    none: Option<()>,
    #[serde(flatten)]
    inner: BTreeMap<String, u8>,
}

#[test]
fn every_kind_of_value_is_written_as_serde_json_writes_it() {
    same_as_serde_json(&(i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN));
    same_as_serde_json(&(u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX));
    for float in [0.0, -0.0, 1.0, 0.1, 1e21, 1e-7, 123456789.125, f64::MAX, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY]
    {
        same_as_serde_json(&(float, float as f32));
    }
    same_as_serde_json(&('ä', '"', true, false, "text", b"bytes".as_slice(), None::<u8>, Some(1)));
    same_as_serde_json(&(Unit, (), Newtype("x"), Newtype(Newtype([0_u8; 0])), [[1], [2]]));
    let inside = vec![Every::Unit, Every::Newtype(None), Every::Tuple(-1, (), "t"), Every::Empty {}];
    same_as_serde_json(&Every::Struct { a: 1.5, b: inside });
    same_as_serde_json(&Flattened { odd: true, none: None, inner: BTreeMap::from([("k".into(), 1)]) });
    same_as_serde_json(&uuid::Uuid::now_v7());
    same_as_serde_json(&chrono::Utc::now());
    same_as_serde_json(&std::net::Ipv4Addr::LOCALHOST);
    same_as_serde_json(&RawValue::from_string(r#"{"a":[1.50,1e40]}"#.into()).unwrap());
}

#[test]
fn every_kind_of_key_is_written_or_refused_as_serde_json_does() {
    fn key<K: Serialize>(key: K) {
        struct One<K>(K);
        impl<K: Serialize> Serialize for One<K> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.collect_map([(&self.0, 1), (&self.0, 2)])
            }
        }
        same_as_serde_json(&One(key));
    }
    key("text");
    key("quoted \"\n");
    key('c');
    key(true);
    key(-1_i8);
    key(1_u16);
    key(u128::MAX);
    key(i64::MIN);
    key(1.5);
    key(1.5_f32);
    key(f64::NAN);
    key(f32::INFINITY);
    key(Every::Unit);
    key(Newtype("x"));
    key(Some("x"));
    key(uuid::Uuid::nil());
    key(chrono::Utc::now());
    key(());
    key(None::<u8>);
    key(Unit);
    key([1]);
    key((1, 2));
    key(BTreeMap::from([(1, 2)]));
    key(Every::Newtype(None));
    key(Every::Tuple(1, (), ""));
    key(Every::Empty {});
    key(Flattened { odd: true, none: None, inner: BTreeMap::new() });
}

#[test]
fn a_value_that_does_not_fit_becomes_its_length_and_hash() {
    let value: Vec<_> = (0..500).map(|number| ("x".repeat(number * 7 % 9_000), number, Some(0.5))).collect();
    let whole = serde_json::to_vec(&value).unwrap();
    let shown = std::fmt::from_fn(|f| (0..3_000).try_for_each(|number| write!(f, "{number} \" ")));
    for (room, fits) in [(0, false), (10_000, false), (whole.len() - 1, false), (whole.len(), true)] {
        let mut out = b"before ".to_vec();
        let mut json = JsonWriter::new(&mut out, &NO_MASK, 7 + room);
        value.serialize(&mut json).unwrap();
        let hashed = json.end();
        assert_eq!(hashed, (!fits).then(|| (whole.len() as u64, Sha256::digest(&whole).into())), "{room}");
        assert_eq!(out.len(), if fits { 7 + whole.len() } else { 7 });
    }
    let mut out = Vec::new();
    let mut json = JsonWriter::new(&mut out, &NO_MASK, 100);
    ser::Serializer::collect_str(&mut json, &shown).unwrap();
    let text = serde_json::to_string(&shown.to_string()).unwrap();
    assert_eq!(json.end(), Some((text.len() as u64, Sha256::digest(text).into())));
    assert!(out.capacity() < 20_000);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(?s).{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            // Names that do not denote a secret.
            prop::collection::hash_map("[ä\"0-9]{0,5}", inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_written_as_serde_json_writes_it(value in any_json()) {
        same_as_serde_json(&value);
    }

    #[test]
    fn any_number_is_written_as_serde_json_writes_it(float: f64, narrow: f32, wide: i128) {
        same_as_serde_json(&(float, narrow, wide));
    }
}
