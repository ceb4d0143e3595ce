//! The code that runs once the body has returned: which outcome it was, and what of it is captured.

use crate::args::{ResultCapture, Value, Way};
use crate::check::{EventType, Fallible, Plan};
use crate::expand::{Names, key, known_key, method, or_refused, respanned};
use crate::function::Function;
use crate::guarantee::Change;
use crate::personal::personal;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ExprClosure;
use syn::spanned::Spanned;

/// What is evaluated once the body has returned.
pub(crate) fn finish(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { call, out, value, error, .. } = names;
    let success = success(plan, function, names, private);
    let changes = plan.guarantees.changes.iter();
    let changed = changes.map(|Change { key, value }| quote_spanned!(value.span()=> #call.after(#key, &#value);));
    let changed = quote!(#(#changed)*);
    let changed = (!changed.is_empty()).then(|| quote!(#call.capture(|#call| { #changed });));
    if plan.fallible.is_none() {
        return quote! {
            #changed
            #call.capture(|#call| { let #value = &#out; #success });
            #call.finish_ok();
        };
    }
    let returned = returned(plan, function, names, private);
    let (result, success) = (quote!(#private::core::result::Result), quote!(#call.capture(|#call| { #success });));
    let failure = failure(plan, names, private);
    let Some(tx) = &plan.guarantees.tx else {
        return quote! {
            #changed
            match #returned {
                #result::Ok(#value) => { #success #call.finish_ok(); }
                #result::Err(#error) => { #failure #call.finish_error(); }
            }
        };
    };
    let ok = format_ident!("__audit_ok", span = Span::mixed_site());
    let inserted = quote_spanned!(tx.span()=> #call.finish_in(#tx).await);
    let inserted = or_refused(plan, function, private, &inserted);
    // The result is not borrowed while the row is inserted: it need not be `Sync`.
    quote! {
        #changed
        let #ok = match #returned {
            #result::Ok(#value) => { #success #call.is_ok() }
            #result::Err(#error) => { #failure false }
        };
        if #ok {
            #inserted
        } else {
            #call.finish_error();
        }
    }
}

/// The success value or the error. A complaint about the type belongs where that is written.
fn returned(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { call, out, .. } = names;
    let span = function.output.span();
    if plan.fallible == Fallible::Said {
        let mut shown = out.clone();
        shown.set_span(span.resolved_at(out.span()));
        let shown = quote_spanned!(span=> &#shown);
        return quote!(#private::as_result(#shown));
    }
    let split = respanned(&quote!(#private::Returned(&#out).split(&mut #call)), span);
    quote!({
        use #private::{ByFuture as _, ByName as _, BySerialize as _};
        #split
    })
}

/// What is captured of an error.
fn failure(plan: &Plan, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { call, out, error, .. } = names;
    let mut demands = Vec::new();
    let mut demand = |demand: TokenStream, span: Span| demands.push(respanned(&demand, span));
    let error_event = match &plan.err {
        Some(EventType::Late(event)) => {
            let (private, shown) = (respanned(private, event.span()), respanned(&quote!(&#out), event.span()));
            let event = quote_spanned!(event.span()=> #call.error_event(#private::late_error(#shown, #error, #event)););
            quote!(#[allow(clippy::implicit_return)] #event)
        }
        Some(EventType::Literal(event)) => {
            demand(quote!(#private::fails(&#out);), event.span());
            TokenStream::new()
        }
        Some(EventType::Constant(event)) => {
            demand(quote!(#private::fails(&#out);), event.span());
            TokenStream::new()
        }
        None => {
            if let EventType::Late(event) = &plan.event {
                demand(quote!(#private::no_error(#error);), event.span());
            }
            TokenStream::new()
        }
    };
    if let Some(capture) = plan.captures.iter().find(|capture| capture.name == "error") {
        demand(quote!(#private::no_error_beside(#error);), capture.name.span());
    }
    if plan.fallible == Fallible::Said {
        demands.clear();
    }
    quote! {
        #(#demands)*
        #call.capture(|#call| {
            #error_event
            #call.error(&|| {
                use #private::{ByDebug as _, ByDisplay as _, ByDyn as _, ByError as _, BySend as _, BySendSync as _, ByTypeName as _};
                (&&&&&&&#private::Described(#error)).describe()
            });
        });
    }
}

/// What is captured of a success value.
fn success(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { call, value, .. } = names;
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
    steps.push(result(plan, function, names, private));
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

fn result(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { call, value, .. } = names;
    let key = known_key(private, "result");
    let personal = personal(plan, &Ident::new("result", Span::call_site()));
    // A complaint about the value's type belongs where the type is written.
    let span = function.output.success_span();
    match &plan.result {
        ResultCapture::Skip => quote!(let _ = #value;),
        ResultCapture::By(Way::Serialize) => {
            let call = if personal.is_some() { quote!(#call.personal()) } else { quote!(#call) };
            let shown = respanned(&quote!(#private::Shown(#value)), span);
            quote!({ use #private::ByCapture as _; #shown.capture(#call); })
        }
        ResultCapture::By(way) => {
            let method = method(*way);
            let shown = respanned(&quote!(&#value), span);
            quote!(#call #personal.#method(#key, #shown);)
        }
        ResultCapture::Late(closure) => {
            let value = late(private, value, closure);
            quote_spanned!(closure.span()=> #call #personal.serialize(#key, &#value);)
        }
    }
}

/// What a closure makes of a value; what is wrong with that is told at the closure.
fn late(private: &TokenStream, value: &Ident, closure: &ExprClosure) -> TokenStream {
    let private = respanned(private, closure.span());
    quote_spanned!(closure.span()=> #private::late(#value, #closure))
}
