//! Copies of batches as they are sent, kept for a replay.
//!
//! ```text
//! kept  = keys u32 | key * keys | the batch as a relay gets it
//! key   = id [16] | subject bytes u32 | subject | wrapped bytes u32 | wrapped
//! ```
//!
//! Personal values are encrypted by the keys of their subjects. A database that went back may lack a
//! key that was made since. So the wrapped keys are kept beside the values.

use super::batch::Batch;
use super::chain::Chain;
use super::parts::{Settings, WriterParts};
use super::wire::{self, Parts, push};
use crate::event::clock;
use crate::privacy::WrappedKey;
use std::io;
use tokio::task::JoinHandle;
use uuid::Uuid;

impl WriterParts {
    /// Begins to keep a copy of a batch, if copies are kept.
    pub(super) fn keep(&self, batch: &Batch) -> Option<JoinHandle<()>> {
        let keeper = self.keeper.clone()?;
        let (journal, first, bytes) = (batch.journal_id, batch.first, encode(batch));
        Some(tokio::task::spawn_blocking(move || keeper.keep(clock::micros_now(), journal, first, &bytes)))
    }

    /// Removes copies whose time is over, until it is dropped.
    pub(super) async fn tidy_copies(&self) {
        let Some(keeper) = &self.keeper else {
            return std::future::pending().await;
        };
        loop {
            let tidying = keeper.clone();
            let _ = tokio::task::spawn_blocking(move || tidying.tidy()).await;
            tokio::time::sleep(keeper.tidy_every()).await;
        }
    }
}

fn encode(batch: &Batch) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(batch.bytes + 8 * batch.rows.len() + 1_024);
    bytes.extend_from_slice(&(batch.keys.len() as u32).to_le_bytes());
    for key in &batch.keys {
        // A subject has 1,000 bytes at most, and a wrapped key 72.
        [&key.id.as_bytes()[..], key.subject.as_bytes(), &key.wrapped]
            .into_iter()
            .for_each(|part| push(&mut bytes, part));
    }
    bytes.extend_from_slice(&wire::encode(batch));
    bytes
}

/// Reads a kept batch, seals it again, and returns it with the keys of its personal values.
///
/// # Errors
/// The bytes are no kept batch, or one with another root than they say.
pub(super) fn decode(bytes: &[u8], journal: Uuid, settings: &Settings) -> io::Result<(Batch, Vec<WrappedKey>)> {
    let (keys, batch) = keys(bytes)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is no batch that this version keeps"))?;
    Ok((wire::decode(batch, journal, settings, &mut Chain::behind(None))?, keys))
}

/// Reads the keys, and returns them and the bytes behind them.
fn keys(bytes: &[u8]) -> Option<(Vec<WrappedKey>, &[u8])> {
    let (count, rest) = bytes.split_first_chunk()?;
    let (mut keys, mut parts) = (Vec::new(), Parts(rest));
    let mut part = || parts.next()?.ok();
    for _ in 0..u32::from_le_bytes(*count) {
        let id = Uuid::from_slice(part()?).ok()?;
        let subject = String::from_utf8(part()?.to_vec()).ok()?;
        keys.push(WrappedKey { subject, id, wrapped: part()?.to_vec() });
    }
    Some((keys, parts.0))
}
