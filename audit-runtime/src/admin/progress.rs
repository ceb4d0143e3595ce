//! Progress of long operations.

#[cfg(feature = "evidence")]
use crate::evidence::{Finding, VerificationStep};
use std::fmt;

/// The progress of a migration, a prune or a verification.
///
/// Its `Display` is a line for people.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A step that begins or ends, in words.
    Step(&'a str),
    /// Rows that are verified.
    Rows {
        /// The number of rows verified so far.
        done: u64,
        /// The number of rows to verify.
        of: u64,
    },
    /// A finding of a verification.
    #[cfg(feature = "evidence")]
    #[cfg_attr(docsrs, doc(cfg(feature = "evidence")))]
    Found(Finding),
}

impl fmt::Display for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(text) => f.pad(text),
            Self::Rows { done, of } => write!(f, "{done} of {of} rows verified"),
            #[cfg(feature = "evidence")]
            Self::Found(finding) => finding.fmt(f),
        }
    }
}

#[cfg(feature = "evidence")]
impl From<VerificationStep> for Progress<'_> {
    fn from(step: VerificationStep) -> Self {
        match step {
            VerificationStep::Rows { done, of } => Self::Rows { done, of },
            VerificationStep::Found(finding) => Self::Found(finding),
        }
    }
}
