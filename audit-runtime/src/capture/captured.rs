//! Wrappers that a capture sees through.

use serde::Serialize;

/// A wrapper whose content `#[audited]` captures in its place, as a parameter and as a result.
///
/// With the feature `axum`, the extractors `Json`, `Path`, `Query`, `Form`, `State` and `Extension`
/// are such wrappers. With the feature `tonic`, `Request` and `Response` are. Implement the trait
/// for a wrapper of your own. It comes before the wrapper's own `Serialize`.
///
/// ```
/// use audit_runtime::{Captured, audited, testing::record};
/// use serde_json::json;
///
/// struct Valid<T>(T);
///
/// impl<T: serde::Serialize> Captured for Valid<T> {
///     type Value = T;
///
///     fn captured(&self) -> &T {
///         &self.0
///     }
/// }
///
/// #[audited(event = "order.placed", id = none)]
/// fn place(quantity: Valid<u32>) -> Valid<u32> { quantity }
///
/// assert_eq!(record(|| place(Valid(3))).data, json!({"quantity": 3, "result": 3}));
/// ```
pub trait Captured {
    /// The type of the content.
    type Value: Serialize + ?Sized;

    /// Returns the content.
    fn captured(&self) -> &Self::Value;
}

impl<W: Captured + ?Sized> Captured for &W {
    type Value = W::Value;

    fn captured(&self) -> &Self::Value {
        (**self).captured()
    }
}

impl<W: Captured + ?Sized> Captured for &mut W {
    type Value = W::Value;

    fn captured(&self) -> &Self::Value {
        (**self).captured()
    }
}

#[cfg(feature = "axum")]
mod axum {
    use super::Captured;
    use ::axum::extract::{Path, Query, State};
    use ::axum::{Extension, Form, Json};
    use serde::Serialize;

    macro_rules! extractors {
        ($($name:ident),*) => {$(
            impl<T: Serialize> Captured for $name<T> {
                type Value = T;

                fn captured(&self) -> &T {
                    &self.0
                }
            }
        )*};
    }

    extractors! { Json, Path, Query, Form, State, Extension }
}

#[cfg(feature = "tonic")]
mod tonic {
    use super::Captured;
    use serde::Serialize;

    macro_rules! messages {
        ($($name:ident),*) => {$(
            impl<T: Serialize> Captured for ::tonic::$name<T> {
                type Value = T;

                fn captured(&self) -> &T {
                    self.get_ref()
                }
            }
        )*};
    }

    messages! { Request, Response }
}
