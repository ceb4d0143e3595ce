//! The code before the body: the site, and the captures at the entry.

use super::about::about;
use super::vocabulary::{Names, checked_constant, known_key, method, or_refused, personal};
use crate::args::{Also, Format, Value};
use crate::captures::CaptureMode;
use crate::event_type::{EventType, Text, is_associated};
use crate::function::Function;
use crate::guarantee::{Before, Change};
use crate::output::Shape;
use crate::plan::Plan;
use crate::syntax::{at, key, own_span, respanned};
use crate::wrappers::{Role, role};
use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned as _;

/// Emits what is known of the function at compile time, with the name of the static.
pub(super) fn known_site(plan: &Plan, function: &Function, site: &Ident, private: &TokenStream) -> TokenStream {
    let name = function.sig.ident.to_string();
    let literal = |event: Option<&EventType>| match event {
        Some(EventType::Literal(literal)) => quote!(#literal),
        Some(EventType::Constant(constant)) if !is_associated(constant) => checked_constant(private, constant),
        _ => quote!(""),
    };
    let text = |text: Option<&Text>| match text {
        Some(Text::Literal(literal)) => quote!(#literal),
        _ => quote!(""),
    };
    let event = literal(Some(&plan.event));
    let error_event = literal(plan.err.as_ref());
    let entity = text(Some(&plan.entity));
    let actor = text(plan.actor.as_ref());
    let intent = plan.guarantees.before != Before::Nothing;
    let (conditions, about) = about(plan, function, private);
    quote! {
        #conditions
        #private::registered! {
            static #site: #private::Site = #private::Site::new(
                #private::core::concat!(#private::core::module_path!(), "::", #name),
                [#event, #error_event, #entity, #actor],
                #intent,
                #about,
            );
        }
    }
}

/// Emits the expressions that are evaluated before the body runs.
pub(super) fn entry(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
    let call = &names.call;
    let mut steps: Vec<TokenStream> = decided(plan, call).into_iter().collect();
    let constant = |method: TokenStream, event: &syn::Expr| {
        let event = checked_constant(private, event);
        quote!(#call.#method(#event);)
    };
    // The site has the others.
    if let EventType::Constant(event) = &plan.event
        && is_associated(event)
    {
        steps.push(constant(quote!(event), event));
    }
    if let Some(EventType::Constant(event)) = &plan.err
        && is_associated(event)
    {
        steps.push(constant(quote!(error_event), event));
    }
    if let Text::Expr(entity) = &plan.entity {
        steps.push(quote_spanned!(entity.span()=> #call.entity(#entity);));
    }
    if let Some(Text::Expr(actor)) = &plan.actor {
        steps.push(quote_spanned!(actor.span()=> #call.actor(&(#actor));));
    }
    for id in [&plan.err_id, &plan.id].into_iter().flatten() {
        let Value::Early(id) = id else {
            continue;
        };
        steps.push(quote_spanned!(id.span()=> #call.entity_id(&(#id));));
    }
    for Also { entity, value } in &plan.also {
        if let Value::Early(value) = value {
            let entity = key(entity);
            steps.push(quote_spanned!(value.span()=> #call.targets(#entity, &(#value));));
        }
    }
    if let Some(tenant) = &plan.tenant {
        steps.push(quote_spanned!(tenant.span()=> #call.tenant(&(#tenant));));
    }
    steps.extend(whose(plan, call));
    for capture in &plan.captures {
        let name = &capture.name;
        let key = known_key(private, &key(name));
        let step = match capture.mode {
            CaptureMode::Redacted => quote!(#call.redacted(#key);),
            CaptureMode::As(_) if !capture.plain.is_empty() => {
                let (plain, span) = (&capture.plain, own_span(name));
                let (here, call) = (respanned(private, span), at(call, span));
                let is_extractor = role(function, name) == Role::Extractor;
                let method = if is_extractor { "audited_plain_extractor" } else { "audited_plain" };
                let method = Ident::new(method, span);
                quote_spanned!(span=> #here::parameter(&#name).#method(#call, #key, &[#(#plain),*]);)
            }
            CaptureMode::As(format) => {
                let is_generic = function
                    .parameter_type(name)
                    .is_some_and(|ty| matches!(ty, Type::ImplTrait(_)) || function.is_generic(ty));
                // A complaint about the parameter points at it, and not at the attribute.
                let span = own_span(name);
                let (here, call) = (respanned(private, span), at(call, span));
                match (format, role(function, name)) {
                    (Format::Serialize, Role::Extractor) => {
                        quote_spanned!(span=> #here::parameter(&#name).audited_extractor(#call, #key);)
                    }
                    (Format::Serialize, Role::Handle) => {
                        quote_spanned!(span=> #here::parameter(&#name).audited_handle(#call, #key);)
                    }
                    (Format::Serialize, Role::Data) if is_generic => {
                        quote_spanned!(name.span()=> #call.serialize_generic(#key, &#name);)
                    }
                    (Format::Serialize, Role::Data) => {
                        quote_spanned!(span=> #here::parameter(&#name).audited_parameter(#call, #key);)
                    }
                    (format, _) => {
                        let method = method(format);
                        quote_spanned!(name.span()=> #call.#method(#key, &#name);)
                    }
                }
            }
            CaptureMode::Personal(format) => {
                let method = method(format);
                let personal = personal(plan, name);
                quote_spanned!(name.span()=> #call #personal.#method(#key, &#name);)
            }
        };
        let cfgs = &capture.cfgs;
        steps.push(quote!(#(#cfgs)* #step));
    }
    for field in &plan.fields {
        if plan.redacted.contains(&field.name) {
            let key = known_key(private, &key(&field.name));
            steps.push(quote!(#call.redacted(#key);));
        } else if let Value::Early(value) = &field.value {
            let (key, method) = (known_key(private, &key(&field.name)), method(field.format));
            let personal = personal(plan, &field.name);
            // In parentheses the call has the span of its argument, and the compiler does not show
            // the whole attribute.
            let (call, method) = (at(call, value.span()), at(&method, value.span()));
            steps.push(quote_spanned!(value.span()=> (#call #personal).#method(#key, &(#value));));
        }
    }
    for Change { key, value } in &plan.guarantees.changes {
        steps.push(quote_spanned!(value.span()=> #call.before(#key, &#value);));
    }
    if steps.is_empty() { quote!(|_| ()) } else { quote!(|#call| { #(#steps)* }) }
}

/// Emits when and whether a policy decides about the call, unless it does so before the body.
fn decided(plan: &Plan, call: &Ident) -> Option<TokenStream> {
    let is_late = matches!(plan.event, EventType::Late(_)) || matches!(plan.id, Some(Value::Late(_)));
    if plan.guarantees.before == Before::Required || plan.guarantees.tx.is_some() {
        Some(quote!(#call.always();))
    } else if is_late {
        Some(quote!(#call.decided_late();))
    } else {
        None
    }
}

/// Emits whose the personal values are, and which of them are not in the data.
fn whose(plan: &Plan, call: &Ident) -> Vec<TokenStream> {
    let mut steps = Vec::new();
    match &plan.personal.subject {
        Some(Value::Early(subject)) => steps.push(quote_spanned!(subject.span()=> #call.subject(&(#subject));)),
        Some(Value::Late(_)) => steps.push(quote!(#call.await_subject();)),
        None => {}
    }
    for (name, owner) in &plan.personal.owners {
        let key = key(name);
        steps.push(quote_spanned!(owner.span()=> #call.owner(#key, &(#owner));));
    }
    for name in &plan.personal.names {
        let (key, is_owned) = (key(name), plan.personal.owns(name));
        if name == "actor" {
            steps.push(quote!(#call.personal_actor(#is_owned);));
        }
        if plan.guarantees.changes.iter().any(|change| change.key == key) {
            steps.push(quote!(#call.personal_change(#key, #is_owned);));
        }
    }
    steps
}

/// Emits the record that has to exist before the body runs.
pub(super) fn before(plan: &Plan, call: &Ident, private: &TokenStream, function: &Function) -> TokenStream {
    match plan.guarantees.before {
        Before::Nothing => TokenStream::new(),
        Before::Intent => quote!(#call.intent();),
        Before::Required => {
            let recorded = match function.output.shape {
                Shape::Sync => quote!(#call.required_blocking()),
                _ => quote!(#call.required().await),
            };
            or_refused(plan, function, private, &recorded)
        }
    }
}
