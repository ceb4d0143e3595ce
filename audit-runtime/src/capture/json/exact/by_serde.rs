//! A [`Json`] by serde, both ways.

use super::{DeepJson, Json, JsonNumber};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// The struct by which `serde_json` passes JSON on as it is, in both directions. (A test holds the
/// name to `serde_json`'s.)
pub(in crate::capture::json) const RAW: &str = "$serde_json::private::RawValue";

impl Serialize for Json {
    /// Passes every digit on to `serde_json`'s writers. A format that has no numbers of this size
    /// and is not for people gets texts.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(values) => values.serialize(serializer),
            Self::Object(members) => members.serialize(serializer),
            Self::Deep(deep) => raw(&deep.0, serializer),
        }
    }
}

impl Serialize for JsonNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(number) = self.0.parse::<i64>()
            && *itoa::Buffer::new().format(number) == *self.0
        {
            return serializer.serialize_i64(number);
        }
        if let Ok(number) = self.0.parse::<u64>() {
            return serializer.serialize_u64(number);
        }
        if let Ok(number) = self.0.parse::<f64>()
            && number.is_finite()
            && *zmij::Buffer::new().format_finite(number) == *self.0
        {
            return serializer.serialize_f64(number);
        }
        raw(&self.0, serializer)
    }
}

/// JSON as it is.
fn raw<S: Serializer>(json: &str, serializer: S) -> Result<S::Ok, S::Error> {
    if !serializer.is_human_readable() {
        return serializer.serialize_str(json);
    }
    let mut raw = serializer.serialize_struct(RAW, 1)?;
    raw.serialize_field(RAW, json)?;
    raw.end()
}

impl<'de> Deserialize<'de> for Json {
    /// Keeps every digit of what `serde_json` reads. Other formats, and `serde_json` inside of
    /// flattened or untagged types, hand numbers over as 64-bit integers and floating-point
    /// numbers.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(RAW, Any { may_be_raw: true })
    }
}

struct Any {
    may_be_raw: bool,
}

/// The name of `serde_json`'s struct, or of the first member of an object.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

macro_rules! visit_numbers {
    ($($visit:ident $number:ty)*) => {
        $(
            fn $visit<E: de::Error>(self, number: $number) -> Result<Json, E> {
                Ok(number.into())
            }
        )*
    };
}

impl<'de> Visitor<'de> for Any {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    visit_numbers! { visit_i64 i64 visit_u64 u64 visit_i128 i128 visit_u128 u128 visit_f64 f64 visit_bool bool }

    fn visit_unit<E: de::Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        Json::deserialize(deserializer)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Json, E> {
        Ok(Json::String(text))
    }

    /// A format other than `serde_json`.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Self { may_be_raw: false })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Json, A::Error> {
        let mut found = Vec::new();
        while let Some(value) = values.next_element()? {
            found.push(value);
        }
        Ok(Json::Array(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut found = BTreeMap::new();
        while let Some(Name(name)) = members.next_key()? {
            if self.may_be_raw && name == RAW {
                let json = members.next_value::<String>()?;
                return json.parse().map_err(de::Error::custom);
            }
            found.insert(name, members.next_value()?);
        }
        Ok(Json::Object(found))
    }
}

impl Serialize for DeepJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        raw(&self.0, serializer)
    }
}
