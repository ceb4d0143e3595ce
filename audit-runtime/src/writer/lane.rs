//! One connection and the batches it carries.

use super::batch::{Batch, Chain, OrphanPlan};
use super::connect::ConnectOptions;
use super::failure::{Failure, describe};
use super::interrupted::{self, OpenIntent};
use super::store::{self, Done};
use super::{Work, metrics};
use crate::core::{Core, GAP_IS_OVER};
use crate::journal::{Directory, Orphan};
use crate::personal::SubjectKeys;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long the journal is left to fill, so that callers never pay for a wake-up.
const LINGER: Duration = Duration::from_millis(10);
/// The same where nothing has come for a second: an idle process costs next to nothing. Who waits for an event wakes the first lane.
const IDLE_LINGER: Duration = Duration::from_millis(200);
const IDLE: Duration = Duration::from_secs(1);
/// A connection that has had nothing to do for so long is given back to the server.
const GIVE_BACK: Duration = Duration::from_secs(10);
/// A failure that goes on is told again after this time.
const TOLD_AGAIN: Duration = Duration::from_secs(30);
/// A batch that is not stored after this time is tried again on another connection.
const STORE_TIMEOUT: Duration = Duration::from_secs(60);
/// An orphan of which a transaction is under way is looked at again after this time.
const HELD_AGAIN: Duration = Duration::from_millis(500);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(30);
/// During a shutdown there is no time for patience.
const STOPPING_BACKOFF: Duration = Duration::from_millis(250);

pub(super) struct Lane<'a> {
    number: usize,
    core: &'a Core,
    options: &'a ConnectOptions,
    work: &'a Work,
    connection: Option<PgConnection>,
    /// No orphan is looked at before.
    next_orphan: Instant,
    /// The failure that was told last, and when.
    told: Option<(String, Instant)>,
}

impl<'a> Lane<'a> {
    pub(super) fn new(number: usize, core: &'a Core, options: &'a ConnectOptions, work: &'a Work) -> Self {
        Self { number, core, options, work, connection: None, next_orphan: Instant::now(), told: None }
    }

    /// Stores batches until the journal is closed and empty.
    pub(super) async fn run(mut self) {
        let mut adopted: Option<OrphanPlan> = None;
        let mut last_work = Instant::now();
        loop {
            let mut worked = false;
            if self.number == 0 {
                self.core.record_gap(GAP_IS_OVER);
            }
            if self.has_backlog()
                && let Some(batch) = self.cut().await
            {
                self.store(&batch).await;
                let mut planner = self.work.planner.borrow_mut();
                planner.stored(self.core, batch.first, batch.end, batch.rows.len() as u64);
                planner.chain.recycle(batch);
                worked = true;
            }
            // One lane adopts, in turn with its own journal: a large inheritance holds up nobody.
            if self.number == 0 {
                worked |= self.adopt(&mut adopted).await;
            }
            if worked {
                last_work = Instant::now();
                continue;
            }
            if self.core.journal.is_closed() && self.core.journal.read_position() == self.core.journal.cursor() {
                break;
            }
            let idle = last_work.elapsed();
            if idle > GIVE_BACK {
                self.give_back().await;
            }
            tokio::select! {
                () = tokio::time::sleep(if idle > IDLE { IDLE_LINGER } else { LINGER }) => {}
                () = self.core.control.woken(), if self.number == 0 => {}
                // A shutdown waits for nobody who is idle.
                _ = self.core.control.stopping(), if !self.core.control.is_stopping() => {}
            }
        }
        self.give_back().await;
    }

    /// The next batch of this process's own journal, sealed. Whoever has to wait for keys holds up the others: seals are made in the order of
    /// the journal.
    async fn cut(&mut self) -> Option<Batch> {
        let _turn = self.work.turn.lock().await;
        let mut batch = self.work.planner.borrow_mut().next(self.core)?;
        self.encrypt(&mut batch).await;
        batch.close(self.core, &mut self.work.planner.borrow_mut().chain);
        Some(batch)
    }

    /// Encrypts what is personal in a batch.
    async fn encrypt(&mut self, batch: &mut Batch) {
        if !batch.is_personal() {
            return;
        }
        let (core, subjects) = (self.core, batch.subjects());
        let names: BTreeSet<&str> = subjects.values().map(String::as_str).collect();
        let keys = match &core.settings.master_key {
            Some(master) if !names.is_empty() => {
                self.persistently(async |connection| SubjectKeys::take(connection, master, &names).await).await
            }
            _ => SubjectKeys::default(),
        };
        batch.encrypt(&subjects, &keys);
    }

