//! The vocabulary of the emitted code: its names, and the expressions that recur in it.

use crate::args::Format;
use crate::event_type::is_associated;
use crate::fallible::Fallible;
use crate::function::Function;
use crate::plan::Plan;
use crate::syntax::{key, respanned};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;

/// Names of the expansion's own: user code can neither see nor shadow them.
pub(crate) struct Names {
    pub(crate) call: Ident,
    pub(crate) site: Ident,
    pub(crate) handover: Ident,
    pub(crate) out: Ident,
    pub(crate) value: Ident,
    pub(crate) error: Ident,
}

impl Names {
    pub(crate) fn new() -> Self {
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

/// Returns a key that the compiler makes ready to be written.
pub(crate) fn known_key(private: &TokenStream, key: &str) -> TokenStream {
    quote!(const { &#private::Key::new(#key) })
}

/// Returns the method of a call that captures in this format.
pub(crate) fn method(format: Format) -> Ident {
    Ident::new(
        match format {
            Format::Serialize => "serialize",
            Format::Display => "display",
            Format::Debug => "debug",
        },
        Span::call_site(),
    )
}

/// Returns a constant that the compiler checks to be an event type. An item is checked even if the
/// function is never used, but cannot name the type parameters around it. Its complaint belongs at
/// the constant.
pub(crate) fn checked_constant(private: &TokenStream, event: &syn::Expr) -> TokenStream {
    let (at, private) = (event.span(), respanned(private, event.span()));
    if is_associated(event) {
        quote_spanned!(at=> const { #private::checked_event_type(#event) })
    } else {
        let name = format_ident!("__AUDIT_EVENT", span = at.resolved_at(Span::mixed_site()));
        quote_spanned!(at=> { const #name: &#private::core::primitive::str = #private::checked_event_type(#event); #name })
    }
}

/// Returns `.personal()`, if a value of this name is personal.
pub(crate) fn personal(plan: &Plan, name: &Ident) -> Option<TokenStream> {
    plan.personal.contains(name).then(|| {
        if plan.personal.owns(name) {
            let key = key(name);
            quote!(.personal_of(#key))
        } else {
            quote!(.personal())
        }
    })
}

/// Emits an attempt of the library's, and the return of its error. Complaints about the error's
/// type belong where the function's is written.
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

/// Silences lints that ask for `return` in a closure, or for a path in its place: the attribute
/// accepts only closures.
pub(crate) fn in_closures() -> TokenStream {
    quote!(#[allow(clippy::implicit_return, clippy::redundant_closure, clippy::redundant_closure_for_method_calls)])
}
