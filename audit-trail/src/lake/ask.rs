//! Questions that a lake answers: files and row groups that cannot have an answer are not read.

use super::event::{Row, Sealed, column};
use super::manifest::{Content, FileEntry, Manifest};
use super::read::{Reader, Source};
use super::store::Store;
use super::table::EVENTS;
use super::unreadable;
use crate::failure::Failure;
use ::parquet::errors::{ParquetError, Result as ParquetResult};
use ::parquet::file::statistics::Statistics;
use audit_runtime::trail::{EventFilter, IntentState, Needed, TrailEvent};
use audit_runtime::{Outcome, Timestamp};
use futures_util::{StreamExt, stream};
use std::fmt;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use uuid::Uuid;

/// Files that are read at once.
const AT_ONCE: usize = 8;

/// The events of a lake.
#[derive(Debug)]
pub(crate) struct LakeEvents {
    store: Store,
    manifest: Manifest,
}

impl fmt::Display for LakeEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

/// A question: the events that match one of the filters, the first or the last so many.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) any: Vec<EventFilter>,
    /// The newest ones, and not the oldest.
    pub(crate) newest: bool,
    pub(crate) most: usize,
}

/// A row of the lake, as proofs contain it.
#[derive(Debug)]
pub(super) struct FoundRow {
    pub(super) json: String,
    pub(super) sealed: Sealed,
}

