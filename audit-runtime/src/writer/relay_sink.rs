//! A relay as the sink of batches.
//!
//! A relay is trusted with progress alone. A batch that it loses is sent again, one that it repeats
//! meets the unique key, and an answer for another batch is no answer.

use super::already_stored::Claim;
use super::batch::Batch;
use super::orphan_plan::Stored;
use super::parts::ServiceCatalogue;
use super::relay_address::{RelayAddress, Stream};
use super::sink::{Answering, EndedJournal, Interruptions, Key, Sink, Taken};
use super::store::StoreOutcome;
use super::wire::{self, Answer, Answered, Asked, FORMAT, Frame, KeyText, Question, StoredText};
use crate::journal::Noticed;
use crate::postgres::failure::Told;
use crate::privacy::{KeyKeeper, TakingKeys, WrappedKey};
use crate::seal::merkle::Hash;
use std::collections::HashSet;
use std::fmt;
use std::io;
use std::time::Duration;
use uuid::Uuid;

/// A relay that does not answer a greeting in this time answers no batch either.
const GREETING: Duration = Duration::from_secs(5);

/// A connection to a relay.
pub(super) struct RelaySink {
    stream: Box<dyn Stream>,
    /// The number of the last question.
    number: u64,
}

impl fmt::Debug for RelaySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelaySink").finish_non_exhaustive()
    }
}

/// The relay answered another question than it was asked.
fn unexpected(answer: &Answer) -> sqlx::Error {
    sqlx::Error::Protocol(format!("the relay gave an answer that does not fit the question: {answer:?}"))
}

fn hash(text: &str) -> Option<Hash> {
    Some(Hash(hex::decode(text).ok()?.try_into().ok()?))
}

impl RelaySink {
    /// Connects, and agrees with the relay on a format.
    pub(super) async fn connect(address: &RelayAddress, origin: &str) -> Result<Self, sqlx::Error> {
        // Numbers of another connection's questions are others.
        let number = Uuid::new_v4().as_u64_pair().0 >> 1;
        let mut sink = Self { stream: address.connect().await?, number };
        let hello = Question::Hello { format: FORMAT, origin: origin.into() };
        let greeted = tokio::time::timeout(GREETING, sink.ask(hello, &[])).await;
        let greeted = greeted.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())));
        match greeted?.header {
            Answer::Hello { format: FORMAT, .. } => Ok(sink),
            answer => Err(unexpected(&answer)),
        }
    }

    /// Asks, and waits for the answer to this question.
    async fn ask(&mut self, ask: Question, body: &[u8]) -> Result<Frame<Answer>, sqlx::Error> {
        self.number += 1;
        wire::write(&mut *self.stream, &Asked { number: self.number, ask }, body).await?;
        loop {
            let Some(frame) = wire::read::<Answered>(&mut *self.stream).await? else {
                return Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::UnexpectedEof, "the relay has hung up")));
            };
            if frame.header.number != self.number {
                continue;
            }
            return match frame.header.answer {
                Answer::Failed { failure, is_full, text } => Err(Told { failure, is_full, text }.into()),
                header => Ok(Frame { header, body: frame.body }),
            };
        }
    }
}

impl KeyKeeper for RelaySink {
    fn take<'a>(&'a mut self, offers: &'a [WrappedKey]) -> TakingKeys<'a> {
        Box::pin(async move {
            let offers = offers.iter().map(KeyText::from).collect();
            match self.ask(Question::Keys { offers }, &[]).await?.header {
                Answer::Keys { keys } => {
                    let keys: Option<Vec<WrappedKey>> = keys.into_iter().map(KeyText::key).collect();
                    keys.ok_or_else(|| sqlx::Error::Protocol("the relay sent a key that is no text of bytes".into()))
                }
                answer => Err(unexpected(&answer)),
            }
        })
    }
}

impl Sink for RelaySink {
    fn store<'a>(&'a mut self, batch: &'a Batch, waits_for_disk: bool) -> Answering<'a, Taken> {
        Box::pin(async move {
            let question = Question::Store { journal: batch.journal_id, waits_for_disk };
            match self.ask(question, &wire::encode(batch)).await?.header {
                Answer::Stored { journal, first, end, root, quarantined, had } => Ok(Taken {
                    key: Key { journal, first, end, root: root.as_deref().and_then(hash) },
                    outcome: StoreOutcome::Stored { quarantined, had },
                }),
                answer => Err(unexpected(&answer)),
            }
        })
    }

    fn claim(&mut self, journal: Uuid, start: u64) -> Answering<'_, Claim> {
        Box::pin(async move {
            let Frame { header, body } = self.ask(Question::Claim { journal, start }, &[]).await?;
            match header {
                Answer::Claimed { stored } => Ok(Claim::Stored(read_stored(stored, &body))),
                Answer::UnderWay => Ok(Claim::UnderWay),
                Answer::LeftToItsRole { why } => Ok(Claim::Refused(why)),
                answer => Err(unexpected(&answer)),
            }
        })
    }

    fn durable<'a>(&'a mut self, batches: &'a [(Uuid, u64)]) -> Answering<'a, HashSet<(Uuid, u64)>> {
        Box::pin(async move {
            match self.ask(Question::Durable { batches: batches.to_vec() }, &[]).await?.header {
                Answer::Durable { batches } => Ok(batches),
                answer => Err(unexpected(&answer)),
            }
        })
    }

    fn interrupt(&mut self, ended: EndedJournal) -> Answering<'_, Interruptions> {
        Box::pin(async move {
            let EndedJournal { journal, end, noticed } = ended;
            let question = Question::Interrupt { journal, end, at_shutdown: noticed == Noticed::AtShutdown };
            match self.ask(question, &[]).await?.header {
                Answer::Interrupted { made } => Ok(made.map_or(Interruptions::NotAllowed, Interruptions::Made)),
                answer => Err(unexpected(&answer)),
            }
        })
    }

    fn catalogue<'a>(
        &'a mut self,
        catalogue: &'a ServiceCatalogue,
        origin: &'a str,
    ) -> Answering<'a, Result<(), sqlx::Error>> {
        Box::pin(async move {
            let ServiceCatalogue { service, version, functions } = catalogue.clone();
            let asked = self.ask(Question::Catalogue { service, version, functions, origin: origin.into() }, &[]).await;
            match asked.map(|frame| frame.header) {
                Ok(Answer::Done) => Ok(Ok(())),
                Ok(answer) => Err(unexpected(&answer)),
                // The relay has answered, so the connection is as before.
                Err(error @ sqlx::Error::AnyDriverError(_)) => Ok(Err(error)),
                Err(error) => Err(error),
            }
        })
    }

    fn is_scarce(&mut self) -> Answering<'_, bool> {
        // The relay shares its own connections among its services.
        Box::pin(async { Ok(false) })
    }

    fn close(self: Box<Self>) -> Answering<'static, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// Reads the batches that are stored, whose ids are one after another in the body.
fn read_stored(stored: Vec<StoredText>, body: &[u8]) -> Vec<Stored> {
    let mut ids = body.as_chunks::<16>().0.iter().map(|id| Uuid::from_bytes(*id));
    let read = |text: StoredText| Stored {
        first: text.first,
        end: text.end,
        root: text.root.as_deref().and_then(hash),
        open: text.open,
        ids: text.ids.map(|count| ids.by_ref().take(count).collect()),
    };
    stored.into_iter().map(read).collect()
}
