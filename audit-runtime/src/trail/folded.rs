//! A text that is looked for in any case: as a regular expression for PostgreSQL, and exactly.

use crate::capture::diff::member;
use crate::capture::json::Json;
use crate::capture::nul::without_nul;
use crate::record::TrailEvent;
use std::collections::HashMap;
use std::fmt::Write as _;

/// No character from here on has a case.
const LAST_CASED: char = '\u{1f000}';
/// Characters of a text that PostgreSQL compares. A longer expression would be too complex for it.
const COMPARED: usize = 100;
/// The least of an id that is looked for within ids.
const LEAST_OF_AN_ID: usize = 4;
/// The only member of an encrypted value, whose content is no text of anybody's.
const ENCRYPTED: &str = "$encrypted";

/// A text without its case.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Folded {
    /// As columns have it.
    text: String,
    /// As texts in JSON have it.
    in_json: String,
    /// The number that it is, without an exponent.
    number: Option<Json>,
}

/// Where a text was found: the way to it, and all of the value there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct At {
    pub(super) path: String,
    pub(super) value: String,
}

/// Returns a character in its lower case, if that is one character.
fn fold(c: char) -> char {
    let mut lower = c.to_lowercase();
    lower.next().filter(|_| lower.next().is_none()).unwrap_or(c)
}

fn folded(text: &str) -> String {
    text.chars().map(fold).collect()
}

