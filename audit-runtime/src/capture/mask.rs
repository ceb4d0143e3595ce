//! Names of secrets: a value under such a name is masked before it becomes JSON, and never reaches
//! the buffer.

use crate::capture::secret::{says_secret, words};
use std::cell::Cell;

/// Stands in place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// Arrays and objects within each other that a captured value may have. `serde_json` reads 127, the
/// event's own object and a reader's envelope take some.
pub(crate) const MAX_DEPTH: usize = 100;

/// The longest text that may be the name of the value beside it.
const LONGEST_NAME: usize = 40;

/// The names that an application adds to those known here, or excepts from them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mask {
    secret: Vec<Words>,
    plain: Vec<Words>,
}

/// The words of a name, in lower case.
type Words = Vec<String>;

/// The meaning of a name for its value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// The name has no meaning for its value.
    #[default]
    Ordinary,
    /// The value is a secret.
    Secret,
    /// The value may name what stands beside it: `{"kind": "password", "value": ..}`.
    Names,
    /// Like `Names`, but of a type: the value beside it may also be an event's data.
    Type,
    /// The name of the value may stand beside it.
    Named,
}

impl Role {
    fn of(name: &str) -> Self {
        match name {
            _ if says_secret(name) => Self::Secret,
            "name" | "key" | "field" | "header" | "label" | "param" | "parameter" | "property" | "attribute"
            | "variable" | "Name" | "Key" | "Field" | "Header" | "Label" => Self::Names,
            "kind" | "type" | "tag" | "Kind" | "Type" => Self::Type,
            "value" | "values" | "val" | "v" | "content" | "contents" | "data" | "text" | "raw" | "plaintext"
            | "string" | "body" | "payload" | "Value" | "Values" | "Content" => Self::Named,
            _ => Self::Ordinary,
        }
    }
}

impl Mask {
    /// Knows no further names.
    pub(crate) const NONE: Self = Self { secret: Vec::new(), plain: Vec::new() };

    /// Adds a name, matched by whole words as the known ones are.
    pub(crate) fn add(&mut self, name: &str) {
        Self::note(&mut self.secret, name);
    }

    /// Excepts a name: a value under just this name, in any style of writing it, is on record.
    pub(crate) fn except(&mut self, name: &str) {
        Self::note(&mut self.plain, name);
    }

    fn note(names: &mut Vec<Words>, name: &str) {
        let name: Words = words(name).map(str::to_lowercase).collect();
        if !name.is_empty() {
            names.push(name);
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.secret.is_empty() && self.plain.is_empty()
    }

    /// Returns whether the application named this as a secret.
    #[inline]
    pub(crate) fn names(&self, name: &str) -> bool {
        !self.secret.is_empty() && self.has(name)
    }

    fn has(&self, name: &str) -> bool {
        let words: Words = words(name).map(str::to_lowercase).collect();
        self.secret.iter().any(|secret| words.windows(secret.len()).any(|window| window == secret))
    }

    fn excepts(&self, name: &str) -> bool {
        if self.plain.is_empty() {
            return false;
        }
        let words: Words = words(name).map(str::to_lowercase).collect();
        self.plain.contains(&words)
    }

    /// Returns the role of a key inside a captured value.
    pub(crate) fn role(&self, key: &str) -> Role {
        self.adjusted(Role::of(key), key)
    }

    /// Returns the role of a field's name. The result is cached by the name's address.
    #[inline]
    pub(crate) fn role_of_field(&self, field: &'static str) -> Role {
        let known = role_of_field(field);
        if self.is_empty() { known } else { self.adjusted(known, field) }
    }

    fn adjusted(&self, known: Role, name: &str) -> Role {
        if self.names(name) {
            Role::Secret
        } else if known == Role::Secret && self.excepts(name) {
            Role::Ordinary
        } else {
            known
        }
    }

    /// Returns whether a text, as it stands in JSON, names a secret.
    pub(crate) fn is_secret_name(&self, json: &[u8]) -> bool {
        let [b'"', name @ .., b'"'] = json else {
            return false;
        };
        let is_name = name.len() <= LONGEST_NAME && !name.iter().any(|byte| matches!(byte, b' ' | b'\\'));
        is_name && std::str::from_utf8(name).is_ok_and(|name| self.role(name) == Role::Secret)
    }
}

/// [`Role::of`] the name of a field, remembered.
#[inline]
fn role_of_field(name: &'static str) -> Role {
    /// A name's address and length, and the answer. No other text will ever have both, because the
    /// name is never moved or freed.
    #[derive(Clone, Copy)]
    struct Known {
        address: usize,
        length: u32,
        role: Role,
    }
    /// Places for names. Each name may stand in two, so that two that are used together do not
    /// drive each other out.
    const KNOWN: usize = 128;
    thread_local! {
        static FIELDS: [[Cell<Known>; 2]; KNOWN] = const {
            [const { [const { Cell::new(Known { address: 0, length: 0, role: Role::Ordinary }) }; 2] }; KNOWN]
        };
    }
    #[cold]
    fn ask([first, second]: &[Cell<Known>; 2], name: &'static str, address: usize, length: u32) -> Role {
        let found = second.get();
        let known = if found.address == address && found.length == length {
            found
        } else {
            Known { address, length, role: Role::of(name) }
        };
        second.set(first.replace(known));
        known.role
    }
    // Names are too short for their length to be cut, and the empty one denotes nothing.
    let (address, length) = (name.as_ptr() as usize, name.len() as u32);
    FIELDS.with(|fields| {
        // Fibonacci hashing: addresses near each other, as of the fields of a struct, fall far
        // apart.
        let known = &fields[((address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % KNOWN];
        let found = known[0].get();
        if found.address == address && found.length == length { found.role } else { ask(known, name, address, length) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_names_are_matched_by_whole_words_too() {
        let mut mask = Mask::default();
        mask.add("iban");
        mask.add("mother_name");
        mask.add("__");
        for secret in ["iban", "userIban", "MotherName", "the_mother_name_of", "password"] {
            assert_eq!(mask.role(secret), Role::Secret, "{secret}");
        }
        for plain in ["ibanez", "mother", "name", "mother_s_name"] {
            assert_ne!(mask.role(plain), Role::Secret, "{plain}");
        }
    }

    #[test]
    fn an_excepted_name_is_matched_as_a_whole() {
        let mut mask = Mask::default();
        mask.except("token_in");
        mask.add("token_out");
        for plain in ["token_in", "tokenIn", "Token-In"] {
            assert_eq!(mask.role(plain), Role::Ordinary, "{plain}");
        }
        for secret in ["token", "access_token_in", "token_out"] {
            assert_eq!(mask.role(secret), Role::Secret, "{secret}");
        }
        mask.except("token_out");
        assert_eq!(mask.role("token_out"), Role::Secret, "what the application named stays a secret");
        assert_eq!(mask.role_of_field("token_in"), Role::Ordinary);
        assert_eq!(Mask::NONE.role_of_field("token_in"), Role::Secret);
    }

    #[test]
    fn a_text_names_a_secret_if_it_is_a_name() {
        for (json, expected) in [
            ("\"password\"", true),
            ("\"Set-Cookie\"", true),
            ("\"my password is new\"", false),
            ("\"ticker\"", false),
            ("17", false),
            ("\"", false),
        ] {
            assert_eq!(Mask::NONE.is_secret_name(json.as_bytes()), expected, "{json}");
        }
    }
}
