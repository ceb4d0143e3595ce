//! The forms of an argument: `name = value` and `name(..)`.

use super::value::{Chosen, Format, Personal};
use crate::habits;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::{Ident, LitStr, Path, Token, parenthesized};

/// Parses `= value` behind an argument's name.
pub(crate) fn assigned<T: Parse>(name: &Ident, input: ParseStream<'_>) -> syn::Result<T> {
    if !input.peek(Token![=]) || input.peek(Token![==]) {
        return Err(habits::value_missing(name, input));
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(habits::value_missing(name, input));
    }
    input.parse().map_err(|error: syn::Error| {
        // The end of the input has no place of its own.
        if error.to_string().starts_with("unexpected end of input") {
            return syn::Error::new_spanned(name, format!("the value of `{name}` is not complete: {error}"));
        }
        error
    })
}

/// Parses `= path`, also in quotes, as in serde's attributes.
pub(crate) fn assigned_path(input: ParseStream<'_>) -> syn::Result<Path> {
    input.parse::<Token![=]>()?;
    if !input.peek(LitStr) {
        let found = input.span();
        return input.call(Path::parse_mod_style).map_err(|_| {
            syn::Error::new(found, "`crate` needs the path of the runtime; write one as in `crate = my::audit`")
        });
    }
    let text: LitStr = input.parse()?;
    let path = text.parse_with(Path::parse_mod_style);
    path.map_err(|_| {
        syn::Error::new_spanned(&text, format!("{:?} is not a path; write one as in `crate = my::audit`", text.value()))
    })
}

/// Parses a list of parameters, each at most once.
pub(super) fn names(list: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    let names = listed(list, input, |input| listed_name(list, input))?;
    habits::repeated(list, names.iter())?;
    Ok(names)
}

/// Parses a list of parameters, each with its format and at most once.
pub(super) fn chosen(list: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Chosen>> {
    let entry =
        |input: ParseStream<'_>| Ok(Chosen { format: Format::parse_sigil(input)?, name: listed_name(list, input)? });
    let chosen = listed(list, input, entry)?;
    habits::repeated(list, chosen.iter().map(|chosen| &chosen.name))?;
    Ok(chosen)
}

/// Parses a list of personal values, each perhaps with a subject of its own and at most once.
pub(super) fn personal(list: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Personal>> {
    let entry = |input: ParseStream<'_>| {
        if input.peek(Ident::peek_any) && input.peek2(Token![=]) {
            let name = input.call(Ident::parse_any)?;
            let owner = Some(assigned(&name, input)?);
            return Ok(Personal { name, owner });
        }
        Ok(Personal { name: listed_name(list, input)?, owner: None })
    };
    let names = listed(list, input, entry)?;
    habits::repeated(list, names.iter().map(|personal| &personal.name))?;
    Ok(names)
}

/// Parses a name in a list of names.
fn listed_name(list: &Ident, input: ParseStream<'_>) -> syn::Result<Ident> {
    if let Some(error) = habits::quoted_name(input) {
        return Err(error);
    }
    if !input.peek(Ident::peek_any) {
        return Err(habits::no_name(list, input));
    }
    let name = input.call(Ident::parse_any)?;
    habits::only_names(list, &name, input)?;
    Ok(name)
}

/// Parses `(entry, ..)` behind an argument's name.
pub(crate) fn listed<T>(
    name: &Ident,
    input: ParseStream<'_>,
    entry: impl Fn(ParseStream<'_>) -> syn::Result<T>,
) -> syn::Result<Vec<T>> {
    if !input.peek(syn::token::Paren) {
        return Err(habits::list_missing(name, input));
    }
    let content;
    parenthesized!(content in input);
    let mut entries = Vec::new();
    while !content.is_empty() {
        entries.push(entry(&content)?);
        habits::comma(&content, &format!("the entries of `{name}`"))?;
    }
    Ok(entries)
}
