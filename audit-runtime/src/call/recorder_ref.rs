//! The recorder of a call.

use crate::recorder::Recorder;
use std::num::NonZero;
use std::ptr::NonNull;
use std::sync::Arc;

/// The recorder of a call. An installed handle stays for good, so its users are not counted: all
/// threads would write to one place.
#[derive(Debug, Clone)]
pub(super) enum RecorderRef {
    Installed(&'static Recorder),
    Scoped(Arc<Recorder>),
    /// The call is over.
    Released,
}

impl RecorderRef {
    /// Returns an address that differs between trails, as long as they are recorded to.
    #[inline]
    pub(super) fn address(&self) -> NonZero<usize> {
        NonNull::<Recorder>::from(&**self).addr()
    }
}

impl std::ops::Deref for RecorderRef {
    type Target = Recorder;

    #[inline]
    fn deref(&self) -> &Recorder {
        match self {
            Self::Installed(recorder) => recorder,
            Self::Scoped(recorder) => recorder,
            Self::Released => unreachable!("a call that is under way is recorded by somebody"),
        }
    }
}
