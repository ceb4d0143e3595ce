//! Further entities of an event: one, or each of a list.

use super::{EntityRef, IntoEntityId};
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

/// One entity, or a list of entities, which are further ones of an event.
///
/// It is whatever is [`IntoEntityId`], or a list of that.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither an entity id nor a list of them",
    label = "not a `Uuid`, an integer, a text, a tuple of these, or a list of one of them",
    note = "write `#[derive(audit_runtime::EntityId)]` on a newtype of one of these"
)]
pub trait IntoTargets {
    /// Shows each of the entities.
    #[doc(hidden)]
    fn each_entity(&self, take: &mut dyn FnMut(EntityRef<'_>));
}

#[diagnostic::do_not_recommend]
impl<T: IntoEntityId + ?Sized> IntoTargets for T {
    #[inline]
    fn each_entity(&self, take: &mut dyn FnMut(EntityRef<'_>)) {
        self.entity_ref(take);
    }
}

/// Lists, and references to them: a blanket over references would be one over ids, too.
macro_rules! lists {
    ($([$($generics:tt)*] $list:ty;)*) => {
        $( lists! { @ [$($generics)*] $list, &$list, &mut $list, &&$list, &&mut $list } )*
    };
    (@ $generics:tt $($list:ty),*) => {
        $( lists! { # $generics $list } )*
    };
    (# [$($generics:tt)*] $list:ty) => {
        impl<$($generics)*> IntoTargets for $list {
            fn each_entity(&self, take: &mut dyn FnMut(EntityRef<'_>)) {
                self.iter().for_each(|entity| entity.entity_ref(take));
            }
        }
    };
}

lists! {
    [T: IntoEntityId] [T];
    [T: IntoEntityId, const N: usize] [T; N];
    [T: IntoEntityId] Vec<T>;
    [T: IntoEntityId] VecDeque<T>;
    [T: IntoEntityId] BTreeSet<T>;
    [T: IntoEntityId, S] HashSet<T, S>;
    [T: IntoEntityId] Box<[T]>;
    [T: IntoEntityId] Arc<[T]>;
}

macro_rules! optional_lists {
    ($([$($generics:tt)*] $list:ty;)*) => {
        $(
            impl<$($generics)*> IntoTargets for Option<$list> {
                fn each_entity(&self, take: &mut dyn FnMut(EntityRef<'_>)) {
                    if let Some(list) = self {
                        list.each_entity(take);
                    }
                }
            }
        )*
    };
}

optional_lists! {
    [T: IntoEntityId] Vec<T>;
    [T: IntoEntityId] &Vec<T>;
    [T: IntoEntityId] &[T];
}
