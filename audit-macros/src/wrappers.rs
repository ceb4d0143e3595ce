//! Parameters by the names of their types: extractors, which have data inside, and parts of the
//! program, which are no data.

use crate::function::Function;
use syn::{GenericParam, Ident, Path, Type, TypeParamBound, WherePredicate};

/// Extractors of frameworks, each around one value. They are seen through.
const EXTRACTORS: &[&str] = &["Extension", "Form", "Json", "Path", "Query"];

/// Parts of the program: what of these serde knows nothing of is left out.
const HANDLES: &[&str] = &[
    "AsyncPgConnection",
    "Client",
    "Connection",
    "DatabaseConnection",
    "DatabaseTransaction",
    "HeaderMap",
    "HttpRequest",
    "MetadataMap",
    "MySqlConnection",
    "MySqlPool",
    "Next",
    "Parts",
    "PgConnection",
    "PgPool",
    "PgTransaction",
    "Pool",
    "PoolConnection",
    "PooledConnection",
    "Request",
    "SqliteConnection",
    "SqlitePool",
];

/// The same, if they have arguments: without them, the names are those of many types.
const GENERIC_HANDLES: &[&str] =
    &["Context", "Data", "Receiver", "Sender", "State", "Transaction", "UnboundedReceiver", "UnboundedSender"];

/// Traits of such parts.
const HANDLE_TRAITS: &[&str] = &[
    "Acquire",
    "AsyncFn",
    "AsyncFnMut",
    "AsyncFnOnce",
    "ConnectionTrait",
    "Executor",
    "Fn",
    "FnMut",
    "FnOnce",
    "PgExecutor",
];

/// Types that are no wrappers of anybody's.
const PLAIN: &[&str] = &[
    "Option", "String", "Uuid", "Vec", "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str",
    "u8", "u16", "u32", "u64", "u128", "usize",
];

/// The role of a parameter, by the name of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Its type is known to be no wrapper.
    Plain,
    /// It may be one.
    Data,
    Extractor,
    Handle,
}

/// Returns the role of a parameter, by the type of the whole pattern that binds it.
pub(crate) fn role(function: &Function, name: &Ident) -> Role {
    let Some(ty) = function.declared_type(name) else {
        return Role::Data;
    };
    // An extractor that is taken apart is gone: its content is data like any other.
    let is_whole = function.parameter_type(name).is_some();
    match role_of(ty, function) {
        Role::Extractor if !is_whole => Role::Data,
        role => role,
    }
}

fn role_of(ty: &Type, function: &Function) -> Role {
    match ty {
        Type::Reference(reference) => role_of(&reference.elem, function),
        Type::Paren(inner) => role_of(&inner.elem, function),
        Type::Group(inner) => role_of(&inner.elem, function),
        Type::ImplTrait(opaque) => handle_or_data(opaque.bounds.iter().any(is_handle)),
        Type::Path(path) if path.qself.is_none() => match path.path.get_ident() {
            Some(parameter) if is_type_parameter(parameter, function) => {
                handle_or_data(bounds_of(parameter, function).any(is_handle))
            }
            _ => named(&path.path),
        },
        _ => Role::Data,
    }
}

fn named(path: &Path) -> Role {
    let Some(last) = path.segments.last() else {
        return Role::Data;
    };
    let is_in = |names: &[&str]| names.iter().any(|name| last.ident == name);
    let has_arguments = !last.arguments.is_none();
    if is_in(PLAIN) {
        Role::Plain
    // `Path` without an argument is a path of the file system.
    } else if is_in(EXTRACTORS) && has_arguments {
        Role::Extractor
    } else {
        handle_or_data(is_in(HANDLES) || (is_in(GENERIC_HANDLES) && has_arguments))
    }
}

fn handle_or_data(is_handle: bool) -> Role {
    if is_handle { Role::Handle } else { Role::Data }
}

fn is_handle(bound: &TypeParamBound) -> bool {
    let TypeParamBound::Trait(bound) = bound else {
        return false;
    };
    let last = bound.path.segments.last();
    last.is_some_and(|last| HANDLE_TRAITS.iter().any(|name| last.ident == name))
}

fn is_type_parameter(name: &Ident, function: &Function) -> bool {
    function.sig.generics.type_params().any(|parameter| parameter.ident == *name)
}

/// Returns the bounds of a type parameter, where it is declared and in the `where` clause.
fn bounds_of<'a>(name: &'a Ident, function: &'a Function) -> impl Iterator<Item = &'a TypeParamBound> {
    let generics = &function.sig.generics;
    let declared = generics.params.iter().filter_map(move |parameter| match parameter {
        GenericParam::Type(parameter) if parameter.ident == *name => Some(&parameter.bounds),
        _ => None,
    });
    let predicates = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let demanded = predicates.filter_map(move |predicate| match predicate {
        WherePredicate::Type(predicate) => match &predicate.bounded_ty {
            Type::Path(path) if path.path.is_ident(name) => Some(&predicate.bounds),
            _ => None,
        },
        _ => None,
    });
    declared.chain(demanded).flatten()
}
