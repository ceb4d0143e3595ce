//! Defaults that no method of the block has use for: a misspelt name would be lost in silence.

use super::argument::{Argument, Form, Given};
use super::defaults::Defaults;
use super::items::Method;
use super::merge::{LISTS, has, has_all, has_default_id, is_result_or_actor};
use crate::diagnostics::nearest;
use quote::ToTokens;
use syn::Ident;

/// A method that is audited, with its own arguments.
pub(super) type Audited<'a> = (&'a Method, Vec<Argument>);

/// Returns an error for each of them.
pub(super) fn unknown(defaults: &Defaults, methods: &[Audited<'_>], noun: &str) -> Vec<syn::Error> {
    let block = Names { defaults, methods, noun };
    let mut errors = Vec::new();
    for default in &defaults.arguments {
        let name = default.name.to_string();
        match &default.form {
            Form::Flag => {}
            Form::Value(_) if name == "crate" => {}
            Form::Value(value) => errors.extend(block.needed(&name, value)),
            Form::List(entries) if LISTS.contains(&name.as_str()) => {
                errors.extend(entries.iter().filter_map(|entry| block.listed(&name, entry.key.as_ref()?)));
            }
            Form::List(entries) => errors.extend(entries.iter().filter_map(|entry| block.needed(&name, entry))),
        }
    }
    let entity = defaults.entity.value();
    let has_id = |(method, own): &Audited<'_>| {
        has_default_id(method, Some(&entity)) || own.iter().any(|argument| argument.name == "id")
    };
    if !defaults.arguments.iter().any(|default| default.name == "id") && !methods.iter().any(has_id) {
        let message = format!(
            "missing `id`, for no audited {noun} has a parameter `{entity}_id` or `id`; add `id = ..`, or `id = none`"
        );
        errors.push(syn::Error::new_spanned(&defaults.entity, message));
    }
    errors
}

struct Names<'a> {
    defaults: &'a Defaults,
    methods: &'a [Audited<'a>],
    noun: &'a str,
}

impl Names<'_> {
    /// Checks a name in a list: a parameter of some method, or a field.
    fn listed(&self, list: &str, name: &Ident) -> Option<syn::Error> {
        let is_special = match list {
            "skip" => name == "self",
            "personal" => is_result_or_actor(name),
            _ => false,
        };
        let may_be_field = !matches!(list, "skip" | "only");
        let is_field = may_be_field && self.fields().any(|field| field == name);
        let is_known = is_special || is_field || self.methods.iter().any(|(method, _)| has(method, name));
        (!is_known).then(|| self.unknown(name, may_be_field))
    }

    /// Checks a value: some method has all that it needs.
    fn needed(&self, argument: &str, value: &Given) -> Option<syn::Error> {
        if self.methods.iter().any(|(method, _)| has_all(method, &value.needs)) {
            return None;
        }
        let lacking = |name: &&Ident| !self.methods.iter().any(|(method, _)| has(method, name));
        if let Some(name) = value.needs.iter().find(lacking).filter(|name| *name != "self") {
            return Some(self.unknown(name, false));
        }
        let (names, noun) = (value.needs.iter().map(Ident::to_string).collect::<Vec<_>>().join("`, `"), self.noun);
        let has = if value.needs.len() > 1 { "has all of" } else { "has" };
        let message =
            format!("this value of `{argument}` applies to no audited {noun}, for none {has} `{names}`; remove it");
        Some(syn::Error::new_spanned(&value.tokens, message))
    }

    fn unknown(&self, name: &Ident, with_fields: bool) -> syn::Error {
        let mut known: Vec<String> = Vec::new();
        let parameters = self.methods.iter().flat_map(|(method, _)| method.function.names());
        for name in parameters.chain(self.fields().filter(|_| with_fields)).map(Ident::to_string) {
            if !known.contains(&name) {
                known.push(name);
            }
        }
        let noun = self.noun;
        let message = match nearest(&name.to_string(), known.iter().map(String::as_str)) {
            Some(nearest) => format!("no audited {noun} has a parameter `{name}`; did you mean `{nearest}`?"),
            None if known.is_empty() => format!("no audited {noun} has a parameter `{name}`; remove it"),
            None => format!("no audited {noun} has a parameter `{name}`; they have `{}`", known.join("`, `")),
        };
        syn::Error::new_spanned(name.to_token_stream(), message)
    }

    /// The keys of `fields(..)`, of the block and of its methods.
    fn fields(&self) -> impl Iterator<Item = &Ident> {
        let own = self.methods.iter().flat_map(|(_, own)| own);
        let arguments = self.defaults.arguments.iter().chain(own).filter(|argument| argument.name == "fields");
        arguments.flat_map(Argument::entries).filter_map(|entry| entry.key.as_ref())
    }
}
