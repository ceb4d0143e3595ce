//! Other values as a [`Json`], and beside it.

use super::decimal::is_same;
use super::{Json, JsonNumber};
use serde_json::Value;
use std::collections::BTreeMap;

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::number(number.to_string()),
            Value::String(text) => Self::String(text.clone()),
            Value::Array(values) => values.iter().collect(),
            Value::Object(members) => {
                Self::Object(members.iter().map(|(name, value)| (name.clone(), value.into())).collect())
            }
        }
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self::from(&value)
    }
}

impl From<&Json> for Value {
    /// Rounds what `serde_json` cannot hold: see [`Json::value`].
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(JsonNumber(text)) => text
                .parse::<i64>()
                .map(Self::from)
                .or_else(|_| text.parse::<u64>().map(Self::from))
                .ok()
                .or_else(|| serde_json::Number::from_f64(text.parse().ok()?).map(Self::Number))
                .unwrap_or_else(|| Self::from(&**text)),
            Json::String(text) => Self::String(text.clone()),
            Json::Array(values) => values.iter().map(Self::from).collect(),
            Json::Object(members) => members.iter().map(|(name, value)| (name.clone(), Self::from(value))).collect(),
            Json::Deep(deep) => Self::from(deep.as_str()),
        }
    }
}

impl From<Json> for Value {
    fn from(json: Json) -> Self {
        Self::from(&json)
    }
}

impl<T: Into<Json>> FromIterator<T> for Json {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::Array(values.into_iter().map(Into::into).collect())
    }
}

impl<N: Into<String>, T: Into<Json>> FromIterator<(N, T)> for Json {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(members: I) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl From<BTreeMap<String, Self>> for Json {
    fn from(members: BTreeMap<String, Self>) -> Self {
        Self::Object(members)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Json {
    fn from(values: Vec<T>) -> Self {
        values.into_iter().collect()
    }
}

impl<T: Into<Self>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl PartialEq<str> for Json {
    fn eq(&self, text: &str) -> bool {
        self.as_str() == Some(text)
    }
}

impl PartialEq<bool> for Json {
    fn eq(&self, value: &bool) -> bool {
        self.as_bool() == Some(*value)
    }
}

impl PartialEq<Value> for Json {
    fn eq(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(one), Value::Bool(other)) => one == other,
            (Self::Number(one), Value::Number(other)) => *one == JsonNumber(other.to_string().into()),
            (Self::String(one), Value::String(other)) => one == other,
            (Self::Array(one), Value::Array(other)) => one.iter().eq(other),
            (Self::Object(one), Value::Object(other)) => {
                one.len() == other.len() && one.iter().all(|(name, value)| other.get(name).is_some_and(|o| value == o))
            }
            _ => false,
        }
    }
}

/// Numbers: as a value, and compared by what they are.
macro_rules! numbers {
    ($format:expr; $($number:ty)*) => {
        $(
            impl From<$number> for Json {
                fn from(number: $number) -> Self {
                    let format: fn($number) -> Option<String> = $format;
                    format(number).map_or(Self::Null, Self::number)
                }
            }

            impl PartialEq<$number> for Json {
                fn eq(&self, number: &$number) -> bool {
                    let format: fn($number) -> Option<String> = $format;
                    self.as_number().zip(format(*number)).is_some_and(|(own, text)| is_same(own.as_str(), &text))
                }
            }

            reversed!($number);
        )*
    };
}

macro_rules! reversed {
    ($($other:ty)*) => {
        $(
            impl PartialEq<Json> for $other {
                fn eq(&self, json: &Json) -> bool {
                    json == self
                }
            }
        )*
    };
}

numbers! { |number| Some(number.to_string()); i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }
numbers! {
    |number| number.is_finite().then(|| zmij::Buffer::new().format_finite(number).to_owned());
    f32 f64
}
reversed! { str bool Value }

macro_rules! texts {
    ($($text:ty)*) => {
        $(
            impl PartialEq<$text> for Json {
                fn eq(&self, text: &$text) -> bool {
                    self.as_str() == Some(text.as_ref())
                }
            }

            impl PartialEq<Json> for $text {
                fn eq(&self, json: &Json) -> bool {
                    json.as_str() == Some(self.as_ref())
                }
            }
        )*
    };
}

texts! { &str String }
