//! `audit-trail lake sync`: brings what a checkpoint covers into a lake.
//!
//! Files come first, and the manifest that names them comes last. A sync that is killed leaves files
//! that no manifest names. The next one makes the same files again under the same names, and deletes
//! what is left over.

use super::batch::MOST;
use super::manifest::{self, Content, FileEntry, Found, Header, Manifest, Until};
use super::store::Store;
use super::tables::{catalogue, checkpoints, prunes, timestamps};
use super::{is_name, segment, verify};
use crate::failure::Failure;
use crate::keepalive;
use crate::text::count;
use audit_runtime::__private::detached::{self, CheckpointHead, Frontier};
use audit_runtime::Timestamp;
use audit_runtime::evidence::SigningKey;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection, Executor};
use std::collections::HashSet;
use uuid::Uuid;

/// Events of a segment, about: their leaves are in memory.
pub(super) const SEGMENT: u64 = 500_000;
/// Batches of a segment, at most.
const BATCHES: i64 = 50_000;

/// The result of a sync.
#[derive(Debug, Default)]
pub(crate) struct Synced {
    /// The number of the newest manifest, and its hash.
    pub(crate) manifest: u64,
    pub(crate) events: u64,
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    pub(crate) cleared: usize,
    /// Whether anything was written.
    pub(crate) has_changed: bool,
    /// The time of the checkpoint up to which the lake is complete.
    pub(crate) until: Option<Timestamp>,
}

/// A sync under way.
struct Sync<'a> {
    store: &'a Store,
    key: Option<&'a SigningKey>,
    connection: PgConnection,
    manifest: Manifest,
    frontier: Frontier,
    synced: Synced,
    /// Events of a segment.
    segment: u64,
}

/// Says that the lake is not one of this database.
fn of_another(store: &Store, why: &str) -> Failure {
    Failure::Other(format!(
        "the lake {store} is of another trail, or the database went back: {why}; nothing is written; use a new lake"
    ))
}

fn taken_over(store: &Store) -> Failure {
    Failure::Other(format!(
        "another program wrote to the lake {store} meanwhile; nothing of it is lost; run audit-trail lake sync again"
    ))
}

/// Brings what the last checkpoint covers into the lake.
pub(crate) async fn sync(
    pool: &PgPool,
    store: &Store,
    key: Option<&SigningKey>,
    segment: Option<u64>,
    mut tell: impl FnMut(&str),
) -> Result<Synced, Failure> {
    let mut connection = pool.acquire().await?.detach();
    connection.execute(sqlx::raw_sql(keepalive::OF_SESSION)).await?;
    lock(&mut connection, store, &store.place()).await?;
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    // Between its questions, it sends files for minutes.
    let settings =
        "SET LOCAL statement_timeout TO 0; SET LOCAL idle_in_transaction_session_timeout TO 0; SET LOCAL jit TO off";
    connection.execute(sqlx::raw_sql(settings)).await?;
    let Some((until, head, ends)) = last(&mut connection).await? else {
        return Err(Failure::Nothing(
            "there is no checkpoint, and a lake contains what one covers; make one: audit-trail checkpoint --key FILE"
                .into(),
        ));
    };
    if let Some(key) = key {
        key.public().signed(&until.note).map_err(|error| {
            Failure::Usage(format!("--key: {error}; a manifest is signed by the key of the last checkpoint"))
        })?;
    }
    let found = Manifest::newest(store).await?;
    let before = found.as_ref().map(|found| found.manifest.header.clone());
    // One that was not signed is made again, signed.
    let mut has_changed = false;
    let (manifest, frontier) = match found {
        Some(found) => {
            // The same place may have another name on another machine.
            lock(&mut connection, store, &found.manifest.header.lake.to_string()).await?;
            let known = known(&mut connection, store, &found, &head).await?;
            if let Some(key) = key {
                has_changed = !trusted(&mut connection, store, &found, key, &mut tell).await?;
            }
            known
        }
        None => {
            if let Some(file) = store.list(None).await?.iter().find(|file| !is_name(&file.path)) {
                return Err(Failure::Usage(format!(
                    "{store} is no lake: it has no manifest, and contains {}; name an empty place for a new lake",
                    file.path
                )));
            }
            (first(&until, &head), Frontier::default())
        }
    };
    let synced = Synced { until: head.time, has_changed, ..Synced::default() };
    let segment = segment.unwrap_or(SEGMENT).clamp(1, MOST.unsigned_abs());
    let mut sync = Sync { store, key, connection, manifest, frontier, synced, segment };
    sync.manifest.header.checkpoint = until;
    sync.manifest.header.log.clone_from(&head.name);
    sync.run(&head, ends, before.as_ref(), &mut tell).await?;
    sync.synced.manifest = sync.manifest.header.number;
    let Sync { connection, synced, .. } = sync;
    let _ = connection.close().await;
    Ok(synced)
}

