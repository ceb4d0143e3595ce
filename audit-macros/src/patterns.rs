//! Patterns of parameters: what they bind, also where `#[async_trait]` has moved them into the
//! body.

use crate::syntax::{is_punct, is_word, regrouped};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::Parser;
use syn::visit_mut::{self, VisitMut};
use syn::{FieldPat, FnArg, Ident, Pat, PatIdent, Signature, Token, Type};

/// A name that a pattern binds.
pub(crate) struct Bound {
    pub(crate) name: Ident,
    /// The body may change what it names.
    pub(crate) mutability: Option<Token![mut]>,
    /// It is written once for a struct's field and for itself, as in `Line { sku }`.
    pub(crate) is_field: bool,
}

/// The names that a parameter's pattern binds. An upper-case name may be a constant or a unit
/// struct, which cannot be distinguished here. It counts as a name, and is captured. `None` is
/// nobody's name.
pub(crate) fn bound(pat: &Pat, ty: Option<&Type>) -> Vec<Bound> {
    struct Names {
        found: Vec<Bound>,
        is_field: bool,
    }
    impl VisitMut for Names {
        fn visit_field_pat_mut(&mut self, field: &mut FieldPat) {
            self.is_field = field.colon_token.is_none();
            visit_mut::visit_field_pat_mut(self, field);
            self.is_field = false;
        }

        fn visit_pat_ident_mut(&mut self, pat: &mut PatIdent) {
            if pat.ident != "None" || pat.subpat.is_some() {
                let mutability = pat.mutability.filter(|_| pat.by_ref.is_none());
                self.found.push(Bound { name: pat.ident.clone(), mutability, is_field: self.is_field });
            }
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
    let mut names = Names { found: Vec::new(), is_field: false };
    names.visit_pat_mut(&mut pat.clone());
    names.found
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

/// Gives the parameters of a method that `#[async_trait]` expanded their written patterns.
/// `#[async_trait]` names such a parameter `__arg1`, and begins the body with
/// `let PATTERN = { let __arg1 = __arg1; __arg1 };`. One that binds by reference has to stay there.
pub(crate) fn restored(sig: &mut Signature, body: &Group) -> Group {
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
    regrouped(body, tokens)
}

/// Replaces the statement that takes the parameter apart by one that binds each of its names once
/// more.
fn replaced(tokens: TokenStream, parameter: &Ident, found: &mut Option<Pat>) -> TokenStream {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut result: Vec<TokenTree> = Vec::new();
    for token in tokens {
        let TokenTree::Group(group) = &token else {
            result.push(token);
            continue;
        };
        if found.is_none() && gives(group, parameter) && result.last().is_some_and(|token| is_punct(token, '=')) {
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
            result.push(regrouped(group, inner).into());
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
    for (at, Bound { name, mutability, .. }) in names.iter().enumerate() {
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
