//! The tenant whose data an event is about.

use super::{EntityRef, IntoEntityId};

/// A tenant: a text, an integer, a [`Uuid`](uuid::Uuid), or a newtype with `#[derive(EntityId)]`.
///
/// An event without a tenant has an `Option` that is `None`. A text is stored as it is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tenant",
    label = "not a text, an integer or a `Uuid`",
    note = "write `#[derive(audit_runtime::EntityId)]` on a newtype of one of these"
)]
pub trait IntoTenant {
    /// Shows the tenant.
    #[doc(hidden)]
    fn tenant_ref(&self, take: &mut dyn FnMut(EntityRef<'_>));
}

#[diagnostic::do_not_recommend]
impl<T: IntoEntityId + ?Sized> IntoTenant for T {
    #[inline]
    fn tenant_ref(&self, take: &mut dyn FnMut(EntityRef<'_>)) {
        self.entity_ref(take);
    }
}
