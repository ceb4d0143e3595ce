//! The attribute's arguments, as they were written.

use crate::habits;
use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, ExprClosure, Ident, LitStr, Path, Token, parenthesized};

/// Every argument there is: what an unknown one is compared with.
const NAMES: &[&str] = &[
    "event",
    "err",
    "entity",
    "id",
    "err_id",
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

/// Those of which the name is all.
const FLAGS: &[&str] = &["intent", "required", "skip_all", "fallible", "infallible"];

#[derive(Default)]
pub(crate) struct Args {
    pub(crate) event: Option<Value>,
    pub(crate) err: Option<Value>,
    pub(crate) entity: Option<Value>,
    pub(crate) id: Option<Value>,
    pub(crate) err_id: Option<Value>,
    pub(crate) actor: Option<Value>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) skip_all: Option<Span>,
    pub(crate) only: Option<Vec<Captured>>,
    pub(crate) redact: Vec<Ident>,
    pub(crate) plain: Vec<Ident>,
    /// Keys inside of values: a parameter, and the way to the key.
    pub(crate) plain_keys: Vec<PlainKey>,
    pub(crate) personal: Vec<Ident>,
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

/// An entry of `plain`: a parameter, or a key inside of its value, as in `order.token_in`.
pub(crate) struct PlainKey {
    pub(crate) parameter: Ident,
    pub(crate) path: Vec<Ident>,
}

impl PlainKey {
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

    /// The way as the runtime reads it.
    pub(crate) fn keys(&self) -> String {
        let keys = self.path.iter().map(|key| key.unraw().to_string());
        keys.collect::<Vec<_>>().join(".")
    }
}

/// An expression, or a closure over the function's success value.
pub(crate) enum Value {
    Early(Expr),
    Late(ExprClosure),
}

/// How a value becomes JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Serialize,
    Display,
    Debug,
}

/// A parameter in `only(..)`.
pub(crate) struct Captured {
    pub(crate) name: Ident,
    pub(crate) way: Way,
}

/// One of `fields(..)`.
pub(crate) struct Field {
    pub(crate) name: Ident,
    pub(crate) way: Way,
    pub(crate) value: Value,
}

/// How a result or an error is captured.
pub(crate) enum Shown {
    Skip,
    By(Way),
    Late(ExprClosure),
}

/// The same, of an error.
struct ErrorShown(Shown);

/// A closure that says whether a success value is one.
pub(crate) struct SuccessIf(pub(crate) ExprClosure);

/// An expression that a macro was given as a fragment (`$id:expr`, `$event:literal`, `$err:path`) stands in a group that nobody sees, and a
/// closure may stand in parentheses.
pub(crate) fn ungrouped(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) => ungrouped(*group.expr),
        Expr::Paren(paren) => match ungrouped(*paren.expr.clone()) {
            closure @ Expr::Closure(_) => closure,
            _ => Expr::Paren(paren),
        },
        other => other,
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

impl Way {
    /// `%`, `?`, or neither.
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
        Ok(Self { name, way: Way::parse_sigil(input)?, value: input.parse()? })
    }
}

impl Shown {
    /// Of the result or the error, whose name is `word`.
    fn parse_of(word: &str, input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(Token![%]) || input.peek(Token![?]) {
            let way = Way::parse_sigil(input)?;
            return if input.is_empty() || input.peek(Token![,]) {
                Ok(Self::By(way))
            } else {
                Err(habits::sigil_with_a_name(word, way, input))
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

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut args = Self::default();
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            if let Some(error) = habits::quoted_argument(input) {
                return Err(error);
            }
            let name = habits::argument_name(input)?;
            if seen.contains(&name) {
                return Err(habits::twice(&name, input));
            }
            args.argument(&name, input)?;
            seen.push(name);
            habits::comma(input, "arguments")?;
        }
        Ok(args)
    }
}

impl Args {
    /// Whether a parameter is the handle that records the calls.
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

