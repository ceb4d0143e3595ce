//! Carriers of batches to a sink, whether they give up or not.

use super::batch::Batch;
use super::chain::Chain;
use super::interrupted_calls;
use super::key_return::bring_back;
use super::metrics;
use super::parts::{Settings, WriterParts};
use super::sink::{EndedJournal, How, Interruptions, Sink};
use super::store::StoreOutcome;
use crate::journal::{Cut, Noticed};
use crate::postgres::failure::{Failure, describe};
use crate::privacy::SubjectKeys;
use std::cell::Cell;
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::time::Instant;
use uuid::Uuid;

/// A lane, which tries until it succeeds, or a courier, which gives up after one attempt.
pub(super) trait Carrier<'a> {
    /// `Infallible` if it never gives up.
    type GaveUp;

    fn parts(&self) -> &'a WriterParts;

    /// How a batch is stored.
    fn settings(&self) -> &Settings;

    /// Runs work on a connection to the sink.
    async fn carry<T>(
        &mut self,
        attempt: impl AsyncFn(&mut dyn Sink) -> Result<T, sqlx::Error>,
    ) -> Result<T, Self::GaveUp>;

    async fn store(&mut self, batch: &Batch) -> Result<StoreOutcome, Self::GaveUp> {
        let (parts, waits_for_disk) = (self.parts(), self.settings().synchronous_commit);
        // The journal lets go of a batch once its copy is on the disk, too. Interruptions may turn out to
        // be none until they are stored.
        let keeping = if batch.interruptions.is_none() { parts.keep(batch) } else { None };
        let is_counted = Cell::new(false);
        let attempt = async |sink: &mut dyn Sink| {
            let begin = Instant::now();
            let sent = || {
                // Positions of a journal that is adopted are others.
                if batch.journal_id == parts.journal.id() {
                    parts.control.sent(batch.first, batch.end);
                }
            };
            let done = sink.store(batch, How { waits_for_disk, sent: &sent }).await;
            if let Err(error) = &done
                && Failure::of(error) == Failure::Conflict
                && !is_counted.replace(true)
            {
                parts.counters.conflict(describe(error));
            }
            Ok((done?.of(batch)?, begin.elapsed()))
        };
        let (done, took) = self.carry(attempt).await?;
        if let StoreOutcome::Stored { quarantined, .. } = done {
            parts.counters.quarantined.fetch_add(quarantined, Ordering::Relaxed);
        }
        let keeping = match done {
            StoreOutcome::Stored { .. } if batch.interruptions.is_some() => parts.keep(batch),
            _ => keeping,
        };
        if let Some(keeping) = keeping {
            // It reports its failures itself.
            let _ = keeping.await;
        }
        parts.counters.batches.fetch_add(1, Ordering::Relaxed);
        metrics::batch(parts, batch.rows.len(), took);
        parts.counters.set_last_error(None);
        Ok(done)
    }

    /// Encrypts what is personal in a batch, and returns the keys that did.
    async fn encrypt(&mut self, batch: &mut Batch) -> Result<SubjectKeys, Self::GaveUp> {
        if !batch.is_personal() {
            return Ok(SubjectKeys::default());
        }
        let (parts, mut subjects) = (self.parts(), batch.subjects());
        let (mut keys, mut destroyed) = (SubjectKeys::default(), HashSet::new());
        if let Some(master) = &parts.settings.master_key {
            keys = batch.noted_keys(master);
            if !keys.wrapped().is_empty() {
                // The database may have gone back, and lack them.
                destroyed = self.carry(async |sink| bring_back(sink, keys.wrapped()).await).await?;
            }
            subjects.retain(|subject| keys.of(subject).is_none());
            if !subjects.is_empty() {
                keys.extend(self.carry(async |sink| SubjectKeys::take(sink, master, &subjects).await).await?);
            }
        }
        let rekeyed = batch.encrypt(&keys);
        // A key that was destroyed makes the seal what it was, and is stored nowhere again.
        batch.keys.retain(|key| !destroyed.contains(&key.id));
        parts.counters.rekeyed.fetch_add(rekeyed, Ordering::Relaxed);
        Ok(keys)
    }

    /// Records for each intent without a completion that it will stay without one, and returns how
    /// many there were.
    ///
    /// `cuts` are the batches of interruptions that an earlier adopter has cut and not stored.
    async fn interrupt(
        &mut self,
        journal_id: Uuid,
        mut end: u64,
        noticed: Noticed,
        chain: &mut Chain,
        cuts: Vec<Cut>,
    ) -> Result<u64, Self::GaveUp> {
        let (mut told, mut cuts) = (0, VecDeque::from(cuts));
        'look: loop {
            let ended = EndedJournal { journal: journal_id, end, noticed };
            let intents = match self.carry(async |sink| sink.interrupt(ended).await).await? {
                Interruptions::Open(intents) => intents,
                Interruptions::Made(made) => return Ok(told + made),
                Interruptions::NotAllowed => return Ok(told),
            };
            let batches = interrupted_calls::batches(
                &self.parts().settings,
                journal_id,
                end,
                noticed,
                &intents,
                cuts.make_contiguous(),
            );
            for mut batch in batches {
                if batch.cut.is_some() {
                    cuts.pop_front();
                }
                let before = chain.last;
                batch.close(&self.parts().settings, chain);
                let done = self.store(&batch).await?;
                chain.stored(batch.first);
                if done == StoreOutcome::Superseded {
                    chain.last = before;
                    continue 'look;
                }
                told += batch.rows.len() as u64;
                end = end.max(batch.end);
            }
            return Ok(told);
        }
    }
}
