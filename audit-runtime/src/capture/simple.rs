//! Numbers, texts and ids: most of what calls are given, written without a serializer. There is nothing in them that could fail,
//! panic or be a secret, and so no look for it.

use super::Fields;
use crate::json::{FLOAT, Room, float, id, needs_escapes};
use std::any::TypeId;
use uuid::Uuid;

/// The longest text that is written this way.
const TEXT: usize = 512;

/// A value of such a type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Simple<'a> {
    Text(&'a str),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Id(&'a Uuid),
}

impl<'a> Simple<'a> {
    /// The value, if its type is one of them, which the compiler knows.
    #[inline(always)]
    pub(crate) fn of<T: ?Sized>(value: &'a T) -> Option<Self> {
        let of = typeid::of::<T>();
        macro_rules! cases {
            ($($type:ty => $make:expr),* $(,)?) => {
                $(
                    if of == TypeId::of::<$type>() {
                        // SAFETY: it is of this type, but for lifetimes; and what it borrows lives as long as it is itself borrowed.
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

/// Each puts a value under `name`, and says whether it did: not if the field is to be anything but the value as it is, for which
/// [`Fields::serialize`] sees.
impl Fields {
    #[inline]
    pub(crate) fn text(&mut self, name: &str, text: &str) -> bool {
        if text.len() > TEXT || needs_escapes(text.as_bytes()) {
            return false;
        }
        let Some(mut room) = self.room(name, text.len() + 3) else {
            return false;
        };
        room.put(b"\"");
        room.put(text.as_bytes());
        room.put(b"\",");
        true
    }

    #[inline]
    pub(crate) fn unsigned(&mut self, name: &str, number: u64) -> bool {
        self.number(name, number)
    }

    #[inline]
    pub(crate) fn signed(&mut self, name: &str, number: i64) -> bool {
        self.number(name, number)
    }

    #[inline]
    fn number(&mut self, name: &str, number: impl itoa::Integer) -> bool {
        let Some(mut room) = self.room(name, 21) else {
            return false;
        };
        room.put(itoa::Buffer::new().format(number).as_bytes());
        room.put(b",");
        true
    }

    #[inline]
    pub(crate) fn float(&mut self, name: &str, number: f64) -> bool {
        let Some(mut room) = self.room(name, FLOAT + 1) else {
            return false;
        };
        float(number, &mut room);
        room.put(b",");
        true
    }

    #[inline]
    pub(crate) fn bool(&mut self, name: &str, value: bool) -> bool {
        let Some(mut room) = self.room(name, 6) else {
            return false;
        };
        room.put(if value { b"true," } else { b"false," });
        true
    }

    #[inline]
    pub(crate) fn id(&mut self, name: &str, uuid: &Uuid) -> bool {
        let Some(mut room) = self.room(name, 39) else {
            return false;
        };
        room.put(&id(uuid));
        room.put(b",");
        true
    }

    /// Puts the name; there is room for so many bytes behind it.
    #[inline(always)]
    fn room(&mut self, name: &str, bytes: usize) -> Option<Room<'_>> {
        let bytes = name.len() + 3 + bytes;
        if self.buffer.len() + bytes > self.simple_to {
            return None;
        }
        let mut room = Room::new(&mut self.buffer, bytes);
        room.put(b"\"");
        room.put(name.as_bytes());
        room.put(b"\":");
        Some(room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Rules;
    use crate::mask::Mask;
    use proptest::prelude::*;
    use serde::Serialize;

    /// What is written for a value by either way.
    fn both<T: Serialize>(rules: &Rules, value: &T) -> [String; 2] {
        let simple = |fields: &mut Fields| {
            let is_put = match Simple::of(value).unwrap() {
                Simple::Text(text) => fields.text("name", text),
                Simple::Unsigned(number) => fields.unsigned("name", number),
                Simple::Signed(number) => fields.signed("name", number),
                Simple::Float(number) => fields.float("name", number),
                Simple::Bool(value) => fields.bool("name", value),
                Simple::Id(id) => fields.id("name", id),
            };
            if !is_put {
                fields.serialize(rules, "name", value);
            }
        };
        let writes: [&dyn Fn(&mut Fields); 2] = [&simple, &|fields| fields.serialize(rules, "name", value)];
        writes.map(|write| {
            let mut fields = Fields::new(Vec::new());
            fields.serialize(rules, "before", &1);
            write(&mut fields);
            fields.serialize(rules, "after", &2);
            String::from_utf8(fields.end().clone()).unwrap()
        })
    }

    fn assert_same<T: Serialize>(value: &T) {
        let mut masking = Mask::default();
        masking.add("name");
        for mask in [Mask::NONE, masking] {
            for limit in [10, 30, 60, 64 * 1024] {
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
        assert_eq!(Simple::of(&Name(String::new())), None);
        assert_eq!(Simple::of(&Some(1)), None);
        assert_eq!(Simple::of(&'x'), None);
        assert_eq!(Simple::of("a text of no known size"), None);
    }

    proptest! {
        #[test]
        fn any_value_is_written_as_serde_writes_it(text: String, unsigned: u64, signed: i64, float: f64) {
            assert_same(&text);
            assert_same(&unsigned);
            assert_same(&signed);
            assert_same(&float);
        }
    }
}
