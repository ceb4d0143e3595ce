//! The attribute of one method: the block's defaults that the method has use for, and its own
//! arguments.

use super::argument::{Argument, Form, Given};
use super::defaults::Defaults;
use super::items::Method;
use crate::args::{Args, each_argument};
use crate::syntax::key;
use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Ident, LitStr, Meta};

/// Lists of names of parameters.
pub(super) const LISTS: &[&str] = &["skip", "only", "redact", "plain", "personal"];

/// A method's own `#[audited(..)]`.
pub(super) enum Own {
    Off,
    Arguments(Vec<Argument>),
}

impl Own {
    pub(super) fn of(attribute: &Attribute) -> syn::Result<Self> {
        let tokens = match &attribute.meta {
            Meta::List(list) => list.tokens.clone(),
            Meta::Path(_) | Meta::NameValue(_) => TokenStream::new(),
        };
        if syn::parse2::<Ident>(tokens.clone()).is_ok_and(|word| word == "off") {
            return Ok(Self::Off);
        }
        let (mut args, mut arguments) = (Args::default(), Vec::new());
        let parser = |input: ParseStream<'_>| {
            each_argument(input, |name, input| {
                arguments.push(Argument::parse(&mut args, name, input)?);
                Ok(())
            })
        };
        parser.parse2(tokens)?;
        Ok(Self::Arguments(arguments))
    }
}

/// The names that a method has: its parameters, and perhaps `self`.
pub(super) fn has(method: &Method, name: &Ident) -> bool {
    match name == "self" {
        true => method.function.sig.receiver().is_some(),
        false => method.function.binding(name).is_some(),
    }
}

/// Returns whether a method has all that a default needs.
pub(super) fn has_all(method: &Method, needs: &[Ident]) -> bool {
    needs.iter().all(|name| has(method, name))
}

/// Returns whether a method has a parameter that is the id by default.
pub(super) fn has_default_id(method: &Method, entity: Option<&str>) -> bool {
    let names = entity.map(|entity| format!("{entity}_id")).into_iter().chain(["id".to_owned()]);
    names.into_iter().any(|name| method.function.names().any(|parameter| *parameter == name))
}

