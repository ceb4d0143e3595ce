//! Key files: whether they can be read, by whom, and whether the database has what they made.

use super::Doctor;
use super::finding::{Findings, KEY_MISMATCH, KEY_MODE, KEY_UNREADABLE, MASTER_KEY_MISMATCH};
use crate::checkpoint;
use crate::failure::plain;
use crate::personal;
use crate::verify;
use audit_runtime::MasterKey;
use audit_runtime::evidence::PublicKey;
use sqlx::postgres::PgPool;
use std::path::Path;

/// The keys that could be read.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The public keys of checkpoints, with the options that named them.
    public: Vec<(&'static str, PublicKey)>,
    master: Option<MasterKey>,
}

/// Reads the keys.
pub(super) fn read(doctor: &Doctor, master_key: Option<&str>, findings: &mut Findings) -> Keys {
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
    if let Some(path) = doctor.public_key.as_deref().map(Path::new).filter(|path| path.is_file()) {
        mode(path, OTHERS_WRITE, "go-w", findings);
    }
    if let Some(path) = &doctor.signing_key {
        match checkpoint::secret_key(Some(path)) {
            Ok(key) => keys.public.push(("--signing-key", key.public().clone())),
            Err(error) => findings.push(
                &KEY_UNREADABLE,
                format!("--signing-key: {error}"),
                "audit-trail checkpoint --new-key NAME --key FILE makes a key; one that is lost is replaced as docs/operations.md has it",
            ),
        }
        mode(path, OTHERS, "go-rwx", findings);
    }
    match personal::master_key(master_key) {
        Ok(key) => keys.master = key,
        Err(error) => findings.push(
            &KEY_UNREADABLE,
            error.to_string(),
            "give the file that audit-trail master-key FILE has made, or a copy of it from your backup of keys",
        ),
    }
    if let Some(path) = master_key.filter(|given| !given.starts_with('|')) {
        mode(Path::new(path), OTHERS, "go-rwx", findings);
    }
    keys
}

/// Bits of a mode: all that others and the group may do, and their right to write.
const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;

/// Compares the mode of a key's file. A secret that a group reads is a secret of the group.
fn mode(path: &Path, forbidden: u32, change: &str, findings: &mut Findings) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let Ok(metadata) = path.metadata() else { return };
        let mode = metadata.mode() & 0o7777;
        if mode & forbidden != 0 {
            let path = path.display();
            findings.push(&KEY_MODE, format!("{path} has the mode {mode:o}"), format!("chmod {change} {path}"));
        }
    }
    #[cfg(not(unix))]
    let _ = (path, forbidden, change, findings);
}

impl Keys {
    /// Compares them with the last checkpoint, and with the last key of a subject.
    pub(super) async fn compare(&self, pool: &PgPool, findings: &mut Findings) {
        if !self.public.is_empty() {
            let sql = "SELECT note FROM audit_checkpoints ORDER BY id DESC LIMIT 1";
            match sqlx::query_scalar::<_, String>(sql).persistent(false).fetch_optional(pool).await {
                Ok(note) => note.iter().for_each(|note| self.signed(note, findings)),
                Err(error) => findings.not_checked("whose the last checkpoint is", plain(&error)),
            }
        }
        let Some(master) = &self.master else { return };
        // A wrapped key begins with the id of its master key.
        let sql = "SELECT encode(substring(wrapped FROM 1 FOR 8), 'hex') FROM audit_keys WHERE wrapped IS NOT NULL ORDER BY id DESC LIMIT 1";
        match sqlx::query_scalar::<_, String>(sql).persistent(false).fetch_optional(pool).await {
            Ok(Some(id)) if id != master.id() => findings.push(
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

    fn signed(&self, note: &str, findings: &mut Findings) {
        for (option, key) in &self.public {
            if let Err(error) = key.signed(note) {
                findings.push(
                    &KEY_MISMATCH,
                    format!("{option}: the last checkpoint is not of the key {key}: {error}"),
                    "sign with the key of the last checkpoint; if it is lost, see docs/operations.md, \"A lost key\"",
                );
            }
        }
    }
}
