//! Numbers, texts and ids: most of what calls are given, written without a serializer. There is
//! nothing in them that could fail, panic or be a secret, and so no look for it.

use super::fields::Fields;
use super::key::{KEY, Key};
use super::raw;
use crate::capture::json::ReservedBuf;
use crate::capture::url::may_hold_url;
use std::any::TypeId;
use uuid::Uuid;

/// The longest text that is written this way.
const TEXT: usize = 512;
/// The most bytes of any other value, and of what stands before a text and behind any value.
const SHORT: usize = 24;

/// A value of such a type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scalar<'a> {
    Text(&'a str),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Id(&'a Uuid),
}

impl<'a> Scalar<'a> {
    /// The value, if its type is one of them, which the compiler knows.
    #[inline(always)]
    pub(crate) fn of<T: ?Sized>(value: &'a T) -> Option<Self> {
        let of = typeid::of::<T>();
        macro_rules! cases {
            ($($type:ty => $make:expr),* $(,)?) => {
                $(
                    if of == TypeId::of::<$type>() {
                        // SAFETY: it is of this type, but for lifetimes, and its borrows live as
                        // long as it is itself borrowed.
                        let value: &'a $type = unsafe { &*std::ptr::from_ref(value).cast::<$type>() };
                        let make: fn(&'a $type) -> Self = $make;
                        return Some(make(value));
                    }
                )*
            };
        }
        cases! {
            &'static str => |text| Self::Text(text),
            String => |text| Self::Text(text),
            &'static String => |text| Self::Text(text),
            u64 => |number| Self::Unsigned(*number),
            u32 => |number| Self::Unsigned(u64::from(*number)),
            u16 => |number| Self::Unsigned(u64::from(*number)),
            u8 => |number| Self::Unsigned(u64::from(*number)),
            usize => |number| Self::Unsigned(*number as u64),
            i64 => |number| Self::Signed(*number),
            i32 => |number| Self::Signed(i64::from(*number)),
            i16 => |number| Self::Signed(i64::from(*number)),
            i8 => |number| Self::Signed(i64::from(*number)),
            isize => |number| Self::Signed(*number as i64),
            f64 => |number| Self::Float(*number),
            bool => |value| Self::Bool(*value),
            Uuid => |id| Self::Id(id),
            &'static Uuid => |id| Self::Id(id),
        }
        None
    }
}

/// Each puts a value under its key, for the reader of the record to write out. It returns whether
/// it did. If the field needs more than the value as it is, [`Fields::serialize`] handles it.
impl Fields {
    #[inline]
    pub(crate) fn text(&mut self, key: &Key, text: &str) -> bool {
        let bytes = text.as_bytes();
        // A URL may hold a password.
        if bytes.len() > TEXT || may_hold_url(bytes) {
            return false;
        }
        self.put(key, bytes.len(), |room| raw::text(bytes, room))
    }

    #[inline]
    pub(crate) fn unsigned(&mut self, key: &Key, number: u64) -> bool {
        self.put(key, 0, |room| raw::unsigned(number, room))
    }

    #[inline]
    pub(crate) fn signed(&mut self, key: &Key, number: i64) -> bool {
        self.put(key, 0, |room| raw::signed(number, room))
    }

    #[inline]
    pub(crate) fn float(&mut self, key: &Key, number: f64) -> bool {
        self.put(key, 0, |room| raw::float_number(number, room))
    }

    #[inline]
    pub(crate) fn bool(&mut self, key: &Key, value: bool) -> bool {
        self.put(key, 0, |room| room.put(if value { b"true" } else { b"false" }))
    }

    #[inline]
    pub(crate) fn id(&mut self, key: &Key, uuid: &Uuid) -> bool {
        self.put(key, 0, |room| raw::uuid(uuid, room))
    }

