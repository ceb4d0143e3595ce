//! Shipping the journal that one process has left.

use super::already_stored::Claim;
use super::batch::Batch;
use super::blocking::on_a_thread;
use super::carrier::Carrier;
use super::chain::Chain;
use super::couriers::Couriers;
use super::destination::Destination;
use super::orphan_plan::OrphanPlan;
use super::parts::{Settings, WriterParts};
use crate::journal::{Directory, Noticed, Orphan, Parent};
use crate::postgres::failure::Conflict;
use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use uuid::Uuid;

/// The most batches in a question. A message to NATS holds that many of their places.
const ASKED_TOGETHER: usize = 500;

/// A journal of which all is stored, with the positions at which the batches of its records begin.
pub(super) struct Shipped {
    pub(super) orphan: Orphan,
    pub(super) firsts: Vec<u64>,
}

/// The result of a step in shipping a journal.
enum Step {
    /// A batch is under way.
    Sent,
    /// All of it is stored.
    All,
    /// The journal stays, for a reason that does not pass by itself.
    Left(String),
}

/// The result of an attempt to adopt a journal.
pub(super) enum Adopted {
    Stored(Box<Shipped>),
    /// Its process lives, or another process holds it or has shipped it.
    NotOurs,
    /// A transaction of its process, or of an earlier adopter, is under way.
    Held,
    /// The journal stays, for a reason that does not pass by itself.
    Left(String),
}

/// Ships one journal after another, each with the connections of the one before.
pub(super) struct Shipping<'a> {
    parts: &'a Arc<WriterParts>,
    parent: &'a Parent,
    destination: &'a Destination,
    /// A commit of theirs does not wait for the disk of the server.
    pub(super) couriers: Couriers<'a>,
}

impl<'a> Shipping<'a> {
    pub(super) fn new(parts: &'a Arc<WriterParts>, destination: &'a Destination, parent: &'a Parent) -> Self {
        let settings = Settings { synchronous_commit: false, ..parts.settings.clone() };
        Self { parts, parent, destination, couriers: Couriers::new(parts, destination, settings) }
    }

    /// Makes one attempt to ship a journal.
    pub(super) async fn adopt(&mut self, path: PathBuf) -> Result<Adopted, sqlx::Error> {
        let parent = self.parent.clone();
        let opened = on_a_thread(move || Directory::adopt(&parent, &path)?.map(Orphan::open).transpose()).await;
        let orphan = match opened {
            Ok(Some(orphan)) => orphan,
            Ok(None) => return Ok(Adopted::NotOurs),
            Err(error) => return Ok(Adopted::Left(format!("it cannot be opened: {error}"))),
        };
        let (journal, start) = (orphan.id(), orphan.start());
        self.couriers.begin();
        let stored = match self.couriers.free().carry(async |sink| sink.claim(journal, start).await).await? {
            Claim::Stored(stored) => stored,
            Claim::UnderWay => return Ok(Adopted::Held),
            Claim::Refused(why) => return Ok(Adopted::Left(why)),
        };
        tracing::debug!(%journal, "shipping the journal of a process that is gone");
        let orphan = if self.destination.may_hold_back() {
            match on_a_thread(move || orphan.sync().map(|()| orphan)).await {
                Ok(orphan) => orphan,
                Err(error) => return Ok(Adopted::Left(format!("it cannot be synced to its disk: {error}"))),
            }
        } else {
            orphan
        };
        self.ship(OrphanPlan::new(orphan, stored)).await
    }

    /// Ships what is not stored.
    ///
    /// The journal is held until nothing of it is under way, in a failure, too.
    async fn ship(&mut self, mut plan: OrphanPlan) -> Result<Adopted, sqlx::Error> {
        loop {
            let parts = self.parts.clone();
            let read = on_a_thread(move || {
                let batch = plan.next(&parts.settings);
                Ok((plan, batch))
            });
            let step = match read.await {
                Ok((read, batch)) => {
                    plan = read;
                    self.step(&mut plan.chain, batch).await
                }
                Err(error) => return Ok(Adopted::Left(format!("it cannot be read: {error}"))),
            };
            if matches!(step, Ok(Step::Sent)) {
                continue;
            }
            while self.couriers.next_stored().await.is_some() {}
            return match step? {
                Step::Left(why) => Ok(Adopted::Left(why)),
                Step::Sent | Step::All => self.end(plan).await,
            };
        }
    }

