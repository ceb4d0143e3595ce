//! Values of arguments: expressions, closures, formats, and entries of lists.

use crate::diagnostics::early;
use crate::habits;
use crate::syntax::ungrouped;
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, ExprClosure, ExprLit, Ident, Lit, LitStr, Token};

/// An expression, or a closure over the function's success value.
pub(crate) enum Value {
    Early(Expr),
    Late(ExprClosure),
}

/// The form in which a value becomes JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Serialize,
    Display,
    Debug,
}

/// A parameter in `only(..)`.
pub(crate) struct Chosen {
    pub(crate) name: Ident,
    pub(crate) format: Format,
}

/// An entry of `fields(..)`.
pub(crate) struct Field {
    pub(crate) name: Ident,
    pub(crate) format: Format,
    pub(crate) value: Value,
}

/// An entry of `also(..)`: a further entity, by its type.
pub(crate) struct Also {
    pub(crate) entity: Ident,
    pub(crate) value: Value,
}

/// An entry of `personal(..)`: a name, and perhaps whose its value is.
pub(crate) struct Personal {
    pub(crate) name: Ident,
    pub(crate) owner: Option<Value>,
}

/// An entry of `plain`: a parameter, or a key inside of its value, as in `order.token_in`.
pub(crate) struct PlainKey {
    pub(crate) parameter: Ident,
    pub(crate) path: Vec<Ident>,
}

/// The capture of a result or of an error.
pub(crate) enum Shown {
    Skip,
    As(Format),
    Late(ExprClosure),
}

/// The value of `error`.
pub(super) struct ErrorShown(pub(super) Shown);

/// A closure that decides whether a success value counts as a success.
pub(crate) struct SuccessIf(pub(crate) ExprClosure);

impl Value {
    /// Returns the expression of an argument that is evaluated before the body.
    pub(crate) fn early(self, argument: &str, of: &str) -> syn::Result<Expr> {
        match self {
            Self::Early(expr) => Ok(expr),
            Self::Late(closure) => Err(early(&closure, argument, of)),
        }
    }

    /// Returns the text, if the value is a literal one.
    pub(crate) fn literal(&self) -> Option<&LitStr> {
        match self {
            Self::Early(Expr::Lit(ExprLit { lit: Lit::Str(literal), .. })) => Some(literal),
            _ => None,
        }
    }
}

impl ToTokens for Value {
    fn to_tokens(&self, tokens: &mut proc_macro2::TokenStream) {
        match self {
            Self::Early(expr) => expr.to_tokens(tokens),
            Self::Late(closure) => closure.to_tokens(tokens),
        }
    }
}

impl Parse for Value {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(match ungrouped(input.parse()?) {
            Expr::Closure(closure) => Self::Late(closure),
            expr => Self::Early(expr),
        })
    }
}

impl Format {
    /// Parses `%`, `?`, or neither.
    pub(crate) fn parse_sigil(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(if input.parse::<Option<Token![%]>>()?.is_some() {
            Self::Display
        } else if input.parse::<Option<Token![?]>>()?.is_some() {
            Self::Debug
        } else {
            Self::Serialize
        })
    }
}

impl Parse for Field {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if let Some(error) = habits::quoted_name(input).or_else(|| habits::field_by_habit(input)) {
            return Err(error);
        }
        let name = input.call(Ident::parse_any)?;
        let ahead = input.fork();
        if ahead.parse::<Token![=]>().is_err() || ahead.is_empty() {
            let message = format!("the field `{name}` needs a value; write `{name} = ..`");
            return Err(syn::Error::new_spanned(&name, message));
        }
        input.parse::<Token![=]>()?;
        Ok(Self { name, format: Format::parse_sigil(input)?, value: input.parse()? })
    }
}

impl Parse for Also {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if let Some(error) = habits::quoted_name(input) {
            return Err(error);
        }
        if !input.peek(Ident::peek_any) {
            return Err(input.error("an entity of `also` needs its type; write `also(account = account_id)`"));
        }
        let entity = input.call(Ident::parse_any)?;
        let ahead = input.fork();
        if ahead.parse::<Token![=]>().is_err() || ahead.is_empty() || ahead.peek(Token![,]) {
            let message = format!("the entity `{entity}` needs an id; write `{entity} = ..`");
            return Err(syn::Error::new_spanned(&entity, message));
        }
        input.parse::<Token![=]>()?;
        Ok(Self { entity, value: input.parse()? })
    }
}

impl PlainKey {
    /// Returns the path in the form that the runtime reads.
    pub(crate) fn keys(&self) -> String {
        let keys = self.path.iter().map(|key| key.unraw().to_string());
        keys.collect::<Vec<_>>().join(".")
    }
}

impl Parse for PlainKey {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if let Some(error) = habits::quoted_name(input) {
            return Err(error);
        }
        let parameter = input.call(Ident::parse_any)?;
        let mut path = Vec::new();
        while input.parse::<Option<Token![.]>>()?.is_some() {
            path.push(input.call(Ident::parse_any)?);
        }
        Ok(Self { parameter, path })
    }
}

impl Shown {
    /// Parses the value of `word`, which is `result` or `error`.
    fn parse_of(word: &str, input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(Token![%]) || input.peek(Token![?]) {
            let sigil = if input.peek(Token![%]) { "%" } else { "?" };
            let format = Format::parse_sigil(input)?;
            return if input.is_empty() || input.peek(Token![,]) {
                Ok(Self::As(format))
            } else {
                Err(habits::sigil_with_a_name(word, sigil, input))
            };
        }
        match ungrouped(input.parse()?) {
            Expr::Closure(closure) => Ok(Self::Late(closure)),
            Expr::Path(path) if path.path.is_ident("skip") => Ok(Self::Skip),
            other => Err(syn::Error::new_spanned(
                other,
                format!(
                    "invalid value of `{word}`; write `{word} = skip`, `{word} = ?`, `{word} = %` or `{word} = |value| ..`"
                ),
            )),
        }
    }
}

impl Parse for Shown {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Self::parse_of("result", input)
    }
}

impl Parse for ErrorShown {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Shown::parse_of("error", input).map(Self)
    }
}

impl Parse for SuccessIf {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        match ungrouped(input.parse()?) {
            Expr::Closure(closure) => Ok(Self(closure)),
            other => Err(syn::Error::new_spanned(
                other,
                "`ok` needs a closure that says whether a value is a success; write `ok = |value| ..`",
            )),
        }
    }
}
