//! The code that runs once the body has returned: which outcome it was, and what of it is captured.

use crate::args::{Shown, Value, Way};
use crate::check::{EventType, Plan};
use crate::expand::{Names, at, key, known_key, method, or_refused, resolved, respanned};
use crate::fallible::Fallible;
use crate::function::Function;
use crate::guarantee::Change;
use crate::output::Response;
use crate::personal::personal;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ExprClosure;
use syn::spanned::Spanned;

/// Emits the code that runs once the body has returned.
pub(crate) fn finish(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { call, out, value, error, .. } = names;
    let responded = responded(plan, function, names, private);
    let success = success(plan, function, names, private);
    let changes = plan.guarantees.changes.iter();
    let changed = changes.map(|Change { key, value }| quote_spanned!(value.span()=> #call.after(#key, &#value);));
    let changed = quote!(#(#changed)*);
    let changed = (!changed.is_empty()).then(|| quote!(#call.capture(|#call| { #changed });));
    if plan.fallible.is_none() {
        return quote! {
            #responded
            #changed
            #call.capture(|#call| { let #value = &#out; #success });
            #call.finish_ok();
        };
    }
    let returned = returned(function, names, private);
    let (result, success) = (quote!(#private::core::result::Result), quote!(#call.capture(|#call| { #success });));
    let failure = failure(plan, function, names, private);
    let Some(tx) = &plan.guarantees.tx else {
        return quote! {
            #responded
            #changed
            match #returned {
                #result::Ok(#value) => { #success #call.finish_ok(); }
                #result::Err(#error) => { #failure #call.finish_error(); }
            }
        };
    };
    let ok = format_ident!("__audit_ok", span = Span::mixed_site());
    let inserting = at(call, tx.span());
    // In parentheses the call has the span of its argument, and the compiler does not complain of both.
    let inserted = quote_spanned!(tx.span()=> (#inserting).finish_in(#tx).await);
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

/// The response that the value becomes, if the trait that is promised is one that axum's response has: the compiler knows by a type that
/// asks for it.
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
    let split = respanned(&quote!(#private::Returned(&#out).split(&mut #call)), span);
    quote!({
        use #private::{ByFuture as _, ByName as _, BySerialize as _};
        #split
    })
}

/// Emits questions to the compiler about the error's type, where the attribute does not know it. Its complaints belong at the user's tokens.
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

/// Emits the code that captures an error.
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
        None | Some(Shown::By(Way::Serialize)) => quote! {
            #call.error(&|| {
                use #private::{ByDebug as _, ByDisplay as _, ByDyn as _, ByError as _, BySend as _, BySendSync as _, ByTypeName as _};
                (&&&&&&&&#private::Described(#error)).describe()
            });
        },
        Some(Shown::Skip) => quote!(let _ = #error;),
        Some(Shown::By(way)) => {
            // A complaint about the error's type belongs at the word that asks for its text.
            let word = plan.error.as_ref().map_or_else(Span::call_site, |(word, _)| word.span());
            let text = Ident::new(if *way == Way::Debug { "by_debug" } else { "by_display" }, Span::call_site());
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
    }
}

/// Emits the code that captures a success value.
fn success(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
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
    for field in &plan.fields {
        if let Value::Late(closure) = &field.value
            && !plan.redacted.contains(&field.name)
        {
            let (key, method) = (known_key(private, &key(&field.name)), method(field.way));
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
        None if !plan.fallible.is_none() => Some(quote!({
            use #private::{ByOutcome as _, ByResult as _, ByTypeOutcome as _};
            #private::Shown(#value).outcome(#call);
        })),
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

/// Silences lints that ask for `return` in a closure, or for a path in its place: the attribute takes closures alone.
fn in_closures() -> TokenStream {
    quote!(#[allow(clippy::implicit_return, clippy::redundant_closure, clippy::redundant_closure_for_method_calls)])
}

fn result(plan: &Plan, function: &Function, names: &Names, private: &TokenStream) -> TokenStream {
    let Names { call, value, .. } = names;
    let key = known_key(private, "result");
    let personal = personal(plan, &Ident::new("result", Span::call_site()));
    // A complaint about the value's type belongs where the type is written.
    let span = function.output.success_span();
    match &plan.result {
        Shown::Skip => quote!(let _ = #value;),
        // Of an opaque type nothing else is known.
        Shown::By(Way::Serialize) if plan.responses && function.output.response().is_some() => quote!({
            use #private::ByResponse as _;
            #private::Shown(#value).capture_status(#call);
        }),
        Shown::By(Way::Serialize) => {
            let call = if personal.is_some() { quote!(#call.personal()) } else { quote!(#call) };
            let shown = respanned(&quote!(#private::Shown(#value)), span);
            let is_generic = function.output.value().is_some_and(|ty| function.is_generic(ty));
            let capture = if is_generic { "capture_generic" } else { "capture" };
            let capture = Ident::new(capture, span.resolved_at(Span::call_site()));
            quote!({ use #private::ByCapture as _; #shown.#capture(#call); })
        }
        Shown::By(way) => {
            let method = method(*way);
            let shown = respanned(&quote!(&#value), span);
            quote!(#call #personal.#method(#key, #shown);)
        }
        Shown::Late(closure) => {
            let (value, call) = (late(private, value, closure), at(call, closure.span()));
            let span = own_span(closure);
            quote_spanned!(span=> #call #personal.serialize(#key, &#value);)
        }
    }
}

/// Emits the application of a closure to a value. Complaints about that stand at the closure.
fn late(private: &TokenStream, value: &Ident, closure: &ExprClosure) -> TokenStream {
    let span = own_span(closure);
    let (private, value) = (resolved(private, span), at(value, span));
    quote_spanned!(span=> #private::late(#value, #closure))
}

/// The same, of a closure that tells whether something is so.
fn condition(private: &TokenStream, value: &Ident, closure: &ExprClosure) -> TokenStream {
    let span = own_span(closure);
    let (private, value) = (resolved(private, span), at(value, span));
    quote_spanned!(span=> #private::late_condition(#value, #closure))
}

/// Where a closure begins, in the expansion's own context: of tokens of several contexts the compiler shows the whole attribute.
fn own_span(closure: &ExprClosure) -> Span {
    closure.span().resolved_at(Span::mixed_site())
}