    fn argument(&mut self, name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        match name.to_string().as_str() {
            "event" => self.event = Some(assigned(name, input)?),
            "err" => {
                habits::err(name, input)?;
                self.err = Some(assigned(name, input)?);
            }
            "entity" => self.entity = Some(assigned(name, input)?),
            "id" => self.id = Some(assigned(name, input)?),
            "err_id" => self.err_id = Some(assigned(name, input)?),
            "actor" => self.actor = Some(assigned(name, input)?),
            "when" => self.when = Some(assigned(name, input)?),
            "subject" => self.subject = Some(assigned(name, input)?),
            "recorder" => self.recorder = Some(assigned(name, input)?),
            "result" => self.result = Some(assigned(name, input)?),
            "error" => self.error = Some((name.clone(), assigned::<ErrorShown>(name, input)?.0)),
            "ok" => self.ok = Some(assigned(name, input)?),
            "crate" => {
                input.parse::<Token![=]>()?;
                self.krate = Some(path(input)?);
            }
            "skip" => self.skip = names(name, input)?,
            "only" => self.only = Some(only(name, input)?),
            "redact" => self.redact = names(name, input)?,
            "plain" => {
                let (whole, keys) =
                    listed(name, input, PlainKey::parse)?.into_iter().partition(|key| key.path.is_empty());
                let whole: Vec<PlainKey> = whole;
                self.plain = whole.into_iter().map(|key| key.parameter).collect();
                self.plain_keys = keys;
            }
            "personal" => self.personal = names(name, input)?,
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

pub(crate) fn assigned<T: Parse>(name: &Ident, input: ParseStream<'_>) -> syn::Result<T> {
    if !input.peek(Token![=]) || input.peek(Token![==]) {
        return Err(habits::value_missing(name, input));
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(habits::value_missing(name, input));
    }
    input.parse().map_err(|error: syn::Error| {
        // The end of the input has no place of its own.
        if error.to_string().starts_with("unexpected end of input") {
            return syn::Error::new_spanned(name, format!("the value of `{name}` is not complete: {error}"));
        }
        error
    })
}

/// A path, also in quotes, as serde has it.
pub(crate) fn path(input: ParseStream<'_>) -> syn::Result<Path> {
    if !input.peek(LitStr) {
        let found = input.span();
        return input.call(Path::parse_mod_style).map_err(|_| {
            syn::Error::new(found, "`crate` needs the path of the runtime; write one as in `crate = my::audit`")
        });
    }
    let text: LitStr = input.parse()?;
    let path = text.parse_with(Path::parse_mod_style);
    path.map_err(|_| {
        syn::Error::new_spanned(&text, format!("{:?} is not a path; write one as in `crate = my::audit`", text.value()))
    })
}

fn names(list: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    let names = listed(list, input, |input| listed_name(list, input))?;
    habits::repeated(list, names.iter())?;
    Ok(names)
}

fn only(list: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Captured>> {
    let item = |input: ParseStream<'_>| Ok(Captured { way: Way::parse_sigil(input)?, name: listed_name(list, input)? });
    let captured = listed(list, input, item)?;
    habits::repeated(list, captured.iter().map(|captured| &captured.name))?;
    Ok(captured)
}

/// One of a list of parameters, and of fields.
fn listed_name(list: &Ident, input: ParseStream<'_>) -> syn::Result<Ident> {
    if let Some(error) = habits::quoted_name(input) {
        return Err(error);
    }
    if !input.peek(Ident::peek_any) {
        return Err(habits::no_name(list, input));
    }
    let name = input.call(Ident::parse_any)?;
    habits::only_names(list, &name, input)?;
    Ok(name)
}

fn listed<T>(
    name: &Ident,
    input: ParseStream<'_>,
    item: impl Fn(ParseStream<'_>) -> syn::Result<T>,
) -> syn::Result<Vec<T>> {
    if !input.peek(syn::token::Paren) {
        return Err(habits::list_missing(name, input));
    }
    let content;
    parenthesized!(content in input);
    let mut items = Vec::new();
    while !content.is_empty() {
        items.push(item(&content)?);
        habits::comma(&content, &format!("the entries of `{name}`"))?;
    }
    Ok(items)
}

/// The known name that is most like a misspelt one, if any is.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4 && *distance < name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
