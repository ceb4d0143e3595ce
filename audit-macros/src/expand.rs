//! The code that is emitted: the signature as it was, and a body that calls the runtime around the user's own.

use crate::args::{ResultCapture, Value, Way};
use crate::check::{EventType, How, Plan, Text};
use crate::function::Function;
use crate::guarantee::{Before, Change};
use crate::output::Shape;
use crate::personal::personal;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;

/// Names of the expansion's own: user code can neither see nor shadow them.
struct Names {
    call: Ident,
    site: Ident,
    out: Ident,
    value: Ident,
    error: Ident,
}

impl Names {
    fn new() -> Self {
        let name = |name: &str| format_ident!("__audit_{}", name, span = Span::mixed_site());
        Self { call: name("call"), site: name("SITE"), out: name("out"), value: name("value"), error: name("error") }
    }
}

pub(crate) fn expand(plan: &Plan, function: &Function) -> TokenStream {
    let names = Names::new();
    let Names { call, site, out, .. } = &names;
    let krate = &plan.krate;
    let private = quote!(#krate::__private);
    let attrs = &function.attrs;
    let vis = &function.vis;
    let defaultness = &function.defaultness;
    let sig = function.outer_signature();
    let begin = begin(plan, function, &private);
    let entry = entry(plan, &names, &private);
    let body = body(plan, function, &names);
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
    let begun = quote!(let mut #call = #begun;);
    // The type is told before the error's is asked for: an async block need not know it by itself.
    let value = function.output.known_value().map(|value| quote!(: #value));
    let awaited = quote!(let #out #value = #call.run_async(#out).await; #finish #out);
    let whole = match function.output.shape {
        // It can only end by a panic, of which the call's drop tells.
        Shape::Sync | Shape::Async if function.output.is_never() => quote!(#begun #before #body),
        Shape::Sync | Shape::Async => quote!(#begun #before let #out = #body; #finish #out),
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
            quote!(#begun #before let #out = #body; #whole)
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
            or_refused(function, private, &recorded)
        }
    }
}

/// Returns the error that an attempt of the library's gave. What is wrong with its type belongs where the function's is written.
fn or_refused(function: &Function, private: &TokenStream, attempt: &TokenStream) -> TokenStream {
    let error = format_ident!("__audit_refusal", span = Span::mixed_site());
    let private = respanned(private, function.output.span());
    let refused = quote_spanned!(function.output.span()=> #private::refused(#error));
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
fn entry(plan: &Plan, names: &Names, private: &TokenStream) -> TokenStream {
    let call = &names.call;
    let mut steps = Vec::new();
    let constant = |method: TokenStream, event: &syn::Expr| {
        let check = check_constant(private, event);
        quote!(#check #call.#method(#event);)
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
    if let Value::Early(id) = &plan.id {
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
            How::By(way) => {
                let method = method(way);
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
            steps.push(quote_spanned!(value.span()=> #call #personal.#method(#key, &(#value));));
        }
    }
    for Change { key, value } in &plan.guarantees.changes {
        steps.push(quote_spanned!(value.span()=> #call.before(#key, &#value);));
    }
    if steps.is_empty() { quote!(|_| ()) } else { quote!(|#call| { #(#steps)* }) }
}

/// The user's own body, in a closure or an async block, so that `return` and `?` leave only it.
fn body(plan: &Plan, function: &Function, names: &Names) -> TokenStream {
    let call = &names.call;
    let lent = &plan.guarantees.lent;
    let uses = |name: &Ident| plan.uses(name);
    let rebound = function.rebound(uses);
    // What is lent to the body is the attribute's again once that has ended.
    let parameters = &lent.parameters;
    let reborrowed = quote!(#(#[allow(clippy::shadow_same)] let #parameters = &mut *#parameters;)*);
    // A receiver is lent by not moving it.
    let moving = (!lent.receiver).then(|| quote!(move));
    match function.output.shape {
        Shape::Sync if function.output.is_never() => {
            let body = function.body(uses);
            return quote!(#call.run({ #reborrowed #moving || -> ! { #rebound #body } }));
        }
        Shape::Async => {
            let (body, typed) = (function.body(uses), typed(function.output.known(), function, names));
            return quote!(#call.run_async({ #reborrowed async #moving { #typed #rebound #body } }).await);
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
    quote!(#call.run({ #reborrowed #moving || { #typed #rebound #body } }))
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

/// What is evaluated once the body has returned.
fn finish(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { call, out, value, error, .. } = names;
    let success = success(plan, function, names, private);
    let changes = plan.guarantees.changes.iter();
    let changed = changes.map(|Change { key, value }| quote_spanned!(value.span()=> #call.after(#key, &#value);));
    let changed = quote!(#(#changed)*);
    let changed = (!changed.is_empty()).then(|| quote!(#call.capture(|#call| { #changed });));
    if !plan.fallible {
        return quote! {
            #changed
            #call.capture(|#call| { let #value = &#out; #success });
            #call.finish_ok();
        };
    }
    let error_event = match &plan.err {
        Some(EventType::Late(event)) => {
            let event = late(private, error, event);
            quote!(#[allow(clippy::implicit_return)] #call.error_event(#event);)
        }
        _ => TokenStream::new(),
    };
    // That the type is no `Result` is told where it is written.
    let mut shown = out.clone();
    shown.set_span(function.output.span().resolved_at(out.span()));
    let shown = quote_spanned!(function.output.span()=> &#shown);
    let result = quote!(#private::core::result::Result);
    let success = quote!(#call.capture(|#call| { #success }););
    let failure = quote! {
        #call.capture(|#call| {
            #error_event
            #call.error(&|| {
                use #private::{ByDebug as _, ByDisplay as _, ByDyn as _, ByError as _, BySend as _, BySendSync as _, ByTypeName as _};
                (&&&&&&&#private::Described(#error)).describe()
            });
        });
    };
    let Some(tx) = &plan.guarantees.tx else {
        return quote! {
            #changed
            match #private::as_result(#shown) {
                #result::Ok(#value) => { #success #call.finish_ok(); }
                #result::Err(#error) => { #failure #call.finish_error(); }
            }
        };
    };
    let ok = format_ident!("__audit_ok", span = Span::mixed_site());
    let inserted = quote_spanned!(tx.span()=> #call.finish_in(#tx).await);
    let inserted = or_refused(function, private, &inserted);
    // The result is not borrowed while the row is inserted: it need not be `Sync`.
    quote! {
        #changed
        let #ok = match #private::as_result(#shown) {
            #result::Ok(#value) => { #success true }
            #result::Err(#error) => { #failure false }
        };
        if #ok {
            #inserted
        } else {
            #call.finish_error();
        }
    }
}

fn success(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { call, value, .. } = names;
    // A complaint about the value's type belongs where the type is written.
    let mut shown = value.clone();
    shown.set_span(function.output.success_span().resolved_at(value.span()));
    let mut steps = Vec::new();
    if let EventType::Late(event) = &plan.event {
        let event = late(private, value, event);
        steps.push(quote!(#call.event(#event);));
    }
    if let Value::Late(id) = &plan.id {
        let id_of = late(private, value, id);
        steps.push(quote!(#call.entity_id(#id_of);));
    }
    for field in &plan.fields {
        if let Value::Late(closure) = &field.value
            && !plan.redacted.contains(&field.name)
        {
            let (key, method) = (known_key(private, &key(&field.name)), method(field.way));
            let (personal, value) = (personal(plan, &field.name), late(private, value, closure));
            steps.push(quote_spanned!(closure.span()=> #call #personal.#method(#key, &#value);));
        }
    }
    let personal = personal(plan, &Ident::new("result", Span::call_site()));
    let key = known_key(private, "result");
    steps.push(match &plan.result {
        ResultCapture::Skip => quote!(let _ = #value;),
        ResultCapture::By(Way::Serialize) => quote!(#call #personal.result(#shown);),
        ResultCapture::By(way) => {
            let method = method(*way);
            quote!(#call #personal.#method(#key, #shown);)
        }
        ResultCapture::Late(closure) => {
            let value = late(private, value, closure);
            quote_spanned!(closure.span()=> #call #personal.serialize(#key, &#value);)
        }
    });
    let steps = match &plan.when {
        Some(Value::Late(when)) => {
            let when = late(private, value, when);
            quote!(if #when { #(#steps)* } else { #call.discard(); })
        }
        _ => quote!(#(#steps)*),
    };
    // A closure in an attribute is no place for `return`.
    quote!(#[allow(clippy::implicit_return)] { #steps })
}

/// What a closure makes of a value; what is wrong with that is told at the closure.
fn late(private: &TokenStream, value: &Ident, closure: &syn::ExprClosure) -> TokenStream {
    let private = respanned(private, closure.span());
    quote_spanned!(closure.span()=> #private::late(#value, #closure))
}

pub(crate) fn key(name: &Ident) -> String {
    name.to_string().trim_start_matches("r#").to_owned()
}

/// A key that the compiler makes ready to be written.
fn known_key(private: &TokenStream, key: &str) -> TokenStream {
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

/// Checks at compile time that a constant is an event type. An item is checked even if the function is never used, but
/// cannot name the type parameters around it. Its complaint belongs at the constant.
pub(crate) fn check_constant(private: &TokenStream, event: &syn::Expr) -> TokenStream {
    let private = respanned(private, event.span());
    if is_associated(event) {
        quote_spanned!(event.span()=> const { #private::check_event_type(#event) };)
    } else {
        quote_spanned!(event.span()=> const _: () = #private::check_event_type(#event);)
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

/// The tokens of a path, as if they stood at `span`.
fn respanned(path: &TokenStream, span: Span) -> TokenStream {
    path.clone()
        .into_iter()
        .map(|mut token| {
            token.set_span(span.resolved_at(token.span()));
            token
        })
        .collect()
}
