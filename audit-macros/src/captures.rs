//! Which parameters and fields are captured, and how.

use crate::args::{Args, Field, Way, nearest};
use crate::function::{Binding, Function};
use crate::guarantee::Guarantees;
use crate::secret::says_secret;
use syn::{Attribute, Ident};

pub(crate) struct Capture {
    pub(crate) name: Ident,
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) how: How,
    /// Keys inside of the value that hold no secrets: ways to them.
    pub(crate) plain: Vec<String>,
}

pub(crate) enum How {
    By(Way),
    Personal(Way),
    Redacted,
}

pub(crate) fn captures(args: &Args, function: &Function, guarantees: &Guarantees) -> syn::Result<Vec<Capture>> {
    let only = args.only.as_deref();
    if let (Some(_), Some(skip)) = (only, args.skip.first()) {
        return Err(syn::Error::new_spanned(skip, "`only` leaves out all other parameters already; remove `skip`"));
    }
    if let Some(span) = args.skip_all
        && (only.is_some() || !args.skip.is_empty())
    {
        return Err(syn::Error::new(span, "`skip_all` cannot stand beside `skip` or `only`; remove one of them"));
    }
    let named = only.into_iter().flatten().map(|captured| &captured.name);
    // That `self` is skipped is what happens in any case.
    for name in args.skip.iter().filter(|name| *name != "self").chain(named) {
        known_name(name, function, &[])?;
    }
    for name in args.redact.iter().chain(&args.plain) {
        known_name(name, function, &args.fields)?;
    }
    for key in &args.plain_keys {
        known_name(&key.parameter, function, &[])?;
    }
    for (word, others) in [("skip", &args.skip), ("plain", &args.plain)] {
        if let Some(name) = args.redact.iter().find(|name| others.contains(name)) {
            let message = format!("`{name}` cannot be both in `redact` and in `{word}`; remove one of them");
            return Err(syn::Error::new_spanned(name, message));
        }
    }
    let mut captures = Vec::new();
    for binding in function.bindings() {
        let name = &binding.name;
        let redacted = args.redact.contains(name);
        let personal = args.personal.contains(name);
        let chosen = only.and_then(|only| only.iter().find(|captured| captured.name == *name));
        let captured = match only {
            Some(_) => chosen.is_some(),
            // `changes` records the values it compares; a connection and a handle have nothing to record.
            None if guarantees.concern(name) || args.records(name) => false,
            None => args.skip_all.is_none() && !args.skip.contains(name) && !name.to_string().starts_with('_'),
        };
        if redacted {
            captures.push(Capture::new(binding, How::Redacted));
        } else if personal {
            let way = chosen.map_or(Way::Serialize, |captured| captured.way);
            captures.push(Capture::new(binding, How::Personal(way)));
        } else if captured {
            if says_secret(&name.to_string()) && !args.plain.contains(name) {
                return Err(looks_secret(
                    name,
                    &format!("add `redact({name})` or `skip({name})`, or `plain({name})` if it is not one"),
                ));
            }
            let way = chosen.map_or(Way::Serialize, |captured| captured.way);
            captures.push(Capture::new(binding, How::By(way)));
        }
    }
    plain_keys(args, &mut captures)?;
    Ok(captures)
}

/// Notes the keys inside of values that `plain` lists. Only a value that serde shows has keys.
fn plain_keys(args: &Args, captures: &mut [Capture]) -> syn::Result<()> {
    for key in &args.plain_keys {
        let capture = captures.iter_mut().find(|capture| capture.name == key.parameter);
        match capture.filter(|capture| matches!(capture.how, How::By(Way::Serialize))) {
            Some(capture) => capture.plain.push(key.keys()),
            None => {
                let message = format!(
                    "`{0}` is not captured by serde, so nothing in it is masked; remove it from `plain`",
                    key.parameter
                );
                return Err(syn::Error::new_spanned(&key.parameter, message));
            }
        }
    }
    Ok(())
}

impl Capture {
    fn new(binding: &Binding, how: How) -> Self {
        Self { name: binding.name.clone(), cfgs: binding.cfgs.clone(), how, plain: Vec::new() }
    }
}

/// A name that `skip`, `only`, `redact` or `plain` lists: a parameter, or one of `fields`.
pub(crate) fn known_name(name: &Ident, function: &Function, fields: &[Field]) -> syn::Result<()> {
    if function.binding(name).is_some() || fields.iter().any(|field| field.name == *name) {
        return Ok(());
    }
    let parameters = function.bindings().map(|binding| &binding.name);
    let names: Vec<String> = parameters.chain(fields.iter().map(|field| &field.name)).map(Ident::to_string).collect();
    let message = match nearest(&name.to_string(), names.iter().map(String::as_str)) {
        _ if name == "self" => "`self` is never captured; write `fields(part = self.part)` for a part of it".to_owned(),
        Some(nearest) => format!("unknown parameter `{name}`; did you mean `{nearest}`?"),
        None if names.is_empty() => format!("unknown parameter `{name}`; this function has no parameters"),
        None => format!("unknown parameter `{name}`; this function has `{}`", names.join("`, `")),
    };
    Err(syn::Error::new_spanned(name, message))
}

pub(crate) fn looks_secret(name: &Ident, remedy: &str) -> syn::Error {
    syn::Error::new_spanned(name, format!("`{name}` looks like a secret; {remedy}"))
}

/// The complaint about a struct's field.
pub(crate) fn secret_field(name: &Ident) -> syn::Error {
    looks_secret(name, "add `#[audit(redact)]` or `#[audit(skip)]`, or `#[audit(plain)]` if it is not one")
}

pub(crate) fn checked_fields(args: &Args, captures: &[Capture]) -> syn::Result<()> {
    for (at, field) in args.fields.iter().enumerate() {
        let name = &field.name;
        let clash = if captures.iter().any(|capture| capture.name == *name) {
            format!("the field `{name}` has the name of a captured parameter; rename the field, or add `skip({name})`")
        } else if name == "result" || name == "error" || (name == "changes" && !args.changes.is_empty()) {
            format!("the field `{name}` clashes with `data.{name}`, which the attribute records; rename the field")
        } else if args.fields[..at].iter().any(|earlier| earlier.name == *name) {
            format!("the field `{name}` is given twice; rename one of them")
        } else if says_secret(&name.to_string())
            && ![&args.plain, &args.redact, &args.personal].iter().any(|names| names.contains(name))
        {
            return Err(looks_secret(
                name,
                &format!("remove the field, add `redact({name})`, or add `plain({name})` if it is not one"),
            ));
        } else {
            continue;
        };
        return Err(syn::Error::new_spanned(name, clash));
    }
    Ok(())
}
