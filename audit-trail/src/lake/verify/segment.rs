//! A segment: its batches and their leaves are in memory, and its rows come file by file.

use super::files::Files;
use super::pruned::Prunes;
use super::{Chain, Findings};
use crate::failure::Failure;
use crate::lake::batch::{Batch, ENTRY, MOST};
use crate::lake::event::{Row, Sealed, column};
use crate::lake::manifest::{Content, FileEntry};
use crate::lake::table::{BATCHES, EVENTS, LEAVES};
use crate::lake::time::Day;
use audit_runtime::__private::detached::{self, Digests, OfflineTree};
use audit_runtime::Timestamp;
use audit_runtime::evidence::{Finding, FindingKind};
use parquet::errors::{ParquetError, Result as ParquetResult};
use uuid::Uuid;

/// Rows that are gone from a batch and named; further ones are counted.
const NAMED: usize = 20;
/// The type of the events of prunes.
const PRUNED: &str = "audit.pruned";

/// The batches of a segment, and the leaves that its rows make.
struct Batches {
    all: Vec<Batch>,
    begins: Vec<usize>,
    entries: Vec<u8>,
    seen: Vec<bool>,
}

impl Batches {
    /// Adds a batch, unless its segment is larger than any that a sync makes.
    fn add(&mut self, batch: Batch) -> ParquetResult<()> {
        if self.seen.len() + batch.rows > MOST.unsigned_abs() as usize {
            return Err(ParquetError::General(format!("its batches have more than {MOST} rows")));
        }
        self.begins.push(self.seen.len());
        self.seen.resize(self.seen.len() + batch.rows, false);
        self.entries.resize(self.seen.len() * ENTRY, 0);
        self.all.push(batch);
        Ok(())
    }

    /// Puts a leaf in its place, and returns what is wrong with that.
    fn put(&mut self, from: u64, sealed: &Sealed, id: Uuid) -> Result<(), (FindingKind, String)> {
        let at = usize::try_from(sealed.batch.saturating_sub_unsigned(from)).ok();
        let known = at.and_then(|at| Some((at, self.all.get(at)?)));
        let Some((at, batch)) = known.filter(|(_, batch)| batch.id == sealed.batch_id) else {
            return Err((FindingKind::Inserted, "it claims a batch that is not in its segment".into()));
        };
        let place = usize::try_from(sealed.leaf).ok().filter(|leaf| (1..=batch.rows).contains(leaf));
        let Some(place) = place.map(|leaf| self.begins[at] + leaf - 1) else {
            return Err((FindingKind::Inserted, "it claims a leaf that its batch does not have".into()));
        };
        if std::mem::replace(&mut self.seen[place], true) {
            return Err((FindingKind::Inserted, format!("its batch has leaf {} twice", sealed.leaf)));
        }
        let entry = &mut self.entries[place * ENTRY..(place + 1) * ENTRY];
        entry[..16].copy_from_slice(id.as_bytes());
        entry[16..].copy_from_slice(&sealed.digest);
        Ok(())
    }

    fn form(&self, from: u64, batch: i64) -> Option<&Batch> {
        self.all.get(usize::try_from(batch.saturating_sub_unsigned(from)).ok()?)
    }
}

