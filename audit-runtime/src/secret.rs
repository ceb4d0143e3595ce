//! Names that say secret. Both crates compile this file: the attribute refuses such parameters, the runtime masks such
//! keys inside captured values.

/// Words that say it alone.
const WORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "secrets",
    "token",
    "tokens",
    "apikey",
    "credential",
    "credentials",
    "pan",
    "cvv",
    "cvc",
    "pin",
    "ssn",
    "otp",
];

/// Words that say it together.
const PAIRS: &[(&str, &str)] = &[
    ("api", "key"),
    ("private", "key"),
    ("access", "key"),
    ("signing", "key"),
    ("encryption", "key"),
    ("card", "number"),
];

/// Whether a name says secret, by whole words: `user_password`, `apiKey` and `X-Api-Key` do, `spin` does not.
pub(crate) fn says_secret(name: &str) -> bool {
    let mut previous = "";
    for word in words(name) {
        if WORDS.iter().any(|secret| word.eq_ignore_ascii_case(secret))
            || PAIRS
                .iter()
                .any(|(first, second)| previous.eq_ignore_ascii_case(first) && word.eq_ignore_ascii_case(second))
        {
            return true;
        }
        previous = word;
    }
    false
}

/// The words of a name in `snake_case`, `kebab-case`, `camelCase` or `PascalCase`.
pub(crate) fn words(name: &str) -> impl Iterator<Item = &str> {
    let mut rest = name;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let bytes = rest.as_bytes();
        let mut end = 0;
        while let Some(byte) = bytes.get(end).filter(|byte| byte.is_ascii_alphanumeric()) {
            let lower_before = end > 0 && !bytes[end - 1].is_ascii_uppercase();
            let lower_behind = bytes.get(end + 1).is_some_and(u8::is_ascii_lowercase);
            if end > 0 && byte.is_ascii_uppercase() && (lower_before || lower_behind) {
                break;
            }
            end += 1;
        }
        let (word, after) = rest.split_at(end);
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_into_words_whatever_their_case() {
        for (name, expected) in [
            ("user_password", vec!["user", "password"]),
            ("apiKey", vec!["api", "Key"]),
            ("APIKey", vec!["API", "Key"]),
            ("X-Api-Key", vec!["X", "Api", "Key"]),
            ("r#type", vec!["r", "type"]),
            ("größe_PIN2", vec!["gr", "e", "PIN2"]),
            ("__", vec![]),
        ] {
            assert_eq!(words(name).collect::<Vec<_>>(), expected, "{name}");
        }
    }

    #[test]
    fn secrets_are_told_by_whole_words() {
        for secret in ["password", "user_password", "api_key", "stripeApiKeyId", "PIN", "access_token", "Card-Number"] {
            assert!(says_secret(secret), "{secret}");
        }
        for plain in ["spin", "pinned", "tokenizer", "idempotency_key", "key", "secretary", "company", "api", "card"] {
            assert!(!says_secret(plain), "{plain}");
        }
    }
}
