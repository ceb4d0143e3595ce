//! The attribute of a block: the arguments that are each method's defaults, and those of the block
//! alone.

use super::argument::Argument;
use super::methods::{Entry, Methods};
use crate::args::{Args, NAMES, Value, assigned, each_argument, listed};
use crate::event_type::is_word;
use crate::habits;
use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::{LitStr, Path, parse_quote};

/// Arguments of a block alone.
const OF_BLOCKS: &[&str] = &["methods", "prefix"];

pub(super) struct Defaults {
    /// The type of the entity, and the word of event types before the method's name.
    pub(super) entity: LitStr,
    /// Words before that one.
    pub(super) prefix: Option<LitStr>,
    pub(super) methods: Methods,
    pub(super) krate: Path,
    pub(super) arguments: Vec<Argument>,
}

impl Parse for Defaults {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let (mut entity, mut prefix, mut methods) = (None, None, Methods::default());
        let (mut args, mut arguments) = (Args::default(), Vec::new());
        each_argument(input, |name, input| {
            match name.to_string().as_str() {
                "entity" => entity = Some(words(assigned(name, input)?, Some(1))?),
                "prefix" => prefix = Some(words(assigned(name, input)?, None)?),
                "methods" => methods = Methods::new(listed(name, input, Entry::parse)?),
                "event" => {
                    let message = "a block has an event type for each method, `<entity>.<method>`; write `entity = \"noun\"`, and `#[audited(event = ..)]` on a method for another type";
                    return Err(syn::Error::new_spanned(name, message));
                }
                known if NAMES.contains(&known) => arguments.push(Argument::parse(&mut args, name, input)?),
                _ => return Err(habits::unknown(name, &[NAMES, OF_BLOCKS].concat())),
            }
            Ok(())
        })?;
        let missing = || syn::Error::new(Span::call_site(), "missing `entity`; add `entity = \"noun\"`");
        let krate = args.krate.unwrap_or_else(|| parse_quote!(::audit_runtime));
        Ok(Self { entity: entity.ok_or_else(missing)?, prefix, methods, krate, arguments })
    }
}

/// Checks that a value is a literal, and made of words that an event type may have.
fn words(value: Value, at_most: Option<usize>) -> syn::Result<LitStr> {
    let Some(literal) = value.literal() else {
        return Err(syn::Error::new_spanned(
            &value,
            "the event types of a block begin with this, so it has to be a literal; write a text, as in \"account\"",
        ));
    };
    let text = literal.value();
    if text.split('.').all(is_word) && at_most.is_none_or(|most| text.split('.').count() <= most) {
        return Ok(literal.clone());
    }
    let remedy = if at_most.is_some() {
        "write one word in lower case, as in \"account\", and `prefix = \"billing\"` for `billing.account.<method>`"
    } else {
        "write words in lower case, as in \"billing\""
    };
    Err(syn::Error::new_spanned(literal, format!("{text:?} cannot begin an event type; {remedy}")))
}
