//! The insides of arrays and objects.

use super::Json;
use super::key::Key;
use serde::ser::{self, Error as _, Serialize};
use serde_json::{Error, Result, Value};

/// An array or object whose inside is written.
pub(crate) struct Compound<'b, 'a> {
    pub(super) json: &'b mut Json<'a>,
    pub(super) kind: Kind,
    pub(super) is_first: bool,
    /// The next value of a map is.
    pub(super) is_secret: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    /// Around it is the object of an enum's variant.
    Variant,
    /// What the variant holds is a secret: nothing of it is written.
    SecretVariant,
    /// `serde_json`'s own.
    Raw,
    Number,
}

impl Compound<'_, '_> {
    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        if self.kind == Kind::SecretVariant {
            return Ok(());
        }
        if !std::mem::take(&mut self.is_first) {
            self.json.put(b",");
        }
        value.serialize(&mut *self.json)
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
        match self.kind {
            Kind::Plain | Kind::Variant => {}
            Kind::SecretVariant => return Ok(()),
            Kind::Raw | Kind::Number => return self.passed_on(value),
        }
        self.json.key(key, std::mem::take(&mut self.is_first));
        if self.json.is_secret(key) {
            self.json.redacted();
            return Ok(());
        }
        value.serialize(&mut *self.json)
    }

    #[cold]
    fn passed_on<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        match serde_json::to_value(value)? {
            Value::String(text) if self.kind == Kind::Raw => self.json.raw(&text),
            Value::String(text) => {
                self.json.put(text.as_bytes());
                self.json.check_room();
                Ok(())
            }
            _ => Err(Error::custom("what passes for JSON is no text")),
        }
    }

    #[inline]
    fn end(self, bracket: &[u8]) -> Result<()> {
        match self.kind {
            Kind::Plain => self.json.close(bracket),
            Kind::Variant => {
                self.json.close(bracket);
                self.json.close(b"}");
            }
            Kind::SecretVariant => self.json.close(b"}"),
            Kind::Raw | Kind::Number => {}
        }
        Ok(())
    }
}

macro_rules! elements {
    ($($of:ident $method:ident)*) => {
        $(
            impl ser::$of for Compound<'_, '_> {
                type Ok = ();
                type Error = Error;

                #[inline]
                fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                    self.element(value)
                }

                #[inline]
                fn end(self) -> Result<()> {
                    self.end(b"]")
                }
            }
        )*
    };
}

elements! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

macro_rules! fields {
    ($($of:ident)*) => {
        $(
            impl ser::$of for Compound<'_, '_> {
                type Ok = ();
                type Error = Error;

                #[inline]
                fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
                    self.field(key, value)
                }

                #[inline]
                fn end(self) -> Result<()> {
                    self.end(b"}")
                }
            }
        )*
    };
}

fields! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        let is_first = std::mem::take(&mut self.is_first);
        self.is_secret = key.serialize(Key { json: &mut *self.json, is_first })?;
        Ok(())
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        if self.is_secret {
            self.json.redacted();
            return Ok(());
        }
        value.serialize(&mut *self.json)
    }

    #[inline]
    fn end(self) -> Result<()> {
        self.end(b"}")
    }
}
