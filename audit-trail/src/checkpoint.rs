//! `audit-trail checkpoint`

use crate::failure::Failure;
use crate::keys::{keep_secret, own_signing_key, signing_key};
use crate::say;
use crate::text::count;
#[cfg(feature = "timestamp")]
use crate::text::harmless;
#[cfg(feature = "timestamp")]
use crate::timestamp;
use crate::verify::public_key;
use audit_runtime::__private::private_file;
use audit_runtime::admin::Admin;
#[cfg(feature = "timestamp")]
use audit_runtime::evidence::Authorities;
use audit_runtime::evidence::SigningKey;
use clap::Args;
use sqlx::postgres::PgPool;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Debug, Args)]
pub(crate) struct Checkpoint {
    /// The file of the secret key, or after a `|` a command that prints it; by default,
    /// AUDIT_CHECKPOINT_KEY contains the key itself
    #[arg(long, value_name = "FILE|'|COMMAND'")]
    key: Option<String>,
    /// Makes a key of this name instead, in the file of --key, and prints its public key. Name the
    /// trail like a URL: audit.example.com/desk
    #[arg(long, value_name = "NAME", requires = "key", conflicts_with = "to")]
    new_key: Option<String>,
    /// Exchanges the key of --key for this one, of the same name, from a file or a command: both sign a
    /// last checkpoint of the old key, and from then on the new key signs. Either public key verifies
    /// the checkpoints of both
    #[arg(long, value_name = "NEW-KEY|'|COMMAND'", conflicts_with_all = ["new_key", "restored"])]
    rotate: Option<String>,
    /// Sends a copy to a file, which is replaced as a whole, or after a `|` to a command that reads
    /// it. May be given several times. If a file has a checkpoint that the database lacks, nothing is
    /// signed: the database went back in time
    #[arg(long, value_name = "FILE|'|COMMAND'")]
    to: Vec<String>,
    /// Goes on after the database went back in time, for which --key has another name: records an
    /// event audit.restored that names this last checkpoint of the old name, and signs the first one
    /// of the new name
    #[arg(long, value_name = "OLD CHECKPOINT", conflicts_with = "new_key")]
    restored: Option<PathBuf>,
    /// The public key of the old name, or its file, which must have signed the old checkpoints
    #[arg(long, value_name = "KEY|FILE", requires = "restored")]
    old_public_key: Option<String>,
    /// Lets the time-stamping authority at this URL (RFC 3161) sign when the checkpoint existed, and
    /// stores that with it. May be given several times. If an authority does not answer, the
    /// checkpoint stays, and the exit status is 1; the next checkpoint with a time stamp proves the
    /// same rows
    #[cfg(feature = "timestamp")]
    #[arg(long, value_name = "URL", value_parser = timestamp::authority, conflicts_with = "new_key")]
    timestamp: Vec<reqwest::Url>,
    /// The CA certificates, in PEM, one of which must lead to the certificate of the authority
    #[cfg(feature = "timestamp")]
    #[arg(long, value_name = "FILE", requires = "timestamp")]
    timestamp_ca: Option<PathBuf>,
}

impl Checkpoint {
    /// Whether it runs without a database.
    pub(crate) fn is_local(&self) -> bool {
        self.new_key.is_some()
    }

    pub(crate) fn make_key(&self) -> Result<(), Failure> {
        let (Some(name), Some(path)) = (&self.new_key, &self.key) else {
            return Ok(());
        };
        if path.starts_with('|') {
            return Err(Failure::Usage("--key: --new-key writes to a file, and this is a command".into()));
        }
        let path = Path::new(path);
        let key = SigningKey::generate(name).map_err(|error| Failure::Usage(error.to_string()))?;
        keep_secret(path, key.secret())?;
        say::notice(format!(
            "the secret key is in {}; the line on standard output is the public key, for audit-trail verify --public-key",
            path.display()
        ));
        say::line(key.public())
    }

    pub(crate) async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        #[cfg(feature = "timestamp")]
        let authorities = timestamp::authorities(self.timestamp_ca.as_deref())?;
        let key = own_signing_key(self.key.as_deref())?;
        let admin = Admin::new(pool.clone());
        let made = match (&self.restored, &self.rotate) {
            (Some(old), _) => self.restore(&admin, &key, old).await?,
            (None, Some(new)) => self.exchange(&admin, &key, &signing_key("--rotate", new)?).await?,
            (None, None) => admin.checkpoint_behind(&key, &self.saved()).await?,
        };
        let printed = say::bytes(made.note.as_bytes());
        let late = match made.sealed_late {
            0 => String::new(),
            rows => format!(", {} sealed late", count(rows, "row", "rows")),
        };
        say::notice(format!("{}, {} of them new{late}", count(made.batches, "batch", "batches"), made.new_batches));
        let failed: Vec<String> = self.to.iter().filter_map(|to| deliver(to, &made.note).err()).collect();
        let mut lacks = Vec::new();
        if !failed.is_empty() {
            lacks.push(format!("these copies failed: {}", failed.join("; ")));
        }
        #[cfg(feature = "timestamp")]
        lacks.extend(self.stamp(&admin, &made, authorities.as_ref()).await);
        if lacks.is_empty() {
            // Copies are made even if the reader of this one is gone.
            printed
        } else {
            Err(Failure::Other(format!("the checkpoint is in the database, but {}", lacks.join("; and "))))
        }
    }
}

