//! `audit-trail verify --lake`: everything again, from the files, without the database.
//!
//! ```text
//! manifest   its seal, its signature, and the files that it names
//! segment    every row has its leaf, every batch its root, in the memory of a segment
//! tree       every batch has its leaf, and the tree had the sizes and the roots of the checkpoints
//! chain      every batch has the root of the batch of its journal before it
//! pruned     rows that are said to have been pruned are those of which events say it
//! ```

mod chain;
mod files;
mod pruned;
mod segment;

use super::manifest::{Content, FileEntry, Found, Manifest};
use super::read::Reader;
use super::store::Store;
use super::table::{CHECKPOINTS, TIMESTAMPS};
use super::unreadable;
use crate::failure::Failure;
use audit_runtime::__private::detached::{self, OfflineTree};
use audit_runtime::evidence::{Finding, FindingKind, PublicKey, Report};
use chain::Chain;
use files::Files;
use pruned::Prunes;

/// Problems that are named in an error.
const NAMED: usize = 5;

/// A step of a verification.
pub(crate) enum Step {
    Found(Finding),
    Rows { done: u64, of: u64 },
}

/// The findings of a verification, and their reader.
struct Findings<'a> {
    report: Report,
    tell: &'a mut dyn FnMut(Step),
}

impl Findings<'_> {
    fn found(&mut self, finding: Finding) {
        self.report.count(&finding);
        (self.tell)(Step::Found(finding));
    }

    fn of_manifest(&mut self, text: String) {
        self.found(Finding::new(FindingKind::Manifest, None, None, text));
    }
}

/// Verifies a lake, by these keys and these checkpoints that were kept elsewhere.
pub(crate) async fn verify(
    lake: &str,
    keys: &[PublicKey],
    saved: &[(String, String)],
    #[cfg(feature = "timestamp")] authorities: Option<&audit_runtime::evidence::Authorities>,
    mut tell: impl FnMut(Step),
) -> Result<Report, Failure> {
    let store = Store::open(lake, None, false)?;
    let claims = Claims {
        keys,
        saved,
        is_signed: !keys.is_empty(),
        #[cfg(feature = "timestamp")]
        authorities,
    };
    examine(&store, &claims, &mut tell).await
}

/// Verifies a lake whose manifest a key has not signed, but for that, and returns the problems.
pub(super) async fn unsigned(store: &Store, key: &PublicKey, checkpoint: &str) -> Result<Vec<String>, Failure> {
    let mut problems = Vec::new();
    let mut tell = |step: Step| match step {
        Step::Found(finding) if finding.is_problem() && problems.len() < NAMED => problems.push(finding.to_string()),
        _ => {}
    };
    let claims = Claims {
        keys: std::slice::from_ref(key),
        saved: &[("its checkpoint".into(), checkpoint.to_owned())],
        is_signed: false,
        #[cfg(feature = "timestamp")]
        authorities: None,
    };
    examine(store, &claims, &mut tell).await?;
    Ok(problems)
}

/// The knowledge of somebody who verifies.
struct Claims<'a> {
    keys: &'a [PublicKey],
    /// Checkpoints that were kept elsewhere: their names, and their notes.
    saved: &'a [(String, String)],
    /// Whether one of the keys has to have signed the manifest.
    is_signed: bool,
    #[cfg(feature = "timestamp")]
    authorities: Option<&'a audit_runtime::evidence::Authorities>,
}

