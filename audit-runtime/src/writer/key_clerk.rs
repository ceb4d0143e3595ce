//! Takes keys of subjects for callers that store rows in transactions of their own.

use super::destination::Destination;
use super::link::Link;
use crate::privacy::{KeyRequests, MasterKey, SubjectKeys};
use std::collections::BTreeSet;
use std::io;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// An idle connection is returned after this time.
const IDLE: Duration = Duration::from_secs(5);
/// A caller, who has a transaction open, waits no longer than this.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most attempts. An idle connection may have been cut meanwhile, and a subject may be forgotten
/// in the same instant.
const ATTEMPTS: usize = 3;

/// Answers requests until there are no more.
pub(crate) async fn run(mut requests: KeyRequests, destination: &Destination, journal: Uuid, master: &MasterKey) {
    let mut link = Link::new(destination, Some(journal));
    loop {
        let next = requests.next();
        let subjects = if link.is_connected() { timeout(IDLE, next).await } else { Ok(next.await) };
        match subjects {
            Ok(Some(subjects)) => {
                let taken = timeout(PATIENCE, take(&mut link, master, &subjects)).await;
                requests.answer(taken.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()))));
            }
            Ok(None) => return,
            Err(_) => link.give_back().await,
        }
    }
}

async fn take(
    link: &mut Link<'_>,
    master: &MasterKey,
    subjects: &BTreeSet<String>,
) -> Result<SubjectKeys, sqlx::Error> {
    let mut attempt = 1;
    loop {
        let was_connected = link.is_connected();
        match link.once(async |sink| SubjectKeys::take(sink, master, subjects).await).await {
            Err(error) if attempt < ATTEMPTS && (was_connected || matches!(error, sqlx::Error::Protocol(_))) => {
                attempt += 1;
            }
            taken => return taken,
        }
    }
}