impl Checkpoint {
    /// The checkpoints that an earlier run has saved.
    fn saved(&self) -> Vec<String> {
        let files = self.to.iter().filter(|to| !to.starts_with('|'));
        let notes = files.filter_map(|path| fs::read_to_string(path).ok());
        // Another file in that place is replaced.
        notes.filter(|note| note.lines().any(|line| line.starts_with("\u{2014} "))).collect()
    }

    /// Asks the authorities for time stamps and stores them. Returns what is missing then.
    #[cfg(feature = "timestamp")]
    async fn stamp(
        &self,
        admin: &Admin,
        made: &audit_runtime::evidence::Checkpoint,
        authorities: Option<&Authorities>,
    ) -> Option<String> {
        if authorities.is_none() && !self.timestamp.is_empty() {
            say::notice("the authority's certificate is not verified without --timestamp-ca");
        }
        let mut failed = Vec::new();
        for url in &self.timestamp {
            let shown = timestamp::shown(url);
            let stamped = match timestamp::ask(url, &made.note, authorities).await {
                Ok((token, existence)) => {
                    let stored = admin.store_time_stamp(made, &shown, &token).await;
                    stored.map(|()| existence).map_err(|error| Failure::from(error).to_string())
                }
                Err(why) => Err(why),
            };
            match stamped {
                Ok(existence) => say::notice(format!("existed at {}", harmless(&existence.to_string()))),
                Err(why) => failed.push(format!("{shown}: {}", harmless(&why))),
            }
        }
        (!failed.is_empty()).then(|| {
            format!(
                "without a time stamp of {}; run audit-trail checkpoint --timestamp again, for the next checkpoint proves the same rows",
                failed.join("; ")
            )
        })
    }

    async fn exchange(
        &self,
        admin: &Admin,
        old: &SigningKey,
        new: &SigningKey,
    ) -> Result<audit_runtime::evidence::Checkpoint, Failure> {
        let made = admin.rotate_key(old, new, &self.saved()).await?;
        say::notice(format!(
            "the key {} signs from now on; keep this checkpoint, give services and timers the new key, and destroy the old one; \
             audit-trail verify --public-key takes either public key, and only the new one detects misuse of the old key",
            new.public()
        ));
        Ok(made)
    }

    async fn restore(
        &self,
        admin: &Admin,
        key: &SigningKey,
        old: &Path,
    ) -> Result<audit_runtime::evidence::Checkpoint, Failure> {
        let note = fs::read_to_string(old)
            .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", old.display())))?;
        let old_key = match &self.old_public_key {
            Some(given) => public_key(Some(given))?,
            None => None,
        };
        if old_key.is_none() {
            say::notice("the signatures of the old checkpoints are not verified without --old-public-key");
        }
        let restored = admin.restore(key, &note, old_key.as_ref()).await?;
        let agreed = match restored.agreed_time {
            Some(time) => format!("up to {}, at {time}", count(restored.agreed_batches, "batch", "batches")),
            None => "in nothing, for no checkpoint of the old name is left".into(),
        };
        say::notice(format!(
            "event {} names the old checkpoint of {}; both logs agree {agreed}",
            restored.event,
            count(restored.batches_before, "batch", "batches")
        ));
        Ok(restored.checkpoint)
    }
}

/// Brings a copy of the note to a file or a command, and reports failures.
fn deliver(to: &str, note: &str) -> Result<(), String> {
    let said = |error: io::Error| format!("{to}: {error}");
    match to.strip_prefix('|') {
        Some(command) => {
            let child = Command::new("sh").arg("-c").arg(command).stdin(Stdio::piped()).stdout(io::stderr()).spawn();
            let mut child = child.map_err(said)?;
            // A command that does not read to the end shows by its status whether that is an error.
            let _ = child.stdin.take().map(|mut stdin| stdin.write_all(note.as_bytes()));
            let status = child.wait().map_err(said)?;
            if status.success() { Ok(()) } else { Err(format!("{to}: {status}")) }
        }
        None => replace(Path::new(to), note).map_err(said),
    }
}

/// Replaces a file as a whole: a reader finds the old note or the new one. A file that others may
/// read stays so, and a link is replaced.
pub(crate) fn replace(path: &Path, note: &str) -> io::Result<()> {
    let beside = private_file::beside(path, "new");
    let before = path.symlink_metadata().ok().filter(fs::Metadata::is_file);
    let replaced = (|| {
        let mut file = private_file::create(&beside)?;
        if let Some(before) = before {
            file.set_permissions(before.permissions())?;
        }
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if replaced.is_err() {
        let _ = fs::remove_file(&beside);
    }
    replaced
}
