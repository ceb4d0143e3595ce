//! A `Result` that is returned where only the caller knows that it is one: behind a type parameter,
//! or the `Self` of a trait. Its type's name shows that it may be an `Err`, and serde's own
//! variants show whether it is.

use super::Call;
use crate::capture::Key;
use serde::ser::{Error as _, Impossible};
use serde::{Serialize, Serializer};
use std::fmt::{self, Display};
use std::sync::Once;

/// The outcome of a call that may or may not have failed.
const UNKNOWN: &str =
    "unknown: the call returned a `Result` that #[audited] cannot see; add `fallible` or `infallible`";

/// Serde's view of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// The value is not an `Err`.
    Ok,
    Err,
    /// The value is not serde's `Result`, or its type is not `Serialize`.
    Nothing,
}

/// Returns whether values of a type may be an `Err`, by the type's name, which the compiler knows.
#[inline(always)]
pub(super) fn names_a_result<V: ?Sized>() -> bool {
    let mut name = std::any::type_name::<V>();
    while let Some(inner) = name
        .strip_prefix("core::option::Option<")
        .or_else(|| name.strip_prefix("core::task::poll::Poll<"))
        .or_else(|| name.strip_prefix('&'))
    {
        name = inner;
    }
    name.starts_with("core::result::Result<")
}

/// Returns serde's view of a value whose type has such a name.
pub(super) fn said<V: Serialize + ?Sized>(value: &V) -> Said {
    value.serialize(Variant).map_or_else(|said| said.0, |()| Said::Nothing)
}

impl Call {
    /// The function returned a value whose type has the name of a `Result`.
    #[cold]
    pub(super) fn unseen<V: ?Sized>(&mut self, said: impl FnOnce(&V) -> Said, value: &V) {
        // The call counts as failed unless the value is known to be `Ok`: no failure is recorded as
        // a success.
        self.fails(true);
        match said(value) {
            Said::Ok => self.fails(false),
            Said::Err => {}
            Said::Nothing => {
                self.serialize(const { &Key::new("$outcome") }, UNKNOWN);
                self.warn_unseen();
            }
        }
    }

    /// Handles a returned value that serde cannot inspect, like [`unseen`](Self::unseen).
    #[cold]
    pub(super) fn unknown(&mut self) {
        self.unseen(|()| Said::Nothing, &());
    }

    fn warn_unseen(&self) {
        static WARNED: Once = Once::new();
        if let Some(active) = &*self.active {
            let function = active.metadata.site.function;
            WARNED.call_once(|| {
                tracing::warn!(
                    function,
                    "an audited function returned a Result that the attribute cannot see, and is recorded as an error: \
                     add `fallible` or `infallible`"
                );
            });
        }
    }
}

/// Stands in place of a serialised value.
#[derive(Debug)]
struct Answer(Said);

impl Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer")
    }
}

impl std::error::Error for Answer {}

impl serde::ser::Error for Answer {
    fn custom<T: Display>(_: T) -> Self {
        Self(Said::Nothing)
    }
}

/// Accepts no value, and reports its variant.
struct Variant;

macro_rules! nothing {
    ($($method:ident($($argument:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $(_: $argument),*) -> Result<$ok, Answer> {
            Err(Answer::custom(""))
        }
    )*};
}

impl Serializer for Variant {
    type Ok = ();
    type Error = Answer;
    type SerializeSeq = Impossible<(), Answer>;
    type SerializeTuple = Impossible<(), Answer>;
    type SerializeTupleStruct = Impossible<(), Answer>;
    type SerializeTupleVariant = Impossible<(), Answer>;
    type SerializeMap = Impossible<(), Answer>;
    type SerializeStruct = Impossible<(), Answer>;
    type SerializeStructVariant = Impossible<(), Answer>;

    fn serialize_none(self) -> Result<(), Answer> {
        Err(Answer(Said::Ok))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Answer> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Answer> {
        Err(Answer(match (name, variant) {
            // One within another is an `Err` by either.
            ("Result", "Ok") if names_a_result::<T>() => return value.serialize(self),
            ("Result", "Ok") => Said::Ok,
            ("Result", "Err") => Said::Err,
            _ => Said::Nothing,
        }))
    }

    fn serialize_newtype_struct<T: ?Sized>(self, _: &'static str, _: &T) -> Result<(), Answer> {
        Err(Answer::custom(""))
    }

    nothing! {
        serialize_bool(bool) -> ();
        serialize_i8(i8) -> ();
        serialize_i16(i16) -> ();
        serialize_i32(i32) -> ();
        serialize_i64(i64) -> ();
        serialize_u8(u8) -> ();
        serialize_u16(u16) -> ();
        serialize_u32(u32) -> ();
        serialize_u64(u64) -> ();
        serialize_f32(f32) -> ();
        serialize_f64(f64) -> ();
        serialize_char(char) -> ();
        serialize_str(&str) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_unit_variant(&'static str, u32, &'static str) -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Poll;

    #[test]
    fn a_result_is_known_by_its_types_name() {
        assert!(names_a_result::<Result<u8, String>>() && names_a_result::<anyhow::Result<()>>());
        assert!(names_a_result::<Option<Result<u8, ()>>>() && names_a_result::<Poll<Option<Result<u8, ()>>>>());
        assert!(names_a_result::<Option<&Result<u8, ()>>>() && names_a_result::<&Result<u8, ()>>());
        assert!(!names_a_result::<u8>() && !names_a_result::<Option<u8>>() && !names_a_result::<Vec<Result<u8, u8>>>());
    }

    #[test]
    fn serde_says_which_variant_it_is() {
        assert_eq!(said(&Ok::<u8, u8>(1)), Said::Ok);
        assert_eq!(said(&Err::<u8, u8>(1)), Said::Err);
        assert_eq!((said(&None::<Result<u8, u8>>), said(&Some(Err::<u8, u8>(1)))), (Said::Ok, Said::Err));
        assert_eq!(said(&Ok::<Result<u8, u8>, u8>(Err(1))), Said::Err);
        assert_eq!(said(&Ok::<Option<Result<u8, u8>>, u8>(Some(Err(1)))), Said::Err);
        assert_eq!(said(&Ok::<Result<Result<u8, u8>, u8>, u8>(Ok(Ok(1)))), Said::Ok);
        assert_eq!((said(&7), said("Err"), said(&[1])), (Said::Nothing, Said::Nothing, Said::Nothing));
    }
}
