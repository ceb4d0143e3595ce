//! A value by serde as JSON, without what secret-looking keys hold, no deeper than [`MAX_DEPTH`], and no longer than there is room.
//!
//! It writes what `serde_json` writes, byte for byte, but for secrets. `serde_json`'s own serializer, with a formatter that looks
//! for secrets, took five times as long for small values, and seven times for nested ones: a formatter does not know that a key is
//! the same as last time, and every piece of punctuation went through a writer that had to ask whether it is to be written.

mod compound;
mod escape;
mod key;

use crate::mask::{MAX_DEPTH, Mask, REDACTED, is_secret_field};
use compound::{Compound, Kind};
use escape::escape;
pub(crate) use escape::plain;
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
            return escape(text, self.out);
        }
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, others) = rest.split_at(rest.floor_char_boundary(PIECE));
            escape(piece, self.out);
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
        escape(key, self.out);
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
        if !value.is_finite() {
            return self.serialize_unit();
        }
        self.put(zmij::Buffer::new().format_finite(value).as_bytes());
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
        if !self.open_variant(variant)? {
            return Ok(self.compound(Kind::SecretVariant));
        }
        self.open(b"[")?;
        Ok(self.compound(Kind::Variant))
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
        if !self.open_variant(variant)? {
            return Ok(self.compound(Kind::SecretVariant));
        }
        self.open(b"{")?;
        Ok(self.compound(Kind::Variant))
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Serialize;
    use serde_json::value::RawValue;
    use std::collections::BTreeMap;

    static NO_MASK: Mask = Mask::NONE;

    fn written<T: Serialize + ?Sized>(value: &T) -> std::result::Result<String, String> {
        let mut out = b"before ".to_vec();
        let mut json = Json::new(&mut out, &NO_MASK, usize::MAX);
        value.serialize(&mut json).map_err(|error| error.to_string())?;
        assert_eq!(json.end(), None);
        Ok(String::from_utf8(out).unwrap().split_off(7))
    }

    fn same_as_serde_json<T: Serialize + ?Sized>(value: &T) {
        assert_eq!(written(value), serde_json::to_string(value).map_err(|error| error.to_string()));
    }

    #[derive(Serialize)]
    enum Every {
        Unit,
        Newtype(Option<u8>),
        Tuple(i8, (), &'static str),
        Struct { a: f32, b: Vec<Every> },
        Empty {},
    }

    #[derive(Serialize)]
    struct Newtype<T>(T);

    #[derive(Serialize)]
    struct Unit;

    #[derive(Serialize)]
    struct Flattened {
        #[serde(rename = "odd \"name\"\n")]
        odd: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        none: Option<()>,
        #[serde(flatten)]
        inner: BTreeMap<String, u8>,
    }

    #[test]
    fn every_kind_of_value_is_written_as_serde_json_writes_it() {
        same_as_serde_json(&(i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN));
        same_as_serde_json(&(u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX));
        for float in
            [0.0, -0.0, 1.0, 0.1, 1e21, 1e-7, 123456789.125, f64::MAX, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY]
        {
            same_as_serde_json(&(float, float as f32));
        }
        same_as_serde_json(&('ä', '"', true, false, "text", b"bytes".as_slice(), None::<u8>, Some(1)));
        same_as_serde_json(&(Unit, (), Newtype("x"), Newtype(Newtype([0_u8; 0])), [[1], [2]]));
        let inside = vec![Every::Unit, Every::Newtype(None), Every::Tuple(-1, (), "t"), Every::Empty {}];
        same_as_serde_json(&Every::Struct { a: 1.5, b: inside });
        same_as_serde_json(&Flattened { odd: true, none: None, inner: BTreeMap::from([("k".into(), 1)]) });
        same_as_serde_json(&uuid::Uuid::now_v7());
        same_as_serde_json(&chrono::Utc::now());
        same_as_serde_json(&std::net::Ipv4Addr::LOCALHOST);
        same_as_serde_json(&RawValue::from_string(r#"{"a" : [1.50, 1e40]}"#.into()).unwrap());
    }

    #[test]
    fn every_kind_of_key_is_written_or_refused_as_serde_json_does() {
        fn key<K: Serialize>(key: K) {
            struct One<K>(K);
            impl<K: Serialize> Serialize for One<K> {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                    serializer.collect_map([(&self.0, 1), (&self.0, 2)])
                }
            }
            same_as_serde_json(&One(key));
        }
        key("text");
        key("quoted \"\n");
        key('c');
        key(true);
        (key(-1_i8), key(1_u16), key(u128::MAX), key(i64::MIN));
        (key(1.5), key(1.5_f32), key(f64::NAN), key(f32::INFINITY));
        (key(Every::Unit), key(Newtype("x")), key(Some("x")), key(uuid::Uuid::nil()), key(chrono::Utc::now()));
        (key(()), key(None::<u8>), key(Unit), key([1]), key((1, 2)), key(vec![1]), key(BTreeMap::from([(1, 2)])));
        (
            key(Every::Newtype(None)),
            key(Every::Tuple(1, (), "")),
            key(Every::Empty {}),
            key(Flattened { odd: true, none: None, inner: BTreeMap::new() }),
        );
    }

    #[test]
    fn what_does_not_fit_is_known_by_its_length_and_hash_whatever_its_parts_are() {
        let value: Vec<_> = (0..500).map(|number| ("x".repeat(number * 7 % 9_000), number, Some(0.5))).collect();
        let whole = serde_json::to_vec(&value).unwrap();
        let shown = std::fmt::from_fn(|f| (0..3_000).try_for_each(|number| write!(f, "{number} \" ")));
        for (room, fits) in [(0, false), (10_000, false), (whole.len() - 1, false), (whole.len(), true)] {
            let mut out = b"before ".to_vec();
            let mut json = Json::new(&mut out, &NO_MASK, 7 + room);
            value.serialize(&mut json).unwrap();
            let hashed = json.end();
            assert_eq!(hashed, (!fits).then(|| (whole.len() as u64, Sha256::digest(&whole).into())), "{room}");
            assert_eq!(out.len(), if fits { 7 + whole.len() } else { 7 });
        }
        let mut out = Vec::new();
        let mut json = Json::new(&mut out, &NO_MASK, 100);
        ser::Serializer::collect_str(&mut json, &shown).unwrap();
        let text = serde_json::to_string(&shown.to_string()).unwrap();
        assert_eq!(json.end(), Some((text.len() as u64, Sha256::digest(text).into())));
        assert!(out.capacity() < 20_000);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "(?s).{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                // Names that say no secret.
                prop::collection::hash_map("[ä\"0-9]{0,5}", inner, 0..8)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_written_as_serde_json_writes_it(value in any_json()) {
            same_as_serde_json(&value);
        }

        #[test]
        fn any_number_is_written_as_serde_json_writes_it(float: f64, narrow: f32, wide: i128) {
            same_as_serde_json(&(float, narrow, wide));
        }
    }
}
