//! The exchange of the master key: keys of subjects are wrapped anew, and nothing else changes.
//!
//! Keys are wrapped page by page, each page in one statement. A key is replaced only if it is as it
//! was read, and whatever holds it is not waited for. So the exchange may be killed, run again, and run
//! twice at once, while writers take keys and subjects are forgotten.

use super::keys::without_further;
use super::master::{MasterKey, Rewrapped, id_of};
use crate::postgres::schema::check;
use sqlx::postgres::PgPool;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use uuid::Uuid;

/// Keys of one statement.
const PAGE: i64 = 500;
/// How long a key that somebody holds is left before it is looked at again, and how often.
const PAUSE: Duration = Duration::from_millis(50);
const PATIENCE: u32 = 600;
/// The most subjects that are named.
const NAMED: usize = 1_000;

/// The result of an exchange of the master key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MasterKeyRotation {
    /// Keys of subjects that were wrapped anew.
    pub rewrapped: u64,
    /// Keys that the master key in force had wrapped before.
    pub current: u64,
    /// Keys that none of the master keys unwraps. They are as they were.
    pub unreadable: u64,
    /// Whether the bytes of the former wrapped keys are gone from the table's files.
    ///
    /// If another session held the table, they go when it is next rewritten
    /// (`VACUUM FULL audit_keys`).
    pub is_rewritten: bool,
}

/// The keys of subjects that a master key unwraps, and those that are lost without another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MasterKeyCheck {
    /// Keys that the master key in force unwraps.
    pub readable: u64,
    /// Keys that an older master key beside it unwraps.
    pub older: u64,
    /// Keys that were destroyed, because their subjects were forgotten.
    pub destroyed: u64,
    /// Keys that none of the master keys unwraps: the values that they encrypt cannot be read.
    pub unreadable: u64,
    /// The number of those for each id of the master key that has wrapped them. An older version wrote
    /// no id, and a planted key has any bytes there.
    pub by_master_key: BTreeMap<String, u64>,
    /// The subjects of those, in order and 1,000 at most. `None` if the role may not read whose the
    /// keys are.
    pub subjects: Option<BTreeSet<String>>,
}

/// Wraps all keys by the master key in force that an older one beside it has wrapped.
///
/// # Errors
/// The database cannot be reached, or the role does not own the tables. Or the schema is of an older
/// version.
pub(crate) async fn rotate(
    pool: &PgPool,
    master: &MasterKey,
    tell: &mut (dyn FnMut(&str) + Send),
) -> Result<MasterKeyRotation, sqlx::Error> {
    check::rewraps(pool).await?;
    let (mut rewrapped, mut pauses) = (0, 0);
    let last = loop {
        let pass = pass(pool, master, rewrapped, tell).await?;
        rewrapped += pass.rewrapped;
        if pass.rewrapped > 0 {
            // Others may have stored keys meanwhile.
            continue;
        }
        if pass.held == 0 {
            break pass;
        }
        pauses += 1;
        if pauses > PATIENCE {
            let text =
                format!("other sessions hold {} keys in audit_keys; run it again when they have ended", pass.held);
            return Err(sqlx::Error::Configuration(text.into()));
        }
        tokio::time::sleep(PAUSE).await;
    };
    let is_rewritten = match rewrapped {
        0 => true,
        // The old version of a row still has the key as the old master key wrapped it.
        _ => sqlx::query_scalar("SELECT audit_rewrite_keys()").fetch_one(pool).await.unwrap_or(false),
    };
    Ok(MasterKeyRotation {
        rewrapped,
        current: last.current.saturating_sub(rewrapped),
        unreadable: last.unreadable,
        is_rewritten,
    })
}

/// The keys as one pass found and left them.
#[derive(Default)]
struct Pass {
    rewrapped: u64,
    current: u64,
    unreadable: u64,
    /// Those that another session holds, or has changed.
    held: u64,
}

async fn pass(
    pool: &PgPool,
    master: &MasterKey,
    before: u64,
    tell: &mut (dyn FnMut(&str) + Send),
) -> Result<Pass, sqlx::Error> {
    let (mut pass, mut after) = (Pass::default(), None::<Uuid>);
    loop {
        let sql = "SELECT id, wrapped FROM audit_keys WHERE wrapped IS NOT NULL AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2";
        let page: Vec<(Uuid, Vec<u8>)> = sqlx::query_as(sql).bind(after).bind(PAGE).fetch_all(pool).await?;
        let Some((last, _)) = page.last() else { return Ok(pass) };
        after = Some(*last);
        let (mut ids, mut old, mut new) = (Vec::new(), Vec::new(), Vec::new());
        for (id, wrapped) in page {
            match master.rewrap(id, &wrapped) {
                Rewrapped::Current => pass.current += 1,
                Rewrapped::Unreadable => pass.unreadable += 1,
                Rewrapped::Anew(anew) => {
                    ids.push(id);
                    old.push(wrapped);
                    new.push(anew);
                }
            }
        }
        let tried = ids.len() as u64;
        if tried == 0 {
            continue;
        }
        let sql = "WITH free AS (SELECT k.id, n.new FROM audit_keys k JOIN unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS n (id, old, new) \
                   ON n.id = k.id WHERE k.wrapped = n.old FOR UPDATE OF k SKIP LOCKED) \
                   UPDATE audit_keys k SET wrapped = free.new FROM free WHERE k.id = free.id";
        let done = sqlx::query(sql).bind(ids).bind(old).bind(new).execute(pool).await?.rows_affected();
        pass.rewrapped += done;
        pass.held += tried - done;
        tell(&format!("{} keys of subjects are wrapped anew", before + pass.rewrapped));
    }
}

/// Looks at each key, and counts those that this master key and the older ones beside it unwrap.
///
/// # Errors
/// The database cannot be reached or does not allow it.
pub(crate) async fn holdings(pool: &PgPool, master: &MasterKey) -> Result<MasterKeyCheck, sqlx::Error> {
    let (mut found, mut after, mut unreadable) = (MasterKeyCheck::default(), None::<Uuid>, Vec::new());
    loop {
        let sql = "SELECT id, wrapped FROM audit_keys WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2";
        let page: Vec<(Uuid, Option<Vec<u8>>)> = sqlx::query_as(sql).bind(after).bind(PAGE).fetch_all(pool).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        for (id, wrapped) in page {
            let Some(wrapped) = wrapped else {
                found.destroyed += 1;
                continue;
            };
            match master.rewrap(id, &wrapped) {
                Rewrapped::Current => found.readable += 1,
                Rewrapped::Anew(_) => found.older += 1,
                Rewrapped::Unreadable => {
                    found.unreadable += 1;
                    *found.by_master_key.entry(id_of(&wrapped)).or_default() += 1;
                    if unreadable.len() < NAMED {
                        unreadable.push(id);
                    }
                }
            }
        }
    }
    found.subjects = subjects(pool, &unreadable).await?;
    Ok(found)
}

/// Returns the subjects of keys, or `None` if the role may not read them.
async fn subjects(pool: &PgPool, ids: &[Uuid]) -> Result<Option<BTreeSet<String>>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(Some(BTreeSet::new()));
    }
    let sql = "SELECT subject FROM audit_keys WHERE id = ANY ($1) AND subject IS NOT NULL";
    match sqlx::query_scalar::<_, String>(sql).bind(ids).fetch_all(pool).await {
        Ok(subjects) => Ok(Some(subjects.iter().map(|subject| without_further(subject).to_owned()).collect())),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42501") => Ok(None),
        Err(error) => Err(error),
    }
}
