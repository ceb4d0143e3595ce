//! The attribute's arguments, as they were written.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprClosure, Ident, Path, Token, parenthesized};

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

impl Parse for Captured {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(Self { way: Way::parse_sigil(input)?, name: input.call(Ident::parse_any)? })
    }
}

impl Parse for Field {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.call(Ident::parse_any)?;
        if !input.peek(Token![=]) {
            return Err(syn::Error::new_spanned(&name, format!("a field needs a value; write `{name} = expression`")));
        }
        input.parse::<Token![=]>()?;
        Ok(Self { name, way: Way::parse_sigil(input)?, value: input.parse()? })
    }
}

impl Shown {
    /// Of the result or the error, whose name is `word`.
    fn parse_of(word: &str, input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(Token![%]) || input.peek(Token![?]) {
            return Ok(Self::By(Way::parse_sigil(input)?));
        }
        match ungrouped(input.parse()?) {
            Expr::Closure(closure) => Ok(Self::Late(closure)),
            Expr::Path(path) if path.path.is_ident("skip") => Ok(Self::Skip),
            other => Err(syn::Error::new_spanned(
                other,
                format!(
                    "this says nothing about the {word}; write `{word} = skip`, `{word} = ?`, `{word} = %` or `{word} = |value| ..`"
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
                "`ok` says of a value that was returned whether it counts as a success; write `ok = |value| ..`",
            )),
        }
    }
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut args = Self::default();
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            let name = input.call(Ident::parse_any)?;
            if seen.contains(&name) {
                return Err(syn::Error::new_spanned(&name, format!("`{name}` is given twice; leave one of them")));
            }
            args.argument(&name, input)?;
            seen.push(name);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(args)
    }
}

impl Args {
    fn argument(&mut self, name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        match name.to_string().as_str() {
            "event" => self.event = Some(assigned(name, input)?),
            "err" => self.err = Some(assigned(name, input)?),
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
                self.krate = Some(input.call(Path::parse_mod_style)?);
            }
            "skip" => self.skip = listed(name, input, Ident::parse_any)?,
            "only" => self.only = Some(listed(name, input, Captured::parse)?),
            "redact" => self.redact = listed(name, input, Ident::parse_any)?,
            "plain" => self.plain = listed(name, input, Ident::parse_any)?,
            "personal" => self.personal = listed(name, input, Ident::parse_any)?,
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
                    "a function is either fallible or infallible; leave one of them",
                ));
            }
            unknown => {
                return Err(syn::Error::new_spanned(
                    name,
                    match nearest(unknown, NAMES.iter().copied()) {
                        Some(nearest) => format!("`audited` has no argument `{unknown}`; did you mean `{nearest}`?"),
                        None => format!("`audited` has no argument `{unknown}`; it takes {}", NAMES.join(", ")),
                    },
                ));
            }
        }
        Ok(())
    }
}

pub(crate) fn assigned<T: Parse>(name: &Ident, input: ParseStream<'_>) -> syn::Result<T> {
    if !input.peek(Token![=]) {
        return Err(syn::Error::new_spanned(name, format!("`{name}` needs a value; write `{name} = ..`")));
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(syn::Error::new_spanned(name, format!("`{name}` needs a value; write `{name} = ..`")));
    }
    input.parse().map_err(|error: syn::Error| {
        // The end of the input has no place of its own.
        if error.to_string().starts_with("unexpected end of input") {
            return syn::Error::new_spanned(name, format!("the value of `{name}` is not complete: {error}"));
        }
        error
    })
}

fn listed<T>(name: &Ident, input: ParseStream<'_>, item: fn(ParseStream<'_>) -> syn::Result<T>) -> syn::Result<Vec<T>> {
    if !input.peek(syn::token::Paren) {
        return Err(syn::Error::new_spanned(name, format!("`{name}` needs a list; write `{name}(..)`")));
    }
    let content;
    parenthesized!(content in input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated_with(&content, item)?.into_iter().collect())
}

/// The known name that is most like a misspelt one, if any is.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
