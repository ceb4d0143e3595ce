//! Calls that name the handle which records them.

use super::handle::Audit;
use crate::call::{Call, Site};

impl Call {
    /// Begins a call that this handle records.
    #[inline]
    #[must_use]
    pub fn begin_with(site: &'static Site, audit: &Audit, entry: impl FnOnce(&mut Self)) -> Self {
        Self::begin_by(site, audit.recorder(), entry)
    }

    /// Begins a call that this handle records if the condition is true.
    #[inline]
    #[must_use]
    pub fn begin_with_when(
        site: &'static Site,
        audit: &Audit,
        when: impl FnOnce() -> bool,
        entry: impl FnOnce(&mut Self),
    ) -> Self {
        Self::begin_by_when(site, audit.recorder(), when, entry)
    }
}
