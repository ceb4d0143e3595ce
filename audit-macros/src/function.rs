//! The annotated function: its signature parsed, its body only as tokens, so that half-typed code in it does not keep
//! the attribute from expanding.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream};
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, FnArg, Ident, ReturnType, Signature, Token, Type, Visibility};

pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) defaultness: Option<Token![default]>,
    pub(crate) sig: Signature,
    /// Braces included.
    pub(crate) body: Group,
    pub(crate) bindings: Vec<Binding>,
}

/// A name that a parameter's pattern binds.
#[derive(Clone)]
pub(crate) struct Binding {
    pub(crate) name: Ident,
    pub(crate) mutability: Option<Token![mut]>,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis: Visibility = input.parse()?;
        let defaultness = if input.peek(Token![default]) { Some(input.parse()?) } else { None };
        if let Some(error) = not_a_function(input) {
            return Err(error);
        }
        let sig: Signature = input.parse()?;
        if input.peek(Token![;]) {
            return Err(syn::Error::new_spanned(
                &sig.ident,
                "a method without a body cannot be audited; put #[audited] on the methods that implement it",
            ));
        }
        let body = match input.parse::<TokenTree>()? {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => group,
            other => return Err(syn::Error::new_spanned(other, "expected the function's body")),
        };
        let bindings = bindings(&sig);
        Ok(Self { attrs, vis, defaultness, sig, body, bindings })
    }
}

fn not_a_function(input: ParseStream<'_>) -> Option<syn::Error> {
    let what = if input.peek(Token![struct]) || input.peek(Token![enum]) || input.peek(Token![union]) {
        "a type"
    } else if input.peek(Token![impl]) {
        "an impl block"
    } else if input.peek(Token![trait]) {
        "a trait"
    } else if input.peek(Token![mod]) {
        "a module"
    } else if input.peek(Token![static]) || (input.peek(Token![const]) && input.peek2(Ident) && input.peek3(Token![:]))
    {
        "a constant"
    } else {
        return None;
    };
    Some(input.error(format!("#[audited] goes on a function, not on {what}; put it on each function to be recorded")))
}

/// The names that the parameters bind, in their order; receivers are none.
fn bindings(sig: &Signature) -> Vec<Binding> {
    struct Names(Vec<Binding>);
    impl VisitMut for Names {
        fn visit_pat_ident_mut(&mut self, pat: &mut syn::PatIdent) {
            // In a pattern, an upper-case name is a constant or a unit struct, not a binding.
            if !pat.ident.to_string().starts_with(char::is_uppercase) {
                self.0.push(Binding {
                    name: pat.ident.clone(),
                    mutability: pat.mutability.filter(|_| pat.by_ref.is_none()),
                });
            }
            visit_mut::visit_pat_ident_mut(self, pat);
        }
    }
    let mut names = Names(Vec::new());
    for input in &sig.inputs {
        if let FnArg::Typed(input) = input {
            names.visit_pat_mut(&mut (*input.pat).clone());
        }
    }
    names.0
}

impl Function {
    pub(crate) fn binding(&self, name: &Ident) -> Option<&Binding> {
        self.bindings.iter().find(|binding| binding.name == *name)
    }

    /// The signature for the outer function: `mut` belongs to the bindings the body sees.
    pub(crate) fn outer_signature(&self) -> Signature {
        struct Immutable;
        impl VisitMut for Immutable {
            fn visit_pat_ident_mut(&mut self, pat: &mut syn::PatIdent) {
                if pat.by_ref.is_none() {
                    pat.mutability = None;
                }
                visit_mut::visit_pat_ident_mut(self, pat);
            }
        }
        let mut sig = self.sig.clone();
        for input in &mut sig.inputs {
            if let FnArg::Typed(input) = input {
                Immutable.visit_pat_mut(&mut input.pat);
            }
        }
        sig
    }

    /// Whether the body owns `self`, as in `self`, `mut self` or `self: Arc<Self>`.
    pub(crate) fn owns_self(&self) -> bool {
        self.sig.receiver().is_some_and(|receiver| receiver.reference.is_none())
    }

    /// Whether the return type's last path segment is `Result`.
    pub(crate) fn returns_result(&self) -> bool {
        matches!(&self.sig.output, ReturnType::Type(_, ty) if last_segment(ty).is_some_and(|name| name == "Result"))
    }

    pub(crate) fn returns_never(&self) -> bool {
        matches!(&self.sig.output, ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)))
    }

    /// The return type with every `impl Trait` left to inference; `None` if nothing of it is known.
    pub(crate) fn known_output(&self) -> Option<Type> {
        struct Erase;
        impl VisitMut for Erase {
            fn visit_type_mut(&mut self, ty: &mut Type) {
                if let Type::ImplTrait(_) = ty {
                    *ty = syn::parse_quote!(_);
                } else {
                    visit_mut::visit_type_mut(self, ty);
                }
            }
        }
        match &self.sig.output {
            ReturnType::Default => Some(syn::parse_quote!(())),
            ReturnType::Type(_, ty) => {
                let mut ty = (**ty).clone();
                Erase.visit_type_mut(&mut ty);
                (!matches!(ty, Type::Infer(_) | Type::Never(_))).then_some(ty)
            }
        }
    }

    /// The parameters as the body's own locals, so that they are dropped in the order they always were. Those that the
    /// attribute uses count as used; the others still deserve the compiler's warning.
    pub(crate) fn rebound(&self, used: impl Fn(&Ident) -> bool) -> TokenStream {
        let names = self.bindings.iter().map(|binding| &binding.name);
        let mutability = self.bindings.iter().map(|binding| &binding.mutability);
        let used = self.bindings.iter().map(|binding| &binding.name).filter(|name| used(name));
        let whole_self = self.owns_self().then(|| quote::quote!(let _ = &self;));
        quote::quote!(#whole_self #(let #mutability #names = #names;)* #(let _ = &#used;)*)
    }
}

fn last_segment(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        Type::Paren(inner) => last_segment(&inner.elem),
        Type::Group(inner) => last_segment(&inner.elem),
        _ => None,
    }
}
