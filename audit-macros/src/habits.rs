//! Spellings that people write by habit: names of columns, arguments of tracing and serde, quotes
//! and misplaced values. Each has its correction.

use crate::diagnostics::nearest;
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Expr, Ident, LitStr, Token};

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
    ("targets", "write `also(account = ..)`"),
    ("entities", "write `also(account = ..)`"),
    ("tenant_id", "write `tenant = ..`"),
    ("user", "write `actor = ..`"),
    ("by", "write `actor = ..`"),
    ("who", "write `actor = ..`"),
    ("data", "write `fields(name = ..)`"),
    ("with", "write `fields(name = ..)`"),
    ("outcome", "write `ok = |value| ..`"),
    ("success", "write `ok = |value| ..`"),
    ("failed", "write `ok = |value| ..`"),
    ("ret", "remove it, for the result is captured by default, or write `result = ?` for its Debug text"),
    ("default", "remove it, for all arguments have defaults"),
    ("default_value", "remove it, for all arguments have defaults"),
    ("flatten", "write `fields(name = ..)` for each part"),
    ("rename_all", "write `skip(name)` and `fields(other = name)`"),
    ("skip_serializing_if", "write `skip(name)`"),
    ("serialize_with", "write `skip(name)` and `fields(other = ..)`"),
    ("debug", "write `only(?name)` or `fields(name = ?..)`"),
    ("display", "write `only(%name)` or `fields(name = %..)`"),
    ("follows_from", "remove it, for a call names the one it is made in"),
    ("event_name", "write `event = \"noun.verb\"`"),
    ("type", "write `event = \"noun.verb\"`"),
    ("field", "write `fields(name = ..)`"),
    ("args", "write `only(name)`"),
    ("tags", "write `fields(name = ..)`"),
    ("description", "write `fields(name = ..)`"),
    ("message", "write `fields(name = ..)`"),
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
    ("causation_id", "remove it, for a call names the one it is made in"),
    ("created_at", "remove it, for it is the time of the call"),
    ("duration", "remove it, for it is measured"),
    ("level", "remove it, for an event has no level"),
    ("target", "remove it, for `data` has what a call is about"),
    ("parent", "remove it, for a call names the one it is made in"),
    ("context", "write `Context::new().attribute(..)` around the call"),
    ("off", "remove the attribute, for `off` is for a method of an audited block"),
    ("methods", "write it on the impl block or the module"),
    ("prefix", "write it on the impl block or the module, or `event = \"noun.verb\"` here"),
];

/// The same, of `#[audit(..)]` on a struct.
pub(crate) const STRUCTS: &[(&str, &str)] = &[
    ("entity_id", "write `id = ..`"),
    ("entity_type", "write `entity = \"noun\"`"),
    ("event_type", "write `event = \"noun.verb\"`"),
    ("name", "write `event = \"noun.verb\"`"),
    ("targets", "write `also(account = ..)`"),
    ("tenant_id", "write `tenant = ..`"),
    ("user", "write `actor = ..`"),
    ("rename_all", "write `#[audit(rename = \"key\")]` on each field"),
    ("skip", "write `#[audit(skip)]` on each field"),
    ("redact", "write `#[audit(redact)]` on each field"),
    ("plain", "write `#[audit(plain)]` on each field"),
    ("personal", "write `#[audit(personal)]` on each field"),
];

