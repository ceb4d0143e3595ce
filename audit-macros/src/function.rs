//! The annotated function: its signature parsed, its body only as tokens, so that half-typed code
//! in it does not keep the attribute from expanding.

use crate::output::Output;
use crate::patterns::{Bound, Immutable, bound, restored};
use crate::syntax::{braces, is_punct, is_word, mentions, regrouped};
use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::visit_mut::VisitMut;
use syn::{Attribute, FnArg, Ident, Pat, Signature, Token, Type, Visibility};

pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) defaultness: Option<Token![default]>,
    pub(crate) sig: Signature,
    /// Braces included.
    body: Group,
    /// The names that each parameter binds. Receivers are left out.
    parameters: Vec<Parameter>,
    pub(crate) output: Output,
}

/// A parameter, by what the body sees of it.
enum Parameter {
    /// Its pattern's names, in their order.
    Names(Vec<Binding>),
    /// `_`: a name of the expansion's own, for it is dropped in its turn like the others.
    Unnamed(Binding),
}

/// A name that a parameter's pattern binds.
pub(crate) struct Binding {
    pub(crate) name: Ident,
    pub(crate) mutability: Option<Token![mut]>,
    /// The `#[cfg]`s under which the parameter exists: the compiler looks at them only after this
    /// expansion.
    pub(crate) cfgs: Vec<Attribute>,
    /// It is the name of a struct's field, too: no lint can propose another.
    pub(crate) is_field: bool,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis: Visibility = input.parse()?;
        let defaultness = if input.peek(Token![default]) { Some(input.parse()?) } else { None };
        if let Some(error) = not_a_function(input) {
            return Err(error);
        }
        let mut sig: Signature = input.parse()?;
        if input.peek(Token![;]) {
            return Err(syn::Error::new_spanned(
                &sig.ident,
                "a method without a body cannot be audited; put #[audited] on the methods that implement it",
            ));
        }
        let mut body = braces(input.parse::<TokenTree>()?)?;
        if is_async_trait(&sig) {
            body = restored(&mut sig, &body);
        }
        let (parameters, output) = (parameters(&sig), Output::of(&sig));
        Ok(Self { attrs, vis, defaultness, sig, body, parameters, output })
    }
}

fn is_async_trait(sig: &Signature) -> bool {
    sig.generics.lifetimes().any(|parameter| parameter.lifetime.ident == "async_trait")
}

fn not_a_function(input: ParseStream<'_>) -> Option<syn::Error> {
    let what = if input.peek(Token![struct]) || input.peek(Token![enum]) || input.peek(Token![union]) {
        "a type"
    } else if input.peek(Token![trait]) {
        "a trait"
    } else if input.peek(Token![mod]) {
        "a module in a file of its own"
    } else if input.peek(Token![static]) || (input.peek(Token![const]) && input.peek2(Ident) && input.peek3(Token![:]))
    {
        "a constant"
    } else if input.peek(Token![use]) {
        "an import"
    } else if input.peek(Token![type]) {
        "a type alias"
    } else {
        other_item(input)?
    };
    Some(input.error(format!(
        "#[audited] goes on a function, an impl block or a module in braces, not on {what}; put it on each function to be recorded"
    )))
}

/// Names the item behind `unsafe` or `extern` that is not a function, or a macro.
fn other_item(input: ParseStream<'_>) -> Option<&'static str> {
    let ahead = input.fork();
    let _ = ahead.parse::<Option<Token![unsafe]>>();
    if ahead.peek(Token![trait]) {
        return Some("a trait");
    }
    if ahead.peek(Ident) && ahead.peek2(Token![!]) {
        return Some("a macro");
    }
    ahead.parse::<syn::Abi>().ok()?;
    ahead.peek(syn::token::Brace).then_some("an extern block")
}

fn parameters(sig: &Signature) -> Vec<Parameter> {
    let typed = sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(input) => Some(input),
        FnArg::Receiver(_) => None,
    });
    let parameter = |(at, input): (usize, &syn::PatType)| {
        let cfgs: Vec<Attribute> = input.attrs.iter().filter(|attribute| is_condition(attribute)).cloned().collect();
        if let Pat::Wild(_) = *input.pat {
            let name = format_ident!("__audit_unnamed_{at}", span = Span::mixed_site());
            return Parameter::Unnamed(Binding { name, mutability: None, cfgs, is_field: false });
        }
        let names = bound(&input.pat, Some(&input.ty)).into_iter();
        let binding = |Bound { name, mutability, is_field }| Binding { name, mutability, cfgs: cfgs.clone(), is_field };
        Parameter::Names(names.map(binding).collect())
    };
    typed.enumerate().map(parameter).collect()
}