    /// Sends the batch that was read, once there is room for it.
    async fn step(&mut self, chain: &mut Chain, read: io::Result<Option<Batch>>) -> Result<Step, sqlx::Error> {
        let batch = match read {
            Ok(Some(batch)) => batch,
            Ok(None) => {
                while self.next_stored(chain).await? {}
                return Ok(Step::All);
            }
            Err(error) if error.get_ref().is_some_and(|error| error.is::<Conflict>()) => {
                self.parts.counters.conflict(error.to_string());
                return Ok(Step::Left(error.to_string()));
            }
            Err(error) => return Ok(Step::Left(format!("it cannot be read: {error}"))),
        };
        if batch.is_personal() && self.parts.settings.master_key.is_none() {
            let why = "it holds personal data, and this process has no key to encrypt them; \
                       start one that has Builder::master_key";
            return Ok(Step::Left(why.into()));
        }
        while !self.couriers.is_ready().await? {
            self.next_stored(chain).await?;
        }
        self.send(chain, batch).await
    }

    /// Sends a batch, unless this process may not.
    async fn send(&mut self, chain: &mut Chain, mut batch: Batch) -> Result<Step, sqlx::Error> {
        self.couriers.free().encrypt(&mut batch).await?;
        // The log was synced when the journal was opened.
        let is_noted = batch.cut.is_some();
        batch.close(&self.parts.settings, chain);
        let origin = batch.cut.as_ref().map(|cut| cut.origin.as_str());
        if let Some(why) = origin.and_then(|origin| self.destination.refuses(origin)) {
            return Ok(Step::Left(why));
        }
        if self.destination.may_hold_back() && !is_noted {
            chain.sync_note(batch.first).await;
        }
        self.couriers.send(batch);
        Ok(Step::Sent)
    }

    /// Awaits the next answer, or returns `false` if nothing is under way.
    async fn next_stored(&mut self, chain: &mut Chain) -> Result<bool, sqlx::Error> {
        let Some(batch) = self.couriers.next_stored().await.transpose()? else { return Ok(false) };
        chain.stored(batch.first);
        chain.recycle(batch);
        Ok(true)
    }

    /// Waits for the disk of the server, and returns which of these batches it has then.
    pub(super) async fn durable(&mut self, batches: &[(Uuid, u64)]) -> Result<HashSet<(Uuid, u64)>, sqlx::Error> {
        let mut durable = HashSet::new();
        for part in batches.chunks(ASKED_TOGETHER) {
            durable.extend(self.couriers.free().carry(async |sink| sink.durable(part).await).await?);
        }
        Ok(durable)
    }

    /// Ends the adoption of a journal of which all is stored.
    async fn end(&mut self, mut plan: OrphanPlan) -> Result<Adopted, sqlx::Error> {
        let (journal, end) = (plan.orphan.id(), plan.end);
        if self.destination.may_hold_back() && self.parts.settings.synchronous_commit {
            // The server may have crashed meanwhile, which the relay's connection alone has noticed. A
            // call whose end was lost was not interrupted.
            let firsts = plan.chain.shipped.as_deref().unwrap_or_default();
            let batches: Vec<(Uuid, u64)> = firsts.iter().map(|first| (journal, *first)).collect();
            let durable = self.durable(&batches).await?;
            if !batches.iter().all(|batch| durable.contains(batch)) {
                return Err(sqlx::Error::Protocol(
                    "the server has lost batches in a crash; they are sent again".into(),
                ));
            }
        }
        let cuts = std::mem::take(&mut plan.interruptions);
        let adopter = self.couriers.free();
        let interrupted = adopter.interrupt(journal, end, Noticed::ByAdopter, &mut plan.chain, cuts).await?;
        self.parts.counters.adopted.fetch_add(interrupted, Ordering::Relaxed);
        Ok(Adopted::Stored(Box::new(Shipped { orphan: plan.orphan, firsts: plan.chain.shipped.unwrap_or_default() })))
    }
}
