//! The files of a lake, compared with those that its manifest names.

use super::Findings;
use crate::failure::Failure;
use crate::lake::is_name;
use crate::lake::manifest::{Content, FileEntry, Manifest};
use crate::lake::read::{Reader, Source, guarded};
use crate::lake::store::Store;
use crate::lake::table::{CATALOGUE, Table};
use audit_runtime::evidence::{Finding, FindingKind};
use parquet::errors::{ParquetError, Result as ParquetResult};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

pub(super) struct Files<'a> {
    store: &'a Store,
    manifest: &'a Manifest,
    lake: Uuid,
    /// The paths of those that were read.
    read: Mutex<HashSet<&'a str>>,
}

/// Says what is wrong with a file as a whole.
fn found(kind: FindingKind, file: &str, text: String) -> Finding {
    Finding::new(kind, None, None, text).in_file(file)
}

impl<'a> Files<'a> {
    pub(super) fn unlisted(store: &'a Store, manifest: &'a Manifest) -> Self {
        Self { store, manifest, lake: manifest.header.lake, read: Mutex::default() }
    }

    /// Compares the names with those in the store. Files that are missing are reported where they are
    /// read.
    pub(super) async fn list(
        store: &'a Store,
        manifest: &'a Manifest,
        findings: &mut Findings<'_>,
    ) -> Result<Self, Failure> {
        let mut named = HashMap::new();
        for file in &manifest.files {
            if named.insert(file.path.as_str(), file).is_some() {
                findings.found(found(FindingKind::Manifest, &file.path, "the manifest names it twice".into()));
            }
        }
        let listed = store.list(None).await?;
        for file in &listed {
            if !named.contains_key(file.path.as_str()) && !manifest.keeps(&file.path) {
                let text = if is_name(&file.path) {
                    "the manifest does not name it: somebody put it there, or a sync was killed, and the next one clears it"
                } else {
                    "the manifest does not name it"
                };
                findings.found(found(FindingKind::FileAdded, &file.path, text.into()));
            }
        }
        Ok(Self::unlisted(store, manifest))
    }

    pub(super) fn of(&self, content: Content) -> impl Iterator<Item = &'a FileEntry> {
        self.manifest.files.iter().filter(move |file| file.content == content)
    }

    /// The files of a segment with this content.
    pub(super) fn of_segment(&self, content: Content, range: (u64, u64)) -> impl Iterator<Item = &'a FileEntry> {
        self.of(content).filter(move |file| file.batches == Some(range))
    }

    /// Reads the catalogue, and reports the files that no verification has read: they belong to nothing.
    pub(super) async fn end(&self, findings: &mut Findings<'_>) -> Result<(), Failure> {
        for file in self.of(Content::Catalogue) {
            self.read(file, CATALOGUE, findings, |reader| reader.each(|_| Ok::<_, ParquetError>(()))).await?;
        }
        let unread: Vec<&FileEntry> = {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            self.manifest.files.iter().filter(|file| !read.contains(file.path.as_str())).collect()
        };
        for file in unread {
            let text = "the manifest names it, and its batches are those of no segment".into();
            findings.found(found(FindingKind::Manifest, &file.path, text));
        }
        Ok(())
    }

    /// Copies a file, compares it with the manifest, and reads it. Returns whether it is what was
    /// written.
    ///
    /// A file that was changed is read as far as it can be: its rows tell which they are.
    pub(super) async fn read(
        &self,
        file: &'a FileEntry,
        table: Table,
        findings: &mut Findings<'_>,
        read: impl FnOnce(&Reader) -> ParquetResult<()>,
    ) -> Result<bool, Failure> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(&file.path);
        let Some(fetched) = self.store.fetch(&file.path).await? else {
            findings.found(found(FindingKind::FileMissing, &file.path, "the manifest names it, and it is gone".into()));
            return Ok(false);
        };
        let is_same = fetched.sha256 == file.sha256;
        let opened = guarded(|| Reader::new(table, Source::copy(fetched.file, fetched.bytes)));
        let stranger =
            opened.as_ref().ok().and_then(|reader| reader.lake()).filter(|lake| *lake != self.lake.to_string());
        if let Some(lake) = stranger {
            let text = format!("it is a file of another lake: of {lake}, and this one is {}", self.lake);
            findings.found(found(FindingKind::FileAltered, &file.path, text));
            return Ok(false);
        }
        if !is_same {
            let text = format!(
                "its SHA-256 is {} of {} bytes, and the manifest names {} of {}",
                fetched.sha256, fetched.bytes, file.sha256, file.bytes
            );
            findings.found(found(FindingKind::FileAltered, &file.path, text));
        }
        if is_same && fetched.bytes != file.bytes {
            let text = format!("it has {} bytes, and the manifest names {}", fetched.bytes, file.bytes);
            findings.found(found(FindingKind::Manifest, &file.path, text));
        }
        match opened.and_then(|reader| guarded(|| read(&reader)).map(|()| reader.rows_in_all())) {
            Ok(rows) if is_same && rows != file.rows => {
                let text = format!("it has {rows} rows, and the manifest names {}", file.rows);
                findings.found(found(FindingKind::Manifest, &file.path, text));
                Ok(true)
            }
            Ok(_) => Ok(is_same),
            Err(error) => {
                findings.found(found(FindingKind::FileAltered, &file.path, format!("it cannot be read: {error}")));
                Ok(false)
            }
        }
    }
}
