//! Personal values of rows that do not go through the journal.

use super::Recorder;
use crate::record::payload;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

/// A way to encrypt the personal values of encoded events outside of the writer.
pub(crate) trait Encrypt: Debug + Send + Sync {
    /// Encrypts the events in place. Keys are taken in a transaction of their own.
    ///
    /// # Errors
    /// No keys can be had, for this reason. The events are as they were.
    fn encrypt<'a>(&'a self, events: &'a mut [Vec<u8>]) -> Encrypting<'a>;
}

/// The encryption of some events.
pub(crate) type Encrypting<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

impl Recorder {
    /// Encrypts the personal values of encoded events that do not go through the journal, in place.
    ///
    /// The keys are taken through a connection of the writer's thread, in a transaction of their
    /// own, and never in one of the caller's.
    ///
    /// # Errors
    /// No keys can be had, for this reason.
    pub(crate) async fn encrypt(&self, events: &mut [Vec<u8>]) -> Result<(), String> {
        if !events.iter().any(|event| payload::is_personal(event)) {
            return Ok(());
        }
        match self.encrypt.get() {
            Some(encrypt) => encrypt.encrypt(events).await,
            None => Err("personal values need Builder::master_key to be encrypted".into()),
        }
    }
}
