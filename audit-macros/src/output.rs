//! The return of a function: a value, or a future of one.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{GenericArgument, Path, PathArguments, ReturnType, Signature, Type, TypeImplTrait, TypeParamBound};

/// How the body gives its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// It returns it.
    Sync,
    /// It is an `async fn`.
    Async,
    /// It returns an `impl Future` of it.
    Future,
    /// It returns a boxed and pinned future of it.
    BoxedFuture,
}

/// The value a function gives in the end.
pub(crate) struct Output {
    pub(crate) shape: Shape,
    /// `None` for `()`.
    value: Option<Type>,
    /// The return of the body itself.
    returned: ReturnType,
}

/// Where a response is, in a value that only promises to become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Response {
    Value,
    Success,
}

const PRIMITIVES: &[&str] = &[
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128",
    "usize",
];

/// A type with every `impl Trait` left to inference, or `None` if nothing of it is known.
fn erased(ty: &Type) -> Option<Type> {
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
    let mut ty = ty.clone();
    Erase.visit_type_mut(&mut ty);
    (!matches!(ty, Type::Infer(_) | Type::Never(_))).then_some(ty)
}

impl Output {
    pub(crate) fn of(sig: &Signature) -> Self {
        let returned = sig.output.clone();
        let declared = match &sig.output {
            ReturnType::Default => None,
            ReturnType::Type(_, ty) => Some((**ty).clone()),
        };
        let (shape, value) = match declared.as_ref().and_then(future) {
            _ if sig.asyncness.is_some() => (Shape::Async, declared),
            Some((shape, value)) => (shape, Some(value)),
            None => (Shape::Sync, declared),
        };
        Self { shape, value, returned }
    }

    /// Whether the value's last path segment is `Result`.
    pub(crate) fn is_result(&self) -> bool {
        self.value.as_ref().and_then(last_segment).is_some_and(|segment| segment.ident == "Result")
    }

    /// Whether the type of the value is known to be other than a `Result`, by any name.
    pub(crate) fn is_plain(&self) -> bool {
        fn is_plain(ty: &Type) -> bool {
            match ty {
                Type::Paren(inner) => is_plain(&inner.elem),
                Type::Group(inner) => is_plain(&inner.elem),
                Type::Path(path) => {
                    path.qself.is_none()
                        && path
                            .path
                            .get_ident()
                            .is_some_and(|name| PRIMITIVES.iter().any(|primitive| name == primitive))
                }
                // A status and a body may be a failure.
                Type::Tuple(tuple) => {
                    let first = tuple.elems.first().and_then(last_segment);
                    first.is_none_or(|segment| segment.ident != "StatusCode")
                }
                Type::Array(_) | Type::BareFn(_) | Type::Ptr(_) | Type::Reference(_) | Type::Slice(_) => true,
                _ => false,
            }
        }
        self.value.as_ref().is_none_or(is_plain)
    }

    /// The value's type, if that is a type parameter of the function, or a type of one: only the
    /// caller knows it.
    pub(crate) fn parameter(&self, sig: &Signature) -> Option<&Type> {
        fn first(ty: &Type) -> Option<&syn::Ident> {
            match ty {
                Type::Paren(inner) => first(&inner.elem),
                Type::Group(inner) => first(&inner.elem),
                Type::Path(path) => match &path.qself {
                    Some(qself) => first(&qself.ty),
                    None => {
                        let segments = &path.path.segments;
                        segments.first().filter(|first| first.arguments.is_none()).map(|first| &first.ident)
                    }
                },
                _ => None,
            }
        }
        let value = self.value.as_ref()?;
        let name = first(value)?;
        sig.generics.type_params().any(|parameter| parameter.ident == *name).then_some(value)
    }

    /// The value's type, unless that is `()` and not written.
    pub(crate) fn value(&self) -> Option<&Type> {
        self.value.as_ref()
    }

    /// Where the value's type is written.
    pub(crate) fn span(&self) -> Span {
        self.value.as_ref().map_or_else(Span::call_site, Spanned::span)
    }

    /// Where the type of the success value is written.
    pub(crate) fn success_span(&self) -> Span {
        match &self.value {
            Some(value) if self.is_result() => first_type_argument(value).unwrap_or(value).span(),
            _ => self.span(),
        }
    }

    /// Whether the value, or what a `Result` holds of it, is `()`.
    pub(crate) fn is_unit(&self) -> bool {
        let success = self.value.as_ref().map(|value| match first_type_argument(value) {
            Some(success) if self.is_result() => success,
            _ => value,
        });
        match success {
            None => true,
            Some(Type::Tuple(tuple)) => tuple.elems.is_empty(),
            Some(_) => false,
        }
    }

    pub(crate) fn is_never(&self) -> bool {
        matches!(&self.value, Some(Type::Never(_)))
    }