/// Reads the last checkpoint, and the roots of the full parts of its tree.
async fn last(connection: &mut PgConnection) -> Result<Option<(Until, CheckpointHead, Vec<u8>)>, Failure> {
    let last: Option<(i64, String, Vec<u8>)> =
        sqlx::query_as("SELECT id, note, frontier FROM audit_checkpoints ORDER BY id DESC LIMIT 1")
            .fetch_optional(connection)
            .await?;
    let Some((id, note, frontier)) = last else { return Ok(None) };
    let head = detached::read_checkpoint(&note).map_err(|error| {
        Failure::Other(format!("the last checkpoint in audit_checkpoints: {error}; run audit-trail verify"))
    })?;
    let until = Until { id, batches: head.size, root: hex::encode(head.root), note };
    Ok(Some((until, head, frontier)))
}

/// Takes a lock that the connection keeps, so that of two syncs of a lake one goes on.
async fn lock(connection: &mut PgConnection, store: &Store, name: &str) -> Result<(), Failure> {
    let lock = "SELECT pg_try_advisory_lock(hashtextextended('audit-trail lake ' || $1, 0))";
    let is_alone: bool = sqlx::query_scalar(lock).bind(name).fetch_one(connection).await?;
    if is_alone {
        return Ok(());
    }
    Err(Failure::Other(format!(
        "another sync of the lake {store} is at work; it loses nothing by this one, which did nothing"
    )))
}

/// Returns whether the key, or one that was exchanged for it, signed a manifest.
///
/// A key signs only what it can answer for. A lake whose manifest it did not sign is verified first.
async fn trusted(
    connection: &mut PgConnection,
    store: &Store,
    found: &Found,
    key: &SigningKey,
    tell: &mut impl FnMut(&str),
) -> Result<bool, Failure> {
    let until = &found.manifest.header.checkpoint.note;
    if let Some(note) = &found.seal.note {
        let text = detached::signed_statement(connection, key.public(), note, until).await?;
        if text.is_ok_and(|text| text == found.statement()) {
            return Ok(true);
        }
    }
    tell("the key did not sign the manifest: verifying the lake before it does");
    let problems = verify::unsigned(store, key.public(), until).await?;
    if let Some(problem) = problems.first() {
        return Err(Failure::Other(format!(
            "{store}/{}: the key did not sign it, and the lake does not verify: {problem}; nothing is written; run audit-trail verify \
             --lake {store}, and restore the lake or begin a new one",
            manifest::path(found.manifest.header.number)
        )));
    }
    Ok(false)
}

fn first(until: &Until, head: &CheckpointHead) -> Manifest {
    let header = Header {
        format: 1,
        lake: Uuid::new_v4(),
        number: 0,
        log: head.name.clone(),
        made_at: String::new(),
        made_by: String::new(),
        batches: 0,
        events: 0,
        checkpoint: until.clone(),
        frontier: String::new(),
        checkpoints: 0,
        timestamps: 0,
        prunes: Vec::new(),
        catalogue: None,
    };
    Manifest { header, files: Vec::new() }
}

/// Goes on with a lake, which has to be one of this trail.
async fn known(
    connection: &mut PgConnection,
    store: &Store,
    found: &Found,
    head: &CheckpointHead,
) -> Result<(Manifest, Frontier), Failure> {
    let is_whole = found.is_whole();
    let Manifest { header, files } = found.manifest.clone();
    let damaged = || {
        Failure::Other(format!(
            "{store}/{}: the manifest was changed; nothing is written; run audit-trail verify --lake",
            manifest::path(header.number)
        ))
    };
    let roots = hex::decode(&header.frontier).ok().filter(|_| is_whole).ok_or_else(damaged)?;
    let frontier = Frontier::from_bytes(header.batches, &roots).ok_or_else(damaged)?;
    let note: Option<String> = sqlx::query_scalar("SELECT note FROM audit_checkpoints WHERE id = $1")
        .bind(header.checkpoint.id)
        .fetch_optional(connection)
        .await?;
    if note.as_ref() != Some(&header.checkpoint.note) {
        return Err(of_another(store, "its checkpoint is not in audit_checkpoints"));
    }
    if header.batches > head.size {
        return Err(of_another(store, "it has batches that the last checkpoint does not cover"));
    }
    Ok((Manifest { header, files }, frontier))
}

