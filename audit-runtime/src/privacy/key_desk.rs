//! Keys for rows that their callers store themselves, in transactions of their own.
//!
//! A key that the caller's transaction made would stay locked until its end: every writer with data
//! of the same subject would wait for it. So the writer's thread takes the keys, on a connection of
//! its own, before the caller inserts the row.

#[cfg(feature = "personal")]
use super::keys::SubjectKeys;
#[cfg(not(feature = "personal"))]
use super::no_keys::SubjectKeys;
use super::{encrypt, subjects};
use crate::record::EventRef;
use crate::record::payload;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// The most requests that are answered at once.
const TOGETHER: usize = 64;

/// Hands out keys of subjects to callers on any thread and in any runtime.
#[derive(Debug, Clone)]
pub(crate) struct KeyDesk {
    requests: mpsc::UnboundedSender<Request>,
}

#[derive(Debug)]
struct Request {
    subjects: BTreeSet<String>,
    answer: oneshot::Sender<Result<Arc<SubjectKeys>, sqlx::Error>>,
}

impl KeyDesk {
    /// Returns a desk and its requests.
    pub(crate) fn new() -> (Self, KeyRequests) {
        let (requests, received) = mpsc::unbounded_channel();
        (Self { requests }, KeyRequests { received, waiting: Vec::new() })
    }

    /// Encrypts the personal values of encoded events in place, and returns the number of events
    /// with a subject whose own key cannot be unwrapped.
    ///
    /// # Errors
    /// The database cannot be reached or does not allow it, or the trail is shut down.
    pub(crate) async fn encrypt(&self, events: &mut [Vec<u8>]) -> Result<u64, sqlx::Error> {
        let (mut json, mut names) = (Vec::new(), BTreeSet::new());
        for event in events.iter().filter(|event| payload::is_personal(event)) {
            subjects(&decoded(event, &mut json)?, &mut names);
        }
        let keys = if names.is_empty() { Arc::default() } else { self.take(names).await? };
        let (mut bytes, mut rekeyed) = (Vec::new(), 0);
        for event in events.iter_mut().filter(|event| payload::is_personal(event)) {
            rekeyed += u64::from(encrypt(&decoded(event, &mut json)?, &keys, &mut bytes));
            event.clone_from(&bytes);
        }
        Ok(rekeyed)
    }

    async fn take(&self, subjects: BTreeSet<String>) -> Result<Arc<SubjectKeys>, sqlx::Error> {
        let (answer, answered) = oneshot::channel();
        let ended =
            || sqlx::Error::Protocol("the audit trail is shut down, so personal values cannot be encrypted".into());
        self.requests.send(Request { subjects, answer }).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

fn decoded<'a>(event: &'a [u8], json: &'a mut Vec<u8>) -> Result<EventRef<'a>, sqlx::Error> {
    EventRef::decode(event, json).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// The requests of a desk, to be answered.
#[derive(Debug)]
pub(crate) struct KeyRequests {
    received: mpsc::UnboundedReceiver<Request>,
    waiting: Vec<Request>,
}

impl KeyRequests {
    /// Waits for requests, and returns whose keys they ask for. It returns `None` when there will
    /// be no more.
    pub(crate) async fn next(&mut self) -> Option<BTreeSet<String>> {
        let received = self.received.recv_many(&mut self.waiting, TOGETHER).await;
        (received > 0).then(|| self.waiting.iter().flat_map(|request| &request.subjects).cloned().collect())
    }

    /// Answers the requests that [`next`](Self::next) returned.
    pub(crate) fn answer(&mut self, keys: Result<SubjectKeys, sqlx::Error>) {
        match keys.map(Arc::new) {
            Ok(keys) => self.waiting.drain(..).for_each(|request| drop(request.answer.send(Ok(keys.clone())))),
            Err(error) => {
                // Each of the callers fails by itself.
                let why = format!("the keys of personal values cannot be taken: {error}");
                let failure = || Err(sqlx::Error::Protocol(why.clone()));
                self.waiting.drain(..).for_each(|request| drop(request.answer.send(failure())));
            }
        }
    }
}
