//! The code that is emitted: the signature as it was, and a body that calls the runtime around the user's own.

use crate::args::{ResultCapture, Value, Way};
use crate::check::{EventType, How, Plan, Text};
use crate::function::Function;
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
    let finish = finish(plan, &names, &private);
    let rest = if function.returns_never() {
        // It can only end by a panic, of which the call's drop tells.
        quote!(#body)
    } else {
        quote!(let #out = #body; #finish #out)
    };
    quote! {
        #(#attrs)*
        #vis #defaultness #sig {
            static #site: #private::Site = #begin;
            let mut #call = #private::Call::begin(&#site);
            #entry
            #rest
        }
    }
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
    quote! {
        #private::Site {
            function: #private::core::concat!(#private::core::module_path!(), "::", #name),
            event: #event,
            error_event: #error_event,
            entity: #entity,
            actor: #actor,
        }
    }
}

/// What is evaluated before the body runs.
fn entry(plan: &Plan, names: &Names, private: &TokenStream) -> TokenStream {
    let call = &names.call;
    let mut steps = Vec::new();
    let constant = |method: TokenStream, event: &syn::Expr| {
        // An item is checked even if the function is never used, but cannot name the type parameters around it.
        // Its complaint belongs at the constant.
        let private = respanned(private, event.span());
        let check = if is_associated(event) {
            quote_spanned!(event.span()=> const { #private::check_event_type(#event) };)
        } else {
            quote_spanned!(event.span()=> const _: () = #private::check_event_type(#event);)
        };
        quote!(#check #call.#method(#event);)
    };
    if let EventType::Constant(event) = &plan.event {
        steps.push(constant(quote!(event), event));
    }
    if let Some(EventType::Constant(event)) = &plan.err {
        steps.push(constant(quote!(error_event), event));
    }
    if let Text::Expr(entity) = &plan.entity {
        steps.push(quote!(#call.entity(#entity);));
    }
    if let Some(Text::Expr(actor)) = &plan.actor {
        steps.push(quote!(#call.actor(&(#actor));));
    }
    if let Value::Early(id) = &plan.id {
        steps.push(quote_spanned!(id.span()=> #call.entity_id(&(#id));));
    }
    for capture in &plan.captures {
        let name = &capture.name;
        let key = key(name);
        steps.push(match capture.how {
            How::Redacted => quote!(#call.redacted(#key);),
            How::By(way) => {
                let method = method(way);
                quote_spanned!(name.span()=> #call.#method(#key, &#name);)
            }
        });
    }
    for field in &plan.fields {
        if let Value::Early(value) = &field.value {
            let (key, method) = (key(&field.name), method(field.way));
            steps.push(quote_spanned!(value.span()=> #call.#method(#key, &(#value));));
        }
    }
    match &plan.when {
        Some(Value::Early(when)) => quote! {
            if #call.is_recording() && (#when) { #(#steps)* } else { #call.discard(); }
        },
        _ if steps.is_empty() => TokenStream::new(),
        _ => quote!(if #call.is_recording() { #(#steps)* }),
    }
}

/// The user's own body, in a closure or an async block, so that `return` and `?` leave only it.
fn body(plan: &Plan, function: &Function, names: &Names) -> TokenStream {
    let call = &names.call;
    let rebound = function.rebound(|name| plan.uses(name));
    let body = &function.body;
    // Tells the type of the body before the compiler reads it: conversions and errors are then the user's own.
    let typed = function.known_output().map(|output| {
        let out = &names.out;
        quote_spanned! {output.span()=>
            #[allow(unreachable_code, clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction)]
            if false {
                let #out: #output = loop {};
                return #out;
            }
        }
    });
    if function.sig.asyncness.is_some() {
        quote!(#call.run_async(async move { #typed #rebound #body }).await)
    } else if function.returns_never() {
        quote!(#call.run(move || -> ! { #rebound #body }))
    } else {
        quote!(#call.run(move || { #typed #rebound #body }))
    }
}

/// What is evaluated once the body has returned.
fn finish(plan: &Plan, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { call, out, value, error, .. } = names;
    let success = success(plan, names, private);
    if !plan.fallible {
        return quote! {
            if #call.is_recording() { let #value = &#out; #success }
            #call.finish_ok();
        };
    }
    let error_event = match &plan.err {
        Some(EventType::Late(event)) => quote!(#call.error_event(#private::late(#error, #event));),
        _ => TokenStream::new(),
    };
    quote! {
        match &#out {
            #private::core::result::Result::Ok(#value) => {
                if #call.is_recording() { #success }
                #call.finish_ok();
            }
            #private::core::result::Result::Err(#error) => {
                if #call.is_recording() {
                    #error_event
                    #call.error(|| {
                        use #private::{ByDebug as _, ByDisplay as _, ByDyn as _, ByError as _, BySend as _, BySendSync as _, ByTypeName as _};
                        (&&&&&&&#private::Described(#error)).describe()
                    });
                }
                #call.finish_error();
            }
        }
    }
}

fn success(plan: &Plan, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { call, value, .. } = names;
    let mut steps = Vec::new();
    if let EventType::Late(event) = &plan.event {
        steps.push(quote!(#call.event(#private::late(#value, #event));));
    }
    if let Value::Late(id) = &plan.id {
        steps.push(quote_spanned!(id.span()=> #call.entity_id(&#private::late(#value, #id));));
    }
    for field in &plan.fields {
        if let Value::Late(late) = &field.value {
            let (key, method) = (key(&field.name), method(field.way));
            steps.push(quote_spanned!(late.span()=> #call.#method(#key, &#private::late(#value, #late));));
        }
    }
    steps.push(match &plan.result {
        ResultCapture::Skip => quote!(let _ = #value;),
        ResultCapture::By(Way::Serialize) => quote!(#call.result(#value);),
        ResultCapture::By(way) => {
            let method = method(*way);
            quote!(#call.#method("result", #value);)
        }
        ResultCapture::Late(late) => quote!(#call.serialize("result", &#private::late(#value, #late));),
    });
    match &plan.when {
        Some(Value::Late(when)) => quote! {
            if #private::late(#value, #when) { #(#steps)* } else { #call.discard(); }
        },
        _ => quote!(#(#steps)*),
    }
}

fn key(name: &Ident) -> String {
    name.to_string().trim_start_matches("r#").to_owned()
}

fn method(way: Way) -> Ident {
    Ident::new(
        match way {
            Way::Serialize => "serialize",
            Way::Display => "display",
            Way::Debug => "debug",
        },
        Span::call_site(),
    )
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
