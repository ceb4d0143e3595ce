//! Batches from the stream: many in one transaction, answered, and then acknowledged.

use super::stream::consumer;
use super::{access, asks};
use crate::privacy::WrappedKey;
use crate::relay::answers;
use crate::relay::connections::within;
use crate::relay::shared::{Shared, stopping};
use crate::writer::batch::Batch;
use crate::writer::bring_back;
use crate::writer::nats::{ASK, BATCHES, REPLY, SHIPPER, of_service, service_of, unpack};
use crate::writer::wire::{self, Answer, Asked, Question};
use async_nats::Client;
use async_nats::jetstream::consumer::pull::Stream;
use async_nats::jetstream::{AckKind, Context, Message};
use futures_util::StreamExt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// The most messages of one transaction.
const TOGETHER: usize = 64;
/// The bytes of messages that are fetched at once.
pub(super) const FETCH: usize = 8 << 20;
/// The wait for further messages, once one is there.
const GATHER: Duration = Duration::from_millis(20);
/// Nothing was delivered for so long: the consumer is looked at, and made anew.
const STALLED: Duration = Duration::from_secs(30);
/// NATS hears of messages in hand this often. Otherwise it would give them to another relay.
const PROGRESS: Duration = Duration::from_secs(20);
/// The pauses between attempts while PostgreSQL cannot be reached.
const FIRST_AGAIN: Duration = Duration::from_millis(100);
const LAST_AGAIN: Duration = Duration::from_secs(5);

/// The parts of one worker, which uses one connection to PostgreSQL at a time.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Client,
    pub(super) stream: Context,
    pub(super) stopped: watch::Receiver<bool>,
    pub(super) fetch_bytes: usize,
}

/// A batch, and the way back to its service.
struct Received {
    message: Message,
    decoded: Decoded,
}

/// The content of a message.
struct Decoded {
    number: u64,
    /// Where its service hears the answer. A batch that a relay has made needs none.
    reply: Option<String>,
    batch: Batch,
    keys: Vec<WrappedKey>,
    waits_for_disk: bool,
}

/// Stores batches until the relay stops.
pub(super) async fn run(mut worker: Worker) {
    let mut again = FIRST_AGAIN;
    while !*worker.stopped.borrow() {
        let served = match messages(&worker).await {
            Ok(mut messages) => worker.serve(&mut messages).await,
            Err(error) => Err(error),
        };
        let Err(error) = served else {
            again = FIRST_AGAIN;
            continue;
        };
        tracing::warn!(%error, retry_in = ?again, "no batches come from NATS; the relay asks for them again");
        tokio::select! {
            () = sleep(again) => {}
            () = stopping(&mut worker.stopped) => {}
        }
        again = (again * 2).min(LAST_AGAIN);
    }
}

async fn messages(worker: &Worker) -> io::Result<Stream> {
    let consumer = consumer(&worker.stream).await?;
    let stream = consumer.stream().max_bytes_per_batch(worker.fetch_bytes).heartbeat(STALLED / 3).expires(STALLED);
    stream.messages().await.map_err(io::Error::other)
}

impl Worker {
    /// Stores what comes, until the relay stops or nothing comes any more.
    async fn serve(&mut self, messages: &mut Stream) -> io::Result<()> {
        loop {
            let first = tokio::select! {
                biased;
                () = stopping(&mut self.stopped) => {
                    give_back(messages).await;
                    return Ok(());
                }
                first = timeout(STALLED, messages.next()) => first,
            };
            let first = match first {
                Ok(Some(message)) => message.map_err(io::Error::other)?,
                Ok(None) => return Err(io::Error::other("the subscription has ended")),
                // A consumer that is stuck looks like one that has nothing: it is made anew.
                Err(_) => return Ok(()),
            };
            let mut gathered = vec![first];
            let deadline = Instant::now() + GATHER;
            while gathered.len() < TOGETHER {
                match timeout_at(deadline, messages.next()).await {
                    Ok(Some(Ok(message))) => gathered.push(message),
                    _ => break,
                }
            }
            self.take(gathered).await;
        }
    }

    async fn take(&mut self, messages: Vec<Message>) {
        let (mut received, settings) = (Vec::new(), self.shared.settings.clone());
        let decoding = move || {
            let decode = |message: Message| {
                let decoded = decode(&message, &settings);
                (message, decoded)
            };
            messages.into_iter().map(decode).collect::<Vec<_>>()
        };
        for (message, decoded) in tokio::task::spawn_blocking(decoding).await.unwrap_or_default() {
            match decoded {
                Ok(decoded) => received.push(Received { message, decoded }),
                Err(error) => {
                    // Its service hears nothing, and sends it again.
                    self.shared.counters.altered.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(subject = %message.subject, %error, "a message in the stream is no batch of its service");
                    let _ = message.ack().await;
                }
            }
        }
        received.sort_by_key(|received| (received.decoded.batch.journal_id, received.decoded.batch.first));
        // Of copies that came together, the first is stored, and answers for all.
        if !self.together(&received).await {
            for received in &received {
                self.alone(received).await;
            }
        }
    }

