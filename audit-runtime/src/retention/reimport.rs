//! Pruned rows come back from an archive.
//!
//! Each line is compared with the seal of its batch before it is inserted. Neither batches nor
//! `audit_pruned` change: a row that is there again is compared with its seal, like any other.

use super::error::ReimportError;
use super::going::Selection;
use crate::event::reserved::{PRUNED, REIMPORTED};
use crate::event::{Timestamp, clock, ids};
use crate::evidence::row::{EventRow, JsonNulls};
use crate::evidence::unbatched;
use crate::postgres::schema::ddl::{LOCK_TIMEOUT, connect_with_advisory_lock};
use crate::postgres::schema::partitions::{self, COLUMNS, LOCK};
use crate::postgres::{DatabaseError, Internal, system_event};
use crate::seal::{self, Entry, LeafForm, Sealed, Sealer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Arguments, AssertSqlSafe, Connection, Executor, Row as _};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek};
use std::path::Path;
use uuid::Uuid;

/// The most lines, and about the most bytes, of one transaction.
const LINES: usize = 5_000;
const BYTES: usize = 16 << 20;

/// The result of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReimportReport {
    /// Rows that came back, or that would come back in a dry run.
    pub rows: u64,
    /// Rows that were there already.
    pub present: u64,
    /// Lines that were refused.
    pub refused: u64,
    /// Events of prunes whose statements the rows contradict.
    pub contradicted: Vec<Uuid>,
    /// The events that report the import, one for each 5,000 lines.
    pub events: Vec<Uuid>,
}

/// The error that functions here return.
pub(crate) type Failure = Internal<ReimportError>;

impl From<ReimportError> for Failure {
    fn from(error: ReimportError) -> Self {
        Self::Own(error)
    }
}

impl From<MigrateError> for Failure {
    fn from(error: MigrateError) -> Self {
        Self::Own(DatabaseError::of_migration(error).into())
    }
}

impl From<crate::evidence::error::Failure> for Failure {
    fn from(error: crate::evidence::error::Failure) -> Self {
        match error {
            Internal::Own(error) => Self::Own(error.into()),
            Internal::Database(error) => Self::Database(error),
        }
    }
}

/// A line of an archive.
struct Line {
    number: u64,
    text: String,
    row: EventRow,
    nulls: JsonNulls,
    batch_id: Option<Uuid>,
}

/// A batch as its seal has it, and the prunes of its rows.
struct Batch {
    leaves: HashMap<Uuid, [u8; 32]>,
    form: LeafForm,
    /// The event of each prune, and the ids of its rows, or `None` for all rows.
    pruned: Vec<(Uuid, Option<Vec<u8>>)>,
}

/// An import under way.
struct Import<'a> {
    actor: &'a str,
    user: &'a str,
    archive: Value,
    is_dry_run: bool,
    report: ReimportReport,
}

/// Imports an archive as this actor, or as the role of the session, and reports lines that are refused.
pub(crate) async fn reimport(
    pool: &PgPool,
    path: &Path,
    actor: Option<&str>,
    is_dry_run: bool,
    mut tell: impl FnMut(&str),
) -> Result<ReimportReport, Failure> {
    let failed = |error: io::Error| Failure::Own(ReimportError::Archive { path: path.into(), error });
    let mut file = File::open(path).map_err(failed)?;
    let sha256 = hash(&mut file).map_err(failed)?;
    let mut connection = connect_with_advisory_lock(pool, LOCK).await?;
    connection.execute(LOCK_TIMEOUT).await?;
    let user: String = sqlx::query_scalar("SELECT session_user::text").fetch_one(&mut connection).await?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut import = Import {
        actor: actor.unwrap_or(&user),
        user: &user,
        archive: json!({"file": name, "sha256": hex::encode(sha256)}),
        is_dry_run,
        report: ReimportReport::default(),
    };
    let (mut reader, mut again, mut number, mut sealer) = (BufReader::new(file), Sha256::new(), 0, Sealer::default());
    loop {
        let (mut lines, mut bytes, mut is_end) = (Vec::new(), 0, false);
        while lines.len() < LINES && bytes < BYTES {
            let mut line = Vec::new();
            if reader.read_until(b'\n', &mut line).map_err(failed)? == 0 {
                is_end = true;
                break;
            }
            again.update(&line);
            bytes += line.len();
            number += 1;
            match read(number, line) {
                Some(line) => lines.push(line),
                None => import.refuse(number, "it is not a row of an archive", &mut tell),
            }
        }
        if is_end && again.clone().finalize()[..] != sha256 {
            return Err(failed(io::Error::other("it changed while it was read")));
        }
        import.lines(&mut connection, lines, &mut sealer, &mut tell).await?;
        if is_end {
            break;
        }
    }
    let report = import.report;
    if report.rows > 0 && !is_dry_run {
        // A month whose partition was dropped gets one again.
        partitions::make(&mut connection, &mut tell).await?;
        unbatched::seal_all(&mut connection).await?;
    }
    let _ = connection.close().await;
    Ok(report)
}

