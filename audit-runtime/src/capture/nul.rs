//! NUL, which neither `text` nor `jsonb` of PostgreSQL holds.

use std::borrow::Cow;

/// PostgreSQL's `text` holds no NUL: it becomes U+FFFD, the replacement character.
pub(crate) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// `jsonb` refuses the escape `\u0000`: it becomes the text `\u0000`, readable, and one refused row
/// less.
pub(crate) fn without_nul_escapes(json: &str) -> Cow<'_, str> {
    const NUL: &str = "\\u0000";
    if !json.contains(NUL) {
        return Cow::Borrowed(json);
    }
    let mut clean = String::with_capacity(json.len() + 16);
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        clean.push_str(&rest[..at]);
        let escape = &rest[at..];
        // A backslash and what it escapes belong together: `\\u0000` is a backslash, then plain
        // text.
        let bytes = if escape.starts_with(NUL) {
            clean.push_str("\\\\u0000");
            NUL.len()
        } else {
            let bytes = 1 + escape[1..].chars().next().map_or(0, char::len_utf8);
            clean.push_str(&escape[..bytes]);
            bytes
        };
        rest = &escape[bytes..];
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

/// Keeps keys apart that differ by NUL alone. PostgreSQL holds none, so that the writer stores the
/// six characters `\u0000` for each, which another key may have itself. Backslashes before either
/// are doubled, so that no key becomes another one.
pub(crate) fn apart(key: &str) -> Cow<'_, str> {
    const STORED: &str = "u0000";
    if !key.contains('\0') && !key.contains("\\u0000") {
        return Cow::Borrowed(key);
    }
    let mut apart = String::with_capacity(key.len() + 8);
    let mut rest = key;
    while let Some(at) = rest.find(['\\', '\0']) {
        apart.push_str(&rest[..at]);
        let after = rest[at..].trim_start_matches('\\');
        let slashes = rest.len() - at - after.len();
        let is_doubled = after.starts_with('\0') || after.starts_with(STORED);
        apart.extend(std::iter::repeat_n('\\', if is_doubled { 2 * slashes } else { slashes }));
        rest = after.strip_prefix('\0').map_or(after, |after| {
            apart.push('\0');
            after
        });
    }
    apart.push_str(rest);
    Cow::Owned(apart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_escape_becomes_readable_and_nothing_else_changes() {
        for (given, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"b"}"#),
            (r#"{"a":"\u0000"}"#, r#"{"a":"\\u0000"}"#),
            (r#"{"a":"x\u0000\u0000y"}"#, r#"{"a":"x\\u0000\\u0000y"}"#),
            (r#"{"a":"\\u0000"}"#, r#"{"a":"\\u0000"}"#),
            (r#"{"a":"\\\u0000"}"#, r#"{"a":"\\\\u0000"}"#),
            (r#"{"a":"\n\"ä\u0000"}"#, r#"{"a":"\n\"ä\\u0000"}"#),
        ] {
            assert_eq!(without_nul_escapes(given), expected);
            assert!(serde_json::from_str::<serde_json::Value>(expected).is_ok());
        }
        assert_eq!(without_nul("a\0b"), "a\u{fffd}b");
    }
}
