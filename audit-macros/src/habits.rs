//! Spellings that people write by habit: names of columns, arguments of tracing and serde, quotes and values where none belong; and what to write
//! instead.

use crate::args::nearest;
use syn::parse::ParseStream;
use syn::{Ident, LitStr, Token};

/// Names from elsewhere, and what does the same.
const ELSEWHERE: &[(&str, &str)] = &[
    ("entity_id", "write `id = ..`"),
    ("key", "write `id = ..`"),
    ("entity_type", "write `entity = \"noun\"`"),
    ("kind", "write `entity = \"noun\"`"),
    ("event_type", "write `event = \"noun.verb\"`"),
    ("name", "write `event = \"noun.verb\"`"),
    ("action", "write `event = \"noun.verb\"`"),
    ("err_event", "write `err = \"noun.verb\"`"),
    ("error_event", "write `err = \"noun.verb\"`"),
    ("user", "write `actor = ..`"),
    ("by", "write `actor = ..`"),
    ("who", "write `actor = ..`"),
    ("data", "write `fields(name = ..)`"),
    ("with", "write `fields(name = ..)`"),
    ("outcome", "write `ok = |value| ..`"),
    ("success", "write `ok = |value| ..`"),
    ("failed", "write `ok = |value| ..`"),
    ("ret", "leave it out, for the result is captured by default; write `result = ?` for its Debug text"),
    ("skip_result", "write `result = skip`"),
    ("skip_err", "write `error = skip`"),
    ("skip_error", "write `error = skip`"),
    ("skip_serializing", "write `skip(name)`"),
    ("ignore", "write `skip(name)`"),
    ("mask", "write `redact(name)`"),
    ("secret", "write `redact(name)`"),
    ("sensitive", "write `redact(name)`"),
    ("include", "write `only(name)`"),
    ("rename", "write `skip(name)` and `fields(other = name)`"),
    ("if", "write `when = ..`"),
    ("condition", "write `when = ..`"),
    ("transaction", "write `tx = ..`"),
    ("conn", "write `tx = ..`"),
    ("audit", "write `recorder = ..`"),
    ("handle", "write `recorder = ..`"),
    ("correlation_id", "write `Context::new().correlation(..)` around the call"),
    ("causation_id", "leave it out, for a call names the one it is made in"),
    ("created_at", "leave it out, for it is the time of the call"),
    ("duration", "leave it out, for it is measured"),
    ("level", "leave it out, for an event has no level"),
    ("target", "leave it out, for `data` has what a call is about"),
    ("parent", "leave it out, for a call names the one it is made in"),
    ("context", "write `Context::new().attribute(..)` around the call"),
];

/// The complaint about an argument that there is not.
pub(crate) fn unknown(name: &Ident, known: &[&str]) -> syn::Error {
    let text = name.to_string();
    let message = if let Some((_, instead)) = ELSEWHERE.iter().find(|(elsewhere, _)| *elsewhere == text) {
        format!("`audited` has no argument `{text}`; {instead}")
    } else if let Some(nearest) = nearest(&text, known.iter().copied()) {
        format!("`audited` has no argument `{text}`; did you mean `{nearest}`?")
    } else {
        format!("`audited` has no argument `{text}`; it takes {}", known.join(", "))
    };
    syn::Error::new_spanned(name, message)
}

/// A text where arguments are named.
pub(crate) fn quoted_argument(input: ParseStream<'_>) -> Option<syn::Error> {
    let text: LitStr = input.fork().parse().ok()?;
    let shown = text.value();
    Some(syn::Error::new_spanned(text, format!("an argument has a name; write `event = {shown:?}`")))
}

/// A text where a parameter or a field is named.
pub(crate) fn quoted_name(input: ParseStream<'_>) -> Option<syn::Error> {
    let text: LitStr = input.fork().parse().ok()?;
    let shown = text.value();
    Some(syn::Error::new_spanned(text, format!("a name stands without quotes; write `{shown}`")))
}

/// A value of an argument that is only named.
pub(crate) fn flag(name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
    if input.peek(Token![=]) || input.peek(syn::token::Paren) {
        return Err(syn::Error::new_spanned(name, format!("`{name}` takes no value; write `{name}`, or leave it out")));
    }
    Ok(())
}

/// Refuses an entry that is more than a name in a list of names, and says what to write.
pub(crate) fn only_names(list: &Ident, name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
    let remedy = if input.peek(Token![=]) {
        format!("write `fields({name} = ..)` for a value of its own")
    } else if input.peek(Token![.]) {
        let (path, part) = path(name, input);
        match list.to_string().as_str() {
            "redact" | "skip" => format!(
                "write `{list}({name})` for all of it; a key within is masked by its name, in every event, with `Audit::builder().mask([\"{part}\"])`"
            ),
            _ => format!("write `fields({part} = {path})` for a part of one"),
        }
    } else {
        return Ok(());
    };
    Err(syn::Error::new_spanned(name, format!("`{list}` lists names of parameters; {remedy}")))
}

/// `order.address.city`, and its last name.
fn path(name: &Ident, input: ParseStream<'_>) -> (String, String) {
    let (ahead, mut path, mut part) = (input.fork(), name.to_string(), name.to_string());
    while ahead.parse::<Token![.]>().is_ok() {
        let Ok(member) = ahead.parse::<Ident>() else {
            break;
        };
        part = member.to_string();
        path = format!("{path}.{part}");
    }
    (path, part)
}

/// `err` as a flag, as tracing has it.
pub(crate) fn err(name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
    if input.is_empty() || input.peek(Token![,]) || input.peek(syn::token::Paren) {
        return Err(syn::Error::new_spanned(
            name,
            "an error is captured by default; leave `err` out, or write `err = \"noun.verb\"` for the event of a call that fails",
        ));
    }
    Ok(())
}

/// A field that begins with a sigil, or whose name has dots, as in tracing.
pub(crate) fn field_by_habit(input: ParseStream<'_>) -> Option<syn::Error> {
    let ahead = input.fork();
    let sigil = if ahead.parse::<Token![%]>().is_ok() {
        "%"
    } else if ahead.parse::<Token![?]>().is_ok() {
        "?"
    } else {
        ""
    };
    let name: Ident = ahead.parse().ok()?;
    if !sigil.is_empty() {
        return Some(syn::Error::new_spanned(&name, format!("a field has a name; write `{name} = {sigil}{name}`")));
    }
    ahead.parse::<Token![.]>().ok()?;
    let part: Ident = ahead.parse().ok()?;
    Some(syn::Error::new_spanned(&name, format!("a field's name is one word; write `{name}_{part} = ..`")))
}

/// An argument that is given twice; lists go into one.
pub(crate) fn twice(name: &Ident, input: ParseStream<'_>) -> syn::Error {
    let more = || {
        let ahead = input.fork();
        let content;
        syn::parenthesized!(content in ahead);
        content.parse::<proc_macro2::TokenStream>()
    };
    let message = match more() {
        Ok(more) => format!("`{name}` is given twice; add `{more}` to the first"),
        Err(_) => format!("`{name}` is given twice; leave one of them"),
    };
    syn::Error::new_spanned(name, message)
}