/// Returns the hash of a file, and goes back to its begin.
fn hash(file: &mut File) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut reader = BufReader::with_capacity(1 << 16, &mut *file);
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        hash.update(bytes);
        let read = bytes.len();
        reader.consume(read);
    }
    file.rewind()?;
    Ok(hash.finalize().into())
}

fn read(number: u64, line: Vec<u8>) -> Option<Line> {
    let text = String::from_utf8(line).ok()?;
    let row: EventRow = serde_json::from_str(&text).ok()?;
    Some(Line { number, nulls: JsonNulls::default(), batch_id: row.batch_id(), row, text })
}

impl Import<'_> {
    fn refuse(&mut self, number: u64, reason: &str, tell: &mut impl FnMut(&str)) {
        self.report.refused += 1;
        tell(&format!("line {number} is refused: {reason}"));
    }

    /// Imports lines in one transaction.
    async fn lines(
        &mut self,
        connection: &mut PgConnection,
        mut lines: Vec<Line>,
        sealer: &mut Sealer,
        tell: &mut impl FnMut(&str),
    ) -> Result<(), Failure> {
        let mut transaction = connection.begin().await?;
        find_late(&mut transaction, &mut lines).await?;
        let mut by_batch: BTreeMap<Uuid, Vec<Line>> = BTreeMap::new();
        for line in lines {
            match line.batch_id {
                Some(batch) => by_batch.entry(batch).or_default().push(line),
                None => self.refuse(line.number, "no batch sealed it", tell),
            }
        }
        let (mut accepted, mut prunes): (Vec<Line>, BTreeMap<Uuid, Vec<Uuid>>) = Default::default();
        for (id, lines) in by_batch {
            let batch = load(&mut transaction, id).await?;
            for mut line in lines {
                match batch.as_ref().map_err(|reason| *reason).and_then(|batch| batch.accept(&line.row, sealer)) {
                    Ok((events, nulls)) => {
                        events.into_iter().for_each(|event| prunes.entry(event).or_default().push(line.row.id()));
                        line.nulls = nulls;
                        accepted.push(line);
                    }
                    Err(reason) => self.refuse(line.number, reason, tell),
                }
            }
        }
        if accepted.is_empty() {
            return Ok(());
        }
        let texts: Vec<&str> = accepted.iter().map(|line| line.text.as_str()).collect();
        let contradicted = contradicted(&mut transaction, &texts, &prunes).await?;
        let inserted = insert(&mut transaction, &texts, &accepted).await?;
        self.report.rows += inserted;
        self.report.present += accepted.len() as u64 - inserted;
        for event in &contradicted {
            if !self.report.contradicted.contains(event) {
                self.report.contradicted.push(*event);
                tell(&format!("event {event} states that other rows were pruned: rows of the archive contradict it"));
            }
        }
        if self.is_dry_run || inserted == 0 && contradicted.is_empty() {
            return Ok(());
        }
        let event = ids::event_id(clock::micros_now());
        let data = json!({
            "rows": inserted, "archive": self.archive, "prunes": prunes.keys().collect::<Vec<_>>(), "contradicts": contradicted,
            "database_user": self.user,
        });
        system_event::record(&mut transaction, event, REIMPORTED, self.actor, &data).await?;
        transaction.commit().await?;
        self.report.events.push(event);
        Ok(())
    }
}

/// Finds the batches that sealed rows without a batch of their own.
async fn find_late(connection: &mut PgConnection, lines: &mut [Line]) -> Result<(), sqlx::Error> {
    let unbatched: Vec<Uuid> = lines.iter().filter(|line| line.batch_id.is_none()).map(|line| line.row.id()).collect();
    if unbatched.is_empty() {
        return Ok(());
    }
    let found: Vec<(Uuid, Uuid)> =
        sqlx::query_as("SELECT event_id, batch_id FROM audit_late WHERE event_id = ANY ($1) ORDER BY batch_id")
            .bind(unbatched)
            .fetch_all(connection)
            .await?;
    let found: HashMap<Uuid, Uuid> = found.into_iter().collect();
    for line in lines.iter_mut().filter(|line| line.batch_id.is_none()) {
        line.batch_id = found.get(&line.row.id()).copied();
    }
    Ok(())
}

/// Loads a batch whose seal holds, or returns why its rows are refused.
async fn load(connection: &mut PgConnection, id: Uuid) -> Result<Result<Batch, &'static str>, sqlx::Error> {
    let row = sqlx::query("SELECT journal_id, previous_root, root, leaves, leaf_form FROM audit_batches WHERE id = $1")
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(Err("its batch does not exist")) };
    let (previous, root): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.try_get(1)?, row.try_get(2)?);
    let leaves: Vec<u8> = row.try_get::<Option<_>, _>(3)?.unwrap_or_default();
    if root.as_deref() != Some(&seal::root(row.try_get(0)?, previous.as_deref(), &leaves).0[..]) {
        return Ok(Err("its batch is not what was sealed; run audit-trail verify for details"));
    }
    let pruned = sqlx::query_as("SELECT event_id, ids FROM audit_pruned WHERE batch_id = $1")
        .bind(id)
        .fetch_all(connection)
        .await?;
    let leaves = Entry::all(&leaves).map(|entry| (entry.id, entry.digest)).collect();
    Ok(Ok(Batch { leaves, form: LeafForm(row.try_get(4)?), pruned }))
}

