//! Sends kept batches again, to a database that may lack some of them.
//!
//! Each has the key and the root that it had. So one that the database has is left, one that it
//! lacks is stored once, and one whose place another batch has is a conflict. A replay that is
//! interrupted or repeated, or runs in two processes at once, does no harm.

use super::backoff::Backoff;
use super::batch::Batch;
use super::blocking::on_a_thread;
use super::destination::Destination;
use super::key_return::bring_back;
use super::link::Link;
use super::parts::Settings;
use super::sink::{EndedJournal, How, Interruptions};
use super::store::StoreOutcome;
use super::wire;
use crate::journal::kept::{self, KeptBatch, Listed};
use crate::journal::{Directory, Noticed, Parent};
use crate::postgres::failure::{Failure, describe};
use crate::privacy::WrappedKey;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;
use uuid::Uuid;

/// A server that cannot be reached is tried so often, within about a minute.
const ATTEMPTS: usize = 8;
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// The result of a replay, or of a part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// The batches that were kept, and how many of them the database lacked and has now.
    pub(crate) batches: u64,
    pub(crate) sent: u64,
    /// The events in those that were sent, and how many of these PostgreSQL refused.
    pub(crate) events: u64,
    pub(crate) quarantined: u64,
    /// Calls that are known to have been interrupted, of journals that have ended.
    pub(crate) interrupted: u64,
    /// The times at which the first and the last of the batches were kept, in microseconds.
    pub(crate) times: Option<(i64, i64)>,
    /// Parts that could not be replayed, in words.
    pub(crate) problems: Vec<String>,
}

/// The reason a replay ended before its end.
#[derive(Debug)]
pub(crate) enum ReplayFailure {
    /// The kept batches cannot be read.
    Files(io::Error),
    /// The database or the relay cannot be reached.
    Sink(sqlx::Error),
}

/// Sends the batches again that are kept beside the journals under `parent`, those that were kept
/// before `since` left out.
pub(crate) async fn replay(
    parent: Parent,
    destination: &Destination,
    since: Option<i64>,
    settings: Settings,
    mut tell: impl FnMut(&Replayed, u64),
) -> Result<Replayed, ReplayFailure> {
    let place = parent.clone();
    let Listed { batches, damaged } = on_a_thread(move || kept::list(&place)).await.map_err(ReplayFailure::Files)?;
    let batches = in_order(batches, since);
    let mut replayed = Replayed { problems: damaged, ..Replayed::default() };
    let times = batches.iter().map(|kept| kept.time);
    replayed.times = times.clone().min().zip(times.max());
    let (all, mut ends) = (batches.len() as u64, BTreeMap::new());
    let mut replay = Replay { link: Link::new(destination, None), settings };
    for kept in batches {
        match replay.one(&kept, &mut replayed).await {
            Ok(Some(end)) => drop(ends.insert(kept.journal, end)),
            Ok(None) => {}
            Err(error) => return Err(ReplayFailure::Sink(error)),
        }
        replayed.batches += 1;
        tell(&replayed, all);
    }
    if destination.makes_interruptions() {
        let running = on_a_thread(move || journals(&parent)).await.map_err(ReplayFailure::Files)?;
        ends.retain(|journal, _| !running.contains(journal));
        for (journal, end) in ends {
            replayed.interrupted += replay.interrupt(journal, end).await.map_err(ReplayFailure::Sink)?;
        }
    }
    replay.link.give_back().await;
    Ok(replayed)
}

/// The batches of each journal in the order of the journal, which is that of their chain.
fn in_order(mut batches: Vec<KeptBatch>, since: Option<i64>) -> Vec<KeptBatch> {
    batches.retain(|kept| since.is_none_or(|since| kept.time >= since));
    batches.sort_by_key(|kept| (kept.journal, kept.first, kept.time));
    batches
}

/// The journals that are on the disk. Those that are not have ended, and all of them was stored.
fn journals(parent: &Parent) -> io::Result<BTreeSet<Uuid>> {
    let names = Directory::all(&parent.path)?;
    Ok(names.iter().filter_map(|path| Uuid::try_parse(path.file_name()?.to_str()?).ok()).collect())
}

struct Replay<'a> {
    link: Link<'a>,
    settings: Settings,
}

impl Replay<'_> {
    /// Sends one batch, and returns its end if the database has it now.
    async fn one(&mut self, kept: &KeptBatch, replayed: &mut Replayed) -> Result<Option<u64>, sqlx::Error> {
        let named = |why: &str| format!("the batch at {} of journal {}: {why}", kept.first, kept.journal);
        let (reading, settings) = (kept.clone(), self.settings.clone());
        let read = on_a_thread(move || match reading.read()? {
            Some(bytes) => wire::decode_with_keys(&bytes, reading.journal, &settings).map(Some),
            None => Ok(None),
        });
        let (batch, keys) = match read.await {
            Ok(Some(read)) => read,
            // Its time is over.
            Ok(None) => return Ok(None),
            Err(error) => {
                replayed.problems.push(named(&error.to_string()));
                return Ok(None);
            }
        };
        match self.send(&batch, &keys).await {
            Ok(StoreOutcome::Stored { quarantined, had }) => {
                replayed.sent += u64::from(!had);
                replayed.events += if had { 0 } else { batch.rows.len() as u64 };
                replayed.quarantined += quarantined;
                Ok(Some(batch.end))
            }
            // A call that was taken for interrupted has its end in the database.
            Ok(StoreOutcome::Superseded) => Ok(Some(batch.end)),
            Err(error) if is_of_this_batch(&error) => {
                replayed.problems.push(named(&in_words(&error)));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends a batch and its keys, and tries again while the server cannot be reached.
    async fn send(&mut self, batch: &Batch, keys: &[WrappedKey]) -> Result<StoreOutcome, sqlx::Error> {
        let sending = async |link: &mut Link<'_>| {
            link.once(async |sink| bring_back(sink, keys).await).await?;
            let how = How { waits_for_disk: true, sent: &|| () };
            link.once(async |sink| sink.store(batch, how).await?.of(batch)).await
        };
        patiently(&mut self.link, sending).await
    }

    /// Has a relay record the interruptions of a journal, and returns how many there were.
    async fn interrupt(&mut self, journal: Uuid, end: u64) -> Result<u64, sqlx::Error> {
        let ended = EndedJournal { journal, end, noticed: Noticed::ByAdopter };
        let asking = async |link: &mut Link<'_>| link.once(async |sink| sink.interrupt(ended).await).await;
        match patiently(&mut self.link, asking).await? {
            Interruptions::Made(made) => Ok(made),
            Interruptions::Open(_) | Interruptions::NotAllowed => Ok(0),
        }
    }
}

/// Works until it succeeds, or until it has failed too often.
async fn patiently<T>(
    link: &mut Link<'_>,
    work: impl AsyncFn(&mut Link<'_>) -> Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    let mut backoff = Backoff::default();
    for _ in 1..ATTEMPTS {
        match work(link).await {
            Err(error) if Failure::of(&error) == Failure::Retry => {
                tokio::time::sleep(backoff.next(LONGEST_WAIT)).await;
            }
            done => return done,
        }
    }
    work(link).await
}

/// The words of the failure itself, without those of the driver.
fn in_words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::AnyDriverError(own) => own.to_string(),
        error => describe(error),
    }
}

/// Returns whether other batches may be stored though this one is not.
fn is_of_this_batch(error: &sqlx::Error) -> bool {
    matches!(Failure::of(error), Failure::Conflict | Failure::OfAnotherRole | Failure::RowRefused)
}
