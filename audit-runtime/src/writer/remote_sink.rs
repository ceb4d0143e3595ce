//! A relay as the sink of batches, whatever carries the messages.
//!
//! A relay is trusted with progress alone. A batch that it loses is sent again, one that it repeats
//! meets the unique key, and an answer for another batch is no answer.

use super::already_stored::Claim;
use super::batch::Batch;
use super::orphan_plan::Stored;
use super::parts::ServiceCatalogue;
use super::sink::{Answering, EndedJournal, How, Interruptions, Key, Sink, Taken};
use super::store::StoreOutcome;
use super::wire::{self, Answer, Frame, KeyText, Question, StoredText};
use crate::journal::Noticed;
use crate::postgres::failure::Told;
use crate::privacy::{KeyKeeper, TakingKeys, WrappedKey};
use crate::seal::merkle::Hash;
use std::collections::HashSet;
use std::fmt;
use uuid::Uuid;

/// Carries questions to a relay, and its answers back.
pub(crate) trait Asker: fmt::Debug + Send {
    /// Whether messages may be read again when the database has lost keys. Then batches have theirs.
    const SENDS_KEYS: bool;

    /// Asks, and returns the answer to this question. It calls `sent` if it can tell that the question
    /// waits somewhere beside this process.
    fn ask<'a>(
        &'a mut self,
        question: Question,
        body: Vec<u8>,
        sent: &'a (dyn Fn() + Sync),
    ) -> Answering<'a, Frame<Answer>>;
}

/// A relay, behind what carries messages to it.
#[derive(Debug)]
pub(crate) struct RemoteSink<A>(pub(super) A);

/// The relay answered another question than it was asked.
pub(super) fn unexpected(answer: &Answer) -> sqlx::Error {
    sqlx::Error::Protocol(format!("the relay gave an answer that does not fit the question: {answer:?}"))
}

fn hash(text: &str) -> Option<Hash> {
    Some(Hash(hex::decode(text).ok()?.try_into().ok()?))
}

impl<A: Asker> RemoteSink<A> {
    /// Asks, and turns the relay's account of a failure into one.
    async fn ask(&mut self, question: Question) -> Result<Frame<Answer>, sqlx::Error> {
        self.ask_with(question, Vec::new(), &|| ()).await
    }

    async fn ask_with(
        &mut self,
        question: Question,
        body: Vec<u8>,
        sent: &(dyn Fn() + Sync),
    ) -> Result<Frame<Answer>, sqlx::Error> {
        match self.0.ask(question, body, sent).await? {
            Frame { header: Answer::Failed { failure, is_full, text }, .. } => {
                Err(Told { failure, is_full, text }.into())
            }
            frame => Ok(frame),
        }
    }
}

impl<A: Asker> KeyKeeper for RemoteSink<A> {
    fn take<'a>(&'a mut self, offers: &'a [WrappedKey]) -> TakingKeys<'a> {
        Box::pin(async move {
            let offers = offers.iter().map(KeyText::from).collect();
            match self.ask(Question::Keys { offers }).await?.header {
                Answer::Keys { keys } => {
                    let keys: Option<Vec<WrappedKey>> = keys.into_iter().map(KeyText::key).collect();
                    keys.ok_or_else(|| sqlx::Error::Protocol("the relay sent a key that is no text of bytes".into()))
                }
                answer => Err(unexpected(&answer)),
            }
        })
    }
}

impl<A: Asker> Sink for RemoteSink<A> {
    fn store<'a>(&'a mut self, batch: &'a Batch, how: How<'a>) -> Answering<'a, Taken> {
        Box::pin(async move {
            let question = Question::Store { journal: batch.journal_id, waits_for_disk: how.waits_for_disk };
            let body = if A::SENDS_KEYS { wire::encode_with_keys(batch) } else { wire::encode(batch) };
            match self.ask_with(question, body, how.sent).await?.header {
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
            let mut all: Vec<Stored> = Vec::new();
            loop {
                let behind = all.last().map(|last| last.first);
                let Frame { header, body } = self.ask(Question::Claim { journal, start, behind }).await?;
                match header {
                    // A page that is empty has none behind it.
                    Answer::Claimed { stored, more } => {
                        let more = more && !stored.is_empty();
                        all.extend(read_stored(stored, &body));
                        if !more {
                            return Ok(Claim::Stored(all));
                        }
                    }
                    Answer::UnderWay => return Ok(Claim::UnderWay),
                    Answer::LeftToItsRole { why } => return Ok(Claim::Refused(why)),
                    answer => return Err(unexpected(&answer)),
                }
            }
        })
    }

    fn durable<'a>(&'a mut self, batches: &'a [(Uuid, u64)]) -> Answering<'a, HashSet<(Uuid, u64)>> {
        Box::pin(async move {
            match self.ask(Question::Durable { batches: batches.to_vec() }).await?.header {
                Answer::Durable { batches } => Ok(batches),
                answer => Err(unexpected(&answer)),
            }
        })
    }

    fn interrupt(&mut self, ended: EndedJournal) -> Answering<'_, Interruptions> {
        Box::pin(async move {
            let EndedJournal { journal, end, noticed } = ended;
            let question = Question::Interrupt { journal, end, at_shutdown: noticed == Noticed::AtShutdown };
            match self.ask(question).await?.header {
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
            let asked = self.ask(Question::Catalogue { service, version, functions, origin: origin.into() }).await;
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
