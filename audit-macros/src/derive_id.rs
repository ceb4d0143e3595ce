//! `#[derive(EntityId)]`: a newtype that is an entity id, because its field is one.

use crate::args::assigned_path;
use crate::habits;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Fields, Index, Path, parse_quote};

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let (member, ty) = field(input)?;
    let krate = runtime(&input.attrs)?;
    let name = &input.ident;
    let mut generics = input.generics.clone();
    if generics.type_params().next().is_some() {
        generics.make_where_clause().predicates.push(parse_quote!(#ty: #krate::IntoEntityId));
    }
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    // A complaint about the field's type belongs there.
    let id = quote_spanned!(ty.span()=> <#ty as #krate::IntoEntityId>);
    let private = quote!(#krate::__private);
    Ok(quote! {
        #[automatically_derived]
        #[allow(clippy::implicit_return)]
        impl #impl_generics #krate::IntoEntityId for #name #type_generics #where_clause {
            fn to_entity_id(&self) -> #krate::EntityId {
                #id::to_entity_id(&self.#member)
            }

            #[inline]
            fn entity_ref(&self, take: &mut dyn #private::core::ops::FnMut(#private::EntityRef<'_>)) {
                #id::entity_ref(&self.#member, take);
            }
        }
    })
}

/// Returns the one field of the newtype: its name and its type.
fn field(input: &DeriveInput) -> syn::Result<(TokenStream, &syn::Type)> {
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(_) => return Err(wrong(input, "an enum")),
        Data::Union(_) => return Err(wrong(input, "a union")),
    };
    let mut all = fields.iter();
    let (Some(field), None) = (all.next(), all.next()) else {
        return Err(wrong(
            input,
            if fields.is_empty() { "a struct without a field" } else { "a struct of several fields" },
        ));
    };
    let member = match (fields, &field.ident) {
        (Fields::Named(_), Some(name)) => name.to_token_stream(),
        _ => Index::from(0).to_token_stream(),
    };
    Ok((member, &field.ty))
}

fn wrong(input: &DeriveInput, what: &str) -> syn::Error {
    syn::Error::new_spanned(
        &input.ident,
        format!(
            "`EntityId` cannot be derived for {what}; derive it for a struct of one field, or implement `IntoEntityId`, as by a tuple of the fields"
        ),
    )
}

/// Returns the path of the runtime.
fn runtime(attrs: &[Attribute]) -> syn::Result<Path> {
    let mut krate = parse_quote!(::audit_runtime);
    for attribute in attrs.iter().filter(|attribute| attribute.path().is_ident("audit")) {
        attribute.parse_args_with(|input: ParseStream<'_>| {
            let name = habits::argument_name(input)?;
            if name != "crate" {
                return Err(habits::unknown_on(&name, &["crate"], "beside `EntityId`", &[]));
            }
            krate = assigned_path(input)?;
            habits::comma(input, "arguments")
        })?;
    }
    Ok(krate)
}
