//! Arguments of an attribute as they were written, with the names that each needs.

use super::free::free_names;
use crate::args::{Also, Args, Field, Value, listed};
use crate::syntax::{between, ungrouped};
use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::{Expr, Ident, Token};

pub(super) struct Argument {
    pub(super) name: Ident,
    pub(super) form: Form,
}

pub(super) enum Form {
    Flag,
    Value(Given),
    List(Vec<Given>),
}

/// A value, or an entry of a list.
pub(super) struct Given {
    pub(super) tokens: TokenStream,
    /// Of an entry, the parameter or the field. An entity and a compared value have none.
    pub(super) key: Option<Ident>,
    /// Parameters, and perhaps `self`.
    pub(super) needs: Vec<Ident>,
    pub(super) is_late: bool,
}

impl Argument {
    /// Parses the value of an argument, which `args` checks like any other.
    pub(super) fn parse(args: &mut Args, name: &Ident, input: ParseStream<'_>) -> syn::Result<Self> {
        let begin = input.fork();
        args.argument(name, input)?;
        let tokens = between(&begin, input);
        let form = if begin.peek(Token![=]) {
            Form::Value(Given::value.parse2(tokens)?)
        } else if begin.peek(syn::token::Paren) {
            let parser = |input: ParseStream<'_>| listed(name, input, |input| Given::entry(name, input));
            Form::List(parser.parse2(tokens)?)
        } else {
            Form::Flag
        };
        Ok(Self { name: name.clone(), form })
    }

    pub(super) fn entries(&self) -> &[Given] {
        match &self.form {
            Form::List(entries) => entries,
            Form::Flag | Form::Value(_) => &[],
        }
    }

    pub(super) fn is_late(&self) -> bool {
        matches!(&self.form, Form::Value(value) if value.is_late)
    }

    /// Returns the argument as it was written, with these entries if it is a list.
    pub(super) fn with<'a>(&self, entries: impl Iterator<Item = &'a Given>) -> TokenStream {
        let name = &self.name;
        match &self.form {
            Form::Flag => quote!(#name),
            Form::Value(Given { tokens, .. }) => quote!(#name = #tokens),
            Form::List(_) => {
                let entries = entries.map(|entry| &entry.tokens);
                quote!(#name(#(#entries),*))
            }
        }
    }
}

impl Given {
    /// Parses `= value`. A format and the words `skip` and `none` need no name.
    fn value(input: ParseStream<'_>) -> syn::Result<Self> {
        input.parse::<Token![=]>()?;
        let tokens: TokenStream = input.parse()?;
        let expr = syn::parse2::<Expr>(tokens.clone()).map(ungrouped);
        let is_word =
            matches!(&expr, Ok(Expr::Path(path)) if ["skip", "none"].iter().any(|word| path.path.is_ident(word)));
        let needs = expr.as_ref().ok().filter(|_| !is_word).map_or_else(Vec::new, free_names);
        Ok(Self { tokens, key: None, needs, is_late: matches!(expr, Ok(Expr::Closure(_))) })
    }

    /// Parses an entry of a list.
    fn entry(list: &Ident, input: ParseStream<'_>) -> syn::Result<Self> {
        let begin = input.fork();
        let (key, value) = match list.to_string().as_str() {
            "fields" => {
                let Field { name, value, .. } = input.parse()?;
                (Some(name), Some(value))
            }
            "also" => (None, Some(input.parse::<Also>()?.value)),
            "changes" => (None, Some(Value::parse(input)?)),
            _ => (parameter(input)?, None),
        };
        let (needs, is_late) = match &value {
            Some(Value::Early(expr)) => (free_names(expr), false),
            Some(Value::Late(closure)) => (free_names(&Expr::Closure(closure.clone())), true),
            None => (Vec::new(), false),
        };
        Ok(Self { tokens: between(&begin, input), key, needs, is_late })
    }
}

/// Parses an entry that begins with a parameter, perhaps behind a format.
fn parameter(input: ParseStream<'_>) -> syn::Result<Option<Ident>> {
    let mut name = None;
    while !input.is_empty() && !input.peek(Token![,]) {
        let token: TokenTree = input.parse()?;
        match token {
            TokenTree::Ident(word) if name.is_none() => name = Some(word),
            _ => {}
        }
    }
    Ok(name)
}
