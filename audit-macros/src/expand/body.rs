//! The user's own body, wrapped.

use super::vocabulary::Names;
use crate::function::Function;
use crate::output::Shape;
use crate::plan::Plan;
use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};

/// Emits the user's own body, in a closure or an async block, so that `return` and `?` leave only
/// it.
pub(super) fn body(plan: &Plan, function: &Function, names: &Names, begun: &TokenStream) -> TokenStream {
    let Names { call, handover, .. } = names;
    let lent = &plan.guarantees.lent;
    let uses = |name: &Ident| plan.uses(name);
    let rebound = function.rebound(uses);
    // Values lent to the body return to the attribute once the body has ended.
    let parameters = &lent.parameters;
    let reborrowed = quote!(#(#[allow(clippy::shadow_same)] let #parameters = &mut *#parameters;)*);
    // A receiver is lent by not moving it.
    let moving = (!lent.receiver).then(|| quote!(move));
    // A synchronous body takes its arguments by binding them once more, so that one that can be
    // copied is copied once.
    let moving_self = moving.clone().filter(|_| function.owns_self());
    match function.output.shape {
        Shape::Sync if function.output.is_never() => {
            let body = function.body(uses);
            return quote!(#call.entered().run({ #reborrowed #moving_self || -> ! { #rebound #body } }));
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
            // It is nothing but an async block, which takes what it uses: no more is done to it
            // than has to be.
            let block = function.async_block(uses, lent.receiver);
            let typed = typed(function.output.known_value(), function, names);
            let locals = function.lent_and_mutable(parameters, &block);
            return quote!(#call.run_async({ #locals async #moving { #typed #block } }).await);
        }
        _ => {}
    }
    let body = function.body(uses);
    let typed = typed(function.output.known(), function, names);
    quote!(#call.entered().run({ #reborrowed #moving_self || { #typed #rebound #body } }))
}

/// Emits the type of the body before the compiler reads it: conversions and errors are then the
/// user's own.
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