/// The same, on a field.
pub(crate) const FIELDS: &[(&str, &str)] = &[
    ("id", "write `#[audit(id = ..)]` on the struct"),
    ("entity_id", "write `#[audit(id = ..)]` on the struct"),
    ("also", "write `#[audit(also(account = ..))]` on the struct"),
    ("tenant", "write `#[audit(tenant = ..)]` on the struct"),
    ("actor", "write `#[audit(actor = ..)]` on the struct"),
    ("subject", "write `#[audit(subject = ..)]` on the struct"),
    ("event", "write `#[audit(event = \"noun.verb\")]` on the struct"),
    ("name", "write `rename = \"key\"`"),
    ("key", "write `rename = \"key\"`"),
    ("ignore", "write `skip`"),
    ("skip_serializing", "write `skip`"),
    ("mask", "write `redact`"),
    ("secret", "write `redact`"),
    ("sensitive", "write `redact`"),
    ("debug", "write `?` for its Debug text"),
    ("display", "write `%` for its Display text"),
    ("default", "remove it, for an event is never read into the struct"),
    ("with", "write `?` or `%` for its Debug or Display text"),
];

/// The complaint about an argument that there is not.
pub(crate) fn unknown(name: &Ident, known: &[&str]) -> syn::Error {
    unknown_on(name, known, "of `audited`", ELSEWHERE)
}

/// The same, where other names from elsewhere are expected.
pub(crate) fn unknown_on(name: &Ident, known: &[&str], place: &str, elsewhere: &[(&str, &str)]) -> syn::Error {
    let text = name.to_string();
    let remedy = if let Some((_, instead)) = elsewhere.iter().find(|(elsewhere, _)| *elsewhere == text) {
        (*instead).to_owned()
    } else if let Some(nearest) = nearest(&text, known.iter().copied()) {
        format!("did you mean `{nearest}`?")
    } else {
        format!("expected one of {}", known.join(", "))
    };
    syn::Error::new_spanned(name, format!("unknown argument `{text}` {place}; {remedy}"))
}

/// An argument's name.
pub(crate) fn argument_name(input: ParseStream<'_>) -> syn::Result<Ident> {
    input.call(Ident::parse_any).map_err(|error| {
        syn::Error::new(error.span(), "expected an argument by its name; write one as in `id = order_id` or `skip(db)`")
    })
}

/// The comma behind one of a list, unless that is the last.
pub(crate) fn comma(input: ParseStream<'_>, between: &str) -> syn::Result<()> {
    if input.is_empty() || input.parse::<Option<Token![,]>>()?.is_some() {
        return Ok(());
    }
    Err(input.error(format!("missing `,`; separate {between} by commas")))
}

/// An argument without a value, or with one that does not stand behind a `=`.
pub(crate) fn value_missing(name: &Ident, input: ParseStream<'_>) -> syn::Error {
    let ahead = input.fork();
    let given = if ahead.parse::<Token![:]>().is_ok() || ahead.parse::<Token![==]>().is_ok() {
        ahead.parse::<Expr>().ok().map(|value| value.to_token_stream())
    } else {
        in_parentheses(&ahead).ok()
    };
    let example = match name.to_string().as_str() {
        "event" | "err" => "\"noun.verb\"".to_owned(),
        "entity" => "\"noun\"".to_owned(),
        "ok" => "|value| ..".to_owned(),
        "result" | "error" => "skip".to_owned(),
        _ => "..".to_owned(),
    };
    let value = given.filter(|given| !given.is_empty()).map_or(example, |given| given.to_string());
    syn::Error::new_spanned(name, format!("`{name}` needs a value; write `{name} = {value}`"))
}

/// A list that does not stand in parentheses.
pub(crate) fn list_missing(name: &Ident, input: ParseStream<'_>) -> syn::Error {
    let ahead = input.fork();
    let equals = ahead.parse::<Token![=]>().is_ok();
    let given = match ahead.parse::<TokenTree>() {
        Ok(TokenTree::Ident(name)) if equals => name.to_string(),
        Ok(TokenTree::Group(group)) => group.stream().to_string(),
        _ => "..".to_owned(),
    };
    syn::Error::new_spanned(name, format!("`{name}` needs a list in parentheses; write `{name}({given})`"))
}

