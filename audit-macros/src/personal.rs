//! What is personal, and whose it is.

use crate::args::{Args, Shown};
use crate::captures::known_name;
use crate::check::{Plan, early, mentions, tokens};
use crate::function::Function;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Expr, Ident};

/// Whose the personal data are: whoever names the one has to name the other.
pub(crate) fn subject(args: &mut Args, function: &Function) -> syn::Result<Option<Expr>> {
    let Some(first) = args.personal.first() else {
        return match &args.subject {
            None => Ok(None),
            Some(subject) => Err(syn::Error::new_spanned(
                tokens(subject),
                "`subject` says whose the personal data are, and none is named; add `personal(parameter)`, or remove it",
            )),
        };
    };
    let Some(subject) = args.subject.take() else {
        return Err(syn::Error::new_spanned(
            first,
            format!("nothing says whose `{first}` is; add `subject = expression`, by which it can be forgotten"),
        ));
    };
    if let Some(tx) = &args.tx {
        return Err(syn::Error::new_spanned(
            tokens(tx),
            "personal data are encrypted on their way from the journal, and with `tx` the row does not come from there; leave `personal` or `tx`",
        ));
    }
    for name in &args.personal {
        let is_result = name == "result" && !matches!(args.result, Some(Shown::Skip));
        if !is_result || function.binding(name).is_some() {
            known_name(name, function, &args.fields)?;
        }
        let beside = |names: &[Ident]| names.contains(name);
        let changes = args.changes.iter().any(|change| mentions(change, name));
        let other = if beside(&args.skip) {
            "skip"
        } else if beside(&args.redact) {
            "redact"
        } else if beside(&args.plain) {
            "plain"
        } else if changes {
            "changes"
        } else {
            continue;
        };
        return Err(syn::Error::new_spanned(
            name,
            format!("`{name}` cannot be both in `personal` and in `{other}`; leave one of them"),
        ));
    }
    early(subject, "subject", "the result").map(Some)
}

/// Says of a field that it is personal, if it is.
pub(crate) fn personal(plan: &Plan, name: &Ident) -> Option<TokenStream> {
    plan.personal.contains(name).then(|| quote!(.personal()))
}
