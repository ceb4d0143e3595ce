//! Answers the requests of services.

use super::connections::within;
use super::interruptions;
use super::shared::Shared;
use crate::event::origin;
use crate::journal::Noticed;
use crate::postgres::failure::{self, Failure};
use crate::privacy::{KeyKeeper, WrappedKey};
use crate::writer::batch::Batch;
#[cfg(feature = "nats")]
use crate::writer::bring_back;
use crate::writer::sink::{EndedJournal, How, Sink, Taken};
use crate::writer::wire::{self, Answer, FORMAT, Frame, KeyText, Question, StoredText};
use crate::writer::{Chain, Claim, Part, ServiceCatalogue, StoreOutcome, Stored};
use std::sync::atomic::Ordering;
use uuid::Uuid;

/// An answer and its body.
type Answering = Result<(Answer, Vec<u8>), sqlx::Error>;

/// Answers one request, in parts of about so many bytes where it is long. Each batch of interruptions that
/// it makes is announced before it is stored.
pub(super) async fn answer<F: Future<Output = Result<(), sqlx::Error>>>(
    shared: &Shared,
    question: Frame<Question>,
    most: usize,
    announce: impl Fn(&Batch) -> F,
) -> (Answer, Vec<u8>) {
    let Frame { header, body } = question;
    let answered = match header {
        Question::Hello { format: FORMAT, .. } => hello(),
        Question::Hello { format, .. } => {
            let relay = format!("this relay speaks format {FORMAT}, and the service format {format}");
            Err(refused(format!("{relay}; upgrade whichever is older")))
        }
        Question::Store { journal, waits_for_disk } => store(shared, journal, waits_for_disk, body).await,
        Question::Claim { journal, start, behind } => claim(shared, journal, start, behind, most).await,
        Question::Durable { batches } => durable(shared, batches).await,
        Question::Interrupt { journal, end, at_shutdown } => {
            let noticed = if at_shutdown { Noticed::AtShutdown } else { Noticed::ByAdopter };
            interrupt(shared, EndedJournal { journal, end, noticed }, announce).await
        }
        Question::Keys { offers } => keys(shared, offers).await,
        Question::Catalogue { service, version, functions, origin } => {
            catalogue(shared, &ServiceCatalogue { service, version, functions }, &origin).await
        }
    };
    answered.unwrap_or_else(|error| (failed(shared, &error), Vec::new()))
}

fn hello() -> Answering {
    Ok((Answer::Hello { format: FORMAT, relay: origin(Some("audit-relay")) }, Vec::new()))
}

fn refused(text: String) -> sqlx::Error {
    sqlx::Error::Protocol(text)
}

async fn store(shared: &Shared, journal: Uuid, waits_for_disk: bool, body: Vec<u8>) -> Answering {
    let settings = shared.settings.clone();
    let decoding = move || wire::decode(&body, journal, &settings, &mut Chain::behind(None));
    let decoded = tokio::task::spawn_blocking(decoding).await.map_err(|error| refused(error.to_string()))?;
    let batch = decoded.map_err(|error| {
        shared.counters.altered.fetch_add(1, Ordering::Relaxed);
        refused(format!("a message for journal {journal} is no batch of it: {error}"))
    })?;
    store_batch(shared, &batch, waits_for_disk).await.map(|answer| (answer, Vec::new()))
}

async fn store_batch(shared: &Shared, batch: &Batch, waits_for_disk: bool) -> Result<Answer, sqlx::Error> {
    let mut lease = shared.connections.lease().await?;
    let taken = within(lease.sink.store(batch, How { waits_for_disk, sent: &|| () })).await?;
    lease.give_back();
    let Taken { key, outcome: StoreOutcome::Stored { quarantined, had } } = taken else {
        return Err(refused("a relay makes the interruptions of a journal itself, and takes none".into()));
    };
    count_stored(shared, batch, quarantined);
    let root = key.root.map(|root| hex::encode(root.0));
    Ok(Answer::Stored { journal: key.journal, first: key.first, end: key.end, root, quarantined, had })
}

