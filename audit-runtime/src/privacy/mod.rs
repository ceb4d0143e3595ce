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

mod encrypted;
mod event;
#[cfg(feature = "personal")]
mod file_cipher;
#[cfg(feature = "personal")]
mod forget;
mod key_bytes;
mod key_desk;
mod key_keeper;
#[cfg(feature = "personal")]
mod keys;
#[cfg(feature = "personal")]
mod master;
#[cfg(not(feature = "personal"))]
mod no_keys;
mod reveal;
#[cfg(feature = "personal")]
mod rewrap;
#[cfg(feature = "personal")]
mod value;

pub(crate) use event::{encrypt, subjects};
#[cfg(feature = "personal")]
pub(crate) use file_cipher::{CHUNK_TAG, FileCipher, WRAPPED};
#[cfg(feature = "personal")]
pub use forget::ForgetReport;
#[cfg(feature = "personal")]
pub(crate) use forget::forget;
pub(crate) use key_bytes::{encode_keys, split_keys};
pub(crate) use key_desk::{KeyDesk, KeyRequests};
pub(crate) use key_keeper::{KeyKeeper, TakingKeys, WrappedKey, further_name};
#[cfg(feature = "personal")]
pub(crate) use keys::{SubjectKeys, key_ids};
#[cfg(feature = "personal")]
pub use master::{MasterKey, MasterKeyError};
#[cfg(not(feature = "personal"))]
pub(crate) use no_keys::{CHUNK_TAG, FileCipher, MasterKey, SubjectKeys, WRAPPED};
pub(crate) use reveal::reveal;
#[cfg(feature = "personal")]
pub use rewrap::{MasterKeyCheck, MasterKeyRotation};
#[cfg(feature = "personal")]
pub(crate) use rewrap::{holdings as check_master_key, rotate as rotate_master_key};
