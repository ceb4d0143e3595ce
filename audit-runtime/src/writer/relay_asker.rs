//! Asks a relay on this machine, by its socket.

use super::relay_address::{RelayAddress, Stream};
use super::remote_sink::{Asker, RemoteSink, unexpected};
use super::sink::Answering;
use super::wire::{self, Answer, Answered, Asked, FORMAT, Frame, Question};
use crate::postgres::failure::Told;
use std::fmt;
use std::io;
use std::time::Duration;
use uuid::Uuid;

/// A relay that does not answer a greeting in this time answers no batch either.
const GREETING: Duration = Duration::from_secs(5);

/// A connection to a relay.
pub(super) struct RelayAsker {
    stream: Box<dyn Stream>,
    /// The number of the last question.
    number: u64,
}

impl fmt::Debug for RelayAsker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayAsker").finish_non_exhaustive()
    }
}

/// Connects, and agrees with the relay on a format.
pub(super) async fn connect(address: &RelayAddress, origin: &str) -> Result<RemoteSink<RelayAsker>, sqlx::Error> {
    // Numbers of another connection's questions are others.
    let number = Uuid::new_v4().as_u64_pair().0 >> 1;
    let mut asker = RelayAsker { stream: address.connect().await?, number };
    let hello = Question::Hello { format: FORMAT, origin: origin.into() };
    let greeted = tokio::time::timeout(GREETING, asker.ask(hello, Vec::new(), &|| ())).await;
    let greeted = greeted.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())));
    match greeted?.header {
        Answer::Hello { format: FORMAT, .. } => Ok(RemoteSink(asker)),
        Answer::Failed { failure, is_full, text } => Err(Told { failure, is_full, text }.into()),
        answer => Err(unexpected(&answer)),
    }
}

impl Asker for RelayAsker {
    const SENDS_KEYS: bool = false;

    fn ask<'a>(&'a mut self, ask: Question, body: Vec<u8>, _: &'a (dyn Fn() + Sync)) -> Answering<'a, Frame<Answer>> {
        Box::pin(async move {
            self.number += 1;
            wire::write(&mut *self.stream, &Asked { number: self.number, ask }, &body).await?;
            loop {
                let Some(frame) = wire::read::<Answered>(&mut *self.stream).await? else {
                    let hung_up = io::Error::new(io::ErrorKind::UnexpectedEof, "the relay has hung up");
                    return Err(sqlx::Error::Io(hung_up));
                };
                if frame.header.number == self.number {
                    return Ok(Frame { header: frame.header.answer, body: frame.body });
                }
            }
        })
    }
}