/// Whether an attribute may take a parameter away.
fn is_condition(attribute: &Attribute) -> bool {
    let path = attribute.path();
    path.is_ident("cfg") || (path.is_ident("cfg_attr") && mentions(attribute, &Ident::new("cfg", Span::call_site())))
}

impl Function {
    pub(crate) fn binding(&self, name: &Ident) -> Option<&Binding> {
        self.bindings().find(|binding| binding.name == *name)
    }

    /// The names that the parameters bind, in their order.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.parameters.iter().flat_map(|parameter| match parameter {
            Parameter::Names(names) => names.as_slice(),
            Parameter::Unnamed(_) => &[],
        })
    }

    /// Returns the names that the parameters bind, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Ident> {
        self.bindings().map(|binding| &binding.name)
    }

    /// The signature for the outer function: `mut` belongs to the bindings the body sees.
    pub(crate) fn outer_signature(&self) -> Signature {
        let mut sig = self.sig.clone();
        let typed = sig.inputs.iter_mut().filter_map(|input| match input {
            FnArg::Typed(input) => Some(&mut input.pat),
            FnArg::Receiver(_) => None,
        });
        for (pat, parameter) in typed.zip(&self.parameters) {
            match parameter {
                Parameter::Names(_) => Immutable.visit_pat_mut(pat),
                Parameter::Unnamed(Binding { name, .. }) => **pat = syn::parse_quote!(#name),
            }
        }
        sig
    }

    /// The receiver that the body owns, as in `self`, `mut self` or `self: Arc<Self>`. It is the
    /// user's own token, because the word has the hygiene of the macro it was written in.
    fn owned_self(&self) -> Option<&Token![self]> {
        self.sig.receiver().filter(|receiver| receiver.reference.is_none()).map(|receiver| &receiver.self_token)
    }

    /// Whether the body owns the receiver.
    pub(crate) fn owns_self(&self) -> bool {
        self.owned_self().is_some()
    }

    /// The parameters as the body's own locals, so that they are dropped in the order they always
    /// were. Those that the attribute uses count as used. The others still deserve the compiler's
    /// warning. (A use of them would do, too. But a future keeps what was borrowed for as long as
    /// it is in scope.)
    pub(crate) fn rebound(&self, used: impl Fn(&Ident) -> bool) -> TokenStream {
        let whole_self = self.owned_self().map(|whole| quote!(let _ = &#whole;));
        let bindings = self.parameters.iter().flat_map(|parameter| match parameter {
            Parameter::Names(names) => names.as_slice(),
            Parameter::Unnamed(name) => std::slice::from_ref(name),
        });
        let locals = bindings.map(|Binding { name, mutability, cfgs, is_field }| {
            let used = (*is_field || used(name)).then(|| quote!(unused_variables,));
            let underscored = name
                .to_string()
                .starts_with('_')
                .then(|| quote!(clippy::used_underscore_binding, clippy::no_effect_underscore_binding,));
            quote!(#(#cfgs)* #[allow(#underscored #used clippy::shadow_same)] let #mutability #name = #name;)
        });
        quote!(#whole_self #(#locals)*)
    }

    /// The body, braces included. The expansion of `#[async_trait]` binds the parameters once more,
    /// and there too they count as used.
    pub(crate) fn body(&self, used: impl Fn(&Ident) -> bool) -> TokenStream {
        let mut body = self.body.clone();
        if self.is_async_trait() {
            body = regrouped(&body, with_uses(body.stream(), &used));
        }
        // Braces around a mere expression are the function's own. In the closure, `unused_braces`
        // would call them superfluous, but it ignores braces that come from an expansion.
        if !body.stream().into_iter().any(|token| is_punct(&token, ';')) {
            body.set_span(body.span().resolved_at(Span::mixed_site()));
        }
        body.into_token_stream()
    }

    /// Whether this is what `#[async_trait]` made of an `async fn`: its future may hold every
    /// parameter.
    pub(crate) fn is_async_trait(&self) -> bool {
        is_async_trait(&self.sig)
    }

    /// Whether the body is nothing but an async block, boxed or not: until that is polled, nothing
    /// has happened.
    pub(crate) fn is_async_block(&self) -> bool {
        async_block(self.body.stream()).is_some()
    }

    /// The async block that is the whole body. With `keeps_self`, the block that `#[async_trait]`
    /// made borrows the receiver instead of taking it.
    pub(crate) fn async_block(&self, used: impl Fn(&Ident) -> bool, keeps_self: bool) -> TokenStream {
        let block = async_block(self.body.stream()).map(ToTokens::into_token_stream).unwrap_or_default();
        if !self.is_async_trait() {
            return block;
        }
        let block = if keeps_self { with_borrowed_self(block) } else { block };
        with_uses(block, &used)
    }

    /// The parameters that are lent to such a block, and those that it may change, as its locals.
    pub(crate) fn lent_and_mutable(&self, lent: &[Ident], block: &TokenStream) -> TokenStream {
        let locals = self.bindings().filter_map(|Binding { name, mutability, cfgs, .. }| {
            let value = if lent.contains(name) {
                quote!(&mut *#name)
            } else {
                mutability.filter(|_| mentions(block, name))?;
                quote!(#name)
            };
            Some(quote!(#(#cfgs)* #[allow(clippy::shadow_same)] let #mutability #name = #value;))
        });
        locals.collect()
    }

    /// Whether a type has a type parameter of the function in it.
    pub(crate) fn is_generic(&self, ty: &Type) -> bool {
        self.sig.generics.type_params().any(|parameter| mentions(ty, &parameter.ident))
    }

    /// Whether the function returns what only its caller knows: a type parameter, or the `Self` of
    /// a trait.
    pub(crate) fn returns_parameter(&self) -> bool {
        let is_self = |ty: &Type| matches!(ty, Type::Path(path) if path.path.segments.first().is_some_and(|first| first.ident == "Self"));
        self.output.parameter(&self.sig).is_some() || self.output.value().is_some_and(is_self)
    }

    /// The type of the parameter whose pattern binds a name.
    pub(crate) fn declared_type(&self, name: &Ident) -> Option<&Type> {
        let typed = self.sig.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(input) => Some(input),
            FnArg::Receiver(_) => None,
        });
        let (input, _) = typed.zip(&self.parameters).find(|(_, parameter)| match parameter {
            Parameter::Names(names) => names.iter().any(|binding| binding.name == *name),
            Parameter::Unnamed(_) => false,
        })?;
        Some(&input.ty)
    }

    /// The type of a parameter that is a name and no other pattern.
    pub(crate) fn parameter_type(&self, name: &Ident) -> Option<&Type> {
        self.sig.inputs.iter().find_map(|input| match input {
            FnArg::Typed(input) => match &*input.pat {
                Pat::Ident(pat) if pat.ident == *name && pat.by_ref.is_none() => Some(&*input.ty),
                _ => None,
            },
            FnArg::Receiver(_) => None,
        })
    }
}

/// Of what `#[async_trait]` made of a body with `&mut self`, `let mut __self = self;` with a
/// reborrow.
fn with_borrowed_self(tokens: TokenStream) -> TokenStream {
    let mut result: Vec<TokenTree> = Vec::new();
    for token in tokens {
        let is_self = is_word(&token, "self");
        let taken = match &*result {
            [.., name, equals] => is_word(name, "__self") && is_punct(equals, '='),
            _ => false,
        };
        match token {
            TokenTree::Group(group) => {
                result.push(regrouped(&group, with_borrowed_self(group.stream())).into());
            }
            token if is_self && taken => result.extend(quote!(&mut *#token)),
            token => result.push(token),
        }
    }
    result.into_iter().collect()
}

/// Behind each `let name = name;` of a parameter that the attribute uses, at whatever depth of
/// groups, a use of it.
fn with_uses(tokens: TokenStream, used: &impl Fn(&Ident) -> bool) -> TokenStream {
    let mut result = Vec::new();
    for token in tokens {
        let ends_statement = is_punct(&token, ';');
        result.push(match token {
            TokenTree::Group(group) => regrouped(&group, with_uses(group.stream(), used)).into(),
            token => token,
        });
        if ends_statement
            && let [.., before, TokenTree::Ident(name), equals, TokenTree::Ident(same), _] = &*result
            && (is_word(before, "let") || is_word(before, "mut"))
            && is_punct(equals, '=')
            && name == same
            && used(name)
        {
            let name = name.clone();
            result.extend(quote!(let _ = &#name;));
        }
    }
    result.into_iter().collect()
}

/// The block, if tokens are nothing but `async [move] {..}` or `Box::pin` of it.
fn async_block(tokens: TokenStream) -> Option<Group> {
    let in_path = |token: &TokenTree| match token {
        TokenTree::Ident(_) => true,
        TokenTree::Punct(punct) => punct.as_char() == ':',
        _ => false,
    };
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let braces = |block: &Group| Some(block.clone()).filter(|block| block.delimiter() == Delimiter::Brace);
    match &*tokens {
        [word, TokenTree::Group(block)] if is_word(word, "async") => braces(block),
        [word, moving, TokenTree::Group(block)] if is_word(word, "async") && is_word(moving, "move") => braces(block),
        [path @ .., TokenTree::Group(argument)] if path.iter().all(in_path) => {
            let is_boxed = path.iter().map(TokenTree::to_string).collect::<String>().ends_with("Box::pin");
            is_boxed.then(|| async_block(argument.stream())).flatten()
        }
        _ => None,
    }
}
