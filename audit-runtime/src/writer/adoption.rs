//! Shipping what processes left that are gone.
//!
//! A living process looks for their journals at its start and from time to time. Nothing here can
//! delay the process's own journal. The adoption has its own connections, which it returns when it
//! has nothing to adopt, and reads files on its own thread. Each journal gets one attempt. After a
//! failure it is let go of and goes to the back of the queue.
//!
//! Journals of the dead are often many and small. So the server's disk is waited for once for
//! several of them, before they are removed.

use super::backoff::{Backoff, jittered};
use super::blocking::on_a_thread;
use super::destination::Destination;
use super::orphans::{Orphans, Waiting};
use super::parts::WriterParts;
use super::shipping::{Adopted, Shipped, Shipping};
use super::work::Work;
use crate::journal::{Directory, Parent};
use crate::postgres::failure::{Failure, describe};
use crate::sys::deadline;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use uuid::Uuid;

/// A journal of which a transaction is under way is tried again after this time.
const HELD_AGAIN: Duration = Duration::from_millis(500);
/// The longest pause before a journal that cannot be shipped is tried again.
const FAILED_AGAIN: Duration = Duration::from_secs(60);
/// The pause before a journal that cannot be read, or whose key this process lacks, is tried again.
const LEFT_AGAIN: Duration = Duration::from_secs(300);
/// The longest pause before a server that cannot be reached is tried again.
const CONNECT_AGAIN: Duration = Duration::from_secs(30);
/// How long a connection is kept for a journal whose time has not come.
const GIVE_BACK: Duration = Duration::from_secs(1);

/// The most journals that are kept, locked, until their events are on the server's disk.
const TOGETHER: usize = 16;

pub(super) struct Adoption<'a> {
    parts: &'a Arc<WriterParts>,
    work: &'a Work,
    parent: &'a Parent,
    shipping: Shipping<'a>,
    orphans: Orphans,
    connecting: Backoff,
    /// Journals whose batches are all stored, if the server does not crash.
    stored: Vec<(Waiting, Shipped)>,
}

impl<'a> Adoption<'a> {
    pub(super) fn new(
        parts: &'a Arc<WriterParts>,
        destination: &'a Destination,
        work: &'a Work,
        parent: &'a Parent,
    ) -> Self {
        Self {
            parts,
            work,
            parent,
            shipping: Shipping::new(parts, destination, parent),
            orphans: Orphans::default(),
            connecting: Backoff::default(),
            stored: Vec::new(),
        }
    }

    /// Adopts journals until it is dropped, and reports when it has none in hand.
    ///
    /// In a shutdown it begins no further journal.
    pub(super) async fn run(mut self, rests: watch::Sender<bool>) {
        loop {
            self.remove_stored().await;
            self.look().await;
            let next_look = deadline(jittered(self.parts.settings.adopt_every));
            while Instant::now() < next_look {
                if !self.parts.control.is_stopping()
                    && let Some(waiting) = self.orphans.next(Instant::now())
                {
                    rests.send_replace(false);
                    self.attempt(waiting).await;
                    continue;
                }
                self.remove_stored().await;
                rests.send_replace(true);
                let due = self.orphans.due().map_or(next_look, |due| due.min(next_look));
                if due > Instant::now() + GIVE_BACK {
                    self.shipping.couriers.give_back().await;
                }
                // Where it is stopping, nothing is due.
                let due = if self.parts.control.is_stopping() { next_look } else { due };
                self.wait_until(due).await;
            }
        }
    }

    async fn wait_until(&self, time: Instant) {
        tokio::select! {
            () = tokio::time::sleep_until(time.into()) => {}
            _ = self.parts.control.stopping(), if !self.parts.control.is_stopping() => {}
        }
    }

    async fn look(&mut self) {
        let (parts, parent) = (self.parts.clone(), self.parent.clone());
        let found = on_a_thread(move || {
            let waiting = Directory::waiting(&parent, parts.journal.id());
            parts.journal.count_others();
            waiting
        });
        match found.await {
            Ok(found) => self.orphans.found(found, Instant::now()),
            Err(error) => {
                let text = format!("cannot look for journals of processes that are gone: {error}");
                if self.work.failures.is_news(&text) {
                    tracing::warn!(directory = %self.parent.path.display(), "{text}");
                }
            }
        }
        self.count(0);
    }

    /// Counts those that wait, and those in hand.
    fn count(&self, in_hand: usize) {
        let waiting = self.orphans.len() + self.stored.len() + in_hand;
        self.parts.counters.inherited.store(waiting as u64, Ordering::Relaxed);
    }

