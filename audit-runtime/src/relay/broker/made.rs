//! Batches that a relay makes, for those who read the stream again: interruptions.
//!
//! They come back with all others when a restored database is filled from the stream.

use crate::writer::batch::Batch;
use crate::writer::nats::{ASK, MADE, STREAM, pack};
use crate::writer::wire::{Asked, Question, encode_with_keys};
use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use std::fmt;
use std::io;

fn failed(why: impl fmt::Display) -> sqlx::Error {
    sqlx::Error::Io(io::Error::other(why.to_string()))
}

/// Publishes a batch that this relay has made, before the database has it.
pub(super) fn publish(stream: Context, batch: &Batch) -> impl Future<Output = Result<(), sqlx::Error>> + use<> {
    let message = message(batch);
    async move {
        let (subject, headers, payload) = message?;
        stream.publish_with_headers(subject, headers, payload.into()).await.map_err(failed)?.await.map_err(failed)?;
        Ok(())
    }
}

/// Returns the subject, the headers and the payload of the message that has a batch.
fn message(batch: &Batch) -> Result<(String, HeaderMap, Vec<u8>), sqlx::Error> {
    let (journal, key) = (batch.journal_id, batch.key());
    let ask = Asked { number: 0, ask: Question::Store { journal, waits_for_disk: true } };
    let root = key.root.map(|root| hex::encode(root.0)).unwrap_or_default();
    let mut headers = HeaderMap::new();
    headers.insert(ASK, serde_json::to_string(&ask).map_err(failed)?);
    headers.insert(async_nats::header::NATS_MESSAGE_ID, format!("{journal}:{}:{root}", key.first));
    headers.insert(async_nats::header::NATS_EXPECTED_STREAM, STREAM);
    Ok((format!("{MADE}.{journal}"), headers, pack(&encode_with_keys(batch))?))
}
