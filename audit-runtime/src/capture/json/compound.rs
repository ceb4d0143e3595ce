//! The insides of arrays and objects.

use super::key::Key;
use super::writer::{JsonWriter, Purpose};
use crate::capture::mask::Role;
use serde::ser::{self, Error as _, Serialize};
use serde_json::{Error, Result, Value};
use std::ops::Range;

/// An array or object whose inside is written.
pub(crate) struct Compound<'b, 'a> {
    pub(super) json: &'b mut JsonWriter<'a>,
    pub(super) kind: Kind,
    pub(super) is_first: bool,
    /// The meaning of a map's key for the value that comes next.
    pub(super) role: Role,
    /// The length of the way to this object while the value of one of its keys is written.
    pub(super) way: usize,
    pub(super) beside: Beside,
}

/// Values that may carry their name beside them: `{"kind": "password", "value": ..}`,
/// `("Cookie", ..)`.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// The name is that of a secret.
    is_secret: bool,
    /// The name is that of a type: what it holds is a secret only if it is a single value.
    is_type: bool,
    /// The place of a value that stands before its name.
    first: Option<Range<usize>>,
    /// The places of further such values.
    #[allow(clippy::box_collection, reason = "most objects have none, and each has to be made and dropped")]
    more: Option<Box<Vec<Range<usize>>>>,
}

impl Beside {
    /// Remembers a value, whose name may follow.
    fn push(&mut self, value: Range<usize>) {
        match &self.first {
            None => self.first = Some(value),
            Some(_) => self.more.get_or_insert_default().push(value),
        }
    }

    /// Returns the last value that is remembered, and forgets it.
    fn pop(&mut self) -> Option<Range<usize>> {
        self.more.as_mut().and_then(|more| more.pop()).or_else(|| self.first.take())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    /// An array of two elements, the first of which may name the second.
    Pair,
    /// Around it is the object of an enum's variant.
    Variant,
    /// The variant's content is a secret: nothing of it is written.
    SecretVariant,
    /// A secret variant where values are compared: the bytes from `begin` on become its hash.
    HashedVariant {
        begin: usize,
    },
    /// `serde_json`'s own.
    Raw,
    Number,
}

impl<'a> Compound<'_, 'a> {
    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let is_first = std::mem::take(&mut self.is_first);
        match self.kind {
            Kind::SecretVariant => return Ok(()),
            Kind::Pair => return self.half(is_first, value),
            _ => {}
        }
        if !is_first {
            self.json.put(b",");
        }
        self.json.is_element = true;
        value.serialize(&mut *self.json)?;
        self.json.is_element = false;
        Ok(())
    }

    /// Writes one of two elements.
    fn half<T: Serialize + ?Sized>(&mut self, is_first: bool, value: &T) -> Result<()> {
        if is_first {
            return self.value(Role::Names, value);
        }
        self.json.put(b",");
        self.value(Role::Named, value)
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
        match self.kind {
            Kind::Plain | Kind::Pair | Kind::Variant | Kind::HashedVariant { .. } => {}
            Kind::SecretVariant => return Ok(()),
            Kind::Raw | Kind::Number => return self.passed_on(value),
        }
        self.json.key(key, std::mem::take(&mut self.is_first));
        let mut role = self.json.mask.role_of_field(key);
        if self.json.follows_ways() {
            (role, self.way) = self.json.enter(role, key);
        }
        let written = if role == Role::Ordinary { value.serialize(&mut *self.json) } else { self.value(role, value) };
        if self.json.follows_ways() {
            self.json.leave(self.way);
        }
        written
    }

    /// Writes a value whose name describes it.
    fn value<T: Serialize + ?Sized>(&mut self, role: Role, value: &T) -> Result<()> {
        if role == Role::Secret || (role == Role::Named && self.beside.is_secret && !self.beside.is_type) {
            return self.json.secret(value);
        }
        let begin = self.json.out.len();
        value.serialize(&mut *self.json)?;
        let written = begin..self.json.out.len();
        match role {
            Role::Named if self.beside.is_secret => self.redact_if_single(written),
            Role::Named => self.beside.push(written),
            Role::Names | Role::Type if self.json.wrote_secret_name(begin) => {
                self.beside.is_secret = true;
                self.beside.is_type = role == Role::Type;
                // From the last one back, so that the others stay where they are.
                while let Some(value) = self.beside.pop() {
                    if self.beside.is_type { self.redact_if_single(value) } else { self.json.redact(value) }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Masks a value that is written already, unless it is an array or an object.
    fn redact_if_single(&mut self, value: Range<usize>) {
        if !matches!(self.json.out.get(value.start), Some(b'{' | b'[')) {
            self.json.redact(value);
        }
    }

    #[cold]
    fn passed_on<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        match serde_json::to_value(value)? {
            Value::String(text) if self.kind == Kind::Raw => self.json.raw(&text),
            Value::String(text) => {
                self.json.raw_number(&text);
                Ok(())
            }
            _ => Err(Error::custom("a raw JSON value must be a text")),
        }
    }

    #[inline(always)]
    fn end(mut self, bracket: &[u8]) -> Result<()> {
        match self.kind {
            Kind::Plain | Kind::Pair => self.json.close(bracket),
            _ => self.end_odd(bracket),
        }
        Ok(())
    }

    /// Ends a value that is not an array or object of its own.
    #[cold]
    fn end_odd(&mut self, bracket: &[u8]) {
        match self.kind {
            Kind::Variant => {
                self.json.close(bracket);
                self.json.close(b"}");
            }
            Kind::HashedVariant { begin } => {
                self.json.close(bracket);
                self.json.redact(begin..self.json.out.len());
                self.json.close(b"}");
            }
            Kind::SecretVariant => self.json.close(b"}"),
            Kind::Plain | Kind::Pair | Kind::Raw | Kind::Number => {}
        }
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
        let begin = self.json.out.len();
        self.role = key.serialize(Key { json: &mut *self.json, is_first })?;
        if self.json.follows_ways() {
            let key = self.json.key_from(begin);
            (self.role, self.way) = self.json.enter(self.role, &key);
        }
        Ok(())
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let written =
            if self.role == Role::Ordinary { value.serialize(&mut *self.json) } else { self.value(self.role, value) };
        if self.json.follows_ways() {
            self.json.leave(self.way);
        }
        written
    }

    #[inline]
    fn end(self) -> Result<()> {
        self.end(b"}")
    }
}

impl<'a> JsonWriter<'a> {
    /// Opens `{"variant":` and the array or object it holds.
    #[inline]
    pub(super) fn variant(&mut self, variant: &'static str, bracket: &[u8]) -> Result<Compound<'_, 'a>> {
        let is_secret = self.open_variant(variant)?;
        if is_secret && self.purpose == Purpose::Record {
            self.redacted();
            return Ok(self.compound(Kind::SecretVariant));
        }
        let begin = self.out.len();
        self.open(bracket)?;
        Ok(self.compound(if is_secret { Kind::HashedVariant { begin } } else { Kind::Variant }))
    }

    #[inline]
    pub(super) fn compound(&mut self, kind: Kind) -> Compound<'_, 'a> {
        Compound { json: self, kind, is_first: true, role: Role::Ordinary, way: 0, beside: Beside::default() }
    }
}
