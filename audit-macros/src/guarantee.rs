//! The rules of `intent`, `required`, `tx` and `changes`: what needs something of the function
//! around them.

use crate::args::{Args, Value};
use crate::diagnostics::{known_name, looks_secret};
use crate::fallible::Fallible;
use crate::function::Function;
use crate::output::Shape;
use crate::secret::says_secret;
use crate::syntax::{key, mentions};
use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Expr, Ident, Member, Type};

/// The intent that is recorded before the body runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    Intent,
    Required,
}

/// A value that is compared before and after.
pub(crate) struct Change {
    pub(crate) key: String,
    pub(crate) value: Expr,
}

/// The values that the attribute still needs after the body, which borrows them.
#[derive(Default)]
pub(crate) struct Lent {
    pub(crate) parameters: Vec<Ident>,
    pub(crate) receiver: bool,
}

impl Lent {
    pub(crate) fn any(&self) -> bool {
        self.receiver || !self.parameters.is_empty()
    }
}

pub(crate) struct Guarantees {
    pub(crate) before: Before,
    pub(crate) changes: Vec<Change>,
    pub(crate) tx: Option<Expr>,
    pub(crate) lent: Lent,
}

impl Guarantees {
    /// Whether a parameter is what `tx` or `changes` are about.
    pub(crate) fn concern(&self, name: &Ident) -> bool {
        self.lent.parameters.contains(name) || self.tx.as_ref().is_some_and(|tx| mentions(tx, name))
    }
}

pub(crate) fn guarantees(args: &mut Args, function: &Function, fallible: Fallible) -> syn::Result<Guarantees> {
    let before = before(args, function, fallible)?;
    let mut lent = Lent::default();
    let changes = changes(args, function, &mut lent)?;
    let tx = transaction(args.tx.take(), function, fallible, &mut lent)?;
    if let (Some(change), true) = (changes.first(), only_makes_a_future(function)) {
        return Err(makes_a_future(&change.value, "changes"));
    }
    Ok(Guarantees { before, changes, tx, lent })
}

fn before(args: &Args, function: &Function, fallible: Fallible) -> syn::Result<Before> {
    let Some(word) = args.required.as_ref().or(args.intent.as_ref()) else {
        return Ok(Before::Nothing);
    };
    if let Some(Value::Late(when)) = &args.when {
        return Err(syn::Error::new_spanned(
            when,
            format!(
                "`{word}` records the call before there is a result; write `when` as an expression of the parameters"
            ),
        ));
    }
    if args.required.is_none() {
        return Ok(Before::Intent);
    }
    if fallible.is_none() {
        return Err(syn::Error::new_spanned(
            word,
            "`required` returns `Err` if the call cannot be recorded; return a `Result` whose error is `From<audit_runtime::RecordError>`, or write `intent` instead",
        ));
    }
    if only_makes_a_future(function) {
        return Err(makes_a_future(word, "required"));
    }
    Ok(Before::Required)
}

/// Whether the body does something before its future is polled.
fn only_makes_a_future(function: &Function) -> bool {
    matches!(function.output.shape, Shape::Future | Shape::BoxedFuture) && !function.is_async_block()
}

fn makes_a_future(at: &impl quote::ToTokens, word: &str) -> syn::Error {
    syn::Error::new_spanned(
        at,
        format!(
            "`{word}` cannot run in a body that only makes a future; write an `async fn`, or make the whole body one `async` block"
        ),
    )
}

fn changes(args: &Args, function: &Function, lent: &mut Lent) -> syn::Result<Vec<Change>> {
    let mut changes: Vec<Change> = Vec::new();
    for value in &args.changes {
        // `key = expression`, or the key is the last name.
        let (key_of, value) = match value {
            Expr::Assign(assign) => (&*assign.left, &*assign.right),
            value => (value, value),
        };
        let (base, redacted) = (base(value)?, |name: &Ident| args.redact.contains(name));
        if base == "self" {
            check_receiver(value, function, "changes")?;
            lent.receiver = true;
        } else {
            known_name(base, function.names())?;
            if !function.parameter_type(base).is_some_and(is_mutable_reference) {
                return Err(syn::Error::new_spanned(
                    base,
                    format!(
                        "`changes` compares a value before and after the body; take `{base}` by `&mut`, or remove it from `changes`"
                    ),
                ));
            }
            if redacted(base) {
                return Err(syn::Error::new_spanned(
                    base,
                    format!("`{base}` cannot be both in `redact` and in `changes`; remove one of them"),
                ));
            }
            if !lent.parameters.contains(base) {
                lent.parameters.push(base.clone());
            }
        }
        let member = last(key_of)?;
        let key = match &member {
            Member::Named(name) => key(name),
            Member::Unnamed(index) => index.index.to_string(),
        };
        if let Member::Named(name) = &member
            && says_secret(&key)
            && !args.plain.contains(name)
            && !args.is_personal(name)
        {
            return Err(looks_secret(
                name,
                &format!("remove it from `changes`, or add `plain({name})` if it is not one"),
            ));
        }
        if changes.iter().any(|change| change.key == key) {
            return Err(syn::Error::new_spanned(
                value,
                format!(
                    "`{key}` is in `changes` already; give this one another key, as in `changes(other = {})`",
                    shown(value)
                ),
            ));
        }
        changes.push(Change { key, value: value.clone() });
    }
    Ok(changes)
}