impl Batch {
    /// Returns the events of the prunes that removed a row, and its columns with the JSON value `null`, or
    /// why the row is refused.
    fn accept(&self, row: &EventRow, sealer: &mut Sealer) -> Result<(Vec<Uuid>, JsonNulls), &'static str> {
        let digest = *self.leaves.get(&row.id()).ok_or("its batch was sealed without it")?;
        let is_sealed = |sealed: &Sealed| sealed.entry.digest == digest && self.form.allows(sealed.form);
        let (sealed, nulls) = row.sealed_entry(sealer, is_sealed).map_err(|_| "it is not a row of an archive")?;
        if !is_sealed(&sealed) {
            return Err("it is not what was sealed");
        }
        let id = row.id().into_bytes();
        let names = |ids: &Option<Vec<u8>>| ids.as_deref().is_none_or(|ids| ids.as_chunks().0.contains(&id));
        let events: Vec<Uuid> = self.pruned.iter().filter(|(_, ids)| names(ids)).map(|(event, _)| *event).collect();
        // If it is there, it is left. If it is not, somebody else removed it, and that is not to be hidden.
        if events.is_empty() { Err("no prune removed it") } else { Ok((events, nulls)) }
    }
}

/// Rows of a statement's first parameter, as JSON.
const ROWS: &str =
    "unnest($7::text[]) AS t (line), LATERAL json_populate_record(NULL::audit_events, t.line::json) AS e";

/// Inserts the rows that are not there, and returns how many.
async fn insert(connection: &mut PgConnection, texts: &[&str], lines: &[Line]) -> Result<u64, sqlx::Error> {
    // JSON's null is a value of the column `data`, and of others if it was sealed.
    let values = COLUMNS.split(", ").map(|column| match column.trim() {
        "data" => "coalesce(e.data, 'null')".to_owned(),
        "context" => "CASE WHEN t.context THEN 'null' ELSE e.context END".to_owned(),
        "targets" => "CASE WHEN t.targets THEN 'null' ELSE e.targets END".to_owned(),
        column => format!("e.{column}"),
    });
    let sql = format!(
        "INSERT INTO audit_events ({COLUMNS}) SELECT {} FROM unnest($1::text[], $2::bool[], $3::bool[]) AS t (line, context, targets), \
         LATERAL json_populate_record(NULL::audit_events, t.line::json) AS e ON CONFLICT DO NOTHING",
        values.collect::<Vec<_>>().join(", "),
    );
    let nulls = |of: fn(JsonNulls) -> bool| lines.iter().map(|line| of(line.nulls)).collect::<Vec<_>>();
    let query = sqlx::query(AssertSqlSafe(sql)).bind(texts);
    let query = query.bind(nulls(|nulls| nulls.context)).bind(nulls(|nulls| nulls.targets));
    Ok(query.execute(connection).await?.rows_affected())
}

/// Returns the events of prunes that state an interval or a filter to which one of their rows does not
/// belong.
async fn contradicted(
    connection: &mut PgConnection,
    lines: &[&str],
    prunes: &BTreeMap<Uuid, Vec<Uuid>>,
) -> Result<BTreeSet<Uuid>, sqlx::Error> {
    let events: Vec<(Uuid, Value)> =
        sqlx::query_as("SELECT id, data FROM audit_events WHERE event_type = $1 AND id = ANY ($2)")
            .bind(PRUNED)
            .bind(prunes.keys().collect::<Vec<_>>())
            .fetch_all(&mut *connection)
            .await?;
    // A writer could add an event of the same id. Verification reports that, and here one that fits is enough.
    let (mut contradicted, mut confirmed) = (BTreeSet::new(), BTreeSet::new());
    for (event, data) in events {
        let time = |name: &str| data[name].as_str().and_then(|text| text.parse::<Timestamp>().ok());
        // Verification reports an event without its interval.
        let (Some(begin), Some(end)) = (time("from"), time("to")) else { continue };
        let selection = Selection::stated(data.get("filter"), &data["except"], end);
        let mut arguments = selection.arguments()?;
        let mut add = || {
            arguments.add(lines)?;
            arguments.add(begin)?;
            arguments.add(&prunes[&event])
        };
        add().map_err(sqlx::Error::Encode)?;
        let sql = format!(
            "SELECT EXISTS (SELECT FROM {ROWS} WHERE e.id = ANY ($9) AND NOT (e.created_at >= $8 AND {}))",
            Selection::selects()
        );
        let is_contradicted =
            sqlx::query_scalar_with(AssertSqlSafe(sql), arguments).fetch_one(&mut *connection).await?;
        if is_contradicted {
            contradicted.insert(event)
        } else {
            confirmed.insert(event)
        };
    }
    Ok(&contradicted - &confirmed)
}
