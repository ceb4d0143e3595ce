//! The rules across the attribute and its function; what passes is a plan that `expand` only has to write down.

use crate::args::{Args, Field, Shown, SuccessIf, Value, Way};
use crate::captures::{Capture, captures, checked_fields};
use crate::fallible::Fallible;
use crate::function::Function;
use crate::guarantee::{Guarantees, guarantees};
use crate::personal::subject;
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Expr, ExprClosure, ExprLit, Ident, Lit, LitStr, Path, parse_quote};

pub(crate) struct Plan {
    pub(crate) krate: Path,
    pub(crate) event: EventType,
    pub(crate) err: Option<EventType>,
    pub(crate) entity: Text,
    /// `None` of an event without an id.
    pub(crate) id: Option<Value>,
    /// The id of a call that fails, where `id` is late.
    pub(crate) err_id: Option<Value>,
    pub(crate) actor: Option<Text>,
    pub(crate) captures: Vec<Capture>,
    /// Parameters that are named to be left out.
    pub(crate) skipped: Vec<Ident>,
    pub(crate) fields: Vec<Field>,
    /// Parameters and fields of which only the presence is told.
    pub(crate) redacted: Vec<Ident>,
    /// Fields, and perhaps the result, that are personal.
    pub(crate) personal: Vec<Ident>,
    /// Whose data these are.
    pub(crate) subject: Option<Expr>,
    pub(crate) result: Shown,
    pub(crate) error: Option<(Ident, Shown)>,
    pub(crate) ok: Option<ExprClosure>,
    pub(crate) when: Option<Value>,
    pub(crate) fallible: Fallible,
    pub(crate) recorder: Option<Expr>,
    pub(crate) guarantees: Guarantees,
    /// Whether the status of a response is looked at.
    pub(crate) responses: bool,
}

impl Plan {
    /// Whether the attribute makes use of a parameter, so that the body need not.
    pub(crate) fn uses(&self, name: &Ident) -> bool {
        let text = |text: Option<&Text>| matches!(text, Some(Text::Expr(expr)) if mentions(expr, name));
        let early = |value: Option<&Value>| matches!(value, Some(Value::Early(expr)) if mentions(expr, name));
        self.captures.iter().any(|capture| capture.name == *name)
            || self.skipped.contains(name)
            || text(Some(&self.entity))
            || text(self.actor.as_ref())
            || early(self.id.as_ref())
            || early(self.err_id.as_ref())
            || early(self.when.as_ref())
            || self.recorder.iter().chain(&self.subject).any(|expr| mentions(expr, name))
            || self.fields.iter().any(|field| early(Some(&field.value)))
            || self.guarantees.concern(name)
    }
}

pub(crate) fn mentions(expr: &impl ToTokens, name: &Ident) -> bool {
    fn within(tokens: TokenStream, name: &Ident) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => ident == *name,
            TokenTree::Group(group) => within(group.stream(), name),
            TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        })
    }
    within(expr.to_token_stream(), name)
}

/// What an event type is made of.
pub(crate) enum EventType {
    Literal(LitStr),
    Constant(Expr),
    Late(ExprClosure),
}

/// A text that is a literal, or any other expression.
pub(crate) enum Text {
    Literal(LitStr),
    Expr(Expr),
}

/// A parameter that is captured.
/// Checks; `responses` says whether the runtime knows HTTP responses.
pub(crate) fn check(mut args: Args, function: &Function, responses: bool) -> syn::Result<Plan> {
    if let Some(constness) = &function.sig.constness {
        return Err(syn::Error::new_spanned(
            constness,
            "a `const fn` cannot be audited, for it may run at compile time; remove `const`, or audit the function that calls it",
        ));
    }
    let fallible = Fallible::of(&args, function)?;
    for (word, value) in
        [("id", &args.id), ("err_id", &args.err_id), ("actor", &args.actor), ("subject", &args.subject)]
    {
        literal(word, value.as_ref(), function)?;
    }
    let subject = subject(&mut args, function)?;
    let guarantees = guarantees(&mut args, function, fallible)?;
    let captures = captures(&args, function, &guarantees)?;
    checked_fields(&args, &captures)?;
    let result = match args.result {
        Some(result) => result,
        // A stream or an iterator is no data.
        None if function.output.is_opaque() && !(responses && function.output.response().is_some()) => Shown::Skip,
        None => Shown::By(Way::Serialize),
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
        // Of a value that counts as a failure there is no error, and yet an event.
        Some(err) if fallible.is_none() && (args.ok.is_none() || matches!(err, Value::Late(_))) => {
            let why = if fallible == Fallible::Denied {
                "but `infallible` records every call as `ok`; remove `err` or `infallible`"
            } else {
                "but this function does not return a `Result`; remove `err`"
            };
            return Err(syn::Error::new_spanned(tokens(&err), format!("`err` names the event of an `Err`, {why}")));
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
            tokens(err_id),
            "`err_id` needs a late `id` beside it; write `id = |value| ..`, or remove `err_id`",
        ));
    }
    Ok(Plan {
        krate: args.krate.unwrap_or_else(|| parse_quote!(::audit_runtime)),
        err,
        entity,
        id,
        actor: args.actor.map(|actor| early(actor, "actor", "the parameters")).transpose()?.map(Text::from),
        captures,
        skipped: args.skip,
        fields: args.fields,
        redacted: args.redact,
        personal: args.personal,
        subject,
        err_id: args.err_id,
        result,
        error,
        ok: args.ok.map(|SuccessIf(ok)| ok),
        recorder: args.recorder.map(|recorder| early(recorder, "recorder", "the parameters")).transpose()?,
        when: args.when,
        fallible,
        event,
        guarantees,
        responses,
    })
}

