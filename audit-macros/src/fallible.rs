//! Whether a function can return an `Err`: what the attribute knows of that, and what it leaves to
//! the compiler.

use crate::args::Args;
use crate::function::Function;
use quote::ToTokens;

/// Whether `Err` is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fallible {
    /// The user states it.
    Said,
    /// The compiler knows by the type. It has the name of a `Result`.
    Named,
    /// The compiler knows by the type, and the attribute does not.
    ByType,
    /// The type is not a `Result`.
    Never,
    /// The user states that it is not a `Result`.
    Denied,
}

impl Fallible {
    pub(crate) fn of(args: &Args, function: &Function) -> syn::Result<Self> {
        let output = &function.output;
        Ok(match args.fallible {
            Some(true) => Self::Said,
            Some(false) => Self::Denied,
            None if output.is_plain() => Self::Never,
            None if output.is_result() => Self::Named,
            None => {
                // With `ok` the user defines a failure, for any type.
                if args.ok.is_none()
                    && let Some(ty) = output.parameter(&function.sig)
                {
                    let shown = ty.to_token_stream().to_string();
                    let shown = shown.replace(" :: ", "::").replace("< ", "<").replace(" >", ">").replace(" <", "<");
                    return Err(syn::Error::new_spanned(
                        ty,
                        format!(
                            "only the caller knows whether `{shown}` is a `Result`; add `fallible` if it is one, `infallible` if it is not"
                        ),
                    ));
                }
                Self::ByType
            }
        })
    }

    /// Whether there is an `Err`, as far as the attribute knows.
    pub(crate) fn is_known(self) -> bool {
        matches!(self, Self::Said | Self::Named)
    }

    /// Whether the type is not a `Result`, as far as the attribute knows.
    pub(crate) fn is_none(self) -> bool {
        matches!(self, Self::Never | Self::Denied)
    }
}
