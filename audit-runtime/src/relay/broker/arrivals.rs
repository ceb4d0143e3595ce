//! Questions about a journal that has ended are answered once the stream has brought all of it.
//!
//! A database that was restored lacks batches that are still in the stream. An adopter that does not
//! know of them would cut their events anew, and take calls for interrupted whose ends are on their
//! way.

use super::stream::CONSUMER;
use crate::writer::nats::STREAM;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::PullConsumer;
use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// The longest wait in one answer. A service waits for it for ten seconds.
const LONGEST: Duration = Duration::from_secs(6);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// The most journals that are asked for at once.
const JOURNALS: usize = 10_000;

/// The end of the stream at the first question about each journal.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Mutex<HashMap<Uuid, u64>>);

impl Arrivals {
    /// Waits until all that the stream had at the first question about this journal is stored, and
    /// returns whether it is. Otherwise the service asks again.
    ///
    /// # Errors
    /// NATS cannot be reached.
    pub(super) async fn have_come(&self, stream: &Context, journal: Uuid) -> io::Result<bool> {
        let mut batches = stream.get_stream(STREAM).await.map_err(io::Error::other)?;
        let last = batches.info().await.map_err(io::Error::other)?.state.last_sequence;
        // A stream that was lost begins again with the first number.
        let until = self.noted(journal, last).min(last);
        let mut consumer: PullConsumer = batches.get_consumer(CONSUMER).await.map_err(io::Error::other)?;
        let begun = Instant::now();
        loop {
            let info = consumer.info().await.map_err(io::Error::other)?;
            let is_idle = info.num_pending == 0 && info.num_ack_pending == 0;
            if is_idle || info.ack_floor.stream_sequence >= until {
                self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&journal);
                return Ok(true);
            }
            if begun.elapsed() > LONGEST {
                return Ok(false);
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    fn noted(&self, journal: Uuid, last: u64) -> u64 {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= JOURNALS {
            noted.clear();
        }
        *noted.entry(journal).or_insert(last)
    }
}
