//! Keys that say secret: what they hold is masked before it becomes JSON, and never reaches the buffer.

use crate::secret::{says_secret, words};
use serde_json::Value;
use std::cell::Cell;

/// Written in place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// Arrays and objects within each other that a captured value may have. `serde_json` reads 127, the event's own object
/// and a reader's envelope take some.
pub(crate) const MAX_DEPTH: usize = 100;

/// The names that an application adds to those known here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mask(Vec<Vec<String>>);

impl Mask {
    /// Knows no further names.
    pub(crate) const NONE: Self = Self(Vec::new());

    /// Adds a name, matched by whole words as the known ones are.
    pub(crate) fn add(&mut self, name: &str) {
        let name: Vec<String> = words(name).map(str::to_ascii_lowercase).collect();
        if !name.is_empty() {
            self.0.push(name);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the application named this as a secret.
    #[inline]
    pub(crate) fn names(&self, name: &str) -> bool {
        !self.0.is_empty() && self.has(name)
    }

    fn has(&self, name: &str) -> bool {
        let words: Vec<&str> = words(name).collect();
        self.0.iter().any(|secret| {
            words.windows(secret.len()).any(|window| window.iter().zip(secret).all(|(a, b)| a.eq_ignore_ascii_case(b)))
        })
    }

    /// Whether a key inside a captured value holds a secret.
    pub(crate) fn covers(&self, key: &str) -> bool {
        says_secret(key) || self.names(key)
    }

    /// Masks a value that is JSON already; says whether anything was masked.
    pub(crate) fn apply(&self, value: &mut Value) -> bool {
        match value {
            Value::Object(fields) => fields.iter_mut().fold(false, |masked, (key, value)| {
                if self.covers(key) {
                    *value = REDACTED.into();
                    return true;
                }
                self.apply(value) | masked
            }),
            Value::Array(values) => values.iter_mut().fold(false, |masked, value| self.apply(value) | masked),
            _ => false,
        }
    }
}

/// [`says_secret`] of the name of a field, remembered: the same fields are asked for at every call.
#[inline]
pub(crate) fn is_secret_field(name: &'static str) -> bool {
    /// A name's address and length, which no other text will ever have, for it stays where it is; and the answer.
    #[derive(Clone, Copy)]
    struct Known {
        address: usize,
        length: u32,
        is_secret: bool,
    }
    const KNOWN: usize = 256;
    thread_local! {
        static FIELDS: [Cell<Known>; KNOWN] =
            const { [const { Cell::new(Known { address: 0, length: 0, is_secret: false }) }; KNOWN] };
    }
    #[cold]
    fn ask(known: &Cell<Known>, name: &'static str, address: usize, length: u32) -> bool {
        let is_secret = says_secret(name);
        known.set(Known { address, length, is_secret });
        is_secret
    }
    // No name is so long that its length is cut; and the empty one says nothing.
    let (address, length) = (name.as_ptr() as usize, name.len() as u32);
    FIELDS.with(|fields| {
        let known = &fields[(address ^ address >> 8 ^ name.len() << 4) % KNOWN];
        let found = known.get();
        if found.address == address && found.length == length {
            found.is_secret
        } else {
            ask(known, name, address, length)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn added_names_are_matched_by_whole_words_too() {
        let mut mask = Mask::default();
        mask.add("iban");
        mask.add("mother_name");
        mask.add("__");
        for secret in ["iban", "userIban", "MotherName", "the_mother_name_of", "password"] {
            assert!(mask.covers(secret), "{secret}");
        }
        for plain in ["ibanez", "mother", "name", "mother_s_name"] {
            assert!(!mask.covers(plain), "{plain}");
        }
    }

    #[test]
    fn a_value_is_masked_at_any_depth() {
        let mut value = json!({"a": [{"token": {"b": 1}}], "b": {"c": 2}});
        assert!(Mask::NONE.apply(&mut value));
        assert_eq!(value, json!({"a": [{"token": "[redacted]"}], "b": {"c": 2}}));
        assert!(!Mask::NONE.apply(&mut json!({"a": [1, {"b": "token"}]})));
    }
}
