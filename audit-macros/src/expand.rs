//! The code that is emitted: the signature as it was, and a body that calls the runtime around the user's own.

use crate::args::{Value, Way};
use crate::captures::How;
use crate::check::{EventType, Plan, Text};
use crate::fallible::Fallible;
use crate::finish::finish;
use crate::function::Function;
use crate::guarantee::{Before, Change};
use crate::output::Shape;
use crate::personal::personal;
use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Meta, Type, parse_quote};

/// Names of the expansion's own: user code can neither see nor shadow them.
pub(crate) struct Names {
    pub(crate) call: Ident,
    site: Ident,
    handover: Ident,
    pub(crate) out: Ident,
    pub(crate) value: Ident,
    pub(crate) error: Ident,
}

impl Names {
    fn new() -> Self {
        let name = |name: &str| format_ident!("__audit_{}", name, span = Span::mixed_site());
        Self {
            call: name("call"),
            site: name("SITE"),
            handover: name("handover"),
            out: name("out"),
            value: name("value"),
            error: name("error"),
        }
    }
}

pub(crate) fn expand(plan: &Plan, function: &Function) -> TokenStream {
    let names = Names::new();
    let Names { call, site, handover, out, .. } = &names;
    let krate = &plan.krate;
    let private = quote!(#krate::__private);
    let attrs = function.attrs.iter().map(kept);
    let vis = &function.vis;
    let defaultness = &function.defaultness;
    let sig = function.outer_signature();
    let begin = begin(plan, function, &private);
    let entry = entry(plan, function, &names, &private);
    let finish = finish(plan, function, &names, &private);
    let before = before(plan, call, &private, function);
    let lent = plan.guarantees.lent.any();
    let begun = match (&plan.recorder, &plan.when) {
        (Some(recorder), Some(Value::Early(when))) => {
            quote_spanned!(recorder.span()=> #private::Call::begin_with_when(&#site, &(#recorder), || #when, #entry))
        }
        (Some(recorder), _) => {
            quote_spanned!(recorder.span()=> #private::Call::begin_with(&#site, &(#recorder), #entry))
        }
        (None, Some(Value::Early(when))) => quote!(#private::Call::begin_when(&#site, || #when, #entry)),
        (None, _) => quote!(#private::Call::begin(&#site, #entry)),
    };
    let handed = match before.is_empty() {
        true => quote!(#handover.put(#begun);),
        false => quote!(let mut #call = #begun; #before #handover.put(#call);),
    };
    let begun = quote!(let mut #call = #begun;);
    let body = match function.output.shape {
        // The body begins the call itself: what it looks at, it has.
        Shape::Async => body(plan, function, &names, &handed),
        _ => body(plan, function, &names, &TokenStream::new()),
    };
    let place = quote!(let mut #handover = #private::Handover::new(););
    // The type is told before the error's is asked for: an async block need not know it by itself.
    let value = function.output.known_value().map(|value| quote!(: #value));
    let awaited = quote!(let #out #value = #call.run_async(#out).await; #finish #out);
    let whole = match function.output.shape {
        // It can only end by a panic, of which the call's drop tells.
        Shape::Sync if function.output.is_never() => quote!(#begun #before #body),
        Shape::Sync => quote!(#begun #before let #out = #body; #finish #out),
        Shape::Async if function.output.is_never() => quote!(#place #body),
        Shape::Async => quote!(#place let #out = #body; let mut #call = #handover.call(); #finish #out),
        // What was an async fn begins when it is polled, as it would have: in the scope it is awaited in.
        Shape::BoxedFuture if function.is_async_trait() => {
            let ended = if lent { quote!(#finish #out) } else { awaited };
            quote!(#private::Box::pin(async move { #begun #before let #out = #body; #ended }))
        }
        // A mere async block that is dropped before it is polled was no call.
        Shape::Future | Shape::BoxedFuture if function.is_async_block() => {
            let (unpolled, polled) = (quote!(#call.await_poll();), quote!(#call.polled();));
            if lent {
                let whole =
                    pinned(&function.output.shape, &private, quote!(#polled #before let #out = #body; #finish #out));
                quote!(#begun #unpolled #whole)
            } else {
                let whole = pinned(&function.output.shape, &private, quote!(#polled #before #awaited));
                quote!(#begun let #out = #body; #unpolled #whole)
            }
        }
        // The body makes the future now, and is over when that is.
        Shape::Future | Shape::BoxedFuture => {
            let whole = pinned(&function.output.shape, &private, awaited);
            quote!(#begun #before let #out = #body; #call.suspend(); #whole)
        }
    };
    quote! {
        #(#attrs)*
        #vis #defaultness #sig {
            static #site: #private::Site = #begin;
            #whole
        }
    }
}

/// An attribute of the function's. What it expects of lints it only allows: they look at the expansion, and may find nothing.
fn kept(attribute: &Attribute) -> Attribute {
    fn allowed(tokens: TokenStream) -> TokenStream {
        let allow = |token: TokenTree| match token {
            TokenTree::Ident(word) if word == "expect" => TokenTree::Ident(Ident::new("allow", Span::call_site())),
            token => token,
        };
        tokens.into_iter().map(allow).collect()
    }
    match &attribute.meta {
        Meta::List(list) if list.path.is_ident("expect") => {
            let lints = &list.tokens;
            parse_quote!(#[allow(#lints)])
        }
        Meta::List(list) if list.path.is_ident("cfg_attr") => {
            let attributes = allowed(list.tokens.clone());
            parse_quote!(#[cfg_attr(#attributes)])
        }
        _ => attribute.clone(),
    }
}

/// The future that the function returns.
fn pinned(shape: &Shape, private: &TokenStream, body: TokenStream) -> TokenStream {
    match shape {
        Shape::BoxedFuture => quote!(#private::Box::pin(async move { #body })),
        _ => quote!(async move { #body }),
    }
}

/// What has to be on record before the body runs.
fn before(plan: &Plan, call: &Ident, private: &TokenStream, function: &Function) -> TokenStream {
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

/// Returns the error that an attempt of the library's gave. What is wrong with its type belongs where the function's is written.
pub(crate) fn or_refused(
    plan: &Plan,
    function: &Function,
    private: &TokenStream,
    attempt: &TokenStream,
) -> TokenStream {
    let error = format_ident!("__audit_refusal", span = Span::mixed_site());
    let private = respanned(private, function.output.span());
    // Where the type has the name of a `Result`, the complaint is of its error alone.
    let name = if plan.fallible == Fallible::ByType { "refused_by_type" } else { "refused" };
    let name = Ident::new(name, function.output.span());
    let refused = quote_spanned!(function.output.span()=> #private::#name(#error));
    let result = quote!(#private::core::result::Result);
    quote!(if let #result::Err(#error) = #attempt { return #refused; })
}

fn begin(plan: &Plan, function: &Function, private: &TokenStream) -> TokenStream {
    let name = function.sig.ident.to_string();
    let literal = |event: Option<&EventType>| match event {
        Some(EventType::Literal(literal)) => quote!(#literal),
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
    quote! {
        #private::Site {
            function: #private::core::concat!(#private::core::module_path!(), "::", #name),
            event: #event,
            error_event: #error_event,
            entity: #entity,
            actor: #actor,
            intent: #intent,
            texts: #private::SiteTexts::new(),
        }
    }
}

/// What is evaluated before the body runs.
fn entry(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
    let call = &names.call;
    let mut steps = Vec::new();
    let constant = |method: TokenStream, event: &syn::Expr| {
        let event = checked_constant(private, event);
        quote!(#call.#method(#event);)
    };
    if let EventType::Constant(event) = &plan.event {
        steps.push(constant(quote!(event), event));
    }
    if let Some(EventType::Constant(event)) = &plan.err {
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
    if let Some(subject) = &plan.subject {
        steps.push(quote_spanned!(subject.span()=> #call.subject(&(#subject));));
    }
    for capture in &plan.captures {
        let name = &capture.name;
        let key = known_key(private, &key(name));
        let step = match capture.how {
            How::Redacted => quote!(#call.redacted(#key);),
            How::By(_) if !capture.plain.is_empty() => {
                let plain = &capture.plain;
                quote_spanned!(name.span()=> #call.serialize_with(#key, &#name, &[#(#plain),*]);)
            }
            How::By(way) => {
                let is_generic = function
                    .parameter_type(name)
                    .is_some_and(|ty| matches!(ty, Type::ImplTrait(_)) || function.is_generic(ty));
                let method = if is_generic && way == Way::Serialize {
                    Ident::new("serialize_generic", Span::call_site())
                } else {
                    method(way)
                };
                quote_spanned!(name.span()=> #call.#method(#key, &#name);)
            }
            How::Personal(way) => {
                let method = method(way);
                quote_spanned!(name.span()=> #call.personal().#method(#key, &#name);)
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
            let (key, method) = (known_key(private, &key(&field.name)), method(field.way));
            let personal = personal(plan, &field.name);
            // In parentheses the call has the span of its argument, and the compiler does not show the whole attribute.
            let (call, method) = (at(call, value.span()), at(&method, value.span()));
            steps.push(quote_spanned!(value.span()=> (#call #personal).#method(#key, &(#value));));
        }
    }
    for Change { key, value } in &plan.guarantees.changes {
        steps.push(quote_spanned!(value.span()=> #call.before(#key, &#value);));
    }
    if steps.is_empty() { quote!(|_| ()) } else { quote!(|#call| { #(#steps)* }) }
}

/// The user's own body, in a closure or an async block, so that `return` and `?` leave only it.
fn body(plan: &Plan, function: &Function, names: &Names, begun: &TokenStream) -> TokenStream {
    let Names { call, handover, .. } = names;
    let lent = &plan.guarantees.lent;
    let uses = |name: &Ident| plan.uses(name);
    let rebound = function.rebound(uses);
    // What is lent to the body is the attribute's again once that has ended.
    let parameters = &lent.parameters;
    let reborrowed = quote!(#(#[allow(clippy::shadow_same)] let #parameters = &mut *#parameters;)*);
    // A receiver is lent by not moving it.
    let moving = (!lent.receiver).then(|| quote!(move));
    // A synchronous body takes its arguments by binding them once more, so that one that can be copied is copied once.
    let moving_self = moving.clone().filter(|_| function.owns_self());
    match function.output.shape {
        Shape::Sync if function.output.is_never() => {
            let body = function.body(uses);
            return quote!(#call.run({ #reborrowed #moving_self || -> ! { #rebound #body } }));
        }
        Shape::Async => {
            let (body, typed) = (function.body(uses), typed(function.output.known(), function, names));
            return quote!(#handover.run_async({
                let #handover = &#handover;
                #reborrowed
                async #moving { #typed #begun #rebound #body }
            }).await);
        }
        Shape::Future | Shape::BoxedFuture if lent.any() => {
            // It is nothing but an async block, which takes what it uses: no more is done to it than has to be.
            let block = function.async_block(uses, lent.receiver);
            let typed = typed(function.output.known_value(), function, names);
            let locals = function.lent_and_mutable(parameters, &block);
            return quote!(#call.run_async({ #locals async #moving { #typed #block } }).await);
        }
        _ => {}
    }
    let body = function.body(uses);
    let typed = typed(function.output.known(), function, names);
    quote!(#call.run({ #reborrowed #moving_self || { #typed #rebound #body } }))
}

/// Tells the type of the body before the compiler reads it: conversions and errors are then the user's own.
fn typed(output: Option<syn::Type>, function: &Function, names: &Names) -> Option<TokenStream> {
    let out = &names.out;
    output.map(|output| {
        quote_spanned! {function.output.span()=>
            #[allow(unreachable_code, clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction)]
            if false {
                let #out: #output = loop {};
                return #out;
            }
        }
    })
}

pub(crate) fn key(name: &Ident) -> String {
    name.to_string().trim_start_matches("r#").to_owned()
}

/// A key that the compiler makes ready to be written.
pub(crate) fn known_key(private: &TokenStream, key: &str) -> TokenStream {
    quote!(const { &#private::Key::new(#key) })
}

pub(crate) fn method(way: Way) -> Ident {
    Ident::new(
        match way {
            Way::Serialize => "serialize",
            Way::Display => "display",
            Way::Debug => "debug",
        },
        Span::call_site(),
    )
}

/// A constant that is checked at compile time to be an event type. An item is checked even if the function is never used, but
/// cannot name the type parameters around it. Its complaint belongs at the constant.
pub(crate) fn checked_constant(private: &TokenStream, event: &syn::Expr) -> TokenStream {
    let (at, private) = (event.span(), respanned(private, event.span()));
    if is_associated(event) {
        quote_spanned!(at=> const { #private::checked_event_type(#event) })
    } else {
        let name = format_ident!("__AUDIT_EVENT", span = at.resolved_at(Span::mixed_site()));
        quote_spanned!(at=> { const #name: &#private::core::primitive::str = #private::checked_event_type(#event); #name })
    }
}

/// Whether a path leads through a type, as in `Self::EVENT`.
fn is_associated(path: &syn::Expr) -> bool {
    let syn::Expr::Path(path) = path else {
        return true;
    };
    let segments = &path.path.segments;
    let through_a_type = |segment: &syn::PathSegment| segment.ident.to_string().starts_with(char::is_uppercase);
    path.qself.is_some() || segments.iter().rev().skip(1).any(through_a_type)
}

/// A name of the expansion's own as if it stood at `span`.
pub(crate) fn at(name: &Ident, span: Span) -> Ident {
    Ident::new(&name.to_string(), span.resolved_at(name.span()))
}

/// A path as if it were written at `span`, in the expansion's own context; `$crate` keeps its own.
pub(crate) fn resolved(path: &TokenStream, span: Span) -> TokenStream {
    let token = |mut token: TokenTree| {
        if !matches!(&token, TokenTree::Ident(word) if word == "$crate") {
            token.set_span(span);
        }
        token
    };
    path.clone().into_iter().map(token).collect()
}

/// Tokens as if they stood at `span`.
pub(crate) fn respanned(tokens: &TokenStream, span: Span) -> TokenStream {
    let token = |token: TokenTree| {
        let at = span.resolved_at(token.span());
        let mut token = match token {
            TokenTree::Group(group) => {
                TokenTree::Group(Group::new(group.delimiter(), respanned(&group.stream(), span)))
            }
            token => token,
        };
        token.set_span(at);
        token
    };
    tokens.clone().into_iter().map(token).collect()
}
