//! Questions that are no batches: one relay answers each.

use super::arrivals::Arrivals;
use super::{access, made};
use crate::postgres::failure::{Failure, Told};
use crate::relay::answers;
use crate::relay::shared::{Shared, stopping};
use crate::writer::batch::Batch;
use crate::writer::nats::{ANSWER, ASK, ASKS, PACKED, of_service, pack_answer};
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

/// The most bytes of an answer that is not packed.
const PLAIN: usize = 64 << 10;
/// Bytes of a message beside its body.
const MARGIN: usize = 1 << 10;

/// Positions of open batches, which are most of a long answer, are alike: it is compressed to less than
/// this part.
const COMPRESSED: usize = 16;

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
            let most = client.server_info().max_payload.saturating_mul(COMPRESSED);
            let announce = |batch: &Batch| made::publish(stream.clone(), batch);
            answers::answer(shared, Frame { header: ask, body: message.payload.to_vec() }, most, announce).await
        }
        Ok(Some(text)) => (Answer::Failed { failure: Failure::NotAllowed, is_full: false, text }, Vec::new()),
        Err(error) => (answers::failed(shared, &error), Vec::new()),
    };
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

/// Sends an answer. If it is lost, the service asks again.
pub(super) async fn send(client: &Client, reply: &str, number: u64, answer: Answer, body: Vec<u8>) {
    let Some((header, body)) = fitted(client.server_info().max_payload, number, answer, body) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(ANSWER, header);
    if let Err(error) = client.publish_with_headers(reply.to_owned(), headers, body.into()).await {
        tracing::warn!(%error, "an answer is not sent; the service asks again");
    }
}

/// Returns an answer as a message: its header and its body. A large one is packed into the body.
///
/// Of stored batches, as many are answered as a message holds. An answer that no message can hold is left
/// out: the ids of one batch, by which an adopter would find that a batch of another has the place of its own.
fn fitted(max_payload: usize, number: u64, answer: Answer, body: Vec<u8>) -> Option<(String, Vec<u8>)> {
    let header = serde_json::to_string(&Answered { number, answer: answer.clone() }).ok()?;
    if header.len() + body.len() <= PLAIN.min(max_payload / 2) {
        return Some((header, body));
    }
    let packed = pack_answer(&header, &body).ok()?;
    if packed.len() + MARGIN <= max_payload {
        return Some((PACKED.into(), packed));
    }
    let (smaller, body) = match answer {
        Answer::Claimed { mut stored, .. } if stored.len() > 1 => {
            // The service asks for the rest.
            stored.truncate(stored.len() / 2);
            let ids: usize = stored.iter().filter_map(|text| text.ids).sum();
            (Answer::Claimed { stored, more: true }, body[..body.len().min(ids * 16)].to_vec())
        }
        Answer::Claimed { stored, more } if stored.iter().any(|text| text.ids.is_some()) => {
            let without = |text: StoredText| StoredText { ids: None, ..text };
            (Answer::Claimed { stored: stored.into_iter().map(without).collect(), more }, Vec::new())
        }
        _ => {
            let text = format!(
                "the relay's answer has {} bytes, and NATS takes {max_payload} in a message; raise max_payload of the server",
                packed.len()
            );
            (Answer::Failed { failure: Failure::Retry, is_full: false, text }, Vec::new())
        }
    };
    fitted(max_payload, number, smaller, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::nats::unpack_answer;

    fn claimed(batches: u64, ids: Option<usize>) -> Answer {
        let open: Vec<u64> = (0..500).map(|number| number * 10_000).collect();
        let root = |number: u64| Some(hex::encode(number.to_le_bytes().repeat(4)));
        let text = |number| StoredText { first: number, end: number + 1, root: root(number), open: open.clone(), ids };
        Answer::Claimed { stored: (0..batches).map(text).collect(), more: false }
    }

    #[test]
    fn an_answer_of_many_batches_is_packed_into_a_message() {
        let ids: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        let (header, body) = fitted(1 << 20, 7, claimed(2_000, Some(0)), ids.clone()).unwrap();
        assert!(header.len() < 100 && body.len() < 1 << 20, "{}", body.len());
        let (header, unpacked) = unpack_answer(&body).unwrap();
        let Answered { number, answer } = serde_json::from_str(&header).unwrap();
        assert!(
            matches!(answer, Answer::Claimed { stored, .. } if stored.len() == 2_000 && stored[0].open.len() == 500)
        );
        assert_eq!((number, unpacked), (7, ids));
    }

    #[test]
    fn a_small_answer_is_plain_and_one_that_fits_nowhere_says_so() {
        let (header, body) = fitted(1 << 20, 7, Answer::Done, Vec::new()).unwrap();
        assert!(header.contains("done") && body.is_empty());
        let many = (0..2_000_u64).map(|number| (Uuid::new_v4(), number)).collect();
        let (header, _) = fitted(2_000, 7, Answer::Durable { batches: many }, Vec::new()).unwrap();
        assert!(header.contains("raise max_payload"), "{header}");
    }
}
