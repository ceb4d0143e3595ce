//! The manifest of a lake: which files belong to it, and up to which checkpoint they are complete.
//!
//! ```text
//! {"manifest": {..}}          one line of JSON: the lake, the checkpoint, the number of this manifest
//! {"file": {..}}              one for each file: its path, its bytes, rows and hash, its batches, times and ids
//! {"seal": {"sha256": .., "note": ..}}      the hash of all lines before, and a signed note that states it
//! ```
//!
//! Manifests are numbered, and the newest counts. Each is created, and none is replaced: of two
//! programs that make the same number, the store lets one do it.

use super::store::Store;
use crate::failure::Failure;
use audit_runtime::evidence::SigningKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The folder of manifests.
pub(super) const FOLDER: &str = "manifest";
/// The version of this form.
const FORMAT: u32 = 1;
/// Manifests that stay, with the newest.
const KEPT: u64 = 3;

/// The table of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    Events,
    Batches,
    Leaves,
    Checkpoints,
    Timestamps,
    Pruned,
    Catalogue,
}

/// A file of the lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileEntry {
    pub(super) path: String,
    pub(super) content: Content,
    pub(super) bytes: u64,
    pub(super) rows: u64,
    pub(super) sha256: String,
    /// The number of the first batch in the tree, and of the one behind the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) batches: Option<(u64, u64)>,
    /// The first time and the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) times: Option<(String, String)>,
    /// The least id and the greatest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ids: Option<(Uuid, Uuid)>,
}

/// The checkpoint up to which a lake is complete, or will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Until {
    /// Its id in `audit_checkpoints`.
    pub(super) id: i64,
    /// The number of batches that it covers.
    pub(super) batches: u64,
    /// Hexadecimal.
    pub(super) root: String,
    /// The signed note.
    pub(super) note: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: u32,
    /// The lake. Its files have this id, too.
    pub(super) lake: Uuid,
    pub(super) number: u64,
    /// The name in the checkpoints.
    pub(super) log: String,
    pub(super) made_at: String,
    pub(super) made_by: String,
    /// The batches in its files: all that the checkpoint covers, once a sync has ended.
    pub(super) batches: u64,
    /// The events in its files.
    pub(super) events: u64,
    pub(super) checkpoint: Until,
    /// The roots of the full parts of the tree of its batches, in hexadecimal.
    pub(super) frontier: String,
    /// The last row of `audit_checkpoints` in its files.
    pub(super) checkpoints: i64,
    /// The last checkpoint whose time stamps are in its files.
    #[serde(default)]
    pub(super) timestamps: i64,
    /// The events of prunes whose accounts are in its files.
    pub(super) prunes: Vec<Uuid>,
    /// The hash of the rows of `audit_catalogue` in its file.
    pub(super) catalogue: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) header: Header,
    pub(super) files: Vec<FileEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Manifest(Box<Header>),
    File(FileEntry),
    Seal(Seal),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Seal {
    sha256: String,
    pub(super) note: Option<String>,
}

/// A manifest as it was read.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) manifest: Manifest,
    pub(super) seal: Seal,
    /// The hash of its lines.
    pub(super) sha256: String,
}

impl Found {
    /// The text that a note about this manifest states.
    pub(super) fn statement(&self) -> String {
        statement(&self.manifest.header, &self.sha256)
    }

    /// Whether the lines are those of which the hash was taken.
    pub(super) fn is_whole(&self) -> bool {
        self.seal.sha256 == self.sha256
    }
}

/// The signed text. Its second line is no number, so it is no checkpoint.
fn statement(header: &Header, sha256: &str) -> String {
    format!(
        "audit-trail lake manifest {FORMAT}\nlog {}\nlake {}\nnumber {}\nsha256 {sha256}\n",
        header.log, header.lake, header.number
    )
}

pub(super) fn path(number: u64) -> String {
    format!("{FOLDER}/{number:010}.ndjson")
}

/// The number of a manifest by its path.
pub(super) fn number(path: &str) -> Option<u64> {
    let name = path.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".ndjson")?;
    let number = name.parse().ok()?;
    (self::path(number) == path).then_some(number)
}