/// Verifies the files of a segment.
pub(super) async fn verify(
    files: &Files<'_>,
    range: (u64, u64),
    (tree, chain, prunes): (&mut OfflineTree, &mut Chain, &mut Prunes),
    findings: &mut Findings<'_>,
) -> Result<(), Failure> {
    let mut batches = Batches { all: Vec::new(), begins: Vec::new(), entries: Vec::new(), seen: Vec::new() };
    let mut is_whole = true;
    for file in files.of_segment(Content::Batches, range) {
        let read = |reader: &crate::lake::read::Reader| {
            reader.each(|chunk| {
                for row in 0..chunk.rows {
                    batches.add(Batch::read(chunk, row)?)?;
                }
                Ok::<_, ParquetError>(())
            })
        };
        is_whole &= files.read(file, BATCHES, findings, read).await?;
    }
    for (batch, number) in batches.all.iter().zip(range.0..) {
        if batch.number.cast_unsigned() != number {
            let text = format!("it has number {} in the tree, where {number} is expected", batch.number);
            findings.found(Finding::new(FindingKind::BatchMissing, Some(batch.id), None, text));
        }
        if batch.computed_leaf() != batch.leaf {
            let text = "its row is not what was put into the tree".into();
            findings.found(Finding::new(FindingKind::BatchAltered, Some(batch.id), None, text));
        }
        tree.push(batch.leaf);
        chain.push(batch, findings);
    }
    if batches.all.len() as u64 != range.1 - range.0 {
        is_whole = false;
        let text =
            format!("{} of {} batches from number {} on are there", batches.all.len(), range.1 - range.0, range.0);
        findings.found(Finding::new(FindingKind::BatchMissing, None, None, text));
    }
    for file in files.of_segment(Content::Events, range) {
        let mut found = Vec::new();
        let mut digests = Digests::default();
        let mut counted = (0, 0);
        let mut span = Span::default();
        let read = |reader: &crate::lake::read::Reader| {
            let mut bytes = Vec::new();
            reader.each(|chunk| {
                for row in 0..chunk.rows {
                    let row = Row::new(chunk, row);
                    span.add(row.created_at()?, row.id()?);
                    match event(row, range.0, &mut batches, &mut digests, &mut bytes)? {
                        (_, Some(problem)) => found.push(problem),
                        (sealed, None) if !is_in_place(row, &file.path)? => {
                            let text = "it is in the folder of another day".to_owned();
                            found.push((FindingKind::Altered, sealed.batch_id, row.id()?, text));
                        }
                        (sealed, None) => {
                            counted.0 += 1;
                            counted.1 += u64::from(sealed.is_late);
                            if row.text(column::EVENT_TYPE) == Some(PRUNED) {
                                prunes.event(&row.event()?);
                            }
                        }
                    }
                }
                Ok::<_, ParquetError>(())
            })
        };
        let is_same = files.read(file, EVENTS, findings, read).await?;
        if is_same && !span.is_stated(file) {
            let text = "its times and ids are not those that the manifest names: a search would leave it out";
            findings.found(Finding::new(FindingKind::Manifest, None, None, text.into()).in_file(&file.path));
        }
        is_whole &= is_same;
        findings.report.rows += counted.0;
        findings.report.sealed_late += counted.1;
        for (kind, batch, event, text) in found {
            findings.found(Finding::new(kind, Some(batch), Some(event), text).in_file(&file.path));
        }
    }
    for file in files.of_segment(Content::Leaves, range) {
        let mut found = Vec::new();
        let mut counted = (0, 0);
        let read = |reader: &crate::lake::read::Reader| {
            let mut digests = Digests::default();
            reader.each(|chunk| {
                for row in 0..chunk.rows {
                    let (sealed, id) = leaf(chunk, row)?;
                    let problem = batches.put(range.0, &sealed, id).err();
                    let is_refused = chunk.bytes(7, row).is_some_and(|payload| {
                        digests.refused(payload).iter().any(|entry| (entry.0, entry.1) == (id, sealed.digest))
                    });
                    let by = chunk.text(6, row).and_then(|by| Uuid::try_parse(by).ok());
                    match (problem, by) {
                        (Some((kind, text)), _) => found.push((kind, sealed.batch_id, id, text)),
                        (None, Some(by)) => {
                            counted.1 += 1;
                            if let Some(batch) = batches.form(range.0, sealed.batch) {
                                prunes.row(by, batch, id);
                            }
                        }
                        (None, None) if is_refused => counted.0 += 1,
                        (None, None) => {
                            let text =
                                "it is said to be in the quarantine, and its bytes are not what was sealed".to_owned();
                            found.push((FindingKind::Altered, sealed.batch_id, id, text));
                        }
                    }
                }
                Ok::<_, ParquetError>(())
            })
        };
        is_whole &= files.read(file, LEAVES, findings, read).await?;
        findings.report.quarantined += counted.0;
        findings.report.pruned += counted.1;
        for (kind, batch, event, text) in found {
            findings.found(Finding::new(kind, Some(batch), Some(event), text).in_file(&file.path));
        }
    }
    finish(&batches, is_whole, findings);
    Ok(())
}

/// The first time and the last of a file's rows, and the least id and the greatest.
#[derive(Default)]
struct Span(Option<((Timestamp, Timestamp), (Uuid, Uuid))>);

