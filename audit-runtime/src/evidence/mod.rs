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
pub(crate) mod coverage;
pub(crate) mod error;
pub(crate) mod examine;
pub(crate) mod head;
pub(crate) mod key;
pub(crate) mod keyring;
pub(crate) mod proof;
pub(crate) mod restored;
pub(crate) mod rotation;
pub(crate) mod row;
pub(crate) mod tree;
pub(crate) mod unbatched;
mod verify;

pub use checkpoint::Checkpoint;
pub use coverage::Coverage;
pub use error::EvidenceError;
pub use examine::{Check, CoveringCheckpoint, Examination};
pub use key::{KeyError, PublicKey, SigningKey, SigningKeyError};
pub use proof::{Proof, ProofError, Proven};
pub use restored::Restoration;
pub use tree::Tree;
pub(crate) use verify::VerificationStep;
pub use verify::{Finding, FindingKind, Report, Verification};
