//! The list where the linker collects it.

pub use linkme;

use crate::call::site::Site;

/// The sites of this program.
///
/// The name is that of a section in the binary. It contains the version: the sites of two versions
/// in one program differ, so each has a section of its own.
#[linkme::distributed_slice]
pub static AUDIT_RUNTIME_SITES_0_2: [Site];

pub(super) fn all() -> &'static [Site] {
    AUDIT_RUNTIME_SITES_0_2.static_slice()
}

/// Declares a site as an element of the list.
#[doc(hidden)]
#[macro_export]
macro_rules! __audited_registered {
    ($($site:tt)*) => {
        #[$crate::__private::sites::linkme::distributed_slice($crate::__private::sites::AUDIT_RUNTIME_SITES_0_2)]
        #[linkme(crate = $crate::__private::sites::linkme)]
        $($site)*
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_section_has_the_name_of_the_version() {
        let version = concat!(env!("CARGO_PKG_VERSION_MAJOR"), "_", env!("CARGO_PKG_VERSION_MINOR"));
        let text = include_str!("linked.rs");
        assert_eq!(text.matches(&format!("AUDIT_RUNTIME_SITES_{version}")).count(), 3);
    }
}
