//! A batch goes to PostgreSQL in one transaction: consecutive records of one journal.

use super::parts::WriterParts;
use crate::capture::personal;
use crate::event::{clock, ids};
use crate::journal::{Cut, Noticed, Record, RecoveredRecord};
use crate::postgres::copy::CopyRows;
use crate::privacy::SubjectKeys;
use crate::record::EventRef;
use crate::record::payload::{self, PayloadError};
use crate::seal::Seal;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Consecutive records of one journal. Once made, a batch keeps its range until it is known to be
/// stored: the range is the key by which the database knows it.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) id: Uuid,
    pub(crate) journal_id: Uuid,
    pub(crate) first: u64,
    pub(crate) end: u64,
    pub(crate) rows: Vec<Row>,
    pub(crate) bytes: usize,
    /// The times of its first and its last event, in microseconds.
    pub(crate) times: Option<(i64, i64)>,
    /// The rows as PostgreSQL gets them, once it is encoded.
    pub(crate) encoded: CopyRows,
    /// The rows of which something is to be encrypted before they are sealed.
    personal: Vec<usize>,
    /// Whether any row had values to encrypt.
    pub(super) had_personal: bool,
    /// Records that do not decode to events, which have no row.
    pub(crate) undecoded: Vec<(usize, PayloadError)>,
    /// The seal that makes its rows tamper-evident, unless sealing is off.
    pub(crate) seal: Option<Seal>,
    /// The process that recorded its events, if that is another.
    pub(crate) origin: Option<String>,
    /// The batch as it was first cut.
    pub(super) cut: Option<Cut>,
    /// The process that noticed its rows, if those are interruptions.
    pub(super) interruptions: Option<Noticed>,
}

/// A record of the live journal or of an adopted one.
#[derive(Debug)]
pub(crate) enum Row {
    Live(Record),
    Recovered(RecoveredRecord),
    /// Made by the writer itself.
    Made(Vec<u8>),
}

impl Row {
    pub(crate) fn payload(&self) -> &[u8] {
        match self {
            Self::Live(record) => record.payload(),
            Self::Recovered(record) => record.payload(),
            Self::Made(payload) => payload,
        }
    }
}

impl Batch {
    pub(super) fn new(journal_id: Uuid, first: u64) -> Self {
        let id = ids::event_id(clock::micros_now());
        Self {
            id,
            journal_id,
            first,
            end: first,
            rows: Vec::new(),
            bytes: 0,
            times: None,
            encoded: CopyRows::default(),
            personal: Vec::new(),
            had_personal: false,
            undecoded: Vec::new(),
            seal: None,
            origin: None,
            cut: None,
            interruptions: None,
        }
    }

    /// A batch that is cut again, to be what it was.
    pub(super) fn again(journal_id: Uuid, cut: Cut) -> Self {
        let origin = Some(cut.origin.clone());
        Self { id: cut.id, origin, cut: Some(cut.clone()), ..Self::new(journal_id, cut.first) }
    }

    pub(super) fn push(&mut self, row: Row, end: u64) {
        self.bytes += row.payload().len();
        if let Some(time) = payload::created_at(row.payload()) {
            let (first, last) = self.times.unwrap_or((time, time));
            self.times = Some((first.min(time), last.max(time)));
        }
        if payload::is_personal(row.payload()) {
            self.personal.push(self.rows.len());
            self.had_personal = true;
        }
        self.rows.push(row);
        self.end = end;
    }

    /// Whose data it holds, by the number of the row.
    pub(super) fn subjects(&self) -> BTreeMap<usize, String> {
        let mut json = Vec::new();
        let subject = |number: &usize| {
            let event = EventRef::decode(self.rows[*number].payload(), &mut json).ok()?;
            Some((*number, personal::subject(event.data)?))
        };
        self.personal.iter().filter_map(subject).collect()
    }

    pub(super) fn is_personal(&self) -> bool {
        !self.personal.is_empty()
    }

    /// Encrypts personal values, each by the key of its subject. Values without a key are redacted.
    pub(super) fn encrypt(&mut self, subjects: &BTreeMap<usize, String>, keys: &SubjectKeys) {
        let mut json = Vec::new();
        for number in std::mem::take(&mut self.personal) {
            let Ok(event) = EventRef::decode(self.rows[number].payload(), &mut json) else {
                continue;
            };
            let data = match subjects.get(&number).and_then(|subject| keys.of(subject)) {
                Some(key) => key.encrypt(event.id, event.data),
                None => personal::redact(event.data),
            };
            let mut bytes = Vec::with_capacity(event.data.len() + data.len());
            payload::encode(&mut bytes, &EventRef { data: &data, is_personal: false, ..event });
            self.rows[number] = Row::Made(bytes);
        }
    }

    pub(super) fn is_full(&self, parts: &WriterParts) -> bool {
        self.rows.len() >= parts.settings.batch_rows || self.bytes >= parts.settings.batch_bytes
    }
}
