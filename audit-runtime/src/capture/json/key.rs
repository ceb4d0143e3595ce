//! The keys of maps.

use super::writer::JsonWriter;
use crate::capture::mask::Role;
use crate::capture::url::{mask_urls, may_hold_url};
use serde::ser::{self, Error as _, Impossible, Serialize};
use serde_json::{Error, Result};
use std::fmt::Display;

/// Writes the key of a map, and returns how its value is treated.
pub(super) struct Key<'b, 'a> {
    pub(super) json: &'b mut JsonWriter<'a>,
    pub(super) is_first: bool,
}

impl Key<'_, '_> {
    #[inline]
    fn text(self, key: &str) -> Result<Role> {
        if may_hold_url(key.as_bytes()) {
            self.json.key(&mask_urls(key), self.is_first);
            return Ok(self.json.mask.role(key));
        }
        self.json.key(key, self.is_first);
        Ok(self.json.mask.role(key))
    }

    fn number(self, key: &str) -> Result<Role> {
        self.json.key(key, self.is_first);
        Ok(Role::Ordinary)
    }
}

fn no_key<T>() -> Result<T> {
    Err(Error::custom("key must be a string"))
}

fn no_finite_key<T>() -> Result<T> {
    Err(Error::custom("float key must be finite (got NaN or +/-inf)"))
}

macro_rules! number_keys {
    ($($method:ident $number:ty),*) => {
        $(
            fn $method(self, key: $number) -> Result<Role> {
                self.number(itoa::Buffer::new().format(key))
            }
        )*
    };
}

macro_rules! float_keys {
    ($($method:ident $number:ty),*) => {
        $(
            fn $method(self, key: $number) -> Result<Role> {
                if key.is_finite() { self.number(zmij::Buffer::new().format_finite(key)) } else { no_finite_key() }
            }
        )*
    };
}

impl ser::Serializer for Key<'_, '_> {
    type Ok = Role;
    type Error = Error;
    type SerializeSeq = Impossible<Role, Error>;
    type SerializeTuple = Impossible<Role, Error>;
    type SerializeTupleStruct = Impossible<Role, Error>;
    type SerializeTupleVariant = Impossible<Role, Error>;
    type SerializeMap = Impossible<Role, Error>;
    type SerializeStruct = Impossible<Role, Error>;
    type SerializeStructVariant = Impossible<Role, Error>;

    number_keys! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_i128 i128,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_u128 u128
    }
    float_keys! { serialize_f32 f32, serialize_f64 f64 }

    #[inline]
    fn serialize_str(self, key: &str) -> Result<Role> {
        self.text(key)
    }

    fn serialize_bool(self, key: bool) -> Result<Role> {
        self.number(if key { "true" } else { "false" })
    }

    fn serialize_char(self, key: char) -> Result<Role> {
        self.text(key.encode_utf8(&mut [0; 4]))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Role> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, key: &T) -> Result<Role> {
        key.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, key: &T) -> Result<Role> {
        key.serialize(self)
    }

    fn collect_str<T: Display + ?Sized>(self, key: &T) -> Result<Role> {
        self.text(&key.to_string())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<Role> {
        no_key()
    }

    fn serialize_none(self) -> Result<Role> {
        no_key()
    }

    fn serialize_unit(self) -> Result<Role> {
        no_key()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Role> {
        no_key()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Role> {
        no_key()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq> {
        no_key()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple> {
        no_key()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct> {
        no_key()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        no_key()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap> {
        no_key()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct> {
        no_key()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant> {
        no_key()
    }
}
