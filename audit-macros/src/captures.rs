//! Which parameters and fields are captured, and how.

use crate::args::{Args, Format};
use crate::diagnostics::{known_name, looks_secret};
use crate::function::{Binding, Function};
use crate::guarantee::Guarantees;
use crate::secret::says_secret;
use syn::{Attribute, Ident};

pub(crate) struct Capture {
    pub(crate) name: Ident,
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) mode: CaptureMode,
    /// Paths to keys inside of the value that hold no secrets.
    pub(crate) plain: Vec<String>,
}

pub(crate) enum CaptureMode {
    As(Format),
    Personal(Format),
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
    let named = only.into_iter().flatten().map(|chosen| &chosen.name);
    // That `self` is skipped is what happens in any case.
    for name in args.skip.iter().filter(|name| *name != "self").chain(named) {
        known_name(name, function.names())?;
    }
    for name in args.redact.iter().chain(&args.plain) {
        known_name(name, args.and_fields(function.names()))?;
    }
    for key in &args.plain_keys {
        known_name(&key.parameter, function.names())?;
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
        // `changes` marks the values that it compares.
        let personal = args.is_personal(name) && !guarantees.concern(name) && !args.skip.contains(name);
        let chosen = only.and_then(|only| only.iter().find(|chosen| chosen.name == *name));
        let captured = match only {
            Some(_) => chosen.is_some(),
            // `changes` records the values it compares. A connection and a handle have nothing to
            // record.
            None if guarantees.concern(name) || args.records(name) => false,
            None => args.skip_all.is_none() && !args.skip.contains(name) && !name.to_string().starts_with('_'),
        };
        if redacted {
            captures.push(Capture::new(binding, CaptureMode::Redacted));
        } else if personal {
            let format = chosen.map_or(Format::Serialize, |chosen| chosen.format);
            captures.push(Capture::new(binding, CaptureMode::Personal(format)));
        } else if captured {
            if says_secret(&name.to_string()) && !args.plain.contains(name) {
                return Err(looks_secret(
                    name,
                    &format!("add `redact({name})` or `skip({name})`, or `plain({name})` if it is not one"),
                ));
            }
            let format = chosen.map_or(Format::Serialize, |chosen| chosen.format);
            captures.push(Capture::new(binding, CaptureMode::As(format)));
        }
    }
    plain_keys(args, &mut captures)?;
    Ok(captures)
}

/// Notes the keys inside of values that `plain` lists. Only a value that serde shows has keys.
fn plain_keys(args: &Args, captures: &mut [Capture]) -> syn::Result<()> {
    for key in &args.plain_keys {
        let capture = captures.iter_mut().find(|capture| capture.name == key.parameter);
        match capture.filter(|capture| matches!(capture.mode, CaptureMode::As(Format::Serialize))) {
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
    fn new(binding: &Binding, mode: CaptureMode) -> Self {
        Self { name: binding.name.clone(), cfgs: binding.cfgs.clone(), mode, plain: Vec::new() }
    }
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
            && ![&args.plain, &args.redact].iter().any(|names| names.contains(name))
            && !args.is_personal(name)
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
