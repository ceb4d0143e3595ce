//! The attribute's arguments, as they were written.

mod forms;
mod value;

pub(crate) use forms::{assigned, assigned_path, listed};
pub(crate) use value::{Also, Chosen, Field, Format, Personal, Shown, SuccessIf, Value};

use crate::habits;
use crate::syntax::ungrouped;
use forms::{chosen, names, personal};
use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, Ident, Path};
use value::{ErrorShown, PlainKey};

/// Every argument: an unknown one is compared with these.
pub(crate) const NAMES: &[&str] = &[
    "event",
    "err",
    "entity",
    "id",
    "err_id",
    "also",
    "tenant",
    "actor",
    "skip",
    "skip_all",
    "only",
    "redact",
    "plain",
    "personal",
    "subject",
    "fields",
    "result",
    "error",
    "ok",
    "changes",
    "when",
    "intent",
    "required",
    "tx",
    "fallible",
    "infallible",
    "recorder",
    "crate",
];

/// Arguments without a value.
const FLAGS: &[&str] = &["intent", "required", "skip_all", "fallible", "infallible"];

#[derive(Default)]
pub(crate) struct Args {
    pub(crate) event: Option<Value>,
    pub(crate) err: Option<Value>,
    pub(crate) entity: Option<Value>,
    pub(crate) id: Option<Value>,
    pub(crate) err_id: Option<Value>,
    /// Further entities.
    pub(crate) also: Vec<Also>,
    pub(crate) tenant: Option<Value>,
    pub(crate) actor: Option<Value>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) skip_all: Option<Span>,
    pub(crate) only: Option<Vec<Chosen>>,
    pub(crate) redact: Vec<Ident>,
    pub(crate) plain: Vec<Ident>,
    /// Keys inside of values: a parameter, and the path to the key.
    pub(crate) plain_keys: Vec<PlainKey>,
    pub(crate) personal: Vec<Personal>,
    pub(crate) subject: Option<Value>,
    pub(crate) fields: Vec<Field>,
    pub(crate) result: Option<Shown>,
    pub(crate) error: Option<(Ident, Shown)>,
    pub(crate) ok: Option<SuccessIf>,
    pub(crate) changes: Vec<Expr>,
    pub(crate) when: Option<Value>,
    pub(crate) intent: Option<Ident>,
    pub(crate) required: Option<Ident>,
    pub(crate) tx: Option<Value>,
    pub(crate) fallible: Option<bool>,
    pub(crate) recorder: Option<Value>,
    pub(crate) krate: Option<Path>,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut args = Self::default();
        each_argument(input, |name, input| args.argument(name, input))?;
        Ok(args)
    }
}

/// Parses a list of arguments. Each has a name, and `argument` parses what stands behind it.
pub(crate) fn each_argument(
    input: ParseStream<'_>,
    mut argument: impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    let mut seen: Vec<Ident> = Vec::new();
    while !input.is_empty() {
        if let Some(error) = habits::quoted_argument(input) {
            return Err(error);
        }
        let name = habits::argument_name(input)?;
        if seen.contains(&name) {
            return Err(habits::twice(&name, input));
        }
        argument(&name, input)?;
        seen.push(name);
        habits::comma(input, "arguments")?;
    }
    Ok(())
}

impl Args {
    /// Returns whether a parameter is the handle that records the calls.
    pub(crate) fn records(&self, name: &Ident) -> bool {
        let mut handle = match &self.recorder {
            Some(Value::Early(handle)) => handle,
            _ => return false,
        };
        while let Expr::Reference(reference) = handle {
            handle = &reference.expr;
        }
        matches!(handle, Expr::Path(path) if path.path.is_ident(name))
    }

    /// Returns these names and those of `fields`.
    pub(crate) fn and_fields<'a>(&'a self, names: impl Iterator<Item = &'a Ident>) -> impl Iterator<Item = &'a Ident> {
        names.chain(self.fields.iter().map(|field| &field.name))
    }

    /// Returns whether `personal` lists a name.
    pub(crate) fn is_personal(&self, name: &Ident) -> bool {
        self.personal.iter().any(|personal| personal.name == *name)
    }

    /// Parses the value of one argument.
    pub(crate) fn argument(&mut self, name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        match name.to_string().as_str() {
            "event" => self.event = Some(assigned(name, input)?),
            "err" => {
                habits::err(name, input)?;
                self.err = Some(assigned(name, input)?);
            }
            "entity" => self.entity = Some(assigned(name, input)?),
            "id" => self.id = Some(assigned(name, input)?),
            "err_id" => self.err_id = Some(assigned(name, input)?),
            "also" => self.also = listed(name, input, Also::parse)?,
            "tenant" => self.tenant = Some(assigned(name, input)?),
            "actor" => self.actor = Some(assigned(name, input)?),
            "when" => self.when = Some(assigned(name, input)?),
            "subject" => self.subject = Some(assigned(name, input)?),
            "recorder" => self.recorder = Some(assigned(name, input)?),
            "result" => self.result = Some(assigned(name, input)?),
            "error" => self.error = Some((name.clone(), assigned::<ErrorShown>(name, input)?.0)),
            "ok" => self.ok = Some(assigned(name, input)?),
            "crate" => self.krate = Some(assigned_path(input)?),
            "skip" => self.skip = names(name, input)?,
            "only" => self.only = Some(chosen(name, input)?),
            "redact" => self.redact = names(name, input)?,
            "plain" => {
                let (whole, keys) =
                    listed(name, input, PlainKey::parse)?.into_iter().partition(|key| key.path.is_empty());
                let whole: Vec<PlainKey> = whole;
                self.plain = whole.into_iter().map(|key| key.parameter).collect();
                self.plain_keys = keys;
            }
            "personal" => self.personal = personal(name, input)?,
            "fields" => self.fields = listed(name, input, Field::parse)?,
            "changes" => self.changes = listed(name, input, |input| input.parse().map(ungrouped))?,
            "tx" => self.tx = Some(assigned(name, input)?),
            "intent" => self.intent = Some(name.clone()),
            "required" => self.required = Some(name.clone()),
            "skip_all" => self.skip_all = Some(name.span()),
            "fallible" if self.fallible.is_none() => self.fallible = Some(true),
            "infallible" if self.fallible.is_none() => self.fallible = Some(false),
            "fallible" | "infallible" => {
                return Err(syn::Error::new_spanned(
                    name,
                    "`fallible` and `infallible` exclude each other; remove one of them",
                ));
            }
            _ => return Err(habits::unknown(name, NAMES)),
        }
        if FLAGS.iter().any(|flag| name == flag) { habits::flag(name, input) } else { Ok(()) }
    }
}
