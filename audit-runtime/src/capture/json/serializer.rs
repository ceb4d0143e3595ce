//! A value by serde, for a [`JsonWriter`].

use super::compound::{Compound, Kind};
use super::exact::RAW;
use super::writer::{JsonWriter, Purpose};
use super::{FLOAT, ReservedBuf, float};
use crate::capture::mask::Role;
use serde::ser::{self, Error as _, Serialize, SerializeSeq as _};
use serde_json::{Error, Result};
use std::fmt::{self, Display, Write as _};

/// The struct by which `serde_json` passes a number on where it keeps all digits. See [`RAW`] for
/// JSON of any kind.
const NUMBER: &str = "$serde_json::private::Number";

/// Returns whether the type's name is that of an unordered set. serde serialises sets and lists
/// alike.
fn is_set(type_name: &str) -> bool {
    const SETS: &[&str] =
        &["HashSet", "AHashSet", "IndexSet", "LinkedHashSet", "DashSet", "HashTrieSet", "OrdSet", "BinaryHeap"];
    let name = type_name.trim_start_matches(['&', ' ']).trim_start_matches("mut ");
    let name = name.split('<').next().unwrap_or_default();
    SETS.contains(&name.rsplit("::").next().unwrap_or_default())
}

macro_rules! numbers {
    ($($method:ident $number:ty),*) => {
        $(
            #[inline]
            fn $method(self, value: $number) -> Result<()> {
                self.number(value);
                Ok(())
            }
        )*
    };
}

impl<'b, 'a> ser::Serializer for &'b mut JsonWriter<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'b, 'a>;
    type SerializeTuple = Compound<'b, 'a>;
    type SerializeTupleStruct = Compound<'b, 'a>;
    type SerializeTupleVariant = Compound<'b, 'a>;
    type SerializeMap = Compound<'b, 'a>;
    type SerializeStruct = Compound<'b, 'a>;
    type SerializeStructVariant = Compound<'b, 'a>;

    numbers! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_i128 i128,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_u128 u128
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<()> {
        self.put(if value { b"true" } else { b"false" });
        self.check_room();
        Ok(())
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<()> {
        if !value.is_finite() {
            self.not_finite(value.into());
            return Ok(());
        }
        self.put(zmij::Buffer::new().format_finite(value).as_bytes());
        self.check_room();
        Ok(())
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<()> {
        if !value.is_finite() {
            self.not_finite(value);
            return Ok(());
        }
        float(value, &mut ReservedBuf::new(self.out, FLOAT));
        self.check_room();
        Ok(())
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<()> {
        self.text(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<()> {
        self.text(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        ser::Serializer::collect_seq(self, value)
    }

    #[inline]
    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<()> {
        self.put(b"null");
        self.check_room();
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        self.text(variant);
        Ok(())
    }

    /// A text or bytes in a type whose name denotes a secret are one: `ApiKey("..")`,
    /// `PrivateKey([..])`.
    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<()> {
        let begin = self.out.len();
        value.serialize(&mut *self)?;
        if matches!(self.out.get(begin), Some(b'"' | b'[')) && self.mask.role_of_field(name) == Role::Secret {
            self.redact(begin..self.out.len());
        }
        Ok(())
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        if self.open_variant(variant)? {
            self.secret(value)?;
        } else if self.follows_ways() {
            let (_, way) = self.enter(Role::Ordinary, variant);
            value.serialize(&mut *self)?;
            self.leave(way);
        } else {
            value.serialize(&mut *self)?;
        }
        self.close(b"}");
        Ok(())
    }

    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Compound<'b, 'a>> {
        // A list of two texts is a list. A list of lists of two is one of names and values.
        let kind = if length == Some(2) && self.is_element { Kind::Pair } else { Kind::Plain };
        self.open(b"[")?;
        Ok(self.compound(kind))
    }

    #[inline]
    fn serialize_tuple(self, length: usize) -> Result<Compound<'b, 'a>> {
        self.open(b"[")?;
        Ok(self.compound(if length == 2 { Kind::Pair } else { Kind::Plain }))
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Compound<'b, 'a>> {
        self.serialize_tuple(length)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'b, 'a>> {
        self.variant(variant, b"[")
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'b, 'a>> {
        self.open(b"{")?;
        Ok(self.compound(Kind::Plain))
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Compound<'b, 'a>> {
        match name {
            RAW => return Ok(self.compound(Kind::Raw)),
            NUMBER => return Ok(self.compound(Kind::Number)),
            _ => {}
        }
        self.serialize_map(None)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound<'b, 'a>> {
        self.variant(variant, b"{")
    }

    /// Writes the elements of a set in one order where they are to be compared.
    fn collect_seq<I>(self, elements: I) -> Result<()>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        let is_sorted = self.purpose == Purpose::Comparison && is_set(std::any::type_name::<I>());
        let begin = self.out.len();
        let elements = elements.into_iter();
        let length = elements.size_hint();
        let mut seq = self.serialize_seq((length.1 == Some(length.0)).then_some(length.0))?;
        if is_sorted {
            let mut ends = Vec::new();
            for element in elements {
                seq.serialize_element(&element)?;
                ends.push(seq.json.out.len());
            }
            seq.json.sort_elements(begin + 1, &ends);
        } else {
            for element in elements {
                seq.serialize_element(&element)?;
            }
        }
        ser::SerializeSeq::end(seq)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<()> {
        let begin = self.out.len();
        self.put(b"\"");
        let written = write!(Pieces(self), "{value}");
        self.put(b"\"");
        self.check_room();
        self.mask_written_urls(begin);
        written.map_err(|_| Error::custom("its formatting failed"))
    }
}

/// The inside of a text that is formatted.
struct Pieces<'b, 'a>(&'b mut JsonWriter<'a>);

impl fmt::Write for Pieces<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.inside_of_text(text);
        self.0.check_room();
        Ok(())
    }
}
