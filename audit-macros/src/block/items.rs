//! An `impl` block or a module as tokens: its functions, and everything else as it was written.

use crate::function::Function;
use crate::syntax::{between, is_punct, is_word, mentions, regrouped};
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::discouraged::Speculative as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Token, Visibility};

/// The kind of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Inherent,
    /// An `impl` of a trait: its methods are as public as the trait.
    Trait,
    Module,
}

pub(crate) struct Block {
    pub(crate) kind: Kind,
    /// All before the braces.
    head: Vec<TokenTree>,
    braces: Group,
    pub(crate) items: Vec<Item>,
}

pub(crate) enum Item {
    Method(Box<Method>),
    Other(TokenStream),
}

/// A function of the block.
pub(crate) struct Method {
    pub(crate) function: Function,
    attrs: Vec<Attribute>,
    /// All behind the attributes.
    rest: TokenStream,
}

impl Kind {
    /// Returns the kind, if an item is such a block.
    pub(crate) fn of(item: &TokenStream) -> Option<Self> {
        let word = first_word(item.clone())?;
        (is_word(&word, "impl") || is_word(&word, "mod")).then(|| kind.parse2(item.clone()).ok()).flatten().flatten()
    }

    /// Returns the word for its functions.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Inherent | Self::Trait => "method",
            Self::Module => "function",
        }
    }
}

/// Returns the first word of an item behind its attributes and its visibility. Most items are
/// functions, which are not to be parsed twice.
fn first_word(item: TokenStream) -> Option<TokenTree> {
    item.into_iter().find_map(|token| match token {
        TokenTree::Ident(ref word) if ["pub", "default", "unsafe"].iter().any(|skipped| word == skipped) => None,
        TokenTree::Ident(_) => Some(token),
        // A visibility, or an item that a macro has as a fragment.
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => first_word(group.stream()),
        TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => None,
    })
}

fn kind(input: ParseStream<'_>) -> syn::Result<Option<Kind>> {
    let _ = input.call(Attribute::parse_outer)?;
    let _ = input.parse::<Visibility>()?;
    if input.peek(Token![default]) {
        input.parse::<Token![default]>()?;
    }
    let _ = input.parse::<Option<Token![unsafe]>>()?;
    let (is_impl, is_module) = (input.peek(Token![impl]), input.peek(Token![mod]));
    let head: Vec<TokenTree> = input.parse::<TokenStream>()?.into_iter().collect();
    let has_braces = matches!(head.last(), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace);
    let of_a_trait = head.windows(2).any(|pair| is_word(&pair[0], "for") && !is_punct(&pair[1], '<'));
    Ok(match (is_impl, is_module) {
        (true, _) if of_a_trait => Some(Kind::Trait),
        (true, _) => Some(Kind::Inherent),
        (_, true) if has_braces => Some(Kind::Module),
        _ => None,
    })
}

impl Block {
    pub(crate) fn parse(kind: Kind, item: TokenStream) -> syn::Result<Self> {
        let mut head: Vec<TokenTree> = item.into_iter().collect();
        match head.pop() {
            Some(TokenTree::Group(braces)) if braces.delimiter() == Delimiter::Brace => {
                let items = items.parse2(braces.stream())?;
                Ok(Self { kind, head, braces, items })
            }
            // An item that a macro has as a fragment.
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::None && head.is_empty() => {
                Self::parse(kind, group.stream())
            }
            other => Err(syn::Error::new(
                other.map_or_else(Span::call_site, |token| token.span()),
                "expected the braces of the block",
            )),
        }
    }

    pub(crate) fn methods(&self) -> impl Iterator<Item = &Method> {
        self.items.iter().filter_map(|item| match item {
            Item::Method(method) => Some(&**method),
            Item::Other(_) => None,
        })
    }

    /// Emits the block, each of its functions by `method`.
    pub(crate) fn emit(&self, mut method: impl FnMut(&Method) -> TokenStream) -> TokenStream {
        let items = self.items.iter().map(|item| match item {
            Item::Method(item) => method(item),
            Item::Other(tokens) => tokens.clone(),
        });
        let braces = regrouped(&self.braces, items.collect());
        self.head.iter().cloned().chain([braces.into()]).collect()
    }
}

fn items(input: ParseStream<'_>) -> syn::Result<Vec<Item>> {
    let mut items = Vec::new();
    let attrs = input.call(Attribute::parse_inner)?;
    items.extend(attrs.into_iter().map(|attribute| Item::Other(attribute.into_token_stream())));
    while !input.is_empty() {
        let ahead = input.fork();
        let Ok(function) = ahead.parse::<Function>() else {
            items.push(Item::Other(other(input)?));
            continue;
        };
        let attrs = input.call(Attribute::parse_outer)?;
        let rest = between(input, &ahead);
        input.advance_to(&ahead);
        items.push(Item::Method(Box::new(Method { function, attrs, rest })));
    }
    Ok(items)
}

/// Parses an item that is not a function, up to its `;` or its braces.
fn other(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let ahead = input.fork();
    let _ = ahead.call(Attribute::parse_outer).and_then(|_| ahead.parse::<Visibility>());
    let has_a_value = ahead.peek(Token![const]) || ahead.peek(Token![static]);
    let has_a_value = has_a_value || ahead.peek(Token![type]) || ahead.peek(Token![use]);
    let mut tokens = TokenStream::new();
    while !input.is_empty() {
        let token: TokenTree = input.parse()?;
        let is_braces = matches!(&token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
        let is_end = is_punct(&token, ';') || (is_braces && !has_a_value);
        tokens.extend([token]);
        if is_end {
            break;
        }
    }
    Ok(tokens)
}

impl Method {
    pub(crate) fn name(&self) -> &Ident {
        &self.function.sig.ident
    }

    /// Returns whether it is visible outside of its module.
    pub(crate) fn is_public(&self, kind: Kind) -> bool {
        match &self.function.vis {
            _ if kind == Kind::Trait => true,
            Visibility::Public(_) => true,
            Visibility::Restricted(restricted) => !restricted.path.is_ident("self"),
            Visibility::Inherited => false,
        }
    }

    /// Returns the method's own `#[audited(..)]`s.
    pub(crate) fn own(&self) -> impl Iterator<Item = &Attribute> {
        self.attrs.iter().filter(|attribute| is_audited(attribute))
    }

    /// Returns an attribute that may become `#[audited]`, which nobody can know here.
    pub(crate) fn conditional(&self) -> Option<&Attribute> {
        let audited = Ident::new("audited", Span::call_site());
        self.attrs.iter().find(|attribute| attribute.path().is_ident("cfg_attr") && mentions(attribute, &audited))
    }

    /// Emits the method without its own `#[audited]`s.
    pub(crate) fn bare(&self) -> TokenStream {
        let (attrs, rest) = (self.attrs.iter().filter(|attribute| !is_audited(attribute)), &self.rest);
        quote!(#(#attrs)* #rest)
    }

    /// Emits the method with an attribute above the others, or each of its own replaced where it
    /// stands.
    pub(crate) fn audited(&self, attribute: impl Fn(Option<&Attribute>) -> TokenStream) -> TokenStream {
        let rest = &self.rest;
        let above = self.own().next().is_none().then(|| attribute(None));
        let attrs = self
            .attrs
            .iter()
            .map(|written| if is_audited(written) { attribute(Some(written)) } else { written.to_token_stream() });
        quote!(#above #(#attrs)* #rest)
    }
}

fn is_audited(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == "audited")
}
