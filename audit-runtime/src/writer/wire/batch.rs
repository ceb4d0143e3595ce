//! A batch as bytes: its cut, and the payloads of its rows.
//!
//! ```text
//! batch   = cut bytes u32 | an entry of the cut log | payload bytes u32 | payload | ..
//! ```
//!
//! Payloads are those of the journal, but personal values are encrypted. The receiver makes the rows
//! of them, seals these again, and compares the root.

use super::parts::{Parts, push};
use crate::journal::Cut;
use crate::privacy::SubjectKeys;
use crate::writer::Settings;
use crate::writer::batch::{Batch, Row};
use crate::writer::chain::Chain;
use std::io;
use uuid::Uuid;

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// Returns a closed batch as bytes.
pub(crate) fn encode(batch: &Batch) -> Vec<u8> {
    let root = batch.seal.as_ref().map(|seal| seal.root.0);
    let cut = batch.cut.clone().map(|cut| Cut { root, end: batch.end, ..cut }).unwrap_or_default();
    let mut bytes = Vec::with_capacity(batch.bytes + 8 * batch.rows.len() + 512);
    push(&mut bytes, &cut.encode());
    batch.rows.iter().for_each(|row| push(&mut bytes, row.payload()));
    bytes
}

/// Reads a batch of a journal, and seals it again by the means of a chain.
///
/// # Errors
/// The bytes are no batch, or a batch with another root than they say.
pub(crate) fn decode(bytes: &[u8], journal: Uuid, settings: &Settings, chain: &mut Chain) -> io::Result<Batch> {
    let mut parts = Parts(bytes);
    let cut = parts.next().transpose()?.and_then(Cut::decode_entry).ok_or_else(|| invalid("the batch has no key"))?;
    let mut batch = Batch::again(journal, cut.clone());
    batch.interruptions = cut.interruptions;
    for payload in parts {
        batch.push(Row::Made(payload?.to_vec()), cut.end);
    }
    if batch.rows.is_empty() || cut.first >= cut.end {
        return Err(invalid("the batch is empty"));
    }
    // Its sender has encrypted personal values, or has redacted them. This leaves no other in it.
    batch.encrypt(&SubjectKeys::default());
    batch.close(&Settings { seal: cut.root.is_some(), ..settings.clone() }, chain);
    if batch.key().root.map(|root| root.0) != cut.root {
        return Err(invalid("the batch was altered on the way: its root is another"));
    }
    Ok(batch)
}
