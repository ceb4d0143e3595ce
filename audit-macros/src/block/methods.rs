//! `methods(..)`: the methods of a block that are audited, by their visibility and their names.

use crate::diagnostics::nearest;
use crate::syntax::{is_punct, key};
use proc_macro2::{Span, TokenStream, TokenTree};
use syn::parse::ParseStream;
use syn::{Ident, LitStr, Token};

/// Without a pattern, all public methods.
#[derive(Default)]
pub(crate) struct Methods {
    audited: Vec<Pattern>,
    left_out: Vec<Pattern>,
}

enum Pattern {
    Public,
    /// A name, in which `*` stands for any text.
    Name(String, TokenStream),
}

/// An entry of `methods(..)`.
pub(crate) struct Entry {
    pattern: Pattern,
    is_left_out: bool,
}

impl Entry {
    pub(crate) fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let is_left_out = input.parse::<Option<Token![!]>>()?.is_some();
        if let Some(public) = input.parse::<Option<Token![pub]>>()? {
            if is_left_out || input.peek(syn::token::Paren) {
                let message = "`pub` stands alone in `methods`, and means every visibility but a private one; write `methods(pub, ..)`";
                return Err(syn::Error::new_spanned(public, message));
            }
            return Ok(Self { pattern: Pattern::Public, is_left_out });
        }
        if let Ok(quoted) = input.fork().parse::<LitStr>() {
            let text = quoted.value();
            let message = format!("{text:?} is quoted, but names stand without quotes; write `{text}`");
            return Err(syn::Error::new_spanned(&quoted, message));
        }
        let (mut text, mut tokens, place) = (String::new(), TokenStream::new(), input.span());
        while !input.is_empty() && !input.peek(Token![,]) {
            let token: TokenTree = input.parse()?;
            match &token {
                TokenTree::Ident(name) => text.push_str(&key(name)),
                token if is_punct(token, '*') => text.push('*'),
                other => return Err(no_pattern(other.span())),
            }
            tokens.extend([token]);
        }
        if text.is_empty() {
            return Err(no_pattern(place));
        }
        Ok(Self { pattern: Pattern::Name(text, tokens), is_left_out })
    }
}

fn no_pattern(place: Span) -> syn::Error {
    syn::Error::new(place, "`methods` lists `pub` and names of methods; write one as in `methods(pub, close, !get_*)`")
}

impl Methods {
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        let mut methods = Self::default();
        for Entry { pattern, is_left_out } in entries {
            if is_left_out { methods.left_out.push(pattern) } else { methods.audited.push(pattern) }
        }
        methods
    }

    /// Returns whether a method is audited.
    pub(crate) fn choose(&self, name: &Ident, is_public: bool) -> bool {
        let matches = |pattern: &Pattern| match pattern {
            Pattern::Public => is_public,
            Pattern::Name(pattern, _) => matches(pattern, &key(name)),
        };
        let is_chosen = if self.audited.is_empty() { is_public } else { self.audited.iter().any(matches) };
        is_chosen && !self.left_out.iter().any(matches)
    }

    /// Returns the errors of names that no method has. A block may exclude `get_*` by habit.
    pub(crate) fn unknown(&self, names: &[String], noun: &str) -> Vec<syn::Error> {
        let left_out = self.left_out.iter().filter(|pattern| !pattern.is_glob());
        let named = self.audited.iter().chain(left_out).filter_map(|pattern| match pattern {
            Pattern::Public => None,
            Pattern::Name(text, tokens) => Some((text, tokens)),
        });
        let unknown = named.filter(|(text, _)| !names.iter().any(|name| matches(text, name)));
        let error = |(text, tokens): (&String, &TokenStream)| {
            let remedy = match nearest(text, names.iter().map(String::as_str)) {
                Some(nearest) if !text.contains('*') => format!("did you mean `{nearest}`?"),
                _ => "remove it, or correct the name".to_owned(),
            };
            syn::Error::new_spanned(tokens, format!("`{text}` matches no {noun} of this block; {remedy}"))
        };
        unknown.map(error).collect()
    }
}

impl Pattern {
    fn is_glob(&self) -> bool {
        matches!(self, Self::Name(text, _) if text.contains('*'))
    }
}

/// Returns whether a name matches a pattern.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| matches(rest, &name[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name) in
            [("close", "close"), ("get_*", "get_"), ("get_*", "get_all"), ("*", "größe"), ("*_for_*", "list_for_all")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("close", "closed"), ("get_*", "forget_all"), ("*_by", "by"), ("a*b", "abc")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
