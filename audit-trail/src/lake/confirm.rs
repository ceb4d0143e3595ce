//! A prune whose rows are in a lake: each is read there, and its digest is computed again.

use super::event::Row;
use super::manifest::{Content, FileEntry, Manifest};
use super::read::{Chunk, Reader, Rows};
use super::store::Store;
use super::table::EVENTS;
use super::verify::opened;
use super::{Signing, synced};
use crate::failure::Failure;
use audit_runtime::__private::detached::{Digests, Kept, KeptRows};
use audit_runtime::Timestamp;
use parquet::errors::{ParquetError, Result as ParquetResult};
use serde_json::json;
use sqlx::postgres::PgPool;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::pin::Pin;
use std::sync::Arc;
use uuid::Uuid;

/// A lake that contains what goes.
#[derive(Debug)]
struct Confirmed {
    store: Store,
    manifest: Manifest,
    sha256: String,
}

/// Brings a lake up to date, and returns what a prune compares its rows with.
pub(crate) async fn confirmed(
    pool: &PgPool,
    lake: &str,
    signing: &Signing,
    tell: impl FnMut(&str),
) -> Result<Arc<dyn Kept>, Failure> {
    let store = synced(pool, lake, signing, tell).await?;
    let found = Manifest::newest(&store).await?;
    let found = found.ok_or_else(|| Failure::Other(format!("{store} has no manifest")))?;
    Ok(Arc::new(Confirmed { store, manifest: found.manifest, sha256: found.sha256 }))
}

impl FileEntry {
    /// Whether it may have events from a moment to another one.
    pub(super) fn overlaps(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
        let parse = |text: &str| text.parse::<Timestamp>().ok();
        let times = self.times.as_ref().and_then(|(first, last)| parse(first).zip(parse(last)));
        times.is_none_or(|(first, last)| {
            since.is_none_or(|since| last >= since) && until.is_none_or(|until| first < until)
        })
    }
}

impl Kept for Confirmed {
    fn rows(
        &self,
        begin: Timestamp,
        end: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<KeptRows, String>> + Send + '_>> {
        Box::pin(async move {
            let mut merged = Merged::default();
            for file in self.manifest.files.iter().filter(|file| file.content == Content::Events) {
                if file.overlaps(Some(begin), Some(end)) {
                    let reader = opened(&self.store, file, EVENTS).await.map_err(|failure| failure.to_string())?;
                    merged.add(FileRows::new(reader, &file.path))?;
                }
            }
            let rows: KeptRows = Box::new(merged.filter(move |row| match row {
                Ok((time, ..)) => (begin..end).contains(time),
                Err(_) => true,
            }));
            Ok(rows)
        })
    }

    fn statement(&self, rows: u64) -> serde_json::Value {
        let Manifest { header, .. } = &self.manifest;
        json!({"lake": self.store.to_string(), "lake_id": header.lake, "manifest": header.number, "rows": rows, "sha256": self.sha256})
    }
}

type Place = (Timestamp, Uuid, [u8; 32]);

/// The rows of a file, in its order.
struct FileRows {
    reader: Reader,
    path: String,
    group: usize,
    rows: Option<Rows>,
    chunk: Option<(Chunk, usize)>,
    digests: Digests,
    bytes: Vec<u8>,
}

impl FileRows {
    fn new(reader: Reader, path: &str) -> Self {
        let (digests, bytes) = (Digests::default(), Vec::new());
        Self { reader, path: path.to_owned(), group: 0, rows: None, chunk: None, digests, bytes }
    }

    fn next(&mut self) -> Result<Option<Place>, String> {
        self.read().map_err(|error| format!("{}: {error}", self.path))
    }

    fn read(&mut self) -> ParquetResult<Option<Place>> {
        loop {
            if let Some((chunk, at)) = self.chunk.as_mut().filter(|(chunk, at)| *at < chunk.rows) {
                let row = Row::new(chunk, *at);
                *at += 1;
                row.bytes(&mut self.bytes)?;
                let (id, digest, _) = self.digests.row(&self.bytes);
                if row.sealed()?.digest != digest {
                    return Err(ParquetError::General(format!("event {id} is not what was sealed")));
                }
                return Ok(Some((row.created_at()?, id, digest)));
            }
            match self.rows.as_mut().map(Rows::next).transpose()?.flatten() {
                Some(chunk) => self.chunk = Some((chunk, 0)),
                None if self.group < self.reader.groups() => {
                    self.rows = Some(self.reader.rows(self.group, None)?);
                    self.group += 1;
                }
                None => return Ok(None),
            }
        }
    }
}

/// Rows of several files in one order.
#[derive(Default)]
struct Merged {
    files: Vec<FileRows>,
    /// The next row of each file.
    next: BinaryHeap<Reverse<(Place, usize)>>,
}

impl Merged {
    fn add(&mut self, mut file: FileRows) -> Result<(), String> {
        if let Some(row) = file.next()? {
            self.next.push(Reverse((row, self.files.len())));
            self.files.push(file);
        }
        Ok(())
    }
}

impl Iterator for Merged {
    type Item = Result<Place, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((row, file)) = self.next.pop()?;
        match self.files[file].next() {
            Ok(Some(next)) => self.next.push(Reverse((next, file))),
            Ok(None) => {}
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(row))
    }
}
