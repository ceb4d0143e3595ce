//! A batch goes to PostgreSQL in one transaction: consecutive records of one journal.

use super::parts::Settings;
use crate::event::{clock, ids};
use crate::journal::{Cut, Noticed, Record, RecoveredRecord};
use crate::postgres::copy::CopyRows;
use crate::privacy::{self, MasterKey, SubjectKeys, WrappedKey, split_keys};
use crate::record::EventRef;
use crate::record::payload::{self, PayloadError};
use crate::seal::Seal;
use std::collections::BTreeSet;
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
    /// The keys that have encrypted its personal values.
    pub(super) keys: Vec<WrappedKey>,
    /// Records that do not decode to events, which have no row.
    pub(crate) undecoded: Vec<(usize, PayloadError)>,
    /// The seal that makes its rows tamper-evident, unless sealing is off.
    pub(crate) seal: Option<Seal>,
    /// The process that recorded its events, if that is another.
    pub(crate) origin: Option<String>,
    /// The batch as it was first cut.
    pub(crate) cut: Option<Cut>,
    /// The process that noticed its rows, if those are interruptions.
    pub(crate) interruptions: Option<Noticed>,
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
            keys: Vec::new(),
            undecoded: Vec::new(),
            seal: None,
            origin: None,
            cut: None,
            interruptions: None,
        }
    }

    /// A batch that is cut again, to be what it was.
    pub(crate) fn again(journal_id: Uuid, cut: Cut) -> Self {
        let origin = Some(cut.origin.clone());
        Self { id: cut.id, origin, cut: Some(cut.clone()), ..Self::new(journal_id, cut.first) }
    }

    pub(crate) fn push(&mut self, row: Row, end: u64) {
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

    /// Whose data it holds.
    pub(super) fn subjects(&self) -> BTreeSet<String> {
        let (mut json, mut subjects) = (Vec::new(), BTreeSet::new());
        for number in &self.personal {
            if let Ok(event) = EventRef::decode(self.rows[*number].payload(), &mut json) {
                privacy::subjects(&event, &mut subjects);
            }
        }
        subjects
    }

    /// Returns the keys that had encrypted its personal values when it was cut, as far as they are noted
    /// and this master key unwraps them.
    pub(super) fn noted_keys(&self, master: &MasterKey) -> SubjectKeys {
        let noted = self.cut.as_ref().and_then(|cut| split_keys(&cut.keys));
        noted.map(|(keys, _)| SubjectKeys::unwrapped(master, keys)).unwrap_or_default()
    }

    pub(super) fn is_personal(&self) -> bool {
        !self.personal.is_empty()
    }

    /// Encrypts personal values, each by the key of its subject. Values without a key are redacted.
    ///
    /// It returns the number of events with a subject whose own key cannot be unwrapped.
    pub(crate) fn encrypt(&mut self, keys: &SubjectKeys) -> u64 {
        self.keys = keys.wrapped().to_vec();
        let (mut json, mut rekeyed) = (Vec::new(), 0);
        for number in std::mem::take(&mut self.personal) {
            let Ok(event) = EventRef::decode(self.rows[number].payload(), &mut json) else {
                continue;
            };
            let mut bytes = Vec::new();
            rekeyed += u64::from(privacy::encrypt(&event, keys, &mut bytes));
            self.rows[number] = Row::Made(bytes);
        }
        rekeyed
    }

    pub(super) fn is_full(&self, settings: &Settings) -> bool {
        self.rows.len() >= settings.batch_rows || self.bytes >= settings.batch_bytes
    }
}
