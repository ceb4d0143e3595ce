//! One connection and the batches it carries.

use super::backoff::{Backoff, jittered};
use super::batch::Batch;
use super::carrier::Carrier;
use super::catalogue::CatalogueDue;
use super::connection_turns::{REST, Turn};
use super::destination::Destination;
use super::linger::Linger;
use super::link::Link;
use super::parts::{Settings, WriterParts};
use super::sink::Sink;
use super::work::Work;
use crate::journal::Noticed;
use crate::postgres::failure::is_full;
use crate::privacy::SubjectKeys;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often the journal is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// The same after a second without events: an idle process costs next to nothing. A caller that
/// waits for an event wakes the first lane.
const IDLE_LOOK: Duration = Duration::from_millis(200);
const IDLE: Duration = Duration::from_secs(1);
/// A connection that has had nothing to do for so long is given back to the server.
const GIVE_BACK: Duration = Duration::from_secs(10);
const LAST_BACKOFF: Duration = Duration::from_secs(30);
/// A shutdown leaves no time for patience.
const STOPPING_BACKOFF: Duration = Duration::from_millis(250);

pub(super) struct Lane<'a> {
    number: usize,
    parts: &'a WriterParts,
    work: &'a Work,
    link: Link<'a>,
    turn: Turn,
    linger: Linger,
    catalogue: CatalogueDue,
}

impl<'a> Carrier<'a> for Lane<'a> {
    type GaveUp = Infallible;

    fn parts(&self) -> &'a WriterParts {
        self.parts
    }

    fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    /// Tries until it succeeds, each time after a failure on another connection.
    async fn carry<T>(
        &mut self,
        attempt: impl AsyncFn(&mut dyn Sink) -> Result<T, sqlx::Error>,
    ) -> Result<T, Infallible> {
        let mut backoff = Backoff::default();
        loop {
            match self.link.once(&attempt).await {
                Ok(done) => {
                    if backoff.has_failed() {
                        self.work.recovered.notify_waiters();
                    }
                    return Ok(done);
                }
                Err(error) => self.failed(&error, &mut backoff).await,
            }
        }
    }
}

impl<'a> Lane<'a> {
    pub(super) fn new(number: usize, parts: &'a WriterParts, destination: &'a Destination, work: &'a Work) -> Self {
        Self {
            number,
            parts,
            work,
            link: Link::new(destination, Some(parts.journal.id())),
            turn: Turn::default(),
            linger: Linger::new(Instant::now()),
            catalogue: CatalogueDue::default(),
        }
    }

    /// Stores batches until the journal is closed and empty.
    pub(super) async fn run(mut self) {
        let mut last_work = Instant::now();
        loop {
            if self.number == 0 {
                (self.parts.record_lost_events)();
                self.work.planner.borrow_mut().tidy.look(self.parts, last_work.elapsed());
            }
            if let Some(batch) = self.batch().await {
                self.keep_on_disk(&batch).await;
                let Ok(_) = self.store(&batch).await;
                self.stored(batch);
                last_work = Instant::now();
                if !self.parts.control.is_stopping() && self.turn.end(&mut self.link).await {
                    self.wait(jittered(REST)).await;
                }
                continue;
            }
            let (is_connected, is_stopping) = (self.link.is_connected(), self.parts.control.is_stopping());
            if self.number == 0 && self.catalogue.is_due(is_connected, is_stopping, last_work.elapsed()) {
                self.catalogue.store(self.parts, &mut self.link).await;
                continue;
            }
            if self.parts.journal.is_closed()
                && self.parts.journal.read_position() == self.parts.journal.cursor()
                && self.work.planner.borrow().backlog.is_empty()
            {
                break;
            }
            let idle = last_work.elapsed();
            if idle > GIVE_BACK {
                self.link.give_back().await;
            }
            tokio::select! {
                () = tokio::time::sleep(if idle > IDLE { IDLE_LOOK } else { LOOK }) => {}
                () = self.parts.control.woken(), if self.number == 0 => self.linger.await_events(),
                // A shutdown does not wait for an idle lane.
                _ = self.parts.control.stopping(), if !self.parts.control.is_stopping() => {}
            }
        }
        self.link.give_back().await;
    }

    /// Waits until the disk has a batch and its note, if the batch may arrive after this process has
    /// died. A disk that fails holds up nothing.
    async fn keep_on_disk(&self, batch: &Batch) {
        if !self.link.may_hold_back() {
            return;
        }
        let _ = self.parts.journal.synced(batch.end).await;
        let syncing = self.work.planner.borrow().chain.sync_note(batch.first);
        syncing.await;
    }