async fn examine(store: &Store, claims: &Claims<'_>, tell: &mut dyn FnMut(Step)) -> Result<Report, Failure> {
    let found = Manifest::newest(store).await?;
    let found = found.ok_or_else(|| Failure::Nothing(format!("{store} is no lake: it has no manifest")))?;
    let mut findings = Findings { report: Report::default(), tell };
    if !found.is_whole() {
        findings.of_manifest("its lines are not those of which its seal states the hash: it was changed".into());
    }
    let header = found.manifest.header.clone();
    let files = Files::list(store, &found.manifest, &mut findings).await?;
    let stored = checkpoints(&files, &mut findings).await?;
    let (within, beyond): (Vec<_>, Vec<_>) = claims
        .saved
        .iter()
        .cloned()
        .partition(|(_, note)| detached::read_checkpoint(note).map_or(true, |head| head.size <= header.batches));
    let (mut tree, of_keys) = OfflineTree::new(claims.keys, &stored, &within, &mut findings.report);
    of_keys.into_iter().for_each(|finding| findings.found(finding));
    for (called, _) in beyond {
        let text = format!(
            "{called}: it covers batches that the lake does not contain: run audit-trail lake sync, or the last ones were removed"
        );
        findings.found(Finding::new(FindingKind::Checkpoint, None, None, text));
    }
    #[cfg(feature = "timestamp")]
    time_stamps(&files, &stored, claims.authorities, &mut findings).await?;
    if claims.is_signed {
        signature(&found, &tree, &mut findings);
    }
    let (mut chain, mut prunes) = (Chain::default(), Prunes::default());
    let of = header.events;
    prunes.of_lake(header.lake);
    for (from, to) in segments(&found.manifest) {
        if from != tree.size() {
            let text = format!("no file has the batches from number {} to {from} of the tree", tree.size());
            findings.found(Finding::new(FindingKind::BatchMissing, None, None, text));
        }
        segment::verify(&files, (from, to), (&mut tree, &mut chain, &mut prunes), &mut findings).await?;
        let done = findings.report.rows;
        (findings.tell)(Step::Rows { done, of });
    }
    chain.end(&mut findings);
    prunes.end(&files, &mut findings).await?;
    files.end(&mut findings).await?;
    let events = files.of(Content::Events).fold(0_u64, |rows, file| rows.saturating_add(file.rows));
    if events != header.events {
        findings.of_manifest(format!("it states {} events, and its files have {events}", header.events));
    }
    if tree.size() != header.batches || header.batches != header.checkpoint.batches {
        findings.of_manifest(format!(
            "it states {} batches up to the checkpoint of {}, and its files have {}: a sync did not end, or files were left out; run \
             audit-trail lake sync",
            header.batches,
            header.checkpoint.batches,
            tree.size()
        ));
    }
    if tree.size() != tree.last_size() && !stored.is_empty() {
        let text = format!(
            "the last checkpoint covers {} batches, and the files have {}; run audit-trail lake sync",
            tree.last_size(),
            tree.size()
        );
        findings.found(Finding::new(FindingKind::Checkpoint, None, None, text));
    }
    for finding in tree.end(&mut findings.report) {
        findings.found(finding);
    }
    if stored.last().map(|(_, _, note)| note) != Some(&header.checkpoint.note) {
        findings.of_manifest("its checkpoint is not the last one in its files".into());
    }
    Ok(findings.report)
}

/// Verifies who signed the manifest.
fn signature(found: &Found, tree: &OfflineTree, findings: &mut Findings<'_>) {
    let Some(note) = &found.seal.note else {
        findings.of_manifest("it is not signed; audit-trail lake sync --key signs it".into());
        return;
    };
    match tree.statement(note, &found.manifest.header.checkpoint.note) {
        Ok(text) if text == found.statement() => findings.report.signatures += 1,
        Ok(_) => findings.of_manifest("its signature is that of another manifest".into()),
        Err(error) => findings.of_manifest(error.to_string().replace("checkpoint", "manifest")),
    }
}

/// The ranges of batches of the manifest's segments, in their order.
fn segments(manifest: &Manifest) -> Vec<(u64, u64)> {
    let of_batches = manifest.files.iter().filter(|file| file.content == Content::Batches);
    let mut segments: Vec<_> = of_batches.filter_map(|file| file.batches).filter(|(from, to)| from < to).collect();
    segments.sort_unstable();
    segments.dedup();
    segments
}

/// Reads the rows of `audit_checkpoints`.
async fn checkpoints(files: &Files<'_>, findings: &mut Findings<'_>) -> Result<Vec<(i64, u64, String)>, Failure> {
    let mut stored = Vec::new();
    for file in files.of(Content::Checkpoints) {
        let read = |reader: &Reader| {
            reader.each(|chunk| {
                for row in 0..chunk.rows {
                    let size = chunk.int(1, row).unwrap_or(-1).cast_unsigned();
                    stored.push((
                        chunk.int(0, row).unwrap_or(-1),
                        size,
                        chunk.text(2, row).unwrap_or_default().to_owned(),
                    ));
                }
                Ok::<_, ::parquet::errors::ParquetError>(())
            })
        };
        files.read(file, CHECKPOINTS, findings, read).await?;
    }
    stored.sort_by_key(|(id, _, _)| *id);
    Ok(stored)
}

