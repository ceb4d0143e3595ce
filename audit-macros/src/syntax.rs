//! Token helpers: names that tokens mention, spans, and groups, the invisible ones too.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::Expr;
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;

/// Returns whether tokens mention a name, at whatever depth of groups.
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

/// Returns the key of a name in an event's data: the name without `r#`.
pub(crate) fn key(name: &Ident) -> String {
    name.to_string().trim_start_matches("r#").to_owned()
}

pub(crate) fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

pub(crate) fn is_punct(token: &TokenTree, which: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == which)
}

/// Returns a group with other tokens in it.
pub(crate) fn regrouped(group: &Group, tokens: TokenStream) -> Group {
    let mut inner = Group::new(group.delimiter(), tokens);
    inner.set_span(group.span());
    inner
}

/// Returns an expression without the groups around it. A fragment of a macro (`$id:expr`,
/// `$event:literal`, `$err:path`) arrives in an invisible group, and a closure may arrive in
/// parentheses.
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

/// Returns the tokens between two places of one stream. A node may end inside an invisible group.
pub(crate) fn between(begin: ParseStream<'_>, end: ParseStream<'_>) -> TokenStream {
    let (mut cursor, end) = (begin.cursor(), end.cursor());
    let mut tokens = TokenStream::new();
    while cursor != end
        && let Some((token, next)) = cursor.token_tree()
    {
        if end < next
            && let Some((inside, _, _)) = cursor.group(Delimiter::None)
        {
            cursor = inside;
            continue;
        }
        tokens.extend([token]);
        cursor = next;
    }
    tokens
}

/// Returns the braces of a function's body. A `$body:block` of a macro arrives in an invisible
/// group.
pub(crate) fn braces(token: TokenTree) -> syn::Result<Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Ok(group),
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
            let mut tokens = group.stream().into_iter();
            match (tokens.next(), tokens.next()) {
                (Some(token), None) => braces(token),
                _ => Err(syn::Error::new_spanned(group, "expected the function's body")),
            }
        }
        other => Err(syn::Error::new_spanned(other, "expected the function's body")),
    }
}

/// Returns a name of the expansion's own as if it stood at `span`.
pub(crate) fn at(name: &Ident, span: Span) -> Ident {
    Ident::new(&name.to_string(), span.resolved_at(name.span()))
}

/// Returns the place of an expression's first token in the expansion's own context. The compiler
/// shows the whole attribute for tokens of several contexts.
pub(crate) fn own_span(expr: &impl ToTokens) -> Span {
    expr.span().resolved_at(Span::mixed_site())
}

/// Returns a path as if it were written at `span`, in the expansion's own context. A `$crate` keeps
/// its own.
pub(crate) fn resolved(path: &TokenStream, span: Span) -> TokenStream {
    let token = |mut token: TokenTree| {
        if !is_word(&token, "$crate") {
            token.set_span(span);
        }
        token
    };
    path.clone().into_iter().map(token).collect()
}

/// Returns tokens as if they stood at `span`.
pub(crate) fn respanned(tokens: &TokenStream, span: Span) -> TokenStream {
    let token = |token: TokenTree| {
        let at = span.resolved_at(token.span());
        let mut token = match token {
            TokenTree::Group(group) => {
                TokenTree::Group(Group::new(group.delimiter(), respanned(&group.stream(), span)))
            }
            token => token,
        };
        token.set_span(at);
        token
    };
    tokens.clone().into_iter().map(token).collect()
}
