//! The code that runs once the body has returned: the outcome, and the captures of an error.

use super::success::{by_default, success};
use super::vocabulary::{Names, in_closures, known_key, or_refused};
use crate::args::{Format, Shown, Value};
use crate::event_type::EventType;
use crate::fallible::Fallible;
use crate::function::Function;
use crate::guarantee::Change;
use crate::output::{Response, Shape};
use crate::plan::Plan;
use crate::syntax::{at, own_span, resolved, respanned};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ExprClosure;
use syn::spanned::Spanned as _;

/// Emits the code that runs once the body has returned.
pub(super) fn finish(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { call, out, value, error, .. } = names;
    let responded = responded(plan, function, names, private);
    let changes = plan.guarantees.changes.iter();
    let changed = changes.map(|Change { key, value }| quote_spanned!(value.span()=> #call.after(#key, &#value);));
    let changed = quote!(#(#changed)*);
    let changed = (!changed.is_empty()).then(|| quote!(#call.capture(|#call| { #changed });));
    let success = by_default(plan, function, names, private).unwrap_or_else(|| {
        let success = success(plan, function, names, private);
        let finished = plan.guarantees.tx.is_none().then(|| quote!(#call.finish_ok();));
        quote!(#call.capture(|#call| { #success }); #finished)
    });
    if plan.fallible.is_none() {
        return quote!(#responded #changed { let #value = &#out; #success });
    }
    let returned = returned(function, names, private);
    let result = quote!(#private::core::result::Result);
    let failure = failure(plan, function, names, private);
    let Some(tx) = &plan.guarantees.tx else {
        return quote! {
            #responded
            #changed
            match #returned {
                #result::Ok(#value) => { #success }
                #result::Err(#error) => { #failure }
            }
        };
    };
    let ok = format_ident!("__audit_ok", span = Span::mixed_site());
    let inserting = at(call, tx.span());
    // In parentheses the call has the span of its argument, and the compiler does not complain of
    // both.
    let inserted = match function.output.shape {
        Shape::Sync => quote_spanned!(tx.span()=> (#inserting).finish_in_blocking(#tx)),
        _ => quote_spanned!(tx.span()=> (#inserting).finish_in(#tx).await),
    };
    let inserted = or_refused(plan, function, private, &inserted);
    // The result is not borrowed while the row is inserted: it need not be `Sync`.
    quote! {
        #responded
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

/// The response that the value becomes, if axum's response implements the promised trait. The
/// compiler decides it by a type that asks for the trait.
fn responded(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> Option<TokenStream> {
    let out = &names.out;
    let (response, promised) = function.output.response().filter(|_| plan.responses)?;
    let respond = match response {
        Response::Value => quote!(respond),
        Response::Success => quote!(respond_ok),
    };
    Some(quote! {
        let #out = {
            #[allow(clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction)]
            {
                use #private::AsItIs as _;
                struct __AuditPromise<T>(#private::core::marker::PhantomData<T>);
                #[allow(dead_code)]
                impl<T: #promised> __AuditPromise<T> {
                    fn respond<R: #private::IntoResponse>(self, returned: R) -> #private::Response {
                        #private::into_response(returned)
                    }
                    fn respond_ok<R: #private::IntoResponse, E>(
                        self,
                        returned: #private::core::result::Result<R, E>,
                    ) -> #private::core::result::Result<#private::Response, E> {
                        #private::ok_into_response(returned)
                    }
                }
                __AuditPromise(#private::core::marker::PhantomData::<#private::Response>).#respond(#out)
            }
        };
    })
}

/// The success value or the error. A complaint about the type belongs where that is written.
fn returned(function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { call, out, .. } = names;
    let span = function.output.span();
    respanned(&quote!(#private::returned(&#out).audited_split(&mut #call)), span)
}

/// Emits questions to the compiler about the error's type, where the attribute does not know it.
/// Its complaints belong at the user's tokens.
fn demands(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { out, error, .. } = names;
    let event = match &plan.err {
        Some(EventType::Late(_)) => None,
        // With `ok` there are failures without an `Err`.
        Some(_) if plan.ok.is_some() => None,
        Some(EventType::Literal(event)) => Some((quote!(ends_in_error(&#out)), event.span())),
        Some(EventType::Constant(event)) => Some((quote!(ends_in_error(&#out)), event.span())),
        None => match &plan.event {
            EventType::Late(event) => Some((quote!(no_error(#error)), event.span())),
            _ => None,
        },
    };
    // A closure over the error demands one by itself.
    let shown = plan.error.as_ref().filter(|(_, shown)| !matches!(shown, Shown::Late(_)));
    let shown = shown.map(|(word, _)| (quote!(fails(&#out)), word.span()));
    let beside =
        plan.captures.iter().find(|capture| capture.name == "error" && !matches!(plan.error, Some((_, Shown::Skip))));
    let beside = beside.map(|capture| (quote!(no_error_beside(#error)), capture.name.span()));
    let demands = [event, shown, beside].into_iter().flatten().filter(|_| plan.fallible != Fallible::Said);
    // Where only the caller knows the type, it is taken at its word.
    let said = (plan.fallible == Fallible::Said && !function.returns_parameter())
        .then(|| (quote!(fallible(&#out)), function.output.span()));
    let demands = demands.chain(said);
    let demands = demands.map(|(demand, span)| respanned(&quote!(#private::#demand;), span));
    quote!(#(#demands)*)
}

/// Emits the code that captures an error, and records its return.
fn failure(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { call, out, error, .. } = names;
    let demands = demands(plan, function, names, private);
    let late = |closure: &ExprClosure| {
        // All of one span: the compiler does not complain of the same twice.
        let span = own_span(closure);
        let (private, out, error) = (resolved(private, span), at(out, span), at(error, span));
        quote_spanned!(span=> #private::late_error(&#out, #error, #closure))
    };
    let event = match &plan.err {
        Some(EventType::Late(event)) => {
            let event_of = late(event);
            let (span, call) = (own_span(event), at(call, event.span()));
            Some(quote_spanned!(span=> #call.error_event(#event_of);))
        }
        _ => None,
    };
    let id = match &plan.err_id {
        Some(Value::Late(id)) => {
            let id_of = late(id);
            let (span, call) = (own_span(id), at(call, id.span()));
            Some(quote_spanned!(span=> #call.entity_id(#id_of);))
        }
        _ => None,
    };
    let shown = match plan.error.as_ref().map(|(_, shown)| shown) {
        None | Some(Shown::As(Format::Serialize)) if event.is_none() && id.is_none() => {
            return quote!(#demands #private::described(#error).audited_end(&mut #call););
        }
        None | Some(Shown::As(Format::Serialize)) => quote!(#private::described(#error).audited_capture(#call);),
        Some(Shown::Skip) => quote!(let _ = #error;),
        Some(Shown::As(format)) => {
            // A complaint about the error's type belongs at the word that asks for its text.
            let word = plan.error.as_ref().map_or_else(Span::call_site, |(word, _)| word.span());
            let text = Ident::new(if *format == Format::Debug { "by_debug" } else { "by_display" }, Span::call_site());
            let text = respanned(&quote!(#private::ErrorText::#text(#error)), word);
            quote!(#call.error(&|| #text);)
        }
        Some(Shown::Late(closure)) => {
            let (key, shown, call) = (known_key(private, "error"), late(closure), at(call, closure.span()));
            let span = own_span(closure);
            quote_spanned!(span=> #call.serialize(#key, &#shown);)
        }
    };
    let allowed = in_closures();
    quote! {
        #demands
        #call.capture(|#call| {
            #allowed
            { #event #id #shown }
        });
        #call.finish_error();
    }
}