    /// The first lane takes whatever there is, each further one only what would wait for more than a full batch.
    fn has_backlog(&self) -> bool {
        let waiting = self.core.journal.cursor().saturating_sub(self.core.journal.read_position());
        waiting > (self.number * self.core.settings.batch_bytes / 4) as u64
    }

    /// One step on a dead process's journal; `false` if there is nothing left to do.
    async fn adopt(&mut self, adopted: &mut Option<OrphanPlan>) -> bool {
        let Some(plan) = adopted else {
            if Instant::now() < self.next_orphan {
                return false;
            }
            let Some(path) = self.work.orphans.borrow_mut().pop_front() else {
                return false;
            };
            let Some(orphan) = opened(&path) else {
                return true;
            };
            let journal = orphan.id();
            let stored = self.persistently(async |connection| store::stored_batches(connection, journal).await).await;
            if let Some(stored) = stored {
                tracing::info!(%journal, "shipping the journal of a process that is gone");
                *adopted = Some(OrphanPlan::new(orphan, stored));
            } else {
                // Of its process, or of one that had adopted it, a transaction is left: the others need not wait for its end.
                tracing::debug!(%journal, "a transaction of a process that is gone is still under way");
                self.work.orphans.borrow_mut().push_back(path);
                self.next_orphan = Instant::now() + HELD_AGAIN;
            }
            return true;
        };
        match plan.next(self.core) {
            Ok(Some(batch)) if batch.is_personal() && self.core.settings.master_key.is_none() => {
                let directory = plan.directory();
                tracing::error!(
                    directory,
                    "a journal holds what is personal, and this process has no key to encrypt it: it is left to one that has a Builder::master_key"
                );
                *adopted = None;
            }
            Ok(Some(mut batch)) => {
                self.encrypt(&mut batch).await;
                batch.close(self.core, &mut plan.chain);
                self.store(&batch).await;
                plan.chain.stored(batch.first);
                self.core.counters.adopted.fetch_add(batch.rows.len() as u64, Ordering::Relaxed);
                plan.chain.recycle(batch);
            }
            Ok(None) => {
                let (journal, end) = (plan.orphan.id(), plan.end);
                let why = "its process is gone, and no end of it is on record";
                let interrupted = self.interrupt(journal, end, why, &mut plan.chain).await;
                self.core.counters.adopted.fetch_add(interrupted, Ordering::Relaxed);
                let directory = plan.directory();
                if let Err(error) = plan.orphan.remove() {
                    tracing::warn!(directory, %error, "a journal that was shipped cannot be removed");
                }
                *adopted = None;
            }
            Err(error) => {
                let directory = plan.directory();
                tracing::error!(directory, %error, "a journal cannot be read; it is left as it is");
                *adopted = None;
            }
        }
        true
    }

    /// Closes the intents of this process's own journal, if any call is under way whose end it can no longer record.
    pub(super) async fn close_intents(mut self) {
        let core = self.core;
        if core.counters.has_open_intents() {
            let (journal, end) = (core.journal.id(), core.journal.cursor());
            let why = "its process has shut the audit trail down, and no end of it is on record";
            let mut chain = std::mem::take(&mut self.work.planner.borrow_mut().chain);
            let interrupted = self.interrupt(journal, end, why, &mut chain).await;
            (0..interrupted).for_each(|_| core.counters.appending());
            core.control.update(|progress| progress.stored += interrupted);
        }
        self.give_back().await;
    }