    /// Puts the key, and behind it what has at most [`SHORT`] bytes and these.
    #[inline(always)]
    fn put(&mut self, key: &Key, bytes: usize, value: impl FnOnce(&mut ReservedBuf<'_>)) -> bool {
        let Some((json, length)) = key.json() else {
            return false;
        };
        let bytes = KEY + SHORT + bytes;
        if self.buffer.len() + bytes > self.raw_to {
            return false;
        }
        let mut room = ReservedBuf::new(&mut self.buffer, bytes);
        room.put_padded(json, length);
        value(&mut room);
        room.put(b",");
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Rules;
    use crate::capture::mask::Mask;
    use proptest::prelude::*;
    use serde::Serialize;

    const NAME: &Key = &Key::new("name");

    fn written_out(fields: &mut Fields) -> String {
        String::from_utf8(raw::json(fields.end(), &mut Vec::new()).unwrap().to_vec()).unwrap()
    }

    fn put<T: Serialize>(fields: &mut Fields, rules: &Rules, value: &T) {
        let is_put = match Scalar::of(value).unwrap() {
            Scalar::Text(text) => fields.text(NAME, text),
            Scalar::Unsigned(number) => fields.unsigned(NAME, number),
            Scalar::Signed(number) => fields.signed(NAME, number),
            Scalar::Float(number) => fields.float(NAME, number),
            Scalar::Bool(value) => fields.bool(NAME, value),
            Scalar::Id(id) => fields.id(NAME, id),
        };
        if !is_put {
            fields.serialize(rules, "name", value);
        }
    }

    /// Returns the output of either way of writing a value.
    fn both<T: Serialize>(rules: &Rules, value: &T) -> [String; 2] {
        let writes: [&dyn Fn(&mut Fields); 2] =
            [&|fields| put(fields, rules, value), &|fields| fields.serialize(rules, "name", value)];
        writes.map(|write| {
            let mut fields = Fields::new(Vec::new());
            fields.serialize(rules, "before", &1);
            write(&mut fields);
            fields.serialize(rules, "after", &2);
            written_out(&mut fields)
        })
    }

    fn assert_same<T: Serialize>(value: &T) {
        let mut masking = Mask::default();
        masking.add("name");
        for mask in [Mask::NONE, masking] {
            for limit in [10, 30, 60, 300, 1_000, 64 * 1024] {
                let [simple, by_serde] = both(&Rules { limit, mask: mask.clone() }, value);
                assert_eq!(simple, by_serde);
            }
        }
    }

    #[test]
    fn every_type_is_written_as_serde_writes_it() {
        let text = String::from("a \"quoted\" text\n");
        assert_same(&text);
        assert_same(&text.as_str());
        assert_same(&&text);
        assert_same(&"x".repeat(TEXT + 1));
        assert_same(&u8::MAX);
        assert_same(&u16::MAX);
        assert_same(&u32::MAX);
        assert_same(&u64::MAX);
        assert_same(&i8::MIN);
        assert_same(&i16::MIN);
        assert_same(&i32::MIN);
        assert_same(&i64::MIN);
        assert_same(&usize::MAX);
        assert_same(&isize::MIN);
        assert_same(&true);
        assert_same(&false);
        assert_same(&f64::NAN);
        assert_same(&-0.0);
        assert_same(&f64::MIN_POSITIVE);
        assert_same(&1e300);
        let id = Uuid::from_u128(0x0193_5c2e_7c4a_7bbd_8f8e_2d6c_5b4a_3921);
        assert_same(&id);
        assert_same(&&id);
    }

    #[test]
    fn other_types_are_not() {
        #[derive(Serialize)]
        struct Name(String);
        assert_eq!(Scalar::of(&Name(String::new())), None);
        assert_eq!(Scalar::of(&Some(1)), None);
        assert_eq!(Scalar::of(&'x'), None);
        assert_eq!(Scalar::of("a text of no known size"), None);
    }

    proptest! {
        #[test]
        fn a_limit_is_one_of_json_however_values_are_put(
            values in proptest::collection::vec((any::<bool>(), "[a\u{1}\"]{0,60}", any::<u64>()), 0..12),
            limit in 0..2_000_usize,
        ) {
            let rules = Rules { limit, mask: Mask::NONE };
            let mut fields = [false, true].map(|is_simple| {
                let mut fields = Fields::new(Vec::new());
                fields.plain(&rules);
                for (is_nested, text, number) in &values {
                    if *is_nested {
                        fields.serialize(&rules, "nested", &(text, number));
                    } else if is_simple {
                        put(&mut fields, &rules, text);
                        put(&mut fields, &rules, number);
                        put(&mut fields, &rules, &Uuid::from_u128(u128::from(*number)));
                    } else {
                        fields.serialize(&rules, "name", text);
                        fields.serialize(&rules, "name", number);
                        fields.serialize(&rules, "name", &Uuid::from_u128(u128::from(*number)));
                    }
                }
                fields
            });
            let [by_serde, simple] = fields.each_mut().map(written_out);
            prop_assert_eq!(by_serde, simple);
        }

        #[test]
        fn any_value_is_written_as_serde_writes_it(text: String, unsigned: u64, signed: i64, float: f64) {
            assert_same(&text);
            assert_same(&unsigned);
            assert_same(&signed);
            assert_same(&float);
        }
    }
}
