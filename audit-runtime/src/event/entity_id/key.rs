//! The types that are entity ids.

use super::{EntityId, EntityRef, IntoEntityId, bounded};
use std::borrow::Cow;
use std::num;
use std::rc::Rc;
use std::sync::Arc;
use uuid::Uuid;

/// Implements the trait by what the type shows.
macro_rules! shown {
    ($($type:ty: |$value:ident, $take:ident| $show:expr;)*) => {
        $(
            impl IntoEntityId for $type {
                fn to_entity_id(&self) -> EntityId {
                    owned(self)
                }

                #[inline]
                fn entity_ref(&self, $take: &mut dyn FnMut(EntityRef<'_>)) {
                    let $value = self;
                    $show
                }
            }
        )*
    };
}

/// Returns the owned form of what a value shows.
fn owned(value: &(impl IntoEntityId + ?Sized)) -> EntityId {
    let mut id = EntityId::None;
    value.entity_ref(&mut |shown| id = shown.owned());
    id
}

shown! {
    Uuid: |id, take| take(EntityRef::Id(*id));
    str: |text, take| take(EntityRef::Text(text));
    String: |text, take| take(EntityRef::Text(text));
    Cow<'_, str>: |text, take| take(EntityRef::Text(text));
}

macro_rules! integers {
    ($($type:ident $non_zero:ident),*) => {
        shown! {
            $(
                $type: |number, take| take(EntityRef::Text(itoa::Buffer::new().format(*number)));
                num::$non_zero: |number, take| number.get().entity_ref(take);
            )*
        }
    };
}

integers! {
    u8 NonZeroU8, u16 NonZeroU16, u32 NonZeroU32, u64 NonZeroU64, u128 NonZeroU128, usize NonZeroUsize,
    i8 NonZeroI8, i16 NonZeroI16, i32 NonZeroI32, i64 NonZeroI64, i128 NonZeroI128, isize NonZeroIsize
}

impl IntoEntityId for EntityId {
    fn to_entity_id(&self) -> EntityId {
        self.clone()
    }

    #[inline]
    fn entity_ref(&self, take: &mut dyn FnMut(EntityRef<'_>)) {
        take(match self {
            Self::None => EntityRef::None,
            Self::Id(id) => EntityRef::Id(*id),
            Self::Key(key) => EntityRef::Text(key),
        });
    }
}

impl<T: IntoEntityId> IntoEntityId for Option<T> {
    fn to_entity_id(&self) -> EntityId {
        self.as_ref().map_or(EntityId::None, T::to_entity_id)
    }

    #[inline]
    fn entity_ref(&self, take: &mut dyn FnMut(EntityRef<'_>)) {
        match self {
            Some(value) => value.entity_ref(take),
            None => take(EntityRef::None),
        }
    }
}

macro_rules! pointers {
    ($($type:ty),*) => {
        $(
            impl<T: IntoEntityId + ?Sized> IntoEntityId for $type {
                fn to_entity_id(&self) -> EntityId {
                    T::to_entity_id(self)
                }

                #[inline]
                fn entity_ref(&self, take: &mut dyn FnMut(EntityRef<'_>)) {
                    T::entity_ref(self, take);
                }
            }
        )*
    };
}

pointers!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

macro_rules! tuples {
    ($(($($part:ident)*))*) => {
        $(
            impl<$($part: IntoEntityId),*> IntoEntityId for ($($part),*) {
                fn to_entity_id(&self) -> EntityId {
                    owned(self)
                }

                fn entity_ref(&self, take: &mut dyn FnMut(EntityRef<'_>)) {
                    #[allow(non_snake_case)]
                    let ($($part),*) = self;
                    let mut key = String::with_capacity(64);
                    $(
                        $part.entity_ref(&mut |part| push_part(&mut key, part));
                        key.push('/');
                    )*
                    // No part follows on the last one.
                    key.pop();
                    take(EntityRef::Text(&key));
                }
            }
        )*
    };
}

tuples! { (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H) }

/// Appends a part of a tuple so that no other parts give the same text.
fn push_part(key: &mut String, part: EntityRef<'_>) {
    match part {
        EntityRef::None => key.push_str("\\-"),
        EntityRef::Id(id) => key.push_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer())),
        EntityRef::Text(text) => {
            for c in text.chars() {
                if matches!(c, '\\' | '/') {
                    key.push('\\');
                }
                key.push(c);
            }
        }
    }
}

/// Returns an id or a key as a text that is stored.
pub(crate) fn written(shown: EntityRef<'_>) -> Option<String> {
    match shown {
        EntityRef::None => None,
        EntityRef::Id(id) => Some(id.to_string()),
        EntityRef::Text(text) => Some(bounded(text).into_owned()),
    }
}