/// Counts a batch that the database has committed.
pub(super) fn count_stored(shared: &Shared, batch: &Batch, quarantined: u64) {
    let counters = &shared.counters;
    counters.batches.fetch_add(1, Ordering::Relaxed);
    counters.events.fetch_add(batch.rows.len() as u64, Ordering::Relaxed);
    counters.quarantined.fetch_add(quarantined, Ordering::Relaxed);
}

/// Stores a batch and the keys that the database lacks of it, and returns the answer for its service.
#[cfg(feature = "nats")]
pub(super) async fn store_with_keys(
    shared: &Shared,
    batch: &Batch,
    keys: &[WrappedKey],
    waits_for_disk: bool,
) -> Answer {
    let storing = async {
        if !keys.is_empty() {
            let mut lease = shared.connections.lease().await?;
            within(bring_back(&mut lease.sink, keys)).await?;
            lease.give_back();
        }
        store_batch(shared, batch, waits_for_disk).await
    };
    storing.await.unwrap_or_else(|error| failed(shared, &error))
}

/// Returns whether a failure passes by itself, so that the relay tries again.
#[cfg(feature = "nats")]
pub(super) fn is_passing(answer: &Answer) -> bool {
    matches!(answer, Answer::Failed { failure: Failure::Retry | Failure::SchemaMissing, .. })
}

pub(super) fn failed(shared: &Shared, error: &sqlx::Error) -> Answer {
    shared.failed(error);
    let (failure, is_full) = (Failure::of(error), failure::is_full(error));
    Answer::Failed { failure, is_full, text: failure::describe(error) }
}

async fn claim(shared: &Shared, journal: Uuid, start: u64, behind: Option<u64>, most: usize) -> Answering {
    let mut lease = shared.connections.lease().await?;
    let claim = within(lease.sink.claim_part(journal, start, Part { behind, most })).await?;
    lease.give_back();
    Ok(claimed(claim))
}

async fn durable(shared: &Shared, batches: Vec<(Uuid, u64)>) -> Answering {
    let mut lease = shared.connections.lease().await?;
    let batches = within(lease.sink.durable(&batches)).await?;
    lease.give_back();
    Ok((Answer::Durable { batches }, Vec::new()))
}

async fn interrupt<F: Future<Output = Result<(), sqlx::Error>>>(
    shared: &Shared,
    ended: EndedJournal,
    announce: impl Fn(&Batch) -> F,
) -> Answering {
    let mut lease = shared.connections.lease().await?;
    let made = within(interruptions::record(&mut lease.sink, ended, &shared.settings, announce)).await?;
    lease.give_back();
    Ok((Answer::Interrupted { made }, Vec::new()))
}

async fn catalogue(shared: &Shared, catalogue: &ServiceCatalogue, origin: &str) -> Answering {
    let mut lease = shared.connections.lease().await?;
    let stored = within(lease.sink.catalogue(catalogue, origin)).await?;
    lease.give_back();
    stored.map(|()| (Answer::Done, Vec::new()))
}

/// Returns a part of the stored batches. An empty one has none behind it.
fn claimed(claim: Claim) -> (Answer, Vec<u8>) {
    let mut body = Vec::new();
    let mut text = |stored: Stored| StoredText {
        first: stored.first,
        end: stored.end,
        root: stored.root.map(|root| hex::encode(root.0)),
        open: stored.open,
        ids: stored.ids.map(|ids| {
            ids.iter().for_each(|id| body.extend_from_slice(id.as_bytes()));
            ids.len()
        }),
    };
    let answer = match claim {
        Claim::Stored(stored) => {
            let more = !stored.is_empty();
            Answer::Claimed { stored: stored.into_iter().map(&mut text).collect(), more }
        }
        Claim::UnderWay => Answer::UnderWay,
        Claim::Refused(why) => Answer::LeftToItsRole { why },
    };
    (answer, body)
}

async fn keys(shared: &Shared, offers: Vec<KeyText>) -> Answering {
    let offers: Option<Vec<WrappedKey>> = offers.into_iter().map(KeyText::key).collect();
    let offers = offers.ok_or_else(|| refused("a key that is offered is no text of bytes".into()))?;
    let mut lease = shared.connections.lease().await?;
    let taken = within(lease.sink.take(&offers)).await?;
    lease.give_back();
    Ok((Answer::Keys { keys: taken.iter().map(KeyText::from).collect() }, Vec::new()))
}
