//! Personal data that can be forgotten although rows stay as they are.
//!
//! ```text
//! caller       {"email": {"$personal": "ann@example.com"}, "$subject": "customer:42"}        in the journal
//! writer       {"email": {"$encrypted": {"key": .., "value": ..}}}                           before the row is sealed
//! audit_keys   the subject's key, wrapped by the master key, which the database never has
//! reader       {"email": "ann@example.com"} with the master key; "[encrypted]" without; "[erased]" once the key is destroyed
//! ```
//!
//! `docs/evidence.md` has the formats to the byte.

mod forget;
mod keys;
mod master;
mod reveal;
mod value;

pub(crate) use forget::FORGOTTEN;
pub use forget::{Forgotten, forget};
pub(crate) use keys::SubjectKeys;
pub use master::{MasterKey, MasterKeyError};
pub(crate) use reveal::reveal;
pub(crate) use value::{MARK, SUBJECT, marked_fields, redact, subject};