impl LakeEvents {
    pub(crate) async fn open(lake: &str) -> Result<Self, Failure> {
        let store = Store::open(lake, None, false)?;
        let found = Manifest::newest(&store).await?;
        let found = found.ok_or_else(|| Failure::Nothing(format!("{store} is no lake: it has no manifest")))?;
        Ok(Self { store, manifest: found.manifest })
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn files(&self, content: Content) -> impl Iterator<Item = &FileEntry> {
        self.manifest.files.iter().filter(move |file| file.content == content)
    }

    /// Returns the segment that has a batch.
    pub(super) fn segment_of(&self, batch: u64) -> Result<(u64, u64), Failure> {
        let mut ranges = self.files(Content::Batches).filter_map(|file| file.batches);
        ranges.find(|(from, to)| (*from..*to).contains(&batch)).ok_or_else(|| {
            Failure::Other(format!("{self}: no file has batch number {batch}; run audit-trail verify --lake {self}"))
        })
    }

    fn source(&self, file: &FileEntry) -> Source {
        Source::remote(&self.store, &file.path, file.bytes, Handle::current())
    }

    /// Returns the events that answer a question, in their order.
    pub(crate) async fn ask(&self, question: &Question) -> Result<Vec<TrailEvent>, Failure> {
        let needed: Vec<Needed> = question.any.iter().map(EventFilter::needed).collect();
        let may = |file: &&FileEntry| needed.iter().any(|needed| may_have(file, needed));
        let time = |text: &str| text.parse::<Timestamp>().unwrap_or(Timestamp::INFINITY);
        let times = |file: &FileEntry| file.times.as_ref().map(|(first, last)| (time(first), time(last)));
        let mut files: Vec<(&FileEntry, (Timestamp, Timestamp))> = self
            .files(Content::Events)
            .filter(may)
            .map(|file| (file, times(file).unwrap_or((Timestamp::NEG_INFINITY, Timestamp::INFINITY))))
            .collect();
        if question.newest {
            files.sort_by_key(|(_, (_, last))| std::cmp::Reverse(*last));
        } else {
            files.sort_by_key(|(_, (first, _))| *first);
        }
        let read = |(file, times): (&FileEntry, (Timestamp, Timestamp))| {
            let (source, question, path) = (self.source(file), question.clone(), file.path.clone());
            async move {
                let read = spawn_blocking(move || read(source, &question)).await;
                let read = read.unwrap_or_else(|error| Err(ParquetError::General(error.to_string())));
                read.map(|events| (events, times)).map_err(|error| unreadable(&self.store, &path, &error))
            }
        };
        let mut answers = stream::iter(files).map(read).buffered(AT_ONCE);
        let mut events: Vec<TrailEvent> = Vec::new();
        while let Some(answer) = answers.next().await {
            let (found, (first, last)) = answer?;
            // Files come in the order of their times: what this one begins with, no later one precedes.
            let is_enough = events.len() >= question.most
                && if question.newest {
                    events.first().is_some_and(|event| event.created_at > last)
                } else {
                    events.last().is_some_and(|event| event.created_at < first)
                };
            if is_enough {
                break;
            }
            events.extend(found);
            in_order(&mut events);
            cut(&mut events, question);
        }
        Ok(events)
    }

    /// Sets the states of intents, whose completions began in the same moment.
    pub(crate) async fn mark_intents(&self, events: &mut [TrailEvent]) -> Result<(), Failure> {
        for at in 0..events.len() {
            let event = &events[at];
            if event.outcome != Outcome::Started || event.intent.is_some() {
                continue;
            }
            let is_completion =
                |other: &&TrailEvent| other.causation_id == Some(event.id) && other.created_at == event.created_at;
            let mut completion = events.iter().find(is_completion).map(|other| other.outcome);
            if completion.is_none() {
                let until = event.created_at.saturating_add(Duration::from_micros(1));
                let filter = EventFilter::new().causation(event.id).since(event.created_at).until(until);
                let question = Question { any: vec![filter], newest: false, most: 1 };
                completion = self.ask(&question).await?.first().map(|other| other.outcome);
            }
            events[at].intent = Some(match completion {
                None => IntentState::InFlight,
                Some(Outcome::Interrupted) => IntentState::Interrupted,
                Some(_) => IntentState::Completed,
            });
        }
        Ok(())
    }

    /// Returns the row of an event, of the first batch that has it.
    pub(super) async fn row(&self, id: Uuid) -> Result<Option<FoundRow>, Failure> {
        let needed = EventFilter::new().id(id).needed();
        let mut found: Option<FoundRow> = None;
        for file in self.files(Content::Events).filter(|file| may_have(file, &needed)) {
            let source = self.source(file);
            let text = id.to_string();
            let read = spawn_blocking(move || {
                let reader = Reader::new(EVENTS, source)?;
                let mut rows = Vec::new();
                each_row(
                    &reader,
                    |reader, group| reader.may_have(group, column::ID, std::slice::from_ref(&text)),
                    |row| {
                        if row.text(column::ID) == Some(&text) {
                            rows.push(FoundRow { json: row.as_json()?, sealed: row.sealed()? });
                        }
                        Ok(())
                    },
                )?;
                Ok(rows)
            });
            let rows: ParquetResult<Vec<FoundRow>> =
                read.await.unwrap_or_else(|error| Err(ParquetError::General(error.to_string())));
            let rows = rows.map_err(|error| unreadable(&self.store, &file.path, &error))?;
            let first = rows.into_iter().chain(found).min_by_key(|row| row.sealed.batch_id);
            found = first;
        }
        Ok(found)
    }
}

/// In the order of time, each once; of equal ones the first.
pub(crate) fn in_order(events: &mut Vec<TrailEvent>) {
    events.sort_by_key(|event| (event.created_at, event.id));
    events.dedup_by_key(|event| (event.created_at, event.id));
}

fn cut(events: &mut Vec<TrailEvent>, question: &Question) {
    let more = events.len().saturating_sub(question.most);
    if question.newest {
        events.drain(..more);
    } else {
        events.truncate(question.most);
    }
}

/// Whether a file may have an event that a filter needs.
fn may_have(file: &FileEntry, needed: &Needed) -> bool {
    let id = needed.id.zip(file.ids).is_none_or(|(id, (least, greatest))| (least..=greatest).contains(&id));
    id && file.overlaps(needed.since, needed.until)
}

/// Whether a row group may have one, by its times and its Bloom filters.
fn group_may_have(reader: &Reader, group: usize, needed: &Needed) -> ParquetResult<bool> {
    let meta = reader.group(group).column(column::CREATED_AT);
    if let Some(Statistics::Int64(times)) = meta.statistics()
        && times.null_count_opt() == Some(0)
        && let (Some(min), Some(max)) = (times.min_opt(), times.max_opt())
    {
        let (first, last) = (Timestamp::from_unix_micros(*min), Timestamp::from_unix_micros(*max));
        if needed.since.is_some_and(|since| last < since) || needed.until.is_some_and(|until| first >= until) {
            return Ok(false);
        }
    }
    let text = |id: &Uuid| id.to_string();
    let mut sought: Vec<(usize, Vec<String>)> = Vec::new();
    sought.extend(needed.id.iter().map(|id| (column::ID, vec![text(id)])));
    sought.extend(needed.correlation.iter().map(|id| (column::CORRELATION, vec![text(id)])));
    sought.extend(needed.entities.iter().map(|ids| (column::ENTITY_IDS, ids.iter().map(text).collect())));
    for (column, texts) in &sought {
        if !reader.may_have(group, *column, texts)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn each_row(
    reader: &Reader,
    may: impl Fn(&Reader, usize) -> ParquetResult<bool>,
    mut each: impl FnMut(Row<'_>) -> ParquetResult<()>,
) -> ParquetResult<()> {
    for group in 0..reader.groups() {
        if !may(reader, group)? {
            continue;
        }
        let mut rows = reader.rows(group, None)?;
        while let Some(chunk) = rows.next()? {
            (0..chunk.rows).try_for_each(|row| each(Row::new(&chunk, row)))?;
        }
    }
    Ok(())
}

/// Reads the events of a file that answer a question.
fn read(source: Source, question: &Question) -> ParquetResult<Vec<TrailEvent>> {
    let reader = Reader::new(EVENTS, source)?;
    let needed: Vec<Needed> = question.any.iter().map(EventFilter::needed).collect();
    let may = |reader: &Reader, group| {
        for needed in &needed {
            if group_may_have(reader, group, needed)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let mut events = Vec::new();
    each_row(&reader, may, |row| {
        let is_needed = |needed: &Needed| {
            let is = |column, id: Option<Uuid>| id.is_none_or(|id| row.text(column) == Some(&id.to_string()));
            is(column::ID, needed.id) && is(column::CORRELATION, needed.correlation) && row.concerns(&needed.entities)
        };
        if needed.iter().any(is_needed) {
            let event = row.event()?;
            if question.any.iter().any(|filter| filter.matches(&event)) {
                events.push(event);
                // A file may have far more than are asked for.
                if events.len() > question.most.saturating_mul(2) {
                    in_order(&mut events);
                    cut(&mut events, question);
                }
            }
        }
        Ok(())
    })?;
    in_order(&mut events);
    cut(&mut events, question);
    Ok(events)
}
