//! A value in which some keys are excepted from those that are masked.

use super::compound::Compound;
use super::writer::JsonWriter;
use super::{Json, parse_repairing};
use crate::mask::Mask;
use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Error, Result};

impl JsonWriter<'_> {
    /// Writes a value with what these keys hold, whatever their names say. Each is a way below the value, as in `leg.token`; arrays are no part of
    /// it.
    pub(crate) fn except<T: Serialize + ?Sized>(&mut self, value: &T, plain: &[&str]) -> Result<()> {
        // The value as it is, for a moment and in memory only: a key is known to be excepted by the way to it.
        let mut text = Vec::new();
        value.serialize(&mut JsonWriter::new(&mut text, &Mask::OFF, usize::MAX))?;
        let text = String::from_utf8(text).map_err(Error::custom)?;
        let value = parse_repairing(&text).map_err(Error::custom)?;
        let ways: Vec<Vec<&str>> = plain.iter().map(|way| way.split('.').collect()).collect();
        put(self, &value, &ways.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}

fn put(json: &mut JsonWriter<'_>, value: &Json, ways: &[&[&str]]) -> Result<()> {
    match value {
        _ if ways.is_empty() => value.serialize(json),
        Json::Array(values) => {
            let mut elements = json.serialize_seq(None)?;
            for value in values {
                put(elements.next(), value, ways)?;
            }
            SerializeSeq::end(elements)
        }
        Json::Object(members) => {
            let mut object = json.serialize_map(None)?;
            for (name, value) in members {
                member(&mut object, name, value, ways)?;
            }
            SerializeMap::end(object)
        }
        value => value.serialize(json),
    }
}

fn member(object: &mut Compound<'_, '_>, name: &str, value: &Json, ways: &[&[&str]]) -> Result<()> {
    let below: Vec<&[&str]> = ways
        .iter()
        .filter_map(|way| way.split_first().filter(|(first, _)| **first == name).map(|(_, rest)| rest))
        .collect();
    if below.is_empty() {
        return object.serialize_entry(name, value);
    }
    object.serialize_key(name)?;
    if below.iter().any(|rest| rest.is_empty()) {
        // The user excepts this key alone: its value's own keys go on to be looked at.
        value.serialize(&mut *object.json)
    } else {
        put(object.json, value, &below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn just_these_keys_are_excepted() {
        let swap = json!({
            "token_in": "USDC", "token_out": "WETH", "password": "x", "p": 199.39999999999998,
            "legs": [{"token": {"symbol": "A", "api_key": "k"}}, {"token": {"symbol": "B", "api_key": "k"}}],
            "inner": {"token_in": "y"},
        });
        let mut out = Vec::new();
        JsonWriter::new(&mut out, &Mask::NONE, usize::MAX)
            .except(&swap, &["token_in", "legs.token", "inner.missing", "token_out.deeper"])
            .unwrap();
        let expected = json!({
            "token_in": "USDC", "token_out": "WETH", "password": "[redacted]", "p": 199.39999999999998,
            "legs": [{"token": {"symbol": "A", "api_key": "[redacted]"}}, {"token": {"symbol": "B", "api_key": "[redacted]"}}],
            "inner": {"token_in": "[redacted]"},
        });
        assert_eq!(String::from_utf8(out).unwrap().parse::<Json>().unwrap(), expected);
    }
}