impl Span {
    fn add(&mut self, time: Timestamp, id: Uuid) {
        let ((first, last), (least, greatest)) = self.0.get_or_insert(((time, time), (id, id)));
        (*first, *last) = ((*first).min(time), (*last).max(time));
        (*least, *greatest) = ((*least).min(id), (*greatest).max(id));
    }

    /// Whether the manifest states it.
    fn is_stated(&self, file: &FileEntry) -> bool {
        let texts = self.0.map(|((first, last), _)| (first.to_string(), last.to_string()));
        file.times == texts && file.ids == self.0.map(|(_, ids)| ids)
    }
}

type Problem = (FindingKind, Uuid, Uuid, String);

/// Computes a row again, and returns where it is sealed and what is wrong with it.
fn event(
    row: Row<'_>,
    from: u64,
    batches: &mut Batches,
    digests: &mut Digests,
    bytes: &mut Vec<u8>,
) -> ParquetResult<(Sealed, Option<Problem>)> {
    let (sealed, id) = (row.sealed()?, row.id()?);
    row.bytes(bytes)?;
    let (_, digest, form) = digests.row(bytes);
    let problem = |kind, text: &str| Some((kind, sealed.batch_id, id, text.to_owned()));
    if let Err((kind, text)) = batches.put(from, &sealed, id) {
        return Ok((sealed, Some((kind, sealed.batch_id, id, text))));
    }
    let batch = batches.form(from, sealed.batch);
    let is_allowed = batch.is_some_and(|batch| detached::allows(batch.form, form));
    let is_late = batch.is_some_and(|batch| batch.journal_id == detached::JOURNAL);
    Ok((
        sealed,
        if digest != sealed.digest {
            problem(FindingKind::Altered, "it is not what was sealed")
        } else if !is_allowed {
            problem(FindingKind::Altered, "its batch has leaves of a form that no such row has")
        } else if is_late != sealed.is_late {
            problem(FindingKind::Altered, "is_late is not what its batch says")
        } else if !row.has_its_entities()? {
            problem(FindingKind::Altered, "entity_ids is not what the other columns make of it")
        } else {
            None
        },
    ))
}

fn is_in_place(row: Row<'_>, path: &str) -> ParquetResult<bool> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    Ok(Day::of(row.created_at()?).folder() == folder)
}

/// A row of the table `LEAVES`.
fn leaf(chunk: &crate::lake::read::Chunk, row: usize) -> ParquetResult<(Sealed, Uuid)> {
    let read = || {
        let uuid = |column| chunk.text(column, row).and_then(|text| Uuid::try_parse(text).ok());
        let digest = chunk.bytes(4, row)?.try_into().ok()?;
        let (batch, leaf) = (chunk.int(0, row)?, chunk.int(2, row)?);
        Some((Sealed { batch_id: uuid(1)?, is_late: false, batch, leaf, digest }, uuid(3)?))
    };
    read().ok_or_else(|| ParquetError::General("a row is not a leaf".into()))
}

/// Compares the leaves of each batch with its root.
fn finish(batches: &Batches, is_whole: bool, findings: &mut Findings<'_>) {
    for (batch, begin) in batches.all.iter().zip(&batches.begins) {
        let places = *begin..begin + batch.rows;
        let missing: Vec<usize> = places.clone().filter(|place| !batches.seen[*place]).collect();
        if missing.is_empty() {
            let leaves = &batches.entries[begin * ENTRY..places.end * ENTRY];
            if batch.computed_root(leaves)[..] != batch.root[..] {
                let text = "its rows are not those of its root, or not in that order".into();
                findings.found(Finding::new(FindingKind::BatchAltered, Some(batch.id), None, text));
            }
            continue;
        }
        // A file that is gone takes many rows with it: they are not named one by one.
        let named = if is_whole { NAMED } else { 0 };
        for place in missing.iter().take(named) {
            let text = format!("leaf {} of batch {} has no row", place - begin + 1, batch.id);
            findings.found(Finding::new(FindingKind::Missing, Some(batch.id), None, text));
        }
        if missing.len() > named {
            let text = format!("{} of its {} rows are missing", missing.len(), batch.rows);
            findings.found(Finding::new(FindingKind::Missing, Some(batch.id), None, text));
        }
    }
}
