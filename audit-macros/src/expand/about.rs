//! The text that describes an annotated function in the catalogue.
//!
//! The compiler joins it to one literal. `audit-runtime/src/catalogue/about.rs` has its grammar and
//! reads it.

use crate::args::{Format, Shown};
use crate::captures::{Capture, CaptureMode};
use crate::event_type::EventType;
use crate::function::Function;
use crate::guarantee::{Before, Change};
use crate::output::Shape;
use crate::plan::Plan;
use crate::syntax::{key, resolved};
use crate::wrappers::{Role, role};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::Parser as _;
use syn::{Attribute, Meta, Token};

/// Emits the text, and before it the macros by which conditional parameters are a part of it.
pub(super) fn about(plan: &Plan, function: &Function, private: &TokenStream) -> (TokenStream, TokenStream) {
    let mut conditions = TokenStream::new();
    let mut text = vec![flags(plan, function), "\n".to_owned()];
    let mut pieces = Vec::new();
    for (name, cfgs, field) in parameters(plan, function) {
        if cfgs.is_empty() {
            text.push(field);
            continue;
        }
        let piece = format_ident!("__audit_{}", key(&name), span = Span::mixed_site());
        conditions.extend(conditional(&piece, &cfgs, &field));
        let before = std::mem::take(&mut text).concat();
        pieces.push(quote!(#before, #piece!(),));
    }
    text.extend(others(plan, function));
    text.push("\n".to_owned());
    text.extend(plan.also.iter().map(|also| format!("{} ", key(&also.entity))));
    text.push("\n".to_owned());
    let text = text.concat();
    // The place is that of the function's name, in a block and in other macros, too.
    let span = function.sig.ident.span();
    let here = resolved(private, span);
    let place = quote_spanned!(span=> #here::core::line!(), " ", #here::core::file!());
    (conditions, quote!(#private::core::concat!(#(#pieces)* #text, #place)))
}

/// A letter for each fact that is either true or false.
fn flags(plan: &Plan, function: &Function) -> String {
    let is_late = |event: Option<&EventType>| event.is_some_and(|event| event.known().is_none());
    let facts = [
        ('a', !matches!(function.output.shape, Shape::Sync)),
        ('c', plan.when.is_some()),
        ('i', plan.guarantees.before == Before::Intent),
        ('l', is_late(Some(&plan.event)) || is_late(plan.err.as_ref())),
        ('n', plan.id.is_none()),
        ('r', plan.guarantees.before == Before::Required),
        ('t', plan.tenant.is_some()),
        ('u', plan.actor.is_some()),
        ('x', plan.guarantees.tx.is_some()),
    ];
    facts.iter().filter(|(_, holds)| *holds).map(|(flag, _)| flag).collect()
}

/// The parameters: the captured ones with their conditions, then those that are left out.
fn parameters(plan: &Plan, function: &Function) -> Vec<(Ident, Vec<Attribute>, String)> {
    let captured = plan.captures.iter().map(|Capture { name, cfgs, mode, .. }| {
        let how = match mode {
            CaptureMode::Redacted => "#",
            CaptureMode::Personal(Format::Serialize) => "!",
            CaptureMode::Personal(Format::Debug) => "!?",
            CaptureMode::Personal(Format::Display) => "!%",
            CaptureMode::As(Format::Serialize) if role(function, name) == Role::Handle => "*",
            CaptureMode::As(format) => sign(*format),
        };
        (name.clone(), cfgs.clone(), format!("{how}{} ", key(name)))
    });
    let is_left_out = |name: &Ident| {
        let is_captured = plan.captures.iter().any(|capture| capture.name == *name);
        !is_captured && !plan.guarantees.concern(name) && !name.to_string().starts_with('_')
    };
    let left_out = function.bindings().filter(|binding| is_left_out(&binding.name));
    let left_out =
        left_out.map(|binding| (binding.name.clone(), binding.cfgs.clone(), format!("-{} ", key(&binding.name))));
    captured.chain(left_out).collect()
}

/// The other parts of an event: fields, changes, the result, the error, a personal actor.
fn others(plan: &Plan, function: &Function) -> Vec<String> {
    let personal = |name: &str| if plan.personal.names.iter().any(|personal| personal == name) { "!" } else { "" };
    let mut others = Vec::new();
    for field in &plan.fields {
        let name = key(&field.name);
        let how = if plan.redacted.contains(&field.name) { "#" } else { sign(field.format) };
        others.push(format!("={}{how}{name} ", personal(&name)));
    }
    for Change { key, .. } in &plan.guarantees.changes {
        others.push(format!("~{}{key} ", personal(key)));
    }
    let shown = |shown: &Shown| match shown {
        Shown::Skip => None,
        Shown::As(format) => Some(sign(*format)),
        Shown::Late(_) => Some(""),
    };
    let has_result = !function.output.is_unit() && !function.output.is_never();
    if let Some(how) = shown(&plan.result).filter(|_| has_result || matches!(plan.result, Shown::Late(_))) {
        others.push(format!(">{}{how} ", personal("result")));
    }
    let error = plan.error.as_ref().map_or(Some(""), |(_, error)| shown(error));
    let has_error = plan.fallible.is_known() || plan.error.is_some() || plan.err.is_some();
    if let Some(how) = error.filter(|_| has_error && !plan.fallible.is_none()) {
        others.push(format!("<{how} "));
    }
    if !personal("actor").is_empty() {
        others.push("@! ".to_owned());
    }
    others
}

fn sign(format: Format) -> &'static str {
    match format {
        Format::Serialize => "",
        Format::Display => "%",
        Format::Debug => "?",
    }
}

/// Emits a macro that is a text where all conditions hold, and empty elsewhere.
fn conditional(name: &Ident, cfgs: &[Attribute], text: &str) -> TokenStream {
    let conditions: Vec<TokenStream> = cfgs.iter().filter_map(condition).collect();
    quote! {
        #[cfg(all(#(#conditions),*))]
        macro_rules! #name { () => { #text }; }
        #[cfg(not(all(#(#conditions),*)))]
        macro_rules! #name { () => { "" }; }
    }
}

/// The condition in `cfg(condition)`, or in `cfg_attr(first, cfg(second))` where `first` holds.
fn condition(attribute: &Attribute) -> Option<TokenStream> {
    let Meta::List(list) = &attribute.meta else {
        return None;
    };
    if attribute.path().is_ident("cfg") {
        return Some(list.tokens.clone());
    }
    let parts = syn::punctuated::Punctuated::<Meta, Token![,]>::parse_terminated.parse2(list.tokens.clone()).ok()?;
    let first = parts.first()?;
    let inner = parts.iter().skip(1).filter_map(|meta| match meta {
        Meta::List(list) if list.path.is_ident("cfg") => Some(&list.tokens),
        _ => None,
    });
    Some(quote!(any(not(#first), all(#(#inner),*))))
}