/// Verifies the time stamps, one after another.
#[cfg(feature = "timestamp")]
async fn time_stamps(
    files: &Files<'_>,
    checkpoints: &[(i64, u64, String)],
    authorities: Option<&audit_runtime::evidence::Authorities>,
    findings: &mut Findings<'_>,
) -> Result<(), Failure> {
    let mut stamps = detached::Stamps::new(authorities);
    each_stamp(files, findings, |stamp| {
        let note = checkpoints.binary_search_by_key(&stamp.checkpoint, |(id, ..)| *id).ok();
        let note = note.map(|at| checkpoints[at].2.as_str());
        stamps.verify((stamp.checkpoint, &stamp.authority, &stamp.token), note);
    })
    .await?;
    for finding in stamps.end(&mut findings.report) {
        findings.found(finding);
    }
    Ok(())
}

/// A row of `audit_timestamps`.
pub(super) struct Stamp {
    pub(super) checkpoint: i64,
    pub(super) authority: String,
    pub(super) token: Vec<u8>,
}

async fn each_stamp(
    files: &Files<'_>,
    findings: &mut Findings<'_>,
    mut each: impl FnMut(Stamp),
) -> Result<(), Failure> {
    let mut of_stamps: Vec<&FileEntry> = files.of(Content::Timestamps).collect();
    // Their names begin with the checkpoints that they have, and so are in the order of these.
    of_stamps.sort_by_key(|file| &file.path);
    for file in of_stamps {
        let read = |reader: &Reader| {
            reader.each(|chunk| {
                (0..chunk.rows).for_each(|row| {
                    each(Stamp {
                        checkpoint: chunk.int(0, row).unwrap_or(-1),
                        authority: chunk.text(1, row).unwrap_or_default().to_owned(),
                        token: chunk.bytes(2, row).unwrap_or_default().to_vec(),
                    });
                });
                Ok::<_, ::parquet::errors::ParquetError>(())
            })
        };
        files.read(file, TIMESTAMPS, findings, read).await?;
    }
    Ok(())
}

/// Returns the first time stamp of a lake that is wanted, read without a look at its signature.
pub(super) async fn stamp(
    store: &Store,
    manifest: &Manifest,
    is_wanted: impl Fn(&Stamp) -> bool,
) -> Result<Option<Stamp>, Failure> {
    let mut ignored = |_: Step| {};
    let mut findings = Findings { report: Report::default(), tell: &mut ignored };
    let mut first: Option<Stamp> = None;
    let files = Files::unlisted(store, manifest);
    each_stamp(&files, &mut findings, |stamp| {
        let is_first = first.as_ref().is_none_or(|first| stamp.checkpoint < first.checkpoint);
        if is_first && is_wanted(&stamp) {
            first = Some(stamp);
        }
    })
    .await?;
    if findings.report.problems > 0 { Err(not_whole(store)) } else { Ok(first) }
}

fn not_whole(store: &Store) -> Failure {
    Failure::Other(format!("{store} is not what its manifest names; run audit-trail verify --lake {store}"))
}

/// The checkpoints of a lake, read without a look at their signatures.
pub(super) async fn notes(store: &Store, manifest: &Manifest) -> Result<Vec<(i64, u64, String)>, Failure> {
    let mut ignored = |_: Step| {};
    let mut findings = Findings { report: Report::default(), tell: &mut ignored };
    let files = Files::unlisted(store, manifest);
    let notes = checkpoints(&files, &mut findings).await?;
    if findings.report.problems > 0 { Err(not_whole(store)) } else { Ok(notes) }
}

/// Opens a file whose hash was verified, for a reader outside of a verification.
pub(super) async fn opened(store: &Store, file: &FileEntry, table: super::table::Table) -> Result<Reader, Failure> {
    let fetched = store.fetch(&file.path).await?;
    let fetched = fetched.filter(|fetched| fetched.sha256 == file.sha256);
    let fetched = fetched.ok_or_else(|| {
        Failure::Other(format!(
            "{store}/{} is missing, or is not what the manifest names; run audit-trail verify --lake {store}",
            file.path
        ))
    })?;
    Reader::new(table, super::read::Source::copy(fetched.file, fetched.bytes))
        .map_err(|error| unreadable(store, &file.path, &error))
}
