//! Personal values of rows that do not go through the journal.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

/// A way to encrypt the personal values of encoded events outside of the writer.
pub(crate) trait Encrypt: Debug + Send + Sync {
    /// Encrypts the events in place. Keys are taken in a transaction of their own.
    ///
    /// # Errors
    /// No keys can be had. The events are as they were.
    fn encrypt<'a>(&'a self, events: &'a mut [Vec<u8>]) -> Encrypting<'a>;
}

/// The encryption of some events.
pub(crate) type Encrypting<'a> = Pin<Box<dyn Future<Output = Result<(), sqlx::Error>> + Send + 'a>>;
