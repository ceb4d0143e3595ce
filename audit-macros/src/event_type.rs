//! The type of an event, and the type of its entity.

use crate::args::Value;
use quote::ToTokens;
use syn::{Expr, ExprClosure, ExprLit, Lit, LitStr};

/// The type of an event.
pub(crate) enum EventType {
    Literal(LitStr),
    Constant(Expr),
    Late(ExprClosure),
}

impl EventType {
    /// Returns the expression, if the compiler knows its text outside of the function, too.
    ///
    /// A path through a type, as in `Self::EVENT`, may depend on the type parameters around it.
    pub(crate) fn known(&self) -> Option<&dyn ToTokens> {
        match self {
            Self::Literal(literal) => Some(literal),
            Self::Constant(constant) if !is_associated(constant) => Some(constant),
            Self::Constant(_) | Self::Late(_) => None,
        }
    }
}

/// Returns whether a path leads through a type, as in `Self::EVENT`.
pub(crate) fn is_associated(path: &Expr) -> bool {
    let Expr::Path(path) = path else {
        return true;
    };
    let segments = &path.path.segments;
    let through_a_type = |segment: &syn::PathSegment| segment.ident.to_string().starts_with(char::is_uppercase);
    path.qself.is_some() || segments.iter().rev().skip(1).any(through_a_type)
}

/// A text: a literal, or any other expression.
pub(crate) enum Text {
    Literal(LitStr),
    Expr(Expr),
}

impl From<Expr> for Text {
    fn from(expr: Expr) -> Self {
        match expr {
            Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) => Self::Literal(literal),
            other => Self::Expr(other),
        }
    }
}

/// Returns the event type that a value denotes.
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

/// The grammar of event types. The runtime checks constants by the same one.
pub(crate) fn is_event_type(text: &str) -> bool {
    text.len() <= 128 && text.contains('.') && text.split('.').all(is_word)
}

/// The grammar of a word in one.
pub(crate) fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Returns the type of the entity. The default is the event type up to its first dot.
pub(crate) fn entity(entity: Option<Value>, event: &EventType, of: &str) -> syn::Result<Text> {
    if let Some(entity) = entity {
        checked_text("entity", &entity)?;
        return entity.early("entity", of).map(Text::from);
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

/// Checks that a literal is a text, and not an empty one.
fn checked_text(word: &str, value: &Value) -> syn::Result<()> {
    let message = match (value.literal(), value) {
        (Some(text), _) if text.value().trim().is_empty() => "is empty",
        (None, Value::Early(Expr::Lit(_))) => "is a text",
        _ => return Ok(()),
    };
    Err(syn::Error::new_spanned(value, format!("`{word}` {message}; write `{word} = \"noun\"`")))
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
