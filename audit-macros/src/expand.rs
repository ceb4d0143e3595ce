//! The code that is emitted: the signature as it was, and a body that calls the runtime around the
//! user's own.

mod about;
mod body;
mod entry;
mod finish;
mod success;
mod vocabulary;

pub(crate) use vocabulary::{checked_constant, method};

use crate::args::Value;
use crate::function::Function;
use crate::output::Shape;
use crate::plan::Plan;
use body::body;
use entry::{before, entry, known_site};
use finish::finish;
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, Meta, parse_quote};
use vocabulary::Names;

/// Emits the annotated function.
pub(crate) fn expand(plan: &Plan, function: &Function) -> TokenStream {
    let names = Names::new();
    let Names { call, site, handover, out, .. } = &names;
    let krate = &plan.krate;
    let private = quote!(#krate::__private);
    let attrs = function.attrs.iter().map(kept);
    let vis = &function.vis;
    let defaultness = &function.defaultness;
    let sig = function.outer_signature();
    let known = known_site(plan, function, site, &private);
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
    let handed = match (before.is_empty(), &plan.recorder, &plan.when) {
        (true, None, None | Some(Value::Late(_))) => quote!(#handover.begin(&#site, #entry);),
        (true, ..) => quote!(#handover.put(#begun);),
        (false, ..) => quote!(let mut #call = #begun; #before #handover.put(#call);),
    };
    let begun = quote!(let mut #call = #begun;);
    let body = match function.output.shape {
        // The body begins the call itself: what it looks at, it has.
        Shape::Async => body(plan, function, &names, &handed),
        _ => body(plan, function, &names, &TokenStream::new()),
    };
    let place = quote!(let mut #handover = #private::Handover::new(););
    // The type is stated before the error's is asked for, because an async block need not know it
    // by itself.
    let value = function.output.known_value().map(|value| quote!(: #value));
    let awaited = quote!(let #out #value = #call.run_async(#out).await; #finish #out);
    let whole = match function.output.shape {
        // It can only end by a panic, which the call's drop records.
        Shape::Sync if function.output.is_never() => quote!(#begun #before #body),
        Shape::Sync => quote!(#begun #before let #out = #body; #finish #out),
        Shape::Async if function.output.is_never() => quote!(#place #body),
        Shape::Async => quote!(#place let #out = #body; let mut #call = #handover.call(); #finish #out),
        // A former async fn begins when it is polled, as it would have: in the scope in which it is
        // awaited.
        Shape::BoxedFuture if function.is_async_trait() => {
            let ended = if lent { quote!(#finish #out) } else { awaited };
            quote!(#private::Box::pin(async move { #begun #before let #out = #body; #ended }))
        }
        // A mere async block that is dropped before it is polled does not count as a call.
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
            #known
            #whole
        }
    }
}

/// Returns an attribute of the function's, with `allow` for `expect`: lints look at the expansion,
/// and may find nothing.
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

/// Emits the future that the function returns.
fn pinned(shape: &Shape, private: &TokenStream, body: TokenStream) -> TokenStream {
    match shape {
        Shape::BoxedFuture => quote!(#private::Box::pin(async move { #body })),
        _ => quote!(async move { #body }),
    }
}