impl Folded {
    pub(super) fn new(text: &str) -> Self {
        let plain = text.trim();
        let is_plain = !plain.contains(['e', 'E']);
        let number = plain.parse::<Json>().ok().filter(|json| is_plain && json.is_number());
        // The writer stores NUL as U+FFFD in a column, and as six characters in JSON.
        let in_json = folded(&text.replace('\0', "\\u0000"));
        Self { text: folded(&without_nul(text)), in_json, number }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns whether it may be a part of an id: hexadecimal digits, as the timeline shows the end
    /// of one.
    pub(super) fn may_be_of_an_id(&self) -> bool {
        self.text.len() >= LEAST_OF_AN_ID && self.text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    }

    /// Returns a regular expression of PostgreSQL's that the columns of every event match in which
    /// the text is.
    pub(super) fn pattern(&self) -> String {
        let cases = Cases::of(self.text.chars().chain(self.in_json.chars()).take(2 * COMPARED));
        let mut pattern = String::new();
        let compared = |text: &str| -> Vec<char> { text.chars().take(COMPARED).collect() };
        compared(&self.text).iter().for_each(|c| cases.push(*c, &mut pattern));
        let mut in_json = String::new();
        for c in compared(&self.in_json) {
            match c {
                '"' => in_json.push_str(r#"\\""#),
                '\\' => in_json.push_str(r"\\\\"),
                '\u{8}' => in_json.push_str(r"\\b"),
                '\u{c}' => in_json.push_str(r"\\f"),
                '\n' => in_json.push_str(r"\\n"),
                '\r' => in_json.push_str(r"\\r"),
                '\t' => in_json.push_str(r"\\t"),
                // Writing to a string succeeds.
                c if c < ' ' => drop(write!(in_json, r"\\u{:04x}", u32::from(c))),
                c => cases.push(c, &mut in_json),
            }
        }
        if in_json != pattern {
            pattern = format!("(?:{pattern})|(?:{in_json})");
        }
        // Zeros at its end are not part of a number's value.
        let number = self.number.as_ref().map(Json::to_string);
        if let Some((digits, _)) = number.as_deref().and_then(|number| Some((number, number.find('.')?))) {
            let digits = digits.trim_end_matches('0').trim_end_matches('.').replace('-', "\\-").replace('.', "\\.");
            pattern = format!("(?:{pattern})|(?:{digits})");
        }
        pattern
    }

    /// Returns where the text is in a column, in a further entity, or in a text, a number or a name
    /// of the data and the context.
    ///
    /// Encrypted values are left out. So are `true`, `false` and `null`.
    pub(super) fn found_in(&self, event: &TrailEvent) -> Option<At> {
        let id = |id: Option<uuid::Uuid>| id.map(|id| id.to_string());
        let columns = [
            ("entity_key", event.entity_key.clone()),
            ("tenant", event.tenant.clone()),
            ("actor", Some(event.actor.clone())),
            ("event_type", Some(event.event_type.clone())),
            ("entity_type", Some(event.entity_type.clone())),
            ("origin", event.origin.clone()),
        ];
        let ids = [
            ("entity_id", id(event.entity_id)),
            ("id", id(Some(event.id))),
            ("correlation_id", id(event.correlation_id)),
            ("causation_id", id(event.causation_id)),
            ("batch_id", id(event.batch_id)),
        ];
        let ids = ids.into_iter().filter(|_| self.may_be_of_an_id());
        let in_column = columns.into_iter().chain(ids).find_map(|(path, value)| {
            let value = value.filter(|value| folded(value).contains(&self.text))?;
            Some(At { path: path.to_owned(), value })
        });
        let documents =
            [("targets", event.targets.as_ref()), ("data", Some(&event.data)), ("context", event.context.as_ref())];
        in_column.or_else(|| documents.into_iter().find_map(|(path, json)| self.found_at(path, json?)))
    }

    fn found_at(&self, path: &str, json: &Json) -> Option<At> {
        let at = |value: String| Some(At { path: path.to_owned(), value });
        match json {
            Json::String(text) if folded(text).contains(&self.in_json) => at(text.clone()),
            Json::Number(number) if self.number.as_ref().is_some_and(|of| of == json) => at(number.to_string()),
            Json::Deep(deep) if folded(deep.as_str()).contains(&self.in_json) => at(deep.as_str().to_owned()),
            Json::Array(values) => {
                values.iter().enumerate().find_map(|(place, value)| self.found_at(&format!("{path}[{place}]"), value))
            }
            Json::Object(members) if members.len() == 1 && members.contains_key(ENCRYPTED) => None,
            Json::Object(members) => members.iter().find_map(|(name, value)| {
                let path = member(path, name);
                let found = self.found_at(&path, value);
                found.or_else(|| (folded(name) == self.in_json).then(|| At { path, value: value.to_string() }))
            }),
            _ => None,
        }
    }
}

/// The characters that have the same lower case.
struct Cases(HashMap<char, Vec<char>>);

impl Cases {
    fn of(chars: impl Iterator<Item = char>) -> Self {
        let mut cases: HashMap<char, Vec<char>> = HashMap::new();
        for c in chars {
            // Of those behind ASCII, one is a `k` in lower case.
            let of_ascii = [c.to_ascii_uppercase(), c].into_iter().chain((c == 'k').then_some('\u{212a}'));
            cases.entry(c).or_insert_with(|| if c.is_ascii_alphabetic() { of_ascii.collect() } else { Vec::new() });
        }
        if cases.keys().all(char::is_ascii) {
            return Self(cases);
        }
        for c in '\u{80}'..LAST_CASED {
            let lower = fold(c);
            if let Some(of) = cases.get_mut(&lower).filter(|_| !lower.is_ascii()) {
                of.push(c);
            }
        }
        Self(cases)
    }

    /// Appends an expression that each of them matches.
    fn push(&self, c: char, pattern: &mut String) {
        match self.0.get(&c).map(Vec::as_slice) {
            Some(several @ [_, _, ..]) => {
                pattern.push('[');
                pattern.extend(several);
                pattern.push(']');
            }
            _ => {
                if c.is_ascii() && !c.is_ascii_alphanumeric() {
                    pattern.push('\\');
                }
                pattern.push(c);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_of_a_character_is_known() {
        for c in '\0'..=char::MAX {
            let lower = fold(c);
            assert!(c == lower || (c < LAST_CASED && (!lower.is_ascii() || c.is_ascii() || c == '\u{212a}')), "{c:?}");
        }
    }

    #[test]
    fn a_pattern_has_every_case_and_escapes_all_else() {
        for (text, expected) in [
            ("INV-7", "[Ii][Nn][Vv]\\-7"),
            ("k", "[Kk\u{212a}]"),
            ("Ä", "[Ää]"),
            ("日", "日"),
            ("100%", "100\\%"),
            ("a_b", "[Aa]\\_[Bb]"),
            ("\"", "(?:\\\")|(?:\\\\\")"),
            ("\\", "(?:\\\\)|(?:\\\\\\\\)"),
            ("12.50", "(?:12\\.50)|(?:12\\.5)"),
            ("***=", "\\*\\*\\*\\="),
        ] {
            assert_eq!(Folded::new(text).pattern(), expected, "{text}");
        }
        let long = Folded::new(&"x".repeat(1_000_000)).pattern();
        assert_eq!(long, "[Xx]".repeat(COMPARED));
    }

    #[test]
    fn a_value_is_found_as_a_part_of_a_text_and_as_a_whole_number_or_name() {
        let json: Json =
            r#"{"note": "Paid INV-7 late", "n": 12.50, "by": {"INV-9": 1}, "list": [{"x": "Äh\n"}], "ok": true,
            "secret": {"$encrypted": {"value": "INV-8"}}}"#
                .parse()
                .unwrap();
        for (text, expected) in [
            ("inv-7", Some("data.note")),
            ("12.5", Some("data.n")),
            ("12.500", Some("data.n")),
            ("12", None),
            ("inv-9", Some("data.by[\"INV-9\"]")),
            ("INV-", Some("data.note")),
            ("INV-8", None),
            ("äH", Some("data.list[0].x")),
            ("h\n", Some("data.list[0].x")),
            ("true", None),
            ("not", None),
            ("NOTE", Some("data.note")),
        ] {
            let found = Folded::new(text).found_at("data", &json).map(|at| at.path);
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
