//! Asks a relay by way of NATS: batches through the stream, all else directly.

use super::client;
use super::options::Nats;
use super::packed::{pack, unpack_answer};
use super::subject::{ASKS, BATCHES, service_of};
use super::{ANSWER, ASK, PACKED, REPLY, STREAM};
use crate::writer::remote_sink::{Asker, RemoteSink};
use crate::writer::sink::Answering;
use crate::writer::wire::{Answer, Answered, Asked, Frame, Question, key_of};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, HeaderMap, Message, Subscriber};
use futures_util::StreamExt;
use std::fmt;
use std::io;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// A stream that does not acknowledge a message in this time may not have it.
const SENT: Duration = Duration::from_secs(10);
/// A batch that was sent and is not stored after this time is sent again. The stream has forgotten
/// its id by then.
const RESEND_AFTER: Duration = Duration::from_secs(40);

/// A process's way to the relays.
pub(crate) struct NatsAsker {
    client: Client,
    stream: Context,
    /// The subject of questions that are no batches.
    asks: String,
    /// The subject of answers to batches, and what arrives there.
    inbox: String,
    answers: Subscriber,
    number: u64,
}

impl fmt::Debug for NatsAsker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsAsker").finish_non_exhaustive()
    }
}

fn failed(why: impl fmt::Display) -> sqlx::Error {
    sqlx::Error::Io(io::Error::other(why.to_string()))
}

/// Connects, as the service that an origin names.
pub(crate) async fn connect(nats: &Nats, origin: &str) -> Result<RemoteSink<NatsAsker>, sqlx::Error> {
    let service = service_of(origin);
    let client = client::connect(nats, origin, &format!("_INBOX.{service}")).await?;
    let inbox = client.new_inbox();
    let answers = client.subscribe(inbox.clone()).await.map_err(failed)?;
    let stream = jetstream::new(client.clone());
    let number = Uuid::new_v4().as_u64_pair().0 >> 1;
    Ok(RemoteSink(NatsAsker { client, stream, asks: format!("{ASKS}.{service}"), inbox, answers, number }))
}

/// Reads an answer, if the message is one.
fn read(message: Message) -> Option<(u64, Frame<Answer>)> {
    let header = message.headers.as_ref()?.get(ANSWER)?.as_str();
    let (header, body) = match header {
        PACKED => unpack_answer(&message.payload).ok()?,
        header => (header.to_owned(), message.payload.to_vec()),
    };
    let Answered { number, answer } = serde_json::from_str(&header).ok()?;
    Some((number, Frame { header: answer, body }))
}

impl NatsAsker {
    fn headers(&self, ask: Question) -> Result<HeaderMap, sqlx::Error> {
        let header = serde_json::to_string(&Asked { number: self.number, ask });
        let mut headers = HeaderMap::new();
        headers.insert(ASK, header.map_err(failed)?);
        Ok(headers)
    }

    /// Sends a batch into the stream, and waits for a relay's answer.
    async fn send(
        &mut self,
        ask: Question,
        body: &[u8],
        sent: &(dyn Fn() + Sync),
    ) -> Result<Frame<Answer>, sqlx::Error> {
        let Some((journal, first, origin)) = key_of(&ask, body) else {
            return Err(sqlx::Error::Protocol("the batch has no key".into()));
        };
        let mut headers = self.headers(ask)?;
        headers.insert(REPLY, self.inbox.as_str());
        headers.insert(async_nats::header::NATS_EXPECTED_STREAM, STREAM);
        let subject = format!("{BATCHES}.{}.{journal}", service_of(&origin));
        let (stream, id, payload) = (&self.stream, format!("{journal}:{first}"), pack(body)?);
        let publish = async |id: String| {
            let mut headers = headers.clone();
            headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
            let acknowledged = stream.publish_with_headers(subject.clone(), headers, payload.clone().into()).await;
            acknowledged.map_err(failed)?.await.map_err(failed)
        };
        let sending = async {
            // The answer to the message that the stream has goes to the inbox of the connection before,
            // or has gone there.
            if publish(id.clone()).await?.duplicate {
                publish(format!("{id}:{}", self.number)).await?;
            }
            Ok::<_, sqlx::Error>(())
        };
        timeout(SENT, sending).await.map_err(|_| failed("the stream does not acknowledge a batch"))??;
        sent();
        let number = self.number;
        let answered = async {
            while let Some(message) = self.answers.next().await {
                // Answers to a batch that was sent before come late, or twice.
                if let Some((answered, frame)) = read(message)
                    && answered == number
                {
                    return Ok(frame);
                }
            }
            Err(failed("the connection to NATS is closed"))
        };
        timeout(RESEND_AFTER, answered).await.map_err(|_| failed("no relay has answered a batch; it is sent again"))?
    }
}

impl Asker for NatsAsker {
    const SENDS_KEYS: bool = true;

    fn ask<'a>(
        &'a mut self,
        ask: Question,
        body: Vec<u8>,
        sent: &'a (dyn Fn() + Sync),
    ) -> Answering<'a, Frame<Answer>> {
        Box::pin(async move {
            self.number += 1;
            if matches!(ask, Question::Store { .. }) {
                return self.send(ask, &body, sent).await;
            }
            let headers = self.headers(ask)?;
            let asked = self.client.request_with_headers(self.asks.clone(), headers, body.into()).await;
            match asked.map(read) {
                Ok(Some((number, frame))) if number == self.number => Ok(frame),
                Ok(_) => Err(sqlx::Error::Protocol("the relay gave an answer that does not fit the question".into())),
                Err(error) => Err(failed(format!("no relay answers: {error}"))),
            }
        })
    }
}