/// Returns the arguments of the attribute that a method gets.
pub(super) fn merged(defaults: &Defaults, method: &Method, own: &[Argument]) -> TokenStream {
    let merge = Merge { defaults, method, own };
    let mut arguments = Vec::new();
    if merge.own("event").is_none() {
        let event = event_type(defaults, method.name());
        arguments.push(quote!(event = #event));
    }
    if merge.own("entity").is_none() {
        let entity = &defaults.entity;
        arguments.push(quote!(entity = #entity));
    }
    if merge.lacks_id() {
        arguments.push(quote!(id = none));
    }
    for default in &defaults.arguments {
        // A list of both stands where the method has it.
        if merge.keeps(default) && merge.own(&default.name.to_string()).is_none() {
            arguments.push(default.with(merge.entries(default).into_iter()));
        }
    }
    for argument in own {
        let default = merge.default(&argument.name.to_string()).filter(|default| merge.keeps(default));
        let entries = default.map_or_else(Vec::new, |default| merge.entries(default));
        arguments.push(argument.with(entries.into_iter().chain(argument.entries())));
    }
    quote!(#(#arguments),*)
}

/// Returns the event type of a method, at its name.
pub(super) fn event_type(defaults: &Defaults, method: &Ident) -> LitStr {
    let prefix = defaults.prefix.as_ref().map_or_else(String::new, |prefix| format!("{}.", prefix.value()));
    LitStr::new(&format!("{prefix}{}.{}", defaults.entity.value(), key(method)), method.span())
}

struct Merge<'a> {
    defaults: &'a Defaults,
    method: &'a Method,
    own: &'a [Argument],
}

impl<'a> Merge<'a> {
    fn own(&self, name: &str) -> Option<&'a Argument> {
        self.own.iter().find(|argument| argument.name == name)
    }

    fn default(&self, name: &str) -> Option<&'a Argument> {
        self.defaults.arguments.iter().find(|argument| argument.name == name)
    }

    /// Returns the argument that holds: the method's own, or else a default that the method keeps.
    fn holds(&self, name: &str) -> Option<&'a Argument> {
        self.own(name).or_else(|| self.default(name).filter(|default| self.keeps(default)))
    }

    /// Returns whether a default has a meaning for the method. The method's own value overrides it,
    /// and a list of its own adds to it.
    fn keeps(&self, default: &Argument) -> bool {
        let is_own = |name: &&str| self.own(name).is_some();
        let needs: &[Ident] = match &default.form {
            Form::Value(_) if is_own(&default.name.to_string().as_str()) => return false,
            Form::Value(value) => &value.needs,
            Form::Flag | Form::List(_) => &[],
        };
        match default.name.to_string().as_str() {
            "crate" => true,
            // One choice of the parameters replaces another.
            "skip" => !["only", "skip_all"].iter().any(is_own),
            "only" | "skip_all" => !["skip", "only", "skip_all"].iter().any(is_own),
            "fallible" | "infallible" => !["fallible", "infallible"].iter().any(is_own),
            "err" if self.never_fails() => {
                !default.is_late() && self.holds("ok").is_some() && has_all(self.method, needs)
            }
            "error" if self.never_fails() => false,
            "err_id" => self.holds("id").is_some_and(Argument::is_late) && has_all(self.method, needs),
            "subject" => self.has_personal_data() && has_all(self.method, needs),
            "redact" | "plain" | "personal" | "fields" | "also" | "changes" => {
                is_own(&default.name.to_string().as_str()) || !self.entries(default).is_empty()
            }
            _ => has_all(self.method, needs),
        }
    }

    /// Returns the entries of a default that the method has use for.
    fn entries(&self, default: &'a Argument) -> Vec<&'a Given> {
        let list = default.name.to_string();
        default.entries().iter().filter(|entry| self.keeps_entry(&list, entry)).collect()
    }

    fn keeps_entry(&self, list: &str, entry: &Given) -> bool {
        let Some(key) = &entry.key else {
            return has_all(self.method, &entry.needs);
        };
        let own_has = |list: &str| {
            let entries = self.own(list).map_or(&[][..], Argument::entries);
            entries.iter().any(|own| own.key.as_ref() == Some(key) && *key == own.tokens.to_string())
        };
        if list == "fields" {
            let is_own =
                self.own(list).is_some_and(|own| own.entries().iter().any(|own| own.key.as_ref() == Some(key)));
            return !is_own && has_all(self.method, &entry.needs);
        }
        // The arguments of the method override those of the block for its parameter.
        let is_overridden = match list {
            "only" => false,
            _ => ["skip", "redact", "plain", "personal"].iter().any(|list| own_has(list)),
        };
        !is_overridden
            && (has(self.method, key) || (list == "personal" && is_result_or_actor(key)) || self.is_field(list, key))
    }

    /// Returns whether a list that may name fields names one of them.
    fn is_field(&self, list: &str, key: &Ident) -> bool {
        let is_key = |entry: &&Given| entry.key.as_ref() == Some(key);
        let own = self.own("fields").map_or(&[][..], Argument::entries);
        let default = self.default("fields").map_or(&[][..], Argument::entries);
        let default = default.iter().filter(|entry| has_all(self.method, &entry.needs));
        !matches!(list, "skip" | "only") && own.iter().chain(default).any(|entry| is_key(&entry))
    }

    fn has_personal_data(&self) -> bool {
        self.own("personal").is_some()
            || self.default("personal").is_some_and(|personal| !self.entries(personal).is_empty())
    }

    /// Returns whether the type that the method returns is known not to be a `Result`.
    fn never_fails(&self) -> bool {
        if self.holds("fallible").is_some() {
            return false;
        }
        self.holds("infallible").is_some() || self.method.function.output.is_plain()
    }

    /// Returns whether there is no id, not even by default.
    fn lacks_id(&self) -> bool {
        let entity = match self.own("entity") {
            Some(own) => match &own.form {
                Form::Value(value) => syn::parse2::<LitStr>(value.tokens.clone()).ok(),
                _ => None,
            },
            None => Some(self.defaults.entity.clone()),
        };
        let entity = entity.map(|entity| entity.value());
        let has_default = self.default("id").is_none() && has_default_id(self.method, entity.as_deref());
        self.holds("id").is_none() && !has_default
    }
}

/// Returns whether a name in `personal` is one that every method may have.
pub(super) fn is_result_or_actor(name: &Ident) -> bool {
    name == "result" || name == "actor"
}
