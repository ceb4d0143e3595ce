//! Errors that several rules share.

use proc_macro2::Ident;
use syn::ExprClosure;

/// Returns the error of a closure in an argument that is evaluated before the body.
pub(crate) fn early(closure: &ExprClosure, argument: &str, of: &str) -> syn::Error {
    let message = format!("`{argument}` cannot be a closure, for it is evaluated first; write an expression of {of}");
    syn::Error::new_spanned(closure, message)
}

/// Checks a name in `skip`, `only`, `redact` or `plain`: one of the parameters, or of `fields`.
pub(crate) fn known_name<'a>(name: &Ident, known: impl Iterator<Item = &'a Ident>) -> syn::Result<()> {
    let known: Vec<&Ident> = known.collect();
    if known.contains(&name) {
        return Ok(());
    }
    let names: Vec<String> = known.into_iter().map(Ident::to_string).collect();
    let message = match nearest(&name.to_string(), names.iter().map(String::as_str)) {
        _ if name == "self" => "`self` is never captured; write `fields(part = self.part)` for a part of it".to_owned(),
        Some(nearest) => format!("unknown parameter `{name}`; did you mean `{nearest}`?"),
        None if names.is_empty() => format!("unknown parameter `{name}`; this function has no parameters"),
        None => format!("unknown parameter `{name}`; this function has `{}`", names.join("`, `")),
    };
    Err(syn::Error::new_spanned(name, message))
}

pub(crate) fn looks_secret(name: &Ident, remedy: &str) -> syn::Error {
    syn::Error::new_spanned(name, format!("`{name}` looks like a secret; {remedy}"))
}

/// Returns the known name that is most like a misspelt one.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4 && *distance < name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