/// Returns whether a name is the key of a value in `changes`.
pub(crate) fn is_change(args: &Args, name: &Ident) -> bool {
    args.changes.iter().any(|value| {
        let key_of = if let Expr::Assign(assign) = value { &*assign.left } else { value };
        matches!(last(key_of), Ok(Member::Named(key)) if key == *name)
    })
}

/// The parameter, or `self`, that a chain of fields begins with.
fn base(value: &Expr) -> syn::Result<&Ident> {
    match value {
        Expr::Path(path) => {
            if let Some(name) = path.path.get_ident() {
                return Ok(name);
            }
        }
        Expr::Field(field) => return base(&field.base),
        _ => {}
    }
    Err(not_comparable(value))
}

/// Refuses a value that is neither a parameter nor a field: one that is made for the occasion has
/// no before.
fn not_comparable(value: &Expr) -> syn::Error {
    let message = match value {
        Expr::Reference(reference) => {
            format!("`changes` takes values without `&`; write `changes({})`", shown(&reference.expr))
        }
        _ => "`changes` takes `&mut` parameters and fields; write it as in `changes(order, self.position)`".to_owned(),
    };
    syn::Error::new_spanned(value, message)
}

/// The last name of such a chain.
fn last(value: &Expr) -> syn::Result<Member> {
    match value {
        Expr::Path(path) if path.path.get_ident().is_some_and(|name| name != "self") => {
            Ok(Member::Named(path.path.require_ident()?.clone()))
        }
        Expr::Field(field) => Ok(field.member.clone()),
        _ => Err(not_comparable(value)),
    }
}

/// An expression as it was written, but for spaces.
fn shown(value: &Expr) -> String {
    value.to_token_stream().to_string().replace(' ', "")
}

fn is_mutable_reference(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => reference.mutability.is_some(),
        Type::Paren(inner) => is_mutable_reference(&inner.elem),
        Type::Group(inner) => is_mutable_reference(&inner.elem),
        _ => false,
    }
}

/// `self` has to be there after the body.
fn check_receiver(at: &Expr, function: &Function, word: &str) -> syn::Result<()> {
    match function.sig.receiver().map(|receiver| &*receiver.ty) {
        Some(Type::Reference(_)) => Ok(()),
        Some(_) => Err(syn::Error::new_spanned(
            at,
            format!("the body owns `self`, which `{word}` needs afterwards; take `&self` or `&mut self`"),
        )),
        None => Err(syn::Error::new_spanned(
            at,
            format!("this function has no `self`; name a `&mut` parameter in `{word}`"),
        )),
    }
}

fn transaction(
    tx: Option<Value>,
    function: &Function,
    fallible: Fallible,
    lent: &mut Lent,
) -> syn::Result<Option<Expr>> {
    let Some(tx) = tx else {
        return Ok(None);
    };
    let tx = tx.early("tx", "the parameters")?;
    if fallible.is_none() {
        return Err(syn::Error::new_spanned(
            &tx,
            "`tx` returns `Err` if the row cannot be inserted; return a `Result` whose error is `From<sqlx::Error>`",
        ));
    }
    if only_makes_a_future(function) {
        return Err(makes_a_future(&tx, "tx"));
    }
    for binding in function.bindings().filter(|binding| mentions(&tx, &binding.name)) {
        let name = &binding.name;
        match function.parameter_type(name) {
            Some(ty) if is_mutable_reference(ty) => {
                if !lent.parameters.contains(name) {
                    lent.parameters.push(name.clone());
                }
            }
            Some(Type::Reference(_)) => {}
            ty => {
                let at = ty.map_or_else(|| tx.span(), Spanned::span);
                return Err(syn::Error::new(
                    at,
                    format!(
                        "the body owns `{name}`, which `tx` needs afterwards; take `&mut sqlx::Transaction<'_, sqlx::Postgres>`, `&mut sqlx::PgConnection`, or `&mut C` where `C: InsertRow`"
                    ),
                ));
            }
        }
    }
    let of_self = Ident::new("self", Span::call_site());
    if mentions(&tx, &of_self) {
        check_receiver(&tx, function, "tx")?;
        lent.receiver = true;
    }
    Ok(Some(tx))
}