    fn stored(&self, batch: Batch) {
        let mut planner = self.work.planner.borrow_mut();
        planner.stored(self.parts, batch.first, batch.end, batch.rows.len() as u64);
        if batch.had_personal {
            planner.tidy.stored_personal(batch.end);
        }
        planner.recycle(batch);
    }

    /// Returns the batch that this lane is to store now, if there is one.
    ///
    /// The first lane prefers new events, and the others prefer what was postponed.
    async fn batch(&mut self) -> Option<Batch> {
        if self.number > 0
            && let Some(batch) = self.postponed()
        {
            return Some(batch);
        }
        while self.number == 0 && self.work.planner.borrow_mut().backlog.is_to_be_postponed(self.parts) {
            // A thread may be about to publish the next record.
            let Some((batch, keys)) = self.next_batch().await else { break };
            if let Some(batch) = self.work.planner.borrow_mut().postpone(batch, keys) {
                return Some(batch);
            }
            // Other lanes store what was postponed.
            tokio::task::yield_now().await;
        }
        if self.has_backlog()
            && let Some((batch, _)) = self.next_batch().await
        {
            return Some(batch);
        }
        self.postponed()
    }

    /// Returns the oldest batch that was postponed.
    fn postponed(&self) -> Option<Batch> {
        self.work.planner.borrow_mut().backlog.next(self.parts)
    }

    /// Returns the next batch of this process's own journal, sealed, and the keys that have encrypted
    /// its personal values.
    ///
    /// A lane that must wait for keys holds up the others, because seals are made in the order of
    /// the journal.
    async fn next_batch(&mut self) -> Option<(Batch, SubjectKeys)> {
        let _turn = self.work.turn.lock().await;
        let mut batch = self.work.planner.borrow_mut().next(self.parts)?;
        // Events that come while this batch is stored wait for others from now on.
        self.is_due();
        let Ok(keys) = self.encrypt(&mut batch).await;
        batch.close(&self.parts.settings, &mut self.work.planner.borrow_mut().chain);
        Some((batch, keys))
    }

    /// Returns whether there is work for this lane: for the first, events that are due, and for each
    /// further one, events that would wait for more than a full batch.
    fn has_backlog(&mut self) -> bool {
        let parts = self.parts;
        if self.number > 0 {
            let waiting = parts.journal.cursor().saturating_sub(parts.journal.read_position());
            return waiting > (self.number * parts.settings.batch_bytes / 4) as u64;
        }
        self.is_due() || parts.control.is_stopping() || parts.journal.is_closed()
    }

    /// Returns whether the events that wait are to be shipped now.
    fn is_due(&mut self) -> bool {
        let journal = &self.parts.journal;
        let planner = self.work.planner.borrow();
        if !planner.backlog.is_empty() {
            // Batches are at hand that would be stored meanwhile.
            self.linger.await_events();
        }
        let waiting = self.parts.counters.appended().saturating_sub(planner.planned);
        self.linger.is_due(Instant::now(), waiting, journal.read_position(), journal.cursor())
    }

    /// Closes the intents of this process's own journal, if any call is under way whose end it can
    /// no longer record.
    pub(super) async fn close_intents(mut self) {
        let parts = self.parts;
        if parts.counters.has_open_intents() {
            let (journal, end) = (parts.journal.id(), parts.journal.cursor());
            let mut chain = std::mem::take(&mut self.work.planner.borrow_mut().chain);
            let Ok(interrupted) = self.interrupt(journal, end, Noticed::AtShutdown, &mut chain, Vec::new()).await;
            (0..interrupted).for_each(|_| parts.counters.appending());
            parts.control.update(|progress| progress.stored += interrupted);
        }
        self.link.give_back().await;
    }

    /// Says what happened, and waits.
    async fn failed(&mut self, error: &sqlx::Error, backoff: &mut Backoff) {
        let stopping = self.parts.control.is_stopping();
        let wait = match stopping {
            false if is_full(error) => backoff.next_turn(),
            false => backoff.next(LAST_BACKOFF),
            true => backoff.next(STOPPING_BACKOFF),
        };
        let text = self.work.failures.failure(error, wait);
        self.parts.counters.set_last_error(Some(text));
        self.parts.counters.retries.fetch_add(1, Ordering::Relaxed);
        tokio::select! {
            () = self.wait(wait) => {}
            // A connection is given to writers in turn: another lane's is no reason to ask for one.
            () = self.work.recovered.notified(), if !is_full(error) => {}
        }
    }

    /// A shutdown is worth an attempt at once.
    async fn wait(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = self.parts.control.stopping(), if !self.parts.control.is_stopping() => {}
        }
    }
}
