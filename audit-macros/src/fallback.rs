//! After an error: the item stays as it was written, so that the editor and the rest of the crate
//! see it.

use proc_macro2::TokenStream;
use quote::quote;

pub(crate) fn item_with_error(item: TokenStream, error: &syn::Error) -> TokenStream {
    let error = error.to_compile_error();
    // The user's one problem is the error. Items that an unexpanded attribute would have used are
    // not further problems.
    quote!(#[allow(unused_variables, unused_mut)] #item #error)
}
