//! The list where no linker collects it.

use crate::call::site::Site;

pub(super) fn all() -> &'static [Site] {
    &[]
}

/// Declares a site.
#[doc(hidden)]
#[macro_export]
macro_rules! __audited_registered {
    ($($site:tt)*) => { $($site)* };
}
