//! The rules of `personal` and `subject`.

use crate::args::{Args, Shown};
use crate::diagnostics::known_name;
use crate::function::Function;
use crate::syntax::mentions;
use syn::{Expr, Ident};

/// Returns the subject of the personal data. Each of the two arguments needs the other.
pub(crate) fn subject(args: &mut Args, function: &Function) -> syn::Result<Option<Expr>> {
    let Some(first) = args.personal.first() else {
        return match &args.subject {
            None => Ok(None),
            Some(subject) => Err(syn::Error::new_spanned(
                subject,
                "`subject` needs personal data; add `personal(name)`, or remove `subject`",
            )),
        };
    };
    let Some(subject) = args.subject.take() else {
        return Err(syn::Error::new_spanned(
            first,
            format!("`{first}` is personal, so its subject has to be known; add `subject = ..`"),
        ));
    };
    if let Some(tx) = &args.tx {
        return Err(syn::Error::new_spanned(
            tx,
            "`personal` data is encrypted on its way from the journal, which `tx` bypasses; remove `personal` or `tx`",
        ));
    }
    for name in &args.personal {
        let is_result = name == "result" && !matches!(args.result, Some(Shown::Skip));
        if !is_result || function.binding(name).is_some() {
            known_name(name, args.and_fields(function.names()))?;
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
            format!("`{name}` cannot be both in `personal` and in `{other}`; remove one of them"),
        ));
    }
    subject.early("subject", "the parameters").map(Some)
}