/// Refuses another token where a parameter is to be named.
pub(crate) fn no_name(list: &Ident, input: ParseStream<'_>) -> syn::Error {
    let ahead = input.fork();
    let _ = ahead.parse::<TokenTree>();
    let name = ahead.parse::<Ident>().map_or_else(|_| "name".to_owned(), |name| name.to_string());
    input.error(format!("`{list}` lists names of parameters; write `{list}({name})`"))
}

/// A name that a list has twice.
pub(crate) fn repeated<'a>(list: &Ident, names: impl Iterator<Item = &'a Ident>) -> syn::Result<()> {
    let mut seen: Vec<&Ident> = Vec::new();
    for name in names {
        if seen.contains(&name) {
            return Err(syn::Error::new_spanned(name, format!("`{name}` is in `{list}` twice; remove one of them")));
        }
        seen.push(name);
    }
    Ok(())
}

/// Returns the error of a sigil with a name behind it, where the result or the error is meant in
/// any case.
pub(crate) fn sigil_with_a_name(word: &str, sigil: &str, input: ParseStream<'_>) -> syn::Error {
    input.error(format!("`{sigil}` stands alone here, for `{word}` says what is meant; write `{word} = {sigil}`"))
}

fn in_parentheses(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let content;
    syn::parenthesized!(content in input);
    content.parse()
}

/// A text where arguments are named.
pub(crate) fn quoted_argument(input: ParseStream<'_>) -> Option<syn::Error> {
    let text: LitStr = input.fork().parse().ok()?;
    let shown = text.value();
    Some(syn::Error::new_spanned(text, format!("an argument needs a name; write `event = {shown:?}`")))
}

/// A text where a parameter or a field is named.
pub(crate) fn quoted_name(input: ParseStream<'_>) -> Option<syn::Error> {
    let text: LitStr = input.fork().parse().ok()?;
    let shown = text.value();
    Some(syn::Error::new_spanned(text, format!("{shown:?} is quoted, but names stand without quotes; write `{shown}`")))
}

/// A value of an argument that is only named.
pub(crate) fn flag(name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
    if input.peek(Token![=]) || input.peek(syn::token::Paren) {
        return Err(syn::Error::new_spanned(name, format!("`{name}` takes no value; write `{name}`, or remove it")));
    }
    Ok(())
}

/// Refuses an entry that is more than a name in a list of names, and suggests the right form.
pub(crate) fn only_names(list: &Ident, name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
    let remedy = if name == "self" && list == "skip" && input.peek(Token![.]) {
        "remove it, for `self` is never captured".to_owned()
    } else if input.peek(Token![::]) || input.peek(syn::token::Paren) {
        "write the name alone".to_owned()
    } else if input.peek(Token![=]) {
        format!("write `fields({name} = ..)` for a value of its own")
    } else if input.peek(Token![.]) {
        let (path, part) = path(name, input);
        match list.to_string().as_str() {
            "redact" | "skip" => format!(
                "write `{list}({name})` for all of it, or `Audit::builder().mask([\"{part}\"])` to mask the key everywhere"
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
            "`err` needs an event type; write `err = \"noun.verb\"`, or remove it, for an error is captured by default",
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
        return Some(syn::Error::new_spanned(&name, format!("a field needs a name; write `{name} = {sigil}{name}`")));
    }
    ahead.parse::<Token![.]>().ok()?;
    let part: Ident = ahead.parse().ok()?;
    let remedy = if ahead.peek(Token![=]) { format!("{name}_{part} = ..") } else { format!("{part} = {name}.{part}") };
    Some(syn::Error::new_spanned(&name, format!("the name of a field is one word; write `{remedy}`")))
}

/// An argument that is given twice. Lists go into one.
pub(crate) fn twice(name: &Ident, input: ParseStream<'_>) -> syn::Error {
    let message = match in_parentheses(&input.fork()) {
        Ok(more) => format!("`{name}` is given twice; add `{more}` to the first"),
        Err(_) => format!("`{name}` is given twice; remove one of them"),
    };
    syn::Error::new_spanned(name, message)
}
