//! Interruptions of a journal that has ended, also for those who read the stream again.
//!
//! A relay publishes the batches of interruptions that it makes. So they come back with all others
//! when a restored database is filled from the stream.

use crate::relay::answers;
use crate::relay::connections::within;
use crate::relay::interruptions::record;
use crate::relay::shared::Shared;
use crate::writer::batch::Batch;
use crate::writer::nats::{ASK, MADE, STREAM, pack};
use crate::writer::sink::EndedJournal;
use crate::writer::wire::{Answer, Asked, Question, encode_with_keys};
use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use std::fmt;
use std::io;

fn failed(why: impl fmt::Display) -> sqlx::Error {
    sqlx::Error::Io(io::Error::other(why.to_string()))
}

/// Records the interruptions of a journal, and returns the answer for its adopter.
pub(super) async fn interrupt(shared: &Shared, stream: &Context, ended: EndedJournal) -> Answer {
    let interrupting = async {
        let mut lease = shared.connections.lease().await?;
        let announce = |batch: &Batch| publish(stream.clone(), batch);
        let made = within(record(&mut lease.sink, ended, &shared.settings, announce)).await?;
        lease.give_back();
        Ok::<_, sqlx::Error>(Answer::Interrupted { made })
    };
    interrupting.await.unwrap_or_else(|error| answers::failed(shared, &error))
}

/// Publishes a batch that this relay has made, before the database has it.
fn publish(stream: Context, batch: &Batch) -> impl Future<Output = Result<(), sqlx::Error>> + use<> {
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
