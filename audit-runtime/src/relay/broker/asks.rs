//! Questions that are no batches: one relay answers each.

use super::arrivals::Arrivals;
use super::{access, made};
use crate::postgres::failure::{Failure, Told};
use crate::relay::answers;
use crate::relay::shared::{Shared, stopping};
use crate::writer::batch::Batch;
use crate::writer::nats::{ANSWER, ASK, ASKS, of_service};
use crate::writer::wire::{Answer, Answered, Asked, Frame, Question, StoredText};
use async_nats::jetstream::Context;
use async_nats::{Client, HeaderMap, Message};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

/// The relays of one group share the questions.
const GROUP: &str = "audit-relay";
/// Questions that are answered at once.
const TOGETHER: usize = 64;
/// The pause before a subscription that has failed is made again.
const AGAIN: Duration = Duration::from_secs(1);

/// The parts that the answers need.
#[derive(Clone)]
pub(super) struct Asks {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Client,
    pub(super) stream: Context,
    pub(super) arrivals: Arc<Arrivals>,
}

/// Answers questions until the relay stops.
pub(super) async fn run(asks: Asks, mut stopped: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(TOGETHER));
    let mut answering = JoinSet::new();
    while !*stopped.borrow() {
        let Ok(mut questions) = asks.client.queue_subscribe(format!("{ASKS}.*"), GROUP.into()).await else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        loop {
            let message = tokio::select! {
                () = stopping(&mut stopped) => None,
                Some(_) = answering.join_next() => continue,
                message = questions.next() => message,
            };
            let (Some(message), Ok(place)) = (message, places.clone().acquire_owned().await) else { break };
            let asks = asks.clone();
            answering.spawn(async move {
                answer(&asks, message).await;
                drop(place);
            });
        }
    }
    while answering.join_next().await.is_some() {}
}

async fn answer(Asks { shared, client, stream, arrivals }: &Asks, message: Message) {
    let Some(service) = of_service(&message.subject, ASKS) else { return };
    let Some(reply) = message.reply.clone().filter(|reply| access::is_inbox_of(service, reply)) else { return };
    let asked = message.headers.as_ref().and_then(|headers| headers.get(ASK));
    let Some(Asked { number, ask }) = asked.and_then(|asked| serde_json::from_str(asked.as_str()).ok()) else { return };
    let (answer, body) = match access::refusal(shared, service, &ask).await {
        Ok(None) if let Some(answer) = not_yet(shared, stream, arrivals, &ask).await => (answer, Vec::new()),
        Ok(None) => {
            let announce = |batch: &Batch| made::publish(stream.clone(), batch);
            answers::answer(shared, Frame { header: ask, body: message.payload.to_vec() }, announce).await
        }
        Ok(Some(text)) => (Answer::Failed { failure: Failure::NotAllowed, is_full: false, text }, Vec::new()),
        Err(error) => (answers::failed(shared, &error), Vec::new()),
    };
    let (answer, body) = within(client.server_info().max_payload, answer, body);
    send(client, &reply, number, answer, body).await;
}

/// Returns the answer to a question about an ended journal of which the stream still has batches.
async fn not_yet(shared: &Shared, stream: &Context, arrivals: &Arrivals, ask: &Question) -> Option<Answer> {
    let (Question::Claim { journal, .. } | Question::Interrupt { journal, .. }) = ask else { return None };
    match arrivals.have_come(stream, *journal).await {
        Ok(true) => None,
        Ok(false) if matches!(ask, Question::Claim { .. }) => Some(Answer::UnderWay),
        Ok(false) => Some(answers::failed(shared, &on_its_way(*journal))),
        Err(error) => Some(answers::failed(shared, &sqlx::Error::Io(error))),
    }
}

fn on_its_way(journal: Uuid) -> sqlx::Error {
    let text = format!("batches of journal {journal} may still be in the stream; the service asks again");
    Told { failure: Failure::Retry, is_full: false, text }.into()
}

/// Leaves out what a message cannot hold: the ids of stored batches, by which an adopter would find
/// that a batch of another has the place of its own.
fn within(max_payload: usize, answer: Answer, body: Vec<u8>) -> (Answer, Vec<u8>) {
    if body.len() <= max_payload / 2 {
        return (answer, body);
    }
    match answer {
        Answer::Claimed { stored } => {
            let without = |text: StoredText| StoredText { ids: None, ..text };
            (Answer::Claimed { stored: stored.into_iter().map(without).collect() }, Vec::new())
        }
        answer => (answer, body),
    }
}

/// Sends an answer. If it is lost, the service asks again.
pub(super) async fn send(client: &Client, reply: &str, number: u64, answer: Answer, body: Vec<u8>) {
    let Ok(header) = serde_json::to_string(&Answered { number, answer }) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(ANSWER, header);
    if let Err(error) = client.publish_with_headers(reply.to_owned(), headers, body.into()).await {
        tracing::debug!(%error, "an answer is not sent; the service asks again");
    }
}
