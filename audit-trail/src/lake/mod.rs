//! The lake: the sealed trail as Parquet, in a directory or an object store.
//!
//! ```text
//! sync     what a checkpoint covers -> segments of batches -> files by day, and a manifest that names them
//! verify   manifest -> files -> rows -> batches -> tree -> checkpoints, without the database
//! ask      files that may have an answer, by their times, statistics and Bloom filters
//! ```
//!
//! `docs/lake.md` describes the files.

mod ask;
mod batch;
mod confirm;
mod event;
mod lock;
mod manifest;
mod prove;
mod read;
mod segment;
mod store;
mod sync;
mod table;
mod tables;
mod time;
mod verify;
mod write;

use crate::failure::Failure;
use crate::keys::{has_signing_key, own_signing_key};
use crate::say::{self, Steps};
use crate::text::count;
use audit_runtime::evidence::SigningKey;
use clap::{Args, Subcommand};
use lock::{Lock, Mode};
use manifest::FileEntry;
use sqlx::postgres::PgPool;
use store::Store;
use sync::Synced;
use write::Written;

pub(crate) use ask::{LakeEvents, Question, in_order};
pub(crate) use confirm::confirmed;
pub(crate) use prove::prove;
pub(crate) use store::is_lake;
pub(crate) use verify::{Step, verify};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Brings what the last checkpoint covers into a lake; what is there already stays as it is
    Sync(Sync),
}

#[derive(Debug, Args)]
pub(crate) struct Sync {
    /// The lake: s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, or a directory.
    /// Credentials are in the environment, as in AWS_ACCESS_KEY_ID
    #[arg(value_name = "URL|DIRECTORY")]
    lake: String,
    #[command(flatten)]
    signing: Signing,
    /// Events of a segment, about
    #[arg(long, hide = true, value_name = "N")]
    segment: Option<u64>,
}

/// How the files of a lake are signed and locked.
#[derive(Debug, Clone, Args)]
pub(crate) struct Signing {
    /// The file of the secret key that signs checkpoints, or after a `|` a command that prints it: it
    /// signs the manifest, too; by default, AUDIT_CHECKPOINT_KEY contains the key itself
    #[arg(long, value_name = "FILE|'|COMMAND'")]
    key: Option<String>,
    /// Locks each new object of S3 for so many days by Object Lock: nobody can delete or replace it
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    lock_days: Option<u32>,
    /// The principals that may end a lock early
    #[arg(long, value_enum, value_name = "MODE", default_value = "governance", requires = "lock_days")]
    lock_mode: Mode,
}

impl Signing {
    fn lock(&self) -> Option<Lock> {
        self.lock_days.map(|days| Lock { mode: self.lock_mode, days })
    }

    fn key(&self) -> Result<Option<SigningKey>, Failure> {
        if self.key.is_none() && !has_signing_key() {
            say::notice("the manifest is not signed without --key; verify --lake --public-key reports that");
            return Ok(None);
        }
        own_signing_key(self.key.as_deref()).map(Some)
    }
}

impl Sync {
    pub(crate) async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        let store = Store::open(&self.lake, self.signing.lock(), true)?;
        let key = self.signing.key()?;
        let mut steps = Steps::default();
        let synced = sync::sync(pool, &store, key.as_ref(), self.segment, |step| steps.step(step)).await?;
        steps.step(&told(&store, &synced));
        steps.or("")
    }
}

/// Brings the lake up to date for a prune, and returns it.
pub(crate) async fn synced(
    pool: &PgPool,
    lake: &str,
    signing: &Signing,
    mut tell: impl FnMut(&str),
) -> Result<Store, Failure> {
    let store = Store::open(lake, signing.lock(), true)?;
    let key = signing.key()?;
    let synced = sync::sync(pool, &store, key.as_ref(), None, &mut tell).await?;
    tell(&told(&store, &synced));
    Ok(store)
}

/// The end of a sync, in words.
fn told(store: &Store, synced: &Synced) -> String {
    let until = synced.until.map_or_else(String::new, |until| format!(", complete up to the checkpoint of {until}"));
    let cleared = match synced.cleared {
        0 => String::new(),
        files => format!("; cleared {} that a sync had left", count(files as u64, "file", "files")),
    };
    if !synced.has_changed {
        return format!("{store}: nothing is new{until}{cleared}");
    }
    format!(
        "{store}: {} in {} of {:.1} MB, manifest {}{until}{cleared}",
        count(synced.events, "event", "events"),
        count(synced.files as u64, "file", "files"),
        synced.bytes as f64 / 1e6,
        synced.manifest
    )
}

/// A failure to write or read Parquet.
fn parquet(error: parquet::errors::ParquetError) -> Failure {
    Failure::Other(format!("Parquet: {error}"))
}

/// A file of a lake that cannot be read.
fn unreadable(store: &Store, path: &str, error: &parquet::errors::ParquetError) -> Failure {
    Failure::Other(format!("{store}/{path}: it cannot be read: {error}; run audit-trail verify --lake {store}"))
}

/// Digits of a hash in the name of a file.
const NAMED: usize = 16;

/// Puts a file into the lake, under a name that contains its hash, unless it is there.
async fn placed(store: &Store, entry: FileEntry, mut written: Written) -> Result<FileEntry, Failure> {
    let path = format!("{}-{}.parquet", entry.path, &written.sha256[..NAMED]);
    if store.size(&path).await? != Some(written.bytes) {
        store.send(&path, &mut written.file, written.bytes).await?;
    }
    let Written { sha256, bytes, rows, .. } = written;
    Ok(FileEntry { path, bytes, rows, sha256, ..entry })
}

/// Whether a path is one that a sync makes.
fn is_name(path: &str) -> bool {
    const FOLDERS: [&str; 7] = ["events", "batches", "leaves", "checkpoints", "timestamps", "pruned", "catalogue"];
    let is_file = || {
        let name = path.strip_suffix(".parquet")?;
        let (_, hash) = name.rsplit_once('-')?;
        let is_hash = hash.len() == NAMED && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
        (is_hash && FOLDERS.contains(&path.split('/').next()?)).then_some(())
    };
    manifest::number(path).is_some() || is_file().is_some()
}
