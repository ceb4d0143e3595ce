//! A value of serde's data model, and the JSON that has to come of it.

use serde::ser::{Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

#[derive(Debug, Clone)]
pub enum Any {
    Bool(bool),
    I64(i64),
    U64(u64),
    U128(u128),
    I128(i128),
    F64(f64),
    F32(f32),
    Char(char),
    Text(String),
    Bytes(Vec<u8>),
    Nothing,
    Something(Box<Any>),
    Unit,
    UnitVariant(&'static str),
    Newtype(Box<Any>),
    NewtypeVariant(&'static str, Box<Any>),
    Seq(Vec<Any>),
    Tuple(Vec<Any>),
    Map(Vec<(Key, Any)>),
    Struct(Vec<(&'static str, Any)>),
    StructVariant(&'static str, Vec<(&'static str, Any)>),
    Fails,
    Panics,
}

#[derive(Debug, Clone)]
pub enum Key {
    Text(String),
    Number(i64),
    Bool(bool),
    Sequence,
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Sequence => serializer.serialize_seq(Some(0))?.end(),
        }
    }
}

impl Serialize for Any {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::I64(value) => serializer.serialize_i64(*value),
            Self::U64(value) => serializer.serialize_u64(*value),
            Self::U128(value) => serializer.serialize_u128(*value),
            Self::I128(value) => serializer.serialize_i128(*value),
            Self::F64(value) => serializer.serialize_f64(*value),
            Self::F32(value) => serializer.serialize_f32(*value),
            Self::Char(value) => serializer.serialize_char(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::Nothing => serializer.serialize_none(),
            Self::Something(value) => serializer.serialize_some(value),
            Self::Unit => serializer.serialize_unit(),
            Self::UnitVariant(name) => serializer.serialize_unit_variant("Any", 0, name),
            Self::Newtype(value) => serializer.serialize_newtype_struct("Any", value),
            Self::NewtypeVariant(name, value) => serializer.serialize_newtype_variant("Any", 0, name, value),
            Self::Seq(values) => {
                let mut seq = serializer.serialize_seq(None)?;
                values.iter().try_for_each(|value| seq.serialize_element(value))?;
                seq.end()
            }
            Self::Tuple(values) => {
                let mut tuple = serializer.serialize_tuple(values.len())?;
                values.iter().try_for_each(|value| tuple.serialize_element(value))?;
                tuple.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(None)?;
                entries.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
            Self::Struct(fields) => {
                let mut object = serializer.serialize_struct("Any", fields.len())?;
                fields.iter().try_for_each(|(name, value)| object.serialize_field(name, value))?;
                object.end()
            }
            Self::StructVariant(name, fields) => {
                let mut object = serializer.serialize_struct_variant("Any", 0, name, fields.len())?;
                fields.iter().try_for_each(|(name, value)| object.serialize_field(name, value))?;
                object.end()
            }
            Self::Fails => Err(S::Error::custom("it fails")),
            Self::Panics => panic!("it panics"),
        }
    }
}

/// The value cannot be captured.
#[derive(Debug)]
pub struct Refused;

/// The rows that come back from PostgreSQL.
pub fn expected(value: &Any) -> Result<Value, Refused> {
    Ok(match value {
        Any::Bool(value) => json!(value),
        Any::I64(value) => json!(value),
        Any::U64(value) => json!(value),
        Any::U128(value) => json!(*value as f64),
        Any::I128(value) => json!(*value as f64),
        Any::F64(value) => json!(value),
        Any::F32(value) => json!(value),
        Any::Char(value) => text(&value.to_string()),
        Any::Text(value) => text(value),
        Any::Bytes(value) => json!(value),
        Any::Nothing | Any::Unit => Value::Null,
        Any::UnitVariant(name) => json!(name),
        Any::Something(value) | Any::Newtype(value) => expected(value)?,
        Any::NewtypeVariant(name, value) => object([held(String::from(*name), value)?]),
        Any::Tuple(values) if matches!(&values[..], [name, _] if names_secret(name)) => {
            json!([expected(&values[0])?, "[redacted]"])
        }
        Any::Seq(values) | Any::Tuple(values) => values.iter().map(expected).collect::<Result<_, _>>()?,
        Any::Map(entries) => {
            let entries = entries.iter().map(|(name, value)| held(key(name)?, value));
            object(entries.collect::<Result<Vec<_>, _>>()?)
        }
        Any::Struct(fields) => structure(fields)?,
        Any::StructVariant(name, fields) => object([held(String::from(*name), &Any::Struct(fields.clone()))?]),
        Any::Fails | Any::Panics => return Err(Refused),
    })
}

fn structure(fields: &[(&'static str, Any)]) -> Result<Value, Refused> {
    let fields = fields.iter().map(|(name, value)| held(String::from(*name), value));
    Ok(object(fields.collect::<Result<Vec<_>, _>>()?))
}

/// The last of equal keys counts.
fn object(fields: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(fields.into_iter().collect::<Map<_, _>>())
}

const SECRETS: [&str; 6] = ["password", "X-Api-Key", "the token\\u0000", "pin", "apiKey", "card_number"];

/// The first of two may name the second.
fn names_secret(name: &Any) -> bool {
    matches!(expected(name), Ok(Value::String(name)) if SECRETS.contains(&&*name))
}

/// The value of a secret-looking key is ignored.
fn held(name: String, value: &Any) -> Result<(String, Value), Refused> {
    let value = if SECRETS.contains(&&*name) { json!("[redacted]") } else { expected(value)? };
    Ok((name, value))
}

fn key(key: &Key) -> Result<String, Refused> {
    match key {
        Key::Text(text) => Ok(readable(&kept_apart(text))),
        Key::Number(number) => Ok(number.to_string()),
        Key::Bool(value) => Ok(value.to_string()),
        Key::Sequence => Err(Refused),
    }
}

/// A key with a NUL, or with what stands for one, has the backslashes before it doubled.
fn kept_apart(key: &str) -> String {
    if !key.contains('\0') && !key.contains("\\u0000") {
        return key.into();
    }
    let (mut kept, mut slashes) = (String::new(), 0);
    for (at, letter) in key.char_indices() {
        if letter == '\\' {
            slashes += 1;
            continue;
        }
        let stands_for_nul = letter == '\0' || key[at..].starts_with("u0000");
        kept.push_str(&"\\".repeat(if stands_for_nul { 2 * slashes } else { slashes }));
        kept.push(letter);
        slashes = 0;
    }
    kept + &"\\".repeat(slashes)
}

fn text(text: &str) -> Value {
    Value::String(readable(text))
}

/// PostgreSQL knows no NUL in a text.
fn readable(text: &str) -> String {
    text.replace('\0', "\\u0000")
}