impl Manifest {
    /// As lines, with their seal.
    fn to_lines(&self, key: Option<&SigningKey>) -> Result<Vec<u8>, Failure> {
        let mut lines = serde_json::to_vec(&Line::Manifest(Box::new(self.header.clone())))?;
        for file in &self.files {
            lines.push(b'\n');
            serde_json::to_writer(&mut lines, &Line::File(file.clone()))?;
        }
        lines.push(b'\n');
        let sha256 = hex::encode(Sha256::digest(&lines));
        let sign = |key: &SigningKey| key.sign_statement(&statement(&self.header, &sha256));
        let note = key.map(sign).transpose().map_err(|error| Failure::Other(error.to_string()))?;
        serde_json::to_writer(&mut lines, &Line::Seal(Seal { sha256, note }))?;
        lines.push(b'\n');
        Ok(lines)
    }

    fn read(lines: &[u8]) -> Result<Found, String> {
        let text = std::str::from_utf8(lines).map_err(|error| error.to_string())?;
        let body = text.trim_end_matches('\n');
        let (content, seal) = body.rsplit_once('\n').ok_or("it has one line only")?;
        let read = |line: &str| serde_json::from_str::<Line>(line).map_err(|error| error.to_string());
        let Line::Seal(seal) = read(seal)? else { return Err("its last line is no seal".into()) };
        let mut lines = content.lines();
        let Line::Manifest(header) = read(lines.next().unwrap_or_default())? else {
            return Err("its first line is no manifest".into());
        };
        if header.format != FORMAT {
            return Err(format!("it has the form {}, and this program knows {FORMAT}: use a newer one", header.format));
        }
        let file = |line| match read(line)? {
            Line::File(file) => Ok(file),
            _ => Err("one of its lines is no file".to_owned()),
        };
        let files = lines.map(file).collect::<Result<_, _>>()?;
        let sha256 = hex::encode(Sha256::digest(&text.as_bytes()[..=content.len()]));
        Ok(Found { manifest: Self { header: *header, files }, seal, sha256 })
    }

    /// Reads the newest manifest of a lake, or returns `None` if there is none.
    pub(super) async fn newest(store: &Store) -> Result<Option<Found>, Failure> {
        let newest = Self::newest_behind(store, None).await?;
        if newest.is_none() && !numbers(store).await?.is_empty() {
            return Err(Failure::Other(format!(
                "{store}: no manifest has the number that its name states; restore the newest one"
            )));
        }
        Ok(newest)
    }

    /// Reads the newest manifest behind a number.
    ///
    /// A manifest under a number that it does not state was copied there. It is not looked at, and a
    /// verification reports the file.
    async fn newest_behind(store: &Store, behind: Option<u64>) -> Result<Option<Found>, Failure> {
        // One that is read may be deleted meanwhile, when two newer ones are there.
        'anew: for _ in 0..3 {
            for number in numbers(store).await?.into_iter().take_while(|number| Some(*number) > behind) {
                let Some(lines) = store.read(&path(number)).await? else { continue 'anew };
                let found = Self::read(&lines).map_err(|why| {
                    let path = path(number);
                    Failure::Other(format!(
                        "{store}/{path}: {why}; restore it, or delete it and run audit-trail lake sync"
                    ))
                })?;
                if found.manifest.header.number == number {
                    return Ok(Some(found));
                }
            }
            return Ok(None);
        }
        Err(Failure::Other(format!("{store}: its newest manifest is gone whenever it is read; try again")))
    }

    /// Makes this manifest the newest, and returns whether no other program was faster.
    pub(super) async fn commit(&self, store: &Store, key: Option<&SigningKey>) -> Result<bool, Failure> {
        let number = self.header.number;
        if !store.create(&path(number), self.to_lines(key)?).await? {
            return Ok(false);
        }
        // Behind a newer one, this number may have been free again.
        if Self::newest_behind(store, Some(number)).await?.is_some() {
            store.delete(&path(number)).await?;
            return Ok(false);
        }
        Ok(true)
    }

    /// The files that a manifest's lake may have beside those it names: manifests that are kept.
    pub(super) fn keeps(&self, path: &str) -> bool {
        let newest = self.header.number;
        number(path).is_some_and(|number| number <= newest && number.saturating_add(KEPT) >= newest)
    }
}

/// The numbers of the manifests, the greatest first.
async fn numbers(store: &Store) -> Result<Vec<u64>, Failure> {
    let mut numbers: Vec<u64> = store.list(Some(FOLDER)).await?.iter().filter_map(|file| number(&file.path)).collect();
    numbers.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
    Ok(numbers)
}