impl From<Expr> for Text {
    fn from(expr: Expr) -> Self {
        match expr {
            Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) => Self::Literal(literal),
            other => Self::Expr(other),
        }
    }
}

/// Refuses a text that was meant as an expression.
fn literal(word: &str, value: Option<&Value>, function: &Function) -> syn::Result<()> {
    let Some(Value::Early(Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }))) = value else {
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

/// Refuses a literal that is not a text, or an empty one.
fn text(word: &str, value: Option<&Value>) -> syn::Result<()> {
    let message = match value {
        Some(Value::Early(Expr::Lit(ExprLit { lit: Lit::Str(text), .. }))) if !text.value().trim().is_empty() => {
            return Ok(());
        }
        Some(Value::Early(Expr::Lit(ExprLit { lit: Lit::Str(_), .. }))) => "is empty",
        Some(Value::Early(Expr::Lit(_))) => "is a text",
        _ => return Ok(()),
    };
    let at = value.map(tokens).into_token_stream();
    Err(syn::Error::new_spanned(at, format!("`{word}` {message}; write `{word} = \"noun\"`")))
}

/// Whether an id is given as `none` or `None`, and that is no parameter.
fn is_no_id(id: &Value, function: &Function) -> bool {
    let Value::Early(Expr::Path(path)) = id else {
        return false;
    };
    path.path.get_ident().is_some_and(|name| (name == "none" || name == "None") && function.binding(name).is_none())
}

pub(crate) fn tokens(value: &Value) -> &dyn ToTokens {
    match value {
        Value::Early(expr) => expr,
        Value::Late(closure) => closure,
    }
}

pub(crate) fn early(value: Value, name: &str, of: &str) -> syn::Result<Expr> {
    match value {
        Value::Early(expr) => Ok(expr),
        Value::Late(closure) => Err(syn::Error::new_spanned(
            closure,
            format!("`{name}` cannot be a closure, for it is evaluated first; write an expression of {of}"),
        )),
    }
}

pub(crate) fn event_type(value: Value) -> syn::Result<EventType> {
    match value {
        Value::Late(closure) => Ok(EventType::Late(closure)),
        Value::Early(Expr::Lit(ExprLit { lit: Lit::Str(literal), .. })) => {
            if is_event_type(&literal.value()) {
                Ok(EventType::Literal(literal))
            } else {
                Err(syn::Error::new_spanned(
                    &literal,
                    format!(
                        "{:?} is not an event type; write `noun.verb` in lower case, as in \"order.submitted\", at most 128 bytes",
                        literal.value()
                    ),
                ))
            }
        }
        Value::Early(Expr::Lit(literal)) => {
            let shown = literal.to_token_stream();
            let message = format!("`{shown}` is not an event type; write a text, as in \"order.submitted\"");
            Err(syn::Error::new_spanned(literal, message))
        }
        Value::Early(constant @ (Expr::Path(_) | Expr::Const(_))) => Ok(EventType::Constant(constant)),
        Value::Early(Expr::Macro(made)) if made.mac.path.is_ident("concat") => {
            Ok(EventType::Constant(Expr::Macro(made)))
        }
        Value::Early(other) => Err(syn::Error::new_spanned(
            other,
            "an event type is a literal, a constant or a closure; write `const { .. }` to compute it at compile time, or `|value| ..` to choose it by the result",
        )),
    }
}

/// The grammar of event types; the runtime checks constants by the same one.
fn is_event_type(text: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    text.len() <= 128 && text.contains('.') && text.split('.').all(word)
}

pub(crate) fn entity(entity: Option<Value>, event: &EventType, of: &str) -> syn::Result<Text> {
    text("entity", entity.as_ref())?;
    if let Some(entity) = entity {
        return early(entity, "entity", of).map(Text::from);
    }
    let (tokens, why): (&dyn ToTokens, _) = match event {
        EventType::Literal(literal) => {
            let text = literal.value();
            let noun = text.split('.').next().unwrap_or(&text);
            return Ok(Text::Literal(LitStr::new(noun, literal.span())));
        }
        EventType::Constant(constant) => (constant, "a constant"),
        EventType::Late(closure) => (closure, "a closure"),
    };
    Err(syn::Error::new_spanned(tokens, format!("{why} does not name the entity; add `entity = \"noun\"`")))
}

fn default_id(entity: &Text, function: &Function) -> syn::Result<Value> {
    let mut names = vec!["id".to_owned()];
    if let Text::Literal(entity) = entity {
        names.insert(0, format!("{}_id", entity.value()));
    }
    for name in &names {
        if let Some(binding) = function.bindings().find(|binding| binding.name == *name) {
            let name = &binding.name;
            return Ok(Value::Early(parse_quote!(#name)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_types_follow_the_grammar() {
        assert!(is_event_type("order.duplicate_prevented") && is_event_type("k8s.pod.deleted"));
        for bad in ["", "order", "order.", ".x", "Order.x", "order.1", "a b.c", "a.b-c"] {
            assert!(!is_event_type(bad), "{bad}");
        }
    }
}