impl Sync<'_> {
    async fn run(
        &mut self,
        head: &CheckpointHead,
        frontier: Vec<u8>,
        before: Option<&Header>,
        tell: &mut impl FnMut(&str),
    ) -> Result<(), Failure> {
        while self.frontier.size() < head.size {
            let from = self.frontier.size();
            let to = self.segment_end(from, head.size).await?;
            let lake = self.manifest.header.lake.to_string();
            let segment = segment::put(&mut self.connection, self.store, &lake, (from, to)).await?;
            segment.leaves.iter().for_each(|leaf| self.frontier.push(*leaf));
            tell(&format!("batches {from} to {to}: {}", count(segment.events, "event", "events")));
            self.synced.events += segment.events;
            self.manifest.header.events += segment.events;
            segment.files.into_iter().for_each(|file| self.add(file));
            self.manifest.header.batches = to;
            self.manifest.header.frontier = hex::encode(self.frontier.to_bytes());
            if to < head.size {
                self.commit().await?;
            }
        }
        if self.frontier.root() != head.root || self.frontier.to_bytes() != frontier {
            return Err(of_another(self.store, "its batches are not those of the last checkpoint"));
        }
        self.tables().await?;
        self.synced.cleared = self.store.clear_parts(is_name)?;
        // Before the manifest: a program that goes on from it writes files that are not in this list.
        let listed: Vec<String> = self.store.list(None).await?.into_iter().map(|file| file.path).collect();
        let has_left = !left_over(&self.manifest, &listed).is_empty();
        if before != Some(&self.manifest.header) || self.synced.has_changed || has_left {
            self.commit().await?;
        }
        self.clear(&listed).await
    }

    /// Returns where the segment ends that begins at a batch.
    async fn segment_end(&mut self, from: u64, size: u64) -> Result<u64, Failure> {
        let rows: Vec<i32> = sqlx::query_scalar(
            "SELECT b.rows FROM audit_tree t JOIN audit_batches b ON b.id = t.batch_id WHERE t.number >= $1 AND t.number < $2 \
             ORDER BY t.number LIMIT $3",
        )
        .bind(from.cast_signed())
        .bind(size.cast_signed())
        .bind(BATCHES)
        .fetch_all(&mut self.connection)
        .await?;
        let (mut events, mut batches) = (0, 0);
        for rows in rows {
            let rows = u64::from(rows.unsigned_abs());
            if batches > 0 && events + rows > self.segment {
                break;
            }
            events += rows;
            batches += 1;
        }
        if batches == 0 {
            return Err(Failure::Other(
                "a batch in the tree is gone from audit_batches; run audit-trail verify".into(),
            ));
        }
        Ok(from + batches)
    }

    fn add(&mut self, file: FileEntry) {
        self.synced.has_changed = true;
        self.synced.files += 1;
        self.synced.bytes += file.bytes;
        self.manifest.files.push(file);
    }

    /// Puts the rows of the smaller tables into the lake that it lacks.
    async fn tables(&mut self) -> Result<(), Failure> {
        let (connection, store) = (&mut self.connection, self.store);
        let lake = self.manifest.header.lake.to_string();
        let header = &mut self.manifest.header;
        let mut files = Vec::new();
        let until = header.checkpoint.id;
        if header.checkpoints < until {
            files.push(checkpoints(connection, store, &lake, (header.checkpoints, until)).await?);
            header.checkpoints = until;
        }
        if let Some((file, last)) = timestamps(connection, store, &lake, (header.timestamps, until)).await? {
            header.timestamps = last;
            files.push(file);
        }
        files.extend(prunes(connection, store, &lake, &mut header.prunes).await?);
        if let Some((file, hash)) = catalogue(connection, store, &lake, header.catalogue.as_deref()).await? {
            header.catalogue = Some(hash);
            self.manifest.files.retain(|file| file.content != Content::Catalogue);
            files.push(file);
        }
        files.into_iter().for_each(|file| self.add(file));
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        let header = &mut self.manifest.header;
        header.number = header.number.saturating_add(1);
        header.made_at = Timestamp::now().to_string();
        header.made_by = concat!("audit-trail ", env!("CARGO_PKG_VERSION")).to_owned();
        self.synced.has_changed = true;
        if self.manifest.commit(self.store, self.key).await? { Ok(()) } else { Err(taken_over(self.store)) }
    }

    /// Deletes what syncs have left over of the files that were there before the newest manifest. No
    /// other program can name these any more.
    async fn clear(&mut self, listed: &[String]) -> Result<(), Failure> {
        let left = left_over(&self.manifest, listed);
        if !left.is_empty() {
            // With the connection, the lock would be gone.
            self.connection.ping().await?;
        }
        for path in &left {
            self.store.delete(path).await?;
        }
        self.synced.cleared += left.iter().filter(|path| manifest::number(path).is_none()).count();
        Ok(())
    }
}

/// The files of a lake that its manifest neither names nor keeps.
fn left_over(manifest: &Manifest, listed: &[String]) -> Vec<String> {
    let named: HashSet<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    let is_left = |path: &&String| is_name(path) && !named.contains(path.as_str()) && !manifest.keeps(path);
    listed.iter().filter(is_left).cloned().collect()
}
