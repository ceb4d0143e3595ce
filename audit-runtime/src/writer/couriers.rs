//! Carriers that give up after one attempt, and the batches that they have under way at once.
//!
//! A relay behind a broker answers a batch milliseconds after it was sent. A journal of many small
//! batches would take long if each waited for the answer to the one before.

use super::batch::Batch;
use super::carrier::Carrier;
use super::destination::Destination;
use super::link::Link;
use super::parts::{Settings, WriterParts};
use super::sink::Sink;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A carrier that gives up after one attempt.
pub(super) struct Courier<'a> {
    parts: &'a WriterParts,
    settings: Arc<Settings>,
    link: Link<'a>,
}

impl<'a> Carrier<'a> for Courier<'a> {
    type GaveUp = sqlx::Error;

    fn parts(&self) -> &'a WriterParts {
        self.parts
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    async fn carry<T>(
        &mut self,
        attempt: impl AsyncFn(&mut dyn Sink) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        self.link.once(attempt).await
    }
}

impl Courier<'_> {
    /// Makes its connection, unless it has one.
    pub(super) async fn connect(&mut self) -> Result<(), sqlx::Error> {
        self.link.connect().await.map(|_| ())
    }
}

/// The couriers of one adopter.
pub(super) struct Couriers<'a> {
    parts: &'a WriterParts,
    destination: &'a Destination,
    settings: Arc<Settings>,
    free: Option<Courier<'a>>,
    idle: Vec<Courier<'a>>,
    under_way: FuturesUnordered<LocalBoxFuture<'a, (Courier<'a>, Result<Batch, sqlx::Error>)>>,
    /// The most batches under way.
    at_once: usize,
}

impl<'a> Couriers<'a> {
    pub(super) fn new(parts: &'a WriterParts, destination: &'a Destination, settings: Settings) -> Self {
        Self {
            parts,
            destination,
            settings: Arc::new(settings),
            free: None,
            idle: Vec::new(),
            under_way: FuturesUnordered::new(),
            at_once: destination.batches_at_once(),
        }
    }

    /// Takes a courier that has no batch under way, with a connection if one has it.
    fn take(&mut self) -> Courier<'a> {
        self.idle.extend(self.free.take());
        let connected = self.idle.iter().position(|courier| courier.link.is_connected());
        match connected.or(self.idle.len().checked_sub(1)) {
            Some(place) => self.idle.swap_remove(place),
            None => Courier {
                parts: self.parts,
                settings: self.settings.clone(),
                link: Link::new(self.destination, Some(self.parts.journal.id())),
            },
        }
    }

    /// Returns a courier that has no batch under way.
    pub(super) fn free(&mut self) -> &mut Courier<'a> {
        let courier = self.take();
        self.free.insert(courier)
    }

    /// Begins with another journal.
    pub(super) fn begin(&mut self) {
        self.at_once = self.destination.batches_at_once();
    }

    /// Connects a courier for one more batch, or returns `false` if a batch under way has to be
    /// answered first.
    ///
    /// Where no further connection can be had, those that there are go on, until the next journal.
    ///
    /// # Errors
    /// No connection can be had, and nothing is under way.
    pub(super) async fn is_ready(&mut self) -> Result<bool, sqlx::Error> {
        let under_way = self.under_way.len();
        if under_way >= self.at_once {
            return Ok(false);
        }
        match self.free().connect().await {
            Ok(()) => Ok(true),
            Err(error) if under_way == 0 => Err(error),
            Err(error) => {
                tracing::debug!(%error, under_way, "an adopter gets no further connection");
                self.free = None;
                self.at_once = under_way;
                Ok(false)
            }
        }
    }

    /// Sends a batch, whose answer [`next_stored`](Self::next_stored) awaits.
    pub(super) fn send(&mut self, batch: Batch) {
        let mut courier = self.take();
        self.under_way.push(Box::pin(async move {
            let stored = courier.store(&batch).await;
            (courier, stored.map(|_| batch))
        }));
    }

    /// Awaits the next answer, and returns its batch, or `None` if nothing is under way.
    pub(super) async fn next_stored(&mut self) -> Option<Result<Batch, sqlx::Error>> {
        let (courier, stored) = self.under_way.next().await?;
        self.idle.push(courier);
        if let Ok(batch) = &stored {
            self.parts.counters.adopted.fetch_add(batch.rows.len() as u64, Ordering::Relaxed);
        }
        Some(stored)
    }

    /// Returns the connections.
    pub(super) async fn give_back(&mut self) {
        for mut courier in self.free.take().into_iter().chain(self.idle.drain(..)) {
            courier.link.give_back().await;
        }
    }
}
