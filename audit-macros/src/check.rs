//! The rules across the attribute and its function. The plan that passes them is ready to be
//! written down.

use crate::args::{Also, Args, Format, Shown, SuccessIf, Value};
use crate::captures::{Capture, captures, checked_fields};
use crate::event_type::{EventType, Text, entity, event_type};
use crate::fallible::Fallible;
use crate::function::Function;
use crate::guarantee::guarantees;
use crate::personal::personal;
use crate::plan::Plan;
use crate::wrappers::{Role, role};
use proc_macro2::Span;
use syn::{Expr, parse_quote};

/// Checks the attribute against its function. `responses` states whether the runtime knows HTTP
/// responses.
pub(crate) fn check(mut args: Args, function: &Function, responses: bool) -> syn::Result<Plan> {
    if let Some(constness) = &function.sig.constness {
        return Err(syn::Error::new_spanned(
            constness,
            "a `const fn` cannot be audited, for it may run at compile time; remove `const`, or audit the function that calls it",
        ));
    }
    let fallible = Fallible::of(&args, function)?;
    for (word, value) in [
        ("id", &args.id),
        ("err_id", &args.err_id),
        ("tenant", &args.tenant),
        ("actor", &args.actor),
        ("subject", &args.subject),
    ] {
        literal(word, value.as_ref(), function)?;
    }
    for Also { entity, value } in &args.also {
        literal(&entity.to_string(), Some(value), function)?;
    }
    for personal in &args.personal {
        literal(&personal.name.to_string(), personal.owner.as_ref(), function)?;
    }
    let personal = personal(&mut args, function)?;
    let guarantees = guarantees(&mut args, function, fallible)?;
    let captures = captures(&args, function, &guarantees)?;
    checked_fields(&args, &captures)?;
    let result = match args.result {
        Some(result) => result,
        // A stream or an iterator cannot be serialised as data.
        None if function.output.is_opaque() && !function.output.may_respond(responses) => Shown::Skip,
        None => Shown::As(Format::Serialize),
    };
    let error = args.error;
    let records_error = fallible.is_known() && !matches!(error, Some((_, Shown::Skip)));
    let records_result = !matches!(result, Shown::Skip) && !function.output.is_unit();
    let has_changes = !guarantees.changes.is_empty();
    for (taken, key) in [(records_result, "result"), (records_error, "error"), (has_changes, "changes")] {
        if let Some(Capture { name, .. }) = captures.iter().find(|capture| taken && capture.name == key) {
            return Err(syn::Error::new_spanned(
                name,
                format!(
                    "the parameter `{name}` clashes with `data.{name}`, which the attribute records; add `skip({name})` and `fields(other = {name})`"
                ),
            ));
        }
    }
    let event = event_type(
        args.event.ok_or_else(|| syn::Error::new(Span::call_site(), "missing `event`; add `event = \"noun.verb\"`"))?,
    )?;
    let err = match args.err {
        // A value that counts as a failure has an event, but not an error.
        Some(err) if fallible.is_none() && (args.ok.is_none() || matches!(err, Value::Late(_))) => {
            let why = if fallible == Fallible::Denied {
                "but `infallible` records every call as `ok`; remove `err` or `infallible`"
            } else {
                "but this function does not return a `Result`; remove `err`"
            };
            return Err(syn::Error::new_spanned(&err, format!("`err` names the event of an `Err`, {why}")));
        }
        Some(err) => Some(event_type(err)?),
        None => None,
    };
    if let (Some((word, _)), true) = (&error, fallible.is_none()) {
        return Err(syn::Error::new_spanned(
            word,
            "`error` captures an `Err`, but this function does not return a `Result`; remove `error`",
        ));
    }
    if let (EventType::Late(event), true, None) = (&event, fallible.is_known(), &err) {
        return Err(syn::Error::new_spanned(
            event,
            "a late `event` is unknown if the function returns `Err`; add `err = \"noun.verb\"`",
        ));
    }
    let entity = entity(args.entity, &event, "the parameters")?;
    let id = match args.id {
        Some(id) if is_no_id(&id, function) => None,
        Some(id) => Some(id),
        None => Some(default_id(&entity, function)?),
    };
    if let (Some(err_id), None | Some(Value::Early(_))) = (&args.err_id, &id) {
        return Err(syn::Error::new_spanned(
            err_id,
            "`err_id` needs a late `id` beside it; write `id = |value| ..`, or remove `err_id`",
        ));
    }
    Ok(Plan {
        krate: args.krate.unwrap_or_else(|| parse_quote!(::audit_runtime)),
        err,
        entity,
        id,
        also: args.also,
        tenant: args.tenant.map(|tenant| tenant.early("tenant", "the parameters")).transpose()?,
        actor: args.actor.map(|actor| actor.early("actor", "the parameters")).transpose()?.map(Text::from),
        captures,
        skipped: args.skip,
        fields: args.fields,
        redacted: args.redact,
        personal,
        err_id: args.err_id,
        result,
        error,
        ok: args.ok.map(|SuccessIf(ok)| ok),
        recorder: args.recorder.map(|recorder| recorder.early("recorder", "the parameters")).transpose()?,
        when: args.when,
        fallible,
        event,
        guarantees,
        responses,
    })
}

/// Checks that a literal is neither a parameter in quotes nor empty.
fn literal(word: &str, value: Option<&Value>, function: &Function) -> syn::Result<()> {
    let Some(literal) = value.and_then(Value::literal) else {
        return Ok(());
    };
    let text = literal.value();
    if function.bindings().any(|binding| binding.name == text) {
        return Err(syn::Error::new_spanned(
            literal,
            format!("`{word}` is the text {text:?} here, not the parameter; write `{word} = {text}` without quotes"),
        ));
    }
    if text.trim().is_empty() {
        return Err(syn::Error::new_spanned(literal, format!("`{word}` is empty; give it a value, or remove it")));
    }
    Ok(())
}

/// Returns whether an id is `none` or `None`, and no parameter has that name.
fn is_no_id(id: &Value, function: &Function) -> bool {
    let Value::Early(Expr::Path(path)) = id else {
        return false;
    };
    path.path.get_ident().is_some_and(|name| (name == "none" || name == "None") && function.binding(name).is_none())
}

fn default_id(entity: &Text, function: &Function) -> syn::Result<Value> {
    let mut names = vec!["id".to_owned()];
    if let Text::Literal(entity) = entity {
        names.insert(0, format!("{}_id", entity.value()));
    }
    for name in &names {
        if let Some(binding) = function.bindings().find(|binding| binding.name == *name) {
            let name = &binding.name;
            return Ok(Value::Early(match role(function, name) {
                Role::Extractor => parse_quote!(*#name),
                _ => parse_quote!(#name),
            }));
        }
    }
    Err(syn::Error::new_spanned(
        &function.sig.ident,
        format!(
            "missing `id`, for no parameter is named {}; add `id = ..`, `id = |value| ..` to take it from the result, or `id = none`",
            names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
        ),
    ))
}
