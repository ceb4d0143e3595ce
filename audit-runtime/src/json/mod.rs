//! A value by serde as JSON, without what secret-looking keys hold, no deeper than [`MAX_DEPTH`], and no longer than there is room.
//!
//! It writes what `serde_json` writes, byte for byte, but for secrets. `serde_json`'s own serializer, with a formatter that looks
//! for secrets, took five times as long for small values, and seven times for nested ones: a formatter does not know that a key is
//! the same as last time, and every piece of punctuation went through a writer that had to ask whether it is to be written.

mod compound;
mod escape;
mod float;
mod id;
mod key;
mod room;

use crate::mask::{MAX_DEPTH, Mask, REDACTED, is_secret_field};
use compound::{Compound, Kind};
pub(crate) use escape::{escape, plain};
pub(crate) use float::{FLOAT, float};
pub(crate) use id::id;
pub(crate) use room::Room;
use serde::ser::{self, Error as _, Serialize};
use serde_json::{Error, Result, Value};
use sha2::{Digest, Sha256};
use std::fmt::{self, Display, Write as _};

/// What `serde_json` calls the structs by which it passes text on that is JSON already: `RawValue`, and `Number` where it keeps
/// all digits.
const RAW: &str = "$serde_json::private::RawValue";
const NUMBER: &str = "$serde_json::private::Number";

/// The most of a text that is written before there is a look at the room.
const PIECE: usize = 1024;

/// Writes one value at the end of a buffer.
#[derive(Debug)]
pub(crate) struct Json<'a> {
    out: &'a mut Vec<u8>,
    mask: &'a Mask,
    depth: usize,
    /// Where the value begins.
    begin: usize,
    /// The most bytes the buffer may have.
    room: usize,
    spilled: Option<Box<Spilled>>,
}

/// What went beyond the room is hashed and not kept, so that a value of any size takes no memory.
#[derive(Debug)]
struct Spilled {
    bytes: u64,
    hash: Sha256,
}

impl<'a> Json<'a> {
    #[inline]
    pub(crate) fn new(out: &'a mut Vec<u8>, mask: &'a Mask, room: usize) -> Self {
        let begin = out.len();
        Self { out, mask, depth: 0, begin, room, spilled: None }
    }

    /// The length and SHA-256 of a value that did not fit, of which nothing is in the buffer.
    #[inline]
    pub(crate) fn end(self) -> Option<(u64, [u8; 32])> {
        let spilled = *self.spilled?;
        let rest = &self.out[self.begin..];
        let whole = (spilled.bytes + rest.len() as u64, spilled.hash.chain_update(rest).finalize().into());
        self.out.truncate(self.begin);
        Some(whole)
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A piece of the value is written.
    #[inline]
    fn check_room(&mut self) {
        if self.out.len() > self.room {
            self.spill();
        }
    }

    #[cold]
    fn spill(&mut self) {
        let spilled = self.spilled.get_or_insert_with(|| Box::new(Spilled { bytes: 0, hash: Sha256::new() }));
        let piece = &self.out[self.begin..];
        spilled.bytes += piece.len() as u64;
        spilled.hash.update(piece);
        self.out.truncate(self.begin);
        // Whatever comes next goes the same way.
        self.room = self.begin + PIECE;
    }

    #[inline]
    fn text(&mut self, text: &str) {
        self.put(b"\"");
        self.inside_of_text(text);
        self.put(b"\"");
        self.check_room();
    }

    #[inline]
    fn inside_of_text(&mut self, text: &str) {
        if text.len() <= PIECE {
            return escape(text.as_bytes(), self.out);
        }
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, others) = rest.split_at(rest.floor_char_boundary(PIECE));
            escape(piece.as_bytes(), self.out);
            self.check_room();
            rest = others;
        }
    }

    #[inline]
    fn number(&mut self, number: impl itoa::Integer) {
        self.put(itoa::Buffer::new().format(number).as_bytes());
        self.check_room();
    }

    #[inline]
    fn key(&mut self, key: &str, is_first: bool) {
        self.put(if is_first { b"\"" } else { b",\"" });
        escape(key.as_bytes(), self.out);
        self.put(b"\":");
    }

    #[inline]
    fn is_secret(&self, field: &'static str) -> bool {
        is_secret_field(field) || self.mask.names(field)
    }

    fn redacted(&mut self) {
        self.text(REDACTED);
    }

    #[inline]
    fn open(&mut self, bracket: &[u8]) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::custom(format_args!("more than {MAX_DEPTH} arrays and objects within each other")));
        }
        self.put(bracket);
        Ok(())
    }

    #[inline]
    fn close(&mut self, bracket: &[u8]) {
        self.depth -= 1;
        self.put(bracket);
        self.check_room();
    }

    /// Opens `{"variant":`; says whether what it holds is to be written.
    #[inline]
    fn open_variant(&mut self, variant: &'static str) -> Result<bool> {
        self.open(b"{")?;
        self.key(variant, true);
        let is_secret = self.is_secret(variant);
        if is_secret {
            self.redacted();
        }
        Ok(!is_secret)
    }

    /// Opens `{"variant":` and the array or object it holds.
    #[inline]
    fn variant(&mut self, variant: &'static str, bracket: &[u8]) -> Result<Compound<'_, 'a>> {
        if !self.open_variant(variant)? {
            return Ok(self.compound(Kind::SecretVariant));
        }
        self.open(bracket)?;
        Ok(self.compound(Kind::Variant))
    }

    /// JSON that a value is already. It is looked into, for it may hold keys too; it stays as it is unless it has to be changed.
    fn raw(&mut self, text: &str) -> Result<()> {
        let mut value: Value = serde_json::from_str(text)?;
        if self.mask.apply(&mut value) || self.depth + depth(&value) > MAX_DEPTH {
            return value.serialize(self);
        }
        self.put(text.as_bytes());
        self.check_room();
        Ok(())
    }

    #[inline]
    fn compound(&mut self, kind: Kind) -> Compound<'_, 'a> {
        Compound { json: self, kind, is_first: true, is_secret: false }
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
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

impl<'b, 'a> ser::Serializer for &'b mut Json<'a> {
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
            return self.serialize_unit();
        }
        self.put(zmij::Buffer::new().format_finite(value).as_bytes());
        self.check_room();
        Ok(())
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<()> {
        float(value, &mut Room::new(self.out, FLOAT));
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

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
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
            value.serialize(&mut *self)?;
        }
        self.close(b"}");
        Ok(())
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'b, 'a>> {
        self.open(b"[")?;
        Ok(self.compound(Kind::Plain))
    }

    #[inline]
    fn serialize_tuple(self, length: usize) -> Result<Compound<'b, 'a>> {
        self.serialize_seq(Some(length))
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Compound<'b, 'a>> {
        self.serialize_seq(Some(length))
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

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<()> {
        self.put(b"\"");
        let written = write!(Pieces(self), "{value}");
        self.put(b"\"");
        self.check_room();
        written.map_err(|_| Error::custom("its formatting failed"))
    }
}

/// The inside of a text that is formatted.
struct Pieces<'b, 'a>(&'b mut Json<'a>);

impl fmt::Write for Pieces<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.inside_of_text(text);
        self.0.check_room();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