    /// Stores all of them in one transaction, and returns whether that was possible.
    async fn together(&self, received: &[Received]) -> bool {
        let mut batches: Vec<&Batch> = received.iter().map(|received| &received.decoded.batch).collect();
        batches.dedup_by_key(|batch| (batch.journal_id, batch.first, batch.end, batch.key().root.map(|root| root.0)));
        let waits_for_disk = received.iter().any(|received| received.decoded.waits_for_disk);
        let mut keys: Vec<WrappedKey> = received.iter().flat_map(|received| received.decoded.keys.clone()).collect();
        keys.sort_by(|a, b| (&a.subject, a.id).cmp(&(&b.subject, b.id)));
        keys.dedup();
        let storing = async {
            let mut lease = self.shared.connections.lease().await?;
            within(bring_back(&mut lease.sink, &keys)).await?;
            within(lease.sink.store_together(&batches, waits_for_disk)).await?;
            lease.give_back();
            Ok::<_, sqlx::Error>(())
        };
        if batches.len() < 2 || storing.await.is_err() {
            return false;
        }
        for received in received {
            let batch = &received.decoded.batch;
            let root = batch.key().root.map(|root| hex::encode(root.0));
            let (journal, first, end) = (batch.journal_id, batch.first, batch.end);
            answers::count_stored(&self.shared, batch, 0);
            self.done(received, Answer::Stored { journal, first, end, root, quarantined: 0, had: false }).await;
        }
        true
    }

    /// Stores one batch, however long that takes, or until the relay stops.
    async fn alone(&self, received: &Received) {
        let (mut again, mut told) = (FIRST_AGAIN, Instant::now());
        loop {
            let Decoded { batch, keys, waits_for_disk, .. } = &received.decoded;
            let answer = answers::store_with_keys(&self.shared, batch, keys, *waits_for_disk).await;
            // PostgreSQL cannot be reached, or waits for something: it is tried again here. All else
            // is for the service to know.
            if !answers::is_passing(&answer) || *self.stopped.borrow() {
                if answers::is_passing(&answer) {
                    let _ = received.message.ack_with(AckKind::Nak(None)).await;
                } else {
                    self.done(received, answer).await;
                }
                return;
            }
            if told.elapsed() > PROGRESS {
                told = Instant::now();
                let _ = received.message.ack_with(AckKind::Progress).await;
            }
            sleep(again).await;
            again = (again * 2).min(LAST_AGAIN);
        }
    }

    /// Answers the service, and then tells the stream.
    async fn done(&self, received: &Received, answer: Answer) {
        if let Some(reply) = &received.decoded.reply {
            asks::send(&self.client, reply, received.decoded.number, answer, Vec::new()).await;
        }
        // If it is lost, the message comes again, and is stored already.
        let _ = received.message.ack().await;
    }
}

/// Messages that were fetched and are not begun go to another relay at once.
async fn give_back(messages: &mut Stream) {
    while let Ok(Some(Ok(message))) = timeout(Duration::ZERO, messages.next()).await {
        let _ = message.ack_with(AckKind::Nak(None)).await;
    }
}

/// Reads a batch, and compares it with the subject that it came on.
fn decode(message: &Message, settings: &crate::writer::Settings) -> io::Result<Decoded> {
    let refused = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
    let headers = message.headers.as_ref().ok_or_else(|| refused("it has no headers"))?;
    let header = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
    let asked: Asked = serde_json::from_str(&header(ASK).ok_or_else(|| refused("it asks nothing"))?)?;
    let Question::Store { journal, waits_for_disk } = asked.ask else {
        return Err(refused("it asks something else than to store a batch"));
    };
    if !message.subject.ends_with(&format!(".{journal}")) {
        return Err(refused("its subject names another journal"));
    }
    let (batch, keys) = wire::decode_with_keys(&unpack(&message.payload)?, journal, settings)?;
    let reply = match of_service(&message.subject, BATCHES) {
        Some(service) => Some(reply_of(service, &batch, header(REPLY)).map_err(refused)?),
        // NATS lets relays alone use this subject.
        None if batch.interruptions.is_some() => None,
        None => return Err(refused("its subject names no service")),
    };
    Ok(Decoded { number: asked.number, reply, batch, keys, waits_for_disk })
}

/// Returns where the answer to a service's batch goes, or why the batch is not taken.
fn reply_of(service: &str, batch: &Batch, reply: Option<String>) -> Result<String, &'static str> {
    let origin = batch.cut.as_ref().map(|cut| service_of(&cut.origin));
    if origin.as_deref() != Some(service) {
        return Err("its subject names another service than its origin");
    }
    if batch.interruptions.is_some() {
        return Err("a relay makes the interruptions of a journal itself, and takes none");
    }
    // An adopter publishes as the journal's service, and hears at an inbox of its own.
    let is_own = |reply: &String| access::is_inbox_of(service, reply) || access::is_inbox_of(SHIPPER, reply);
    reply.filter(is_own).ok_or("its answer would go to another's inbox")
}
