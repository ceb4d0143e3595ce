//! Patterns of parameters: what they bind, also where `#[async_trait]` has moved them into the body.

use crate::function::{is_word, regrouped};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::Parser;
use syn::visit_mut::{self, VisitMut};
use syn::{FnArg, Ident, Pat, PatIdent, Signature, Token, Type};

/// The names that a parameter's pattern binds, with `mut` where the body may change what they name. An upper-case name may be a constant or
/// a unit struct, which nobody sees here: it is taken for a name, and captured as what it is.
pub(crate) fn bound(pat: &Pat, ty: Option<&Type>) -> Vec<(Ident, Option<Token![mut]>)> {
    struct Names(Vec<(Ident, Option<Token![mut]>)>);
    impl VisitMut for Names {
        fn visit_pat_ident_mut(&mut self, pat: &mut PatIdent) {
            self.0.push((pat.ident.clone(), pat.mutability.filter(|_| pat.by_ref.is_none())));
            visit_mut::visit_pat_ident_mut(self, pat);
        }
    }
    // `Unit: Unit` is the unit struct.
    if let (Pat::Ident(pat), Some(ty)) = (pat, ty)
        && pat.mutability.is_none()
        && is_named(ty, &pat.ident)
    {
        return Vec::new();
    }
    let mut names = Names(Vec::new());
    names.visit_pat_mut(&mut pat.clone());
    names.0
}

fn is_named(ty: &Type, name: &Ident) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == *name))
}

/// Takes `mut` from a pattern: it belongs to the names that the body sees.
pub(crate) struct Immutable;

impl VisitMut for Immutable {
    fn visit_pat_ident_mut(&mut self, pat: &mut PatIdent) {
        if pat.by_ref.is_none() {
            pat.mutability = None;
        }
        visit_mut::visit_pat_ident_mut(self, pat);
    }
}

/// Gives the parameters of what `#[async_trait]` made of a method the patterns that were written: it names such a parameter `__arg1`, and
/// begins the body with `let PATTERN = { let __arg1 = __arg1; __arg1 };`. One that binds by reference has to stay there.
pub(crate) fn restored(sig: &mut Signature, body: Group) -> Group {
    let mut tokens = body.stream();
    for input in &mut sig.inputs {
        let FnArg::Typed(input) = input else {
            continue;
        };
        let Pat::Ident(PatIdent { ident, .. }) = &*input.pat else {
            continue;
        };
        if !ident.to_string().starts_with("__arg") {
            continue;
        }
        let mut found = None;
        let replaced = replaced(tokens.clone(), ident, &mut found);
        if let Some(mut pat) = found {
            Immutable.visit_pat_mut(&mut pat);
            *input.pat = pat;
            tokens = replaced;
        }
    }
    match regrouped(&body, tokens) {
        TokenTree::Group(group) => group,
        _ => body,
    }
}

/// Replaces the statement that takes the parameter apart by one that binds each of its names once more.
fn replaced(tokens: TokenStream, parameter: &Ident, found: &mut Option<Pat>) -> TokenStream {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut result: Vec<TokenTree> = Vec::new();
    for token in tokens {
        let TokenTree::Group(group) = &token else {
            result.push(token);
            continue;
        };
        if found.is_none() && gives(group, parameter) && is_punct(result.last(), '=') {
            let begin = result.iter().rposition(|token| is_word(token, "let"));
            if let Some(begin) = begin
                && let Some((statement, pat)) = rebound(&result[begin + 1..result.len() - 1])
            {
                result.truncate(begin);
                result.extend(statement);
                *found = Some(pat);
                continue;
            }
        }
        if found.is_none() {
            let inner = replaced(group.stream(), parameter, found);
            result.push(regrouped(group, inner));
        } else {
            result.push(token);
        }
    }
    result.into_iter().collect()
}

/// `let a = a; let mut b = b`, and the pattern; `None` for one that binds by reference.
fn rebound(pattern: &[TokenTree]) -> Option<(TokenStream, Pat)> {
    let pat = Pat::parse_multi.parse2(pattern.iter().cloned().collect()).ok()?;
    if pattern.iter().any(binds_by_reference) {
        return None;
    }
    let names = bound(&pat, None);
    let mut statement = TokenStream::new();
    for (at, (name, mutability)) in names.iter().enumerate() {
        let end = (at + 1 < names.len()).then(|| quote!(;));
        statement.extend(quote!(let #mutability #name = #name #end));
    }
    // The semicolon behind the statement is still to come.
    if names.is_empty() {
        statement.extend(quote!(()));
    }
    Some((statement, pat))
}

fn binds_by_reference(token: &TokenTree) -> bool {
    match token {
        TokenTree::Group(group) => group.stream().into_iter().any(|token| binds_by_reference(&token)),
        token => is_word(token, "ref"),
    }
}

/// Whether a group is `{ let __arg1 = __arg1; __arg1 }`.
fn gives(group: &Group, parameter: &Ident) -> bool {
    let expected = quote!(let #parameter = #parameter; #parameter);
    group.delimiter() == Delimiter::Brace && group.stream().to_string() == expected.to_token_stream().to_string()
}

fn is_punct(token: Option<&TokenTree>, which: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == which)
}
