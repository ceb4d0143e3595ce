//! The keys of subjects that the server's master key does not open.

use super::refusal::Refusal;
use crate::master_key::loss;
use audit_runtime::MasterKey;
use audit_runtime::admin::{Admin, MasterKeyCheck};
use sqlx::postgres::PgPool;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A check reads all keys, so its result is shown for so long.
const FRESH: Duration = Duration::from_secs(60);
/// The most ids of master keys that are listed.
const LISTED: usize = 5;

/// The master key, with what was last found of the keys that it opens.
pub(crate) struct Keys {
    admin: Admin,
    master: MasterKey,
    found: Mutex<Option<(Instant, MasterKeyCheck)>>,
}

impl Keys {
    pub(crate) fn new(pool: PgPool, master: MasterKey) -> Self {
        Self { admin: Admin::new(pool), master, found: Mutex::default() }
    }

    /// Returns what is lost, and what is not, in a sentence; `None` if every key is opened.
    pub(crate) async fn loss(&self) -> Result<Option<String>, Refusal> {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let found = match known {
            Some((at, found)) if at.elapsed() < FRESH => found,
            _ => {
                let found = self.admin.check_master_key(&self.master).await?;
                *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), found.clone()));
                found
            }
        };
        if found.unreadable == 0 {
            return Ok(None);
        }
        let ids: Vec<&str> = found.by_master_key.keys().take(LISTED).map(String::as_str).collect();
        let more = if found.by_master_key.len() > LISTED { ", .." } else { "" };
        Ok(Some(format!("{} (ids: {}{more}): audit-trail master-key check", loss(&found), ids.join(", "))))
    }
}
