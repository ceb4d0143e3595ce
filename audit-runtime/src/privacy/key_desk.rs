//! Keys for rows that their callers store themselves, in transactions of their own.
//!
//! A key that the caller's transaction made would stay locked until its end: every writer with data
//! of the same subject would wait for it. So the writer's thread takes the keys, on a connection of
//! its own, before the caller inserts the row.

#[cfg(not(feature = "personal"))]
use super::no_keys::{MasterKey, SubjectKeys};
use super::{encrypt, subjects};
#[cfg(feature = "personal")]
use super::{keys::SubjectKeys, master::MasterKey};
use crate::postgres::ConnectOptions;
use crate::record::EventRef;
use crate::record::payload;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// An idle connection is returned after this time.
const IDLE: Duration = Duration::from_secs(5);
/// A caller, who has a transaction open, waits no longer than this.
const PATIENCE: Duration = Duration::from_secs(10);
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
    /// Returns a desk, and what answers its requests.
    pub(crate) fn new() -> (Self, Clerk) {
        let (requests, received) = mpsc::unbounded_channel();
        (Self { requests }, Clerk { requests: received })
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

/// Answers the requests of a desk.
#[derive(Debug)]
pub(crate) struct Clerk {
    requests: mpsc::UnboundedReceiver<Request>,
}

impl Clerk {
    /// Answers requests, until it is dropped.
    pub(crate) async fn run(mut self, options: &ConnectOptions, master: &MasterKey) {
        let (mut connection, mut requests) = (None, Vec::new());
        loop {
            let received = self.requests.recv_many(&mut requests, TOGETHER);
            let received = match connection {
                Some(_) => timeout(IDLE, received).await,
                None => Ok(received.await),
            };
            match received {
                Ok(0) => return std::future::pending().await,
                Ok(_) => {
                    let answering = answer(&mut connection, options, master, &requests);
                    let keys = timeout(PATIENCE, answering)
                        .await
                        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())));
                    reply(keys, &mut requests);
                }
                Err(_) => {
                    if let Some(idle) = connection.take() {
                        let _ = timeout(IDLE, PgConnection::close(idle)).await;
                    }
                }
            }
        }
    }
}

/// Takes the keys of all requests. A connection that was idle may have been cut meanwhile.
async fn answer(
    connection: &mut Option<PgConnection>,
    options: &ConnectOptions,
    master: &MasterKey,
    requests: &[Request],
) -> Result<SubjectKeys, sqlx::Error> {
    let subjects: BTreeSet<String> = requests.iter().flat_map(|request| &request.subjects).cloned().collect();
    if let Some(mut idle) = connection.take()
        && let Ok(keys) = SubjectKeys::take(&mut idle, master, &subjects).await
    {
        *connection = Some(idle);
        return Ok(keys);
    }
    let mut fresh = options.connect().await?;
    let mut taken = SubjectKeys::take(&mut fresh, master, &subjects).await;
    if matches!(taken, Err(sqlx::Error::Protocol(_))) {
        // A subject was forgotten in the same instant.
        taken = SubjectKeys::take(&mut fresh, master, &subjects).await;
    }
    *connection = Some(fresh);
    taken
}

fn reply(keys: Result<SubjectKeys, sqlx::Error>, requests: &mut Vec<Request>) {
    match keys.map(Arc::new) {
        Ok(keys) => requests.drain(..).for_each(|request| drop(request.answer.send(Ok(keys.clone())))),
        Err(error) => {
            // Each of the callers fails by itself.
            let why = format!("the keys of personal values cannot be taken: {error}");
            requests.drain(..).for_each(|request| drop(request.answer.send(Err(sqlx::Error::Protocol(why.clone())))));
        }
    }
}
