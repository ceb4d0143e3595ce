//! The code that captures a success value.

use super::vocabulary::{Names, in_closures, known_key, method, personal};
use crate::args::{Also, Format, Shown, Value};
use crate::event_type::EventType;
use crate::function::Function;
use crate::plan::Plan;
use crate::syntax::{at, key, own_span, resolved, respanned};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ExprClosure;
use syn::spanned::Spanned as _;

/// Emits one call that captures a success value by default and records its return, or `None` if the
/// attribute asks for more.
pub(super) fn by_default(
    plan: &Plan,
    function: &Function,
    names: &Names,
    private: &TokenStream,
) -> Option<TokenStream> {
    let Names { call, value, .. } = names;
    let is_late = |value: Option<&Value>| matches!(value, Some(Value::Late(_)));
    let asks_for_more = matches!(plan.event, EventType::Late(_))
        || is_late(plan.id.as_ref())
        || is_late(plan.when.as_ref())
        || is_late(plan.personal.subject.as_ref())
        || plan.fields.iter().any(|field| is_late(Some(&field.value)))
        || plan.also.iter().any(|also| is_late(Some(&also.value)))
        || plan.ok.is_some()
        || plan.guarantees.tx.is_some()
        || is_personal(plan)
        || is_response(plan, function)
        || !matches!(plan.result, Shown::As(Format::Serialize));
    let may_fail = !plan.fallible.is_none();
    (!asks_for_more).then(|| captured("audited_end", &quote!(&mut #call, #may_fail), value, function, private))
}

/// Emits the code that captures a success value, inside of a closure over the call.
pub(super) fn success(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { call, value, .. } = names;
    let mut steps = Vec::new();
    if let EventType::Late(event) = &plan.event {
        let (span, event) = (own_span(event), late(private, value, event));
        let call = at(call, span);
        steps.push(quote_spanned!(span=> #call.event(#event);));
    }
    if let Some(Value::Late(id)) = &plan.id {
        let (id_of, call) = (late(private, value, id), at(call, id.span()));
        let span = own_span(id);
        steps.push(quote_spanned!(span=> #call.entity_id(#id_of);));
    }
    if let Some(Value::Late(subject)) = &plan.personal.subject {
        let (subject_of, call) = (late(private, value, subject), at(call, subject.span()));
        let span = own_span(subject);
        steps.push(quote_spanned!(span=> #call.subject(&#subject_of);));
    }
    for Also { entity, value: targets } in &plan.also {
        if let Value::Late(closure) = targets {
            let (entity, targets, call) = (key(entity), late(private, value, closure), at(call, closure.span()));
            let span = own_span(closure);
            steps.push(quote_spanned!(span=> #call.targets(#entity, &#targets);));
        }
    }
    for field in &plan.fields {
        if let Value::Late(closure) = &field.value
            && !plan.redacted.contains(&field.name)
        {
            let (key, method) = (known_key(private, &key(&field.name)), method(field.format));
            let (personal, value) = (personal(plan, &field.name), late(private, value, closure));
            let (span, call, method) = (own_span(closure), at(call, closure.span()), at(&method, closure.span()));
            steps.push(quote_spanned!(span=> #call #personal.#method(#key, &#value);));
        }
    }
    steps.push(result(plan, function, names, private));
    let ok = match &plan.ok {
        Some(closure) => {
            let ok = condition(private, value, closure);
            Some(quote_spanned!(closure.span()=> #call.ok(|| #ok);))
        }
        None if !plan.fallible.is_none() => Some(quote!(#private::shown(#value).audited_outcome(#call);)),
        None => None,
    };
    let steps = match &plan.when {
        Some(Value::Late(when)) => {
            let when = condition(private, value, when);
            // A failure is recorded in any case.
            let when = if ok.is_some() { quote!(!#call.is_ok() || #when) } else { when };
            quote!(#ok if #when { #(#steps)* } else { #call.discard(); })
        }
        _ => quote!(#ok #(#steps)*),
    };
    let allowed = in_closures();
    quote!(#allowed { #steps })
}

/// Emits the capture of the result.
fn result(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { call, value, .. } = names;
    let key = known_key(private, "result");
    let personal = personal(plan, &Ident::new("result", Span::call_site()));
    match &plan.result {
        Shown::Skip => quote!(let _ = #value;),
        Shown::As(Format::Serialize) if is_response(plan, function) => {
            quote!(#private::shown(#value).audited_status(#call);)
        }
        Shown::As(Format::Serialize) => captured("audited_capture", &quote!(#call #personal), value, function, private),
        Shown::As(format) => {
            let method = method(*format);
            let shown = respanned(&quote!(&#value), function.output.success_span());
            quote!(#call #personal.#method(#key, #shown);)
        }
        Shown::Late(closure) => {
            let (value, call) = (late(private, value, closure), at(call, closure.span()));
            let span = own_span(closure);
            quote_spanned!(span=> #call #personal.serialize(#key, &#value);)
        }
    }
}

/// Emits a capture of a value by its type. A complaint about the type belongs where that is
/// written.
fn captured(
    method: &str,
    arguments: &TokenStream,
    value: &Ident,
    function: &Function,
    private: &TokenStream,
) -> TokenStream {
    let span = function.output.success_span();
    let shown = respanned(&quote!(#private::shown(#value)), span);
    let is_generic = function.output.value().is_some_and(|ty| function.is_generic(ty));
    let method = if is_generic { format!("{method}_generic") } else { method.to_owned() };
    let method = Ident::new(&method, span.resolved_at(Span::call_site()));
    quote!(#shown.#method(#arguments);)
}

fn is_personal(plan: &Plan) -> bool {
    plan.personal.names.iter().any(|name| name == "result")
}

/// Returns whether the value is an opaque type that may be a response: nothing else is known of it.
fn is_response(plan: &Plan, function: &Function) -> bool {
    function.output.may_respond(plan.responses)
}

/// Emits the application of a closure to a value. Complaints about that stand at the closure.
fn late(private: &TokenStream, value: &Ident, closure: &ExprClosure) -> TokenStream {
    let span = own_span(closure);
    let (private, value) = (resolved(private, span), at(value, span));
    quote_spanned!(span=> #private::late(#value, #closure))
}

/// Emits the same for a closure that decides something.
fn condition(private: &TokenStream, value: &Ident, closure: &ExprClosure) -> TokenStream {
    let span = own_span(closure);
    let (private, value) = (resolved(private, span), at(value, span));
    quote_spanned!(span=> #private::late_condition(#value, #closure))
}
