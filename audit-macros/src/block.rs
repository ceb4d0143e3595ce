//! `#[audited]` on an `impl` block or a module: the attribute on each method, with the block's
//! arguments as defaults.
//!
//! `items` takes the block apart, `defaults` parses its attribute, and `methods` chooses. `merge`
//! writes the attribute of each method, which then expands like any other: one grammar, one set of
//! rules, and an error in one method leaves the others in place. `unknown` finds the defaults that
//! no method has use for.

mod argument;
mod defaults;
mod free;
mod items;
mod merge;
mod methods;
mod unknown;

pub(crate) use items::Kind;

use crate::event_type::is_event_type;
use crate::fallback::item_with_error;
use crate::syntax::key;
use defaults::Defaults;
use items::{Block, Method};
use merge::{Own, event_type, merged};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Meta};
use unknown::{Audited, unknown};

/// Emits the block, each audited method with its attribute. After an error in the block's own
/// attribute, the methods are as if there were none.
pub(crate) fn expand(args: TokenStream, kind: Kind, item: TokenStream) -> TokenStream {
    let block = match Block::parse(kind, item.clone()) {
        Ok(block) => block,
        Err(error) => return item_with_error(item, &error),
    };
    let defaults: Defaults = match syn::parse2(args) {
        Ok(defaults) => defaults,
        Err(error) => return item_with_error(block.emit(Method::bare), &error),
    };
    let (audited, mut errors) = audited(&block, &defaults);
    if !audited.is_empty() {
        errors.extend(unknown(&defaults, &audited, kind.noun()));
    } else if errors.is_empty() {
        let message = format!(
            "no {0} of this block is audited; make one `pub`, name it in `methods(..)`, or remove the attribute",
            kind.noun()
        );
        errors.push(syn::Error::new_spanned(&defaults.entity, message));
    }
    let names: Vec<String> = block.methods().map(|method| key(method.name())).collect();
    errors.extend(defaults.methods.unknown(&names, kind.noun()));
    let emitted = block.emit(|method| {
        if audited.iter().any(|(audited, _)| std::ptr::eq(*audited, method)) {
            method.audited(|own| attribute(&defaults, method, own))
        } else {
            method.bare()
        }
    });
    let errors = errors.iter().map(syn::Error::to_compile_error);
    quote!(#emitted #(#errors)*)
}

/// Returns the methods that are audited, and the errors of those that cannot be.
fn audited<'a>(block: &'a Block, defaults: &Defaults) -> (Vec<Audited<'a>>, Vec<syn::Error>) {
    let (mut audited, mut errors) = (Vec::new(), Vec::new());
    for method in block.methods() {
        let own: Vec<Own> = method.own().filter_map(|attribute| Own::of(attribute).ok()).collect();
        let is_off = own.iter().any(|own| matches!(own, Own::Off));
        let is_named = method.own().next().is_some();
        let is_chosen = is_named || defaults.methods.choose(method.name(), method.is_public(block.kind));
        if is_off || !is_chosen {
            continue;
        }
        let own = own.into_iter().filter_map(|own| match own {
            Own::Off => None,
            Own::Arguments(arguments) => Some(arguments),
        });
        let own = own.flatten().collect();
        match fault(method, defaults) {
            Some(error) => errors.push(error),
            None => audited.push((method, own)),
        }
    }
    (audited, errors)
}

/// Returns why a method cannot be audited.
fn fault(method: &Method, defaults: &Defaults) -> Option<syn::Error> {
    if let Some(constness) = &method.function.sig.constness {
        let message =
            "a `const fn` cannot be audited, for it may run at compile time; remove `const`, or add `#[audited(off)]`";
        return Some(syn::Error::new_spanned(constness, message));
    }
    if let Some(attribute) = method.conditional() {
        let message =
            "`#[audited]` inside of a block cannot be conditional; put `#[cfg]` on two methods, or remove `cfg_attr`";
        return Some(syn::Error::new_spanned(attribute, message));
    }
    let event = event_type(defaults, method.name());
    let has_event = |attribute: &Attribute| match &attribute.meta {
        Meta::List(list) => list.tokens.clone().into_iter().any(|token| token.to_string() == "event"),
        Meta::Path(_) | Meta::NameValue(_) => false,
    };
    if !is_event_type(&event.value()) && !method.own().any(has_event) {
        let message = format!(
            "{:?} is not an event type; add `#[audited(event = \"noun.verb\")]` to this method, or `#[audited(off)]`",
            event.value()
        );
        return Some(syn::Error::new_spanned(event, message));
    }
    None
}

/// Emits the attribute of a method. One of its own that is malformed complains for itself.
fn attribute(defaults: &Defaults, method: &Method, own: Option<&Attribute>) -> TokenStream {
    let krate = &defaults.krate;
    match own.map(|attribute| (attribute, Own::of(attribute))) {
        None => {
            let arguments = merged(defaults, method, &[]);
            quote!(#[#krate::audited(#arguments)])
        }
        Some((attribute, Ok(Own::Arguments(own)))) => {
            let (path, arguments) = (attribute.path(), merged(defaults, method, &own));
            quote!(#[#path(#arguments)])
        }
        Some((attribute, _)) => quote!(#attribute),
    }
}

#[cfg(test)]
mod tests;