    /// Whether the value, or what a `Result` by any name holds of it, is an `impl Trait` that does
    /// not promise to serialise.
    pub(crate) fn is_opaque(&self) -> bool {
        self.opaque().is_some_and(|opaque| !promises(opaque, "Serialize"))
    }

    /// Whether it is an opaque type behind which there may be a response: an `impl Responder` of
    /// actix-web, or, where `responses` states that the runtime knows these, an `impl IntoResponse`.
    pub(crate) fn may_respond(&self, responses: bool) -> bool {
        let is_responder = self.opaque().is_some_and(|opaque| promises(opaque, "Responder"));
        is_responder || (responses && self.response().is_some())
    }

    /// The value, or what a `Result` by any name holds of it, if that is an `impl Trait`.
    fn opaque(&self) -> Option<&TypeImplTrait> {
        let value = self.value.as_ref()?;
        let is_result = last_segment(value).is_some_and(|segment| segment.ident.to_string().ends_with("Result"));
        let success = if is_result { first_type_argument(value).unwrap_or(value) } else { value };
        match success {
            Type::ImplTrait(opaque) => Some(opaque),
            _ => None,
        }
    }

    /// Whether the value, or the content of a `Result`, is an `impl IntoResponse` and promises only
    /// traits that a response has. It keeps the path of the trait, because each framework has its
    /// own trait of that name.
    pub(crate) fn response(&self) -> Option<(Response, &Path)> {
        fn promise(ty: &Type) -> Option<&Path> {
            let Type::ImplTrait(opaque) = ty else {
                return None;
            };
            let mut promise = None;
            let kept = opaque.bounds.iter().all(|bound| match bound {
                TypeParamBound::Trait(bound) => bound.path.segments.last().is_some_and(|segment| {
                    let responds = segment.ident == "IntoResponse" && segment.arguments.is_none();
                    promise = promise.or(responds.then_some(&bound.path));
                    responds || segment.ident == "Send"
                }),
                TypeParamBound::Lifetime(_) | TypeParamBound::PreciseCapture(_) => true,
                _ => false,
            });
            promise.filter(|_| kept)
        }
        let value = self.value.as_ref()?;
        if let Some(path) = promise(value) {
            return Some((Response::Value, path));
        }
        let success = first_type_argument(value).filter(|_| self.is_result());
        success.and_then(promise).map(|path| (Response::Success, path))
    }

    /// The return type of the body, as far as it is known.
    pub(crate) fn known(&self) -> Option<Type> {
        match &self.returned {
            ReturnType::Default => Some(syn::parse_quote!(())),
            ReturnType::Type(_, ty) => erased(ty),
        }
    }

    /// The value the function gives in the end, as far as it is known.
    pub(crate) fn known_value(&self) -> Option<Type> {
        self.value.as_ref().map_or_else(|| Some(syn::parse_quote!(())), erased)
    }
}

/// The output of a future: of `impl Future<Output = T>`, `Pin<Box<dyn Future<Output = T>>>` and
/// `BoxFuture<'_, T>`.
fn future(ty: &Type) -> Option<(Shape, Type)> {
    match ty {
        Type::ImplTrait(opaque) => Some((Shape::Future, future_output(opaque.bounds.iter())?)),
        Type::Paren(inner) => future(&inner.elem),
        Type::Group(inner) => future(&inner.elem),
        Type::Path(_) => {
            let segment = last_segment(ty)?;
            if segment.ident == "BoxFuture" || segment.ident == "LocalBoxFuture" {
                return Some((Shape::BoxedFuture, first_type_argument(ty)?.clone()));
            }
            let boxed = (segment.ident == "Pin").then(|| first_type_argument(ty))??;
            let object = (last_segment(boxed)?.ident == "Box").then(|| first_type_argument(boxed))??;
            let Type::TraitObject(object) = object else {
                return None;
            };
            Some((Shape::BoxedFuture, future_output(object.bounds.iter())?))
        }
        _ => None,
    }
}

fn future_output<'a>(mut bounds: impl Iterator<Item = &'a TypeParamBound>) -> Option<Type> {
    bounds.find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        let segment = bound.path.segments.last().filter(|segment| segment.ident == "Future")?;
        let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
            return None;
        };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(output) if output.ident == "Output" => Some(output.ty.clone()),
            _ => None,
        })
    })
}

/// Whether an `impl Trait` promises a trait of this name.
fn promises(opaque: &TypeImplTrait, name: &str) -> bool {
    opaque.bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().is_some_and(|segment| segment.ident == name),
        _ => false,
    })
}

fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        Type::Paren(inner) => last_segment(&inner.elem),
        Type::Group(inner) => last_segment(&inner.elem),
        _ => None,
    }
}

fn first_type_argument(ty: &Type) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &last_segment(ty)?.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}
