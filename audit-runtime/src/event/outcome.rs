//! The way in which a call ended.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The way in which a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Outcome {
    /// The call returned, and a fallible function returned `Ok`.
    Ok,
    /// The call returned `Err`.
    Error,
    /// The call panicked.
    Panicked,
    /// The call's future was dropped before it was done.
    Cancelled,
    /// The call is about to begin: an intent.
    Started,
    /// The call had begun, and its process died, or shut its trail down, before the call ended.
    Interrupted,
    /// Another program wrote a text that this library does not write: see
    /// [`TrailEvent::outcome_text`](crate::trail::TrailEvent::outcome_text).
    Other,
}

impl Outcome {
    const ALL: [Self; 6] = [Self::Ok, Self::Error, Self::Panicked, Self::Cancelled, Self::Started, Self::Interrupted];

    /// Returns the text in the column `outcome`, or `other` for any other text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Panicked => "panicked",
            Self::Cancelled => "cancelled",
            Self::Started => "started",
            Self::Interrupted => "interrupted",
            Self::Other => "other",
        }
    }

    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reports a text that is not an outcome of this library.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown outcome {0:?}: expected ok, error, panicked, cancelled, started or interrupted")]
pub struct UnknownOutcome(String);

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or_else(|| UnknownOutcome(text.into()))
    }
}
