//! Proof that a trail equals the recorded events: seals, checkpoints, verification.
//!
//! ```text
//! writer       row -> digest of its canonical form -> leaf      a batch's root covers its rows and the root of the batch before
//! checkpoint   batch -> leaf of one tree of all batches         its root is signed, and leaves the database
//! verify       all of that again, from the rows
//! ```
//!
//! `docs/evidence.md` describes the formats to the byte, and the limits of the proof.

pub(crate) mod checkpoint;
pub(crate) mod copies;
pub(crate) mod coverage;
pub(crate) mod detached;
pub(crate) mod error;
pub(crate) mod examine;
pub(crate) mod head;
pub(crate) mod key;
pub(crate) mod keyring;
mod path;
pub(crate) mod proof;
pub(crate) mod proof_error;
pub(crate) mod restored;
pub(crate) mod rotation;
pub(crate) mod row;
pub(crate) mod stamp;
pub(crate) mod tree;
#[cfg(feature = "timestamp")]
mod tsp;
pub(crate) mod unbatched;
mod verify;

pub use checkpoint::Checkpoint;
pub use copies::{CopyCheck, EventCopies, EventCopy};
pub use coverage::Coverage;
pub use error::EvidenceError;
pub use examine::{Check, CoveringCheckpoint, Examination};
pub use key::{KeyError, PublicKey, SigningKey, SigningKeyError};
pub use proof::{Proof, Proven};
pub use proof_error::ProofError;
pub use restored::Restoration;
pub use stamp::TimeStamp;
pub use tree::Tree;
#[cfg(feature = "timestamp")]
#[cfg_attr(docsrs, doc(cfg(feature = "timestamp")))]
pub use tsp::{Authorities, Existence, TokenError, TokenRequest};
pub(crate) use verify::VerificationStep;
pub use verify::{Finding, FindingKind, Report, Verification};