    /// One attempt to ship a journal.
    async fn attempt(&mut self, mut waiting: Waiting) {
        self.count(1);
        // The connection comes first, so that a journal is not held without one.
        if let Err(error) = self.shipping.couriers.free().connect().await {
            let wait = self.connecting.next(CONNECT_AGAIN);
            let text = self.work.failures.failure(&error, wait);
            self.parts.counters.set_last_error(Some(text));
            self.orphans.put_back(waiting, Duration::ZERO, Instant::now());
            self.wait_until(Instant::now() + wait).await;
            return;
        }
        self.connecting = Backoff::default();
        let wait = match self.shipping.adopt(waiting.path.clone()).await {
            Ok(Adopted::Stored(shipped)) => {
                self.stored.push((waiting, *shipped));
                if self.stored.len() == TOGETHER {
                    self.remove_stored().await;
                }
                return self.count(0);
            }
            Ok(Adopted::NotOurs) => return self.count(0),
            Ok(Adopted::Held) => HELD_AGAIN,
            Ok(Adopted::Left(why)) => {
                self.leave(waiting, why);
                return self.count(0);
            }
            Err(error) if matches!(Failure::of(&error), Failure::Conflict | Failure::OfAnotherRole) => {
                self.leave(waiting, describe(&error));
                return self.count(0);
            }
            Err(error) => {
                let wait = waiting.backoff.next(FAILED_AGAIN);
                self.failed(&waiting, &error, wait);
                wait
            }
        };
        self.orphans.put_back(waiting, wait, Instant::now());
        self.count(0);
    }

    fn failed(&self, waiting: &Waiting, error: &sqlx::Error, wait: Duration) {
        let (why, others) = (describe(error), self.orphans.len());
        if self.work.failures.is_news(&why) {
            tracing::warn!(
                directory = %waiting.path.display(), others, retry_in = ?wait,
                "a journal of a process that is gone cannot be stored now, it waits: {why}"
            );
        }
        self.parts.counters.set_last_error(Some(why));
        self.parts.counters.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Leaves a journal as it is, for a while, and logs the reason once.
    fn leave(&mut self, mut waiting: Waiting, why: String) {
        if waiting.told.as_ref() != Some(&why) {
            tracing::error!(directory = %waiting.path.display(), "a journal is left as it is: {why}");
            self.parts.counters.set_last_error(Some(format!("{}: {why}", waiting.path.display())));
            waiting.told = Some(why);
        }
        self.orphans.put_back(waiting, LEFT_AGAIN, Instant::now());
    }

    /// Removes what is stored, once it is on the server's disk.
    async fn remove_stored(&mut self) {
        let stored = std::mem::take(&mut self.stored);
        if stored.is_empty() {
            return;
        }
        let durable = if self.parts.settings.synchronous_commit {
            let batches: Vec<(Uuid, u64)> = stored
                .iter()
                .flat_map(|(_, shipped)| shipped.firsts.iter().map(|first| (shipped.orphan.id(), *first)))
                .collect();
            self.shipping.durable(&batches).await.map(Some)
        } else {
            Ok(None)
        };
        let durable = match durable {
            Ok(durable) => durable,
            Err(error) => {
                for (mut waiting, _) in stored {
                    let wait = waiting.backoff.next(FAILED_AGAIN);
                    self.failed(&waiting, &error, wait);
                    self.orphans.put_back(waiting, wait, Instant::now());
                }
                return;
            }
        };
        // Batches that the server has lost in a crash are sent again.
        let is_durable = |shipped: &Shipped| {
            let has = |first: &u64| durable.as_ref().is_none_or(|all| all.contains(&(shipped.orphan.id(), *first)));
            shipped.firsts.iter().all(has)
        };
        let (stored, lost): (Vec<_>, Vec<_>) = stored.into_iter().partition(|(_, shipped)| is_durable(shipped));
        for (waiting, _) in lost {
            self.orphans.put_back(waiting, Duration::ZERO, Instant::now());
        }
        let removing = move || {
            let removed = stored.into_iter().map(|(waiting, shipped)| (waiting, shipped.orphan.remove()));
            Ok(removed.collect::<Vec<_>>())
        };
        for (waiting, removed) in on_a_thread(removing).await.unwrap_or_default() {
            match removed {
                Ok(()) => {
                    self.parts.counters.adopted_journals.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => self.leave(waiting, format!("all of it is stored, and it cannot be removed: {error}")),
            }
        }
        self.count(0);
    }
}
