//! The rules of `personal` and `subject`.

use crate::args::{Args, Personal, Shown, Value};
use crate::diagnostics::known_name;
use crate::function::Function;
use crate::guarantee::is_change;
use crate::syntax::mentions;
use syn::{Expr, Ident};

/// The personal values of a function, and whose they are.
pub(crate) struct PersonalData {
    /// Parameters, fields, changes, the result, and the actor.
    pub(crate) names: Vec<Ident>,
    /// The subjects of single names.
    pub(crate) owners: Vec<(Ident, Expr)>,
    /// The subject of the others.
    pub(crate) subject: Option<Value>,
}

impl PersonalData {
    pub(crate) fn contains(&self, name: &Ident) -> bool {
        self.names.contains(name)
    }

    /// Returns whether a name has a subject of its own.
    pub(crate) fn owns(&self, name: &Ident) -> bool {
        self.owners.iter().any(|(owned, _)| owned == name)
    }
}

/// Checks the two arguments, of which each needs the other.
pub(crate) fn personal(args: &mut Args, function: &Function) -> syn::Result<PersonalData> {
    let subject = args.subject.take();
    let unowned = args.personal.iter().find(|personal| personal.owner.is_none());
    match (&subject, unowned, args.personal.is_empty()) {
        (None, Some(Personal { name, .. }), _) => {
            return Err(syn::Error::new_spanned(
                name,
                format!("`{name}` is personal, so its subject has to be known; add `subject = ..`"),
            ));
        }
        (Some(subject), None, true) => {
            return Err(syn::Error::new_spanned(
                subject,
                "`subject` needs personal data; add `personal(name)`, or remove `subject`",
            ));
        }
        (Some(subject), None, false) => {
            return Err(syn::Error::new_spanned(
                subject,
                "each name in `personal` has a subject of its own; remove `subject`",
            ));
        }
        _ => {}
    }
    for Personal { name, .. } in &args.personal {
        checked(args, function, name)?;
    }
    let mut owners = Vec::new();
    for Personal { name, owner } in &mut args.personal {
        if let Some(owner) = owner.take() {
            owners.push((name.clone(), owner.early(&name.to_string(), "the parameters")?));
        }
    }
    let names: Vec<Ident> = args.personal.iter().map(|personal| personal.name.clone()).collect();
    Ok(PersonalData { names, owners, subject })
}

/// Checks one name.
fn checked(args: &Args, function: &Function, name: &Ident) -> syn::Result<()> {
    let is_result = name == "result" && !matches!(args.result, Some(Shown::Skip));
    let is_actor = name == "actor";
    let is_change = is_change(args, name);
    let is_elsewhere = is_result || is_actor || is_change;
    if !is_elsewhere || function.binding(name).is_some() {
        known_name(name, args.and_fields(function.names()))?;
    }
    let beside = |names: &[Ident]| names.contains(name);
    let other = if beside(&args.skip) && !is_actor && !is_change {
        "skip"
    } else if beside(&args.redact) {
        "redact"
    } else if beside(&args.plain) {
        "plain"
    } else if !is_change && args.changes.iter().any(|change| mentions(change, name)) {
        return Err(syn::Error::new_spanned(
            name,
            format!("`changes` compares parts of `{name}`; list the last names of these in `personal`"),
        ));
    } else {
        return Ok(());
    };
    Err(syn::Error::new_spanned(
        name,
        format!("`{name}` cannot be both in `personal` and in `{other}`; remove one of them"),
    ))
}
