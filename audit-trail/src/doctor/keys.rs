//! Key files: whether they can be read, by whom, and whether the database has what they made.

use super::Doctor;
use super::finding::{Findings, KEY_MISMATCH, KEY_MODE, KEY_UNREADABLE, MASTER_KEY_MISMATCH};
use crate::failure::plain;
use crate::keys::{master_key, read_master_key, read_signing_key};
use crate::verify;
use audit_runtime::admin::Admin;
use audit_runtime::evidence::{KeyError, PublicKey, SigningKeyError};
use audit_runtime::{KeySourceError, MasterKey, MasterKeyError};
use sqlx::postgres::PgPool;
use std::path::Path;

const SIGNING_KEY: &str = "--signing-key";

/// The keys that could be read.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The public keys of checkpoints, with the options that named them.
    public: Vec<(&'static str, PublicKey)>,
    /// The master keys, the one in force first.
    master: Vec<MasterKey>,
}

/// Reads the keys.
pub(super) fn read(doctor: &Doctor, master_keys: &[String], findings: &mut Findings) -> Keys {
    let mut keys = Keys::default();
    match verify::public_key(doctor.public_key.as_deref()) {
        Ok(Some(key)) => keys.public.push(("--public-key", key)),
        Ok(None) => findings.not_checked("the public key", "give --public-key"),
        Err(error) => findings.push(
            &KEY_UNREADABLE,
            error.to_string(),
            "give the line that audit-trail checkpoint --new-key NAME --key FILE has printed, or its file",
        ),
    }
    if let Some(path) = doctor.public_key.as_deref().filter(|path| Path::new(path).is_file()) {
        others_write(path, findings);
    }
    if let Some(given) = &doctor.signing_key {
        match read_signing_key(given) {
            Ok(key) => keys.public.push((SIGNING_KEY, key.public().clone())),
            Err(SigningKeyError::Source(KeySourceError::Shared { path, mode })) => shared(&path, mode, findings),
            Err(error) => findings.push(
                &KEY_UNREADABLE,
                format!("--signing-key {given}: {error}"),
                "audit-trail checkpoint --new-key NAME makes a key; one that is lost is replaced as docs/operations.md has it",
            ),
        }
    }
    let remedy = "give the file that audit-trail master-key FILE has made, or a copy of it from your backup of keys";
    for given in master_keys {
        match read_master_key(given) {
            Ok(key) => keys.master.push(key),
            Err(MasterKeyError::Source(KeySourceError::Shared { path, mode })) => shared(&path, mode, findings),
            Err(error) => findings.push(&KEY_UNREADABLE, format!("--master-key: {error}"), remedy),
        }
    }
    if master_keys.is_empty() {
        match master_key(&[]) {
            Ok(key) => keys.master.extend(key),
            Err(error) => findings.push(&KEY_UNREADABLE, error.to_string(), remedy),
        }
    }
    keys
}

/// Reports a secret key that others may read or change, which is refused everywhere.
fn shared(path: &str, mode: u32, findings: &mut Findings) {
    findings.push(&KEY_MODE, format!("{path} has the mode {mode:o}"), format!("chmod go-rwx {path}"));
}

/// Reports the file of a public key that others may change.
fn others_write(path: &str, findings: &mut Findings) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        const OTHERS_WRITE: u32 = 0o022;
        let Ok(metadata) = Path::new(path).metadata() else { return };
        let mode = metadata.mode() & 0o7777;
        if mode & OTHERS_WRITE != 0 {
            findings.push(&KEY_MODE, format!("{path} has the mode {mode:o}"), format!("chmod go-w {path}"));
        }
    }
    #[cfg(not(unix))]
    let _ = (path, findings);
}

impl Keys {
    /// Compares them with the last checkpoint, and with the last key of a subject.
    pub(super) async fn compare(&self, pool: &PgPool, findings: &mut Findings) {
        for (option, key) in &self.public {
            match Admin::new(pool.clone()).key_in_force(key).await {
                Ok(found) => found_key(option, key, found, findings),
                Err(error) => findings.not_checked("whose the last checkpoint is", error.to_string()),
            }
        }
        let Some(master) = self.master.first() else { return };
        // A wrapped key begins with the id of its master key.
        let sql = "SELECT encode(substring(wrapped FROM 1 FOR 8), 'hex') FROM audit_keys WHERE wrapped IS NOT NULL ORDER BY id DESC LIMIT 1";
        match sqlx::query_scalar::<_, String>(sql).persistent(false).fetch_optional(pool).await {
            Ok(Some(id)) if self.master.iter().all(|key| key.id() != id) => findings.push(
                &MASTER_KEY_MISMATCH,
                format!(
                    "the last key of a subject is wrapped by master key {id}, and the one given is {}",
                    master.id()
                ),
                format!("give the master key {id} to --master-key and to the services"),
            ),
            Ok(_) => {}
            Err(error) => findings.not_checked("whose the last key of a subject is", plain(&error)),
        }
    }
}

/// Reports a key that did not sign the last checkpoint, unless it verifies the log by an exchange.
fn found_key(option: &str, key: &PublicKey, found: Result<PublicKey, KeyError>, findings: &mut Findings) {
    let is_secret = option == SIGNING_KEY;
    match found {
        Ok(in_force) if is_secret && in_force != *key => findings.push(
            &KEY_MISMATCH,
            format!("{option}: the key {key} was exchanged for {in_force}"),
            "give the new key's file to the command or the timer that makes checkpoints",
        ),
        Ok(_) => {}
        Err(error) => findings.push(
            &KEY_MISMATCH,
            format!("{option}: the last checkpoint is not of the key {key}: {error}"),
            "sign with the key of the last checkpoint; if it is lost, see docs/operations.md, \"A lost key\"",
        ),
    }
}
