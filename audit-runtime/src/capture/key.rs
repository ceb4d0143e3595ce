//! The names of fields, as they are written.

/// The longest key that is made ready, in bytes. Two instructions copy that many for each key.
pub(crate) const KEY: usize = 32;

/// The name of a field, made into JSON at compile time rather than by each call.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    name: &'static str,
    json: [u8; KEY],
    /// Of the key in `json`, or nothing if it is too long.
    length: usize,
}

impl Key {
    /// Makes the key of a name without characters to escape.
    ///
    /// Such a name is a Rust identifier, or one that the macro has checked.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        let (from, mut json, mut length) = (name.as_bytes(), [0; KEY], 0);
        if from.len() + 3 <= KEY {
            json[0] = b'"';
            while length < from.len() {
                json[length + 1] = from[length];
                length += 1;
            }
            json[length + 1] = b'"';
            json[length + 2] = b':';
            length += 3;
        }
        Self { name, json, length }
    }

    /// Returns the name itself.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// `"name":` with zeros behind it, and how long it is, or `None` if it is too long.
    #[inline(always)]
    pub(crate) fn json(&self) -> Option<(&[u8; KEY], usize)> {
        (self.length > 0).then_some((&self.json, self.length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_json_if_it_is_no_longer_than_is_copied() {
        for name in ["", "x", "limit_price", "größe", "a_name_of_twenty_nine_bytes__"] {
            let key = Key::new(name);
            let (json, length) = key.json().unwrap();
            assert_eq!(json[..length], *format!("{}:", serde_json::json!(name)).as_bytes());
            assert_eq!(key.name(), name);
        }
        assert!(Key::new("a_name_that_is_of_thirty_bytes").json().is_none());
    }
}
