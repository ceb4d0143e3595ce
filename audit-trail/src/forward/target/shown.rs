//! A target as the database, metrics and messages show it: without what may be a secret.

use reqwest::Url;

/// A target in words.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) text: String,
    /// Whether nothing is left out.
    pub(super) is_whole: bool,
}

impl Shown {
    pub(super) fn whole(text: &str) -> Self {
        Self { text: text.to_owned(), is_whole: true }
    }

    /// The first word of a command, which is its program. Whatever else it is may hold a secret.
    pub(super) fn command(command: &str) -> Self {
        let (first, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let is_program = first.chars().all(|character| character.is_alphanumeric() || "/._-+".contains(character));
        let is_whole = is_program && rest.is_empty();
        let text = match (is_program, is_whole) {
            (true, true) => format!("| {first}"),
            (true, false) => format!("| {first} .."),
            (false, _) => "| ..".into(),
        };
        Self { text, is_whole }
    }

    /// A URL without its query. `url` is the same one with a scheme of HTTP.
    pub(super) fn url(scheme: &str, url: &Url) -> Self {
        let is_whole = url.query().is_none() && url.fragment().is_none();
        let mut plain = url.clone();
        plain.set_query(None);
        plain.set_fragment(None);
        let address = &plain.as_str()[plain.scheme().len() + "://".len()..];
        let rest = if is_whole { "" } else { "?.." };
        Self { text: format!("{scheme}://{address}{rest}"), is_whole }
    }
}
