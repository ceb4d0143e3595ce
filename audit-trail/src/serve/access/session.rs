//! Sessions of viewers who logged in, in memory: a restart ends them.

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The cookie of a session. Its prefix has browsers refuse it without `Secure` and `Path=/`.
pub(crate) const COOKIE: &str = "__Host-audit-trail";

const MOST: usize = 10_000;
const LASTS: Duration = Duration::from_hours(12);

/// Sessions by the hash of their secret, so that no comparison tells how much of one is right.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<[u8; 32], (String, Instant)>>);

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

impl Sessions {
    /// Begins a session of a user, and returns its secret. Beyond a number, the oldest ends.
    pub(crate) fn begin(&self, name: &str) -> String {
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, (_, began)| began.elapsed() < LASTS);
        if sessions.len() >= MOST
            && let Some(oldest) = sessions.iter().min_by_key(|(_, (_, began))| *began).map(|(hash, _)| *hash)
        {
            sessions.remove(&oldest);
        }
        sessions.insert(hash(&secret), (name.to_owned(), Instant::now()));
        secret
    }

    /// Returns the user of a session.
    pub(crate) fn name(&self, secret: &str) -> Option<String> {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(&hash(secret)).filter(|(_, began)| began.elapsed() < LASTS).map(|(name, _)| name.clone())
    }

    /// Ends a session.
    pub(crate) fn end(&self, secret: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash(secret));
    }
}