    /// Records for each intent of a journal that has no completion that there will be none; returns how many there were.
    async fn interrupt(&mut self, journal_id: Uuid, mut end: u64, why: &str, chain: &mut Chain) -> u64 {
        let mut told = 0;
        'look: loop {
            let intents = self.open_intents(journal_id).await.unwrap_or_default();
            for mut batch in interrupted::batches(self.core, journal_id, end, why, &intents) {
                let before = chain.last;
                batch.close(self.core, chain);
                let done = self.store(&batch).await;
                chain.stored(batch.first);
                if done == Done::Overtaken {
                    chain.last = before;
                    continue 'look;
                }
                told += batch.rows.len() as u64;
                end = batch.end;
            }
            return told;
        }
    }

    /// `None` if this role may not look.
    async fn open_intents(&mut self, journal_id: Uuid) -> Option<Vec<OpenIntent>> {
        self.persistently(async |connection| match interrupted::open_intents(connection, journal_id).await {
            Err(error) if Failure::of(&error) == Failure::NotAllowed => {
                tracing::warn!(
                    journal = %journal_id, %error,
                    "intents that were interrupted cannot be looked for; audit-trail migrate --writer grants what that needs"
                );
                Ok(None)
            }
            intents => intents.map(Some),
        })
        .await
    }

    async fn give_back(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = connection.close().await;
        }
    }

    async fn store(&mut self, batch: &Batch) -> Done {
        let (core, options) = (self.core, self.options);
        let (done, took) = self
            .persistently(async |connection| {
                let begin = Instant::now();
                let done = store::store(connection, batch, &core.settings, options.sets_keepalives()).await?;
                Ok((done, begin.elapsed()))
            })
            .await;
        if let Done::Stored { quarantined } = done {
            core.counters.quarantined.fetch_add(quarantined, Ordering::Relaxed);
        }
        core.counters.batches.fetch_add(1, Ordering::Relaxed);
        metrics::batch(core, batch.rows.len(), took);
        core.counters.set_last_error(None);
        done
    }

    /// Tries until it succeeds, each time after a failure on another connection.
    async fn persistently<T>(&mut self, attempt: impl AsyncFn(&mut PgConnection) -> Result<T, sqlx::Error>) -> T {
        let mut backoff = Backoff::default();
        loop {
            let done = match self.connected().await {
                Ok(connection) => within(attempt(connection)).await,
                Err(error) => Err(error),
            };
            match done {
                Ok(done) => return done,
                Err(error) => self.failed(&error, &mut backoff).await,
            }
        }
    }

    async fn connected(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        match &mut self.connection {
            Some(connection) => Ok(connection),
            none => Ok(none.insert(self.options.connect().await?)),
        }
    }

    /// Whether a failure is another than the last one, or that is long ago.
    fn is_news(&mut self, error: &str) -> bool {
        let is_known = self.told.as_ref().is_some_and(|(told, at)| told == error && at.elapsed() < TOLD_AGAIN);
        if !is_known {
            self.told = Some((error.to_owned(), Instant::now()));
        }
        !is_known
    }

    /// Gives the connection up, says what happened, waits.
    async fn failed(&mut self, error: &sqlx::Error, backoff: &mut Backoff) {
        // The state of its transaction is unknown. Dropping it closes the socket without a farewell.
        self.connection = None;
        let error_text = describe(error);
        let stopping = self.core.control.is_stopping();
        let wait = backoff.next(stopping);
        match Failure::of(error) {
            _ if !self.is_news(&error_text) => tracing::debug!(retry_in = ?wait, "{error_text}"),
            Failure::SchemaMissing => tracing::error!(retry_in = ?wait, "{error_text}"),
            _ => {
                tracing::warn!(retry_in = ?wait, "audit events cannot be stored now, they wait in the journal: {error_text}")
            }
        }
        self.core.counters.set_last_error(Some(error_text));
        self.core.counters.retries.fetch_add(1, Ordering::Relaxed);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // A shutdown is worth an attempt at once.
            _ = self.core.control.stopping(), if !stopping => {}
        }
    }
}

/// Locks and opens the journal of a dead process; `None` if its process lives, or it cannot be read.
fn opened(path: &Path) -> Option<Orphan> {
    let orphan = Directory::adopt(path).and_then(|directory| directory.map(Orphan::open).transpose());
    orphan.unwrap_or_else(|error| {
        tracing::warn!(directory = %path.display(), %error, "the journal of a dead process cannot be opened; it is left as it is");
        None
    })
}

async fn within<T>(attempt: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(STORE_TIMEOUT, attempt)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

/// Exponential, with jitter, so that a fleet does not come back all at once.
#[derive(Debug, Default)]
struct Backoff {
    attempts: u32,
}

impl Backoff {
    fn next(&mut self, stopping: bool) -> Duration {
        let longest = if stopping { STOPPING_BACKOFF } else { LAST_BACKOFF };
        let wait = FIRST_BACKOFF.saturating_mul(1 << self.attempts.min(16)).min(longest);
        self.attempts += 1;
        // Between half and the whole of it.
        let random = RandomState::new().hash_one(self.attempts) % 1024;
        wait / 2 + wait.mul_f64(random as f64 / 2048.0)
    }
}
