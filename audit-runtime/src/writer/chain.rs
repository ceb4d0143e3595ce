//! The batches of a journal, each sealed behind the one before.

use super::batch::{Batch, Row};
use super::blocking::on_a_thread;
use super::parts::Settings;
use crate::journal::{Cut, CutLog};
use crate::postgres::copy::{Columns, CopyRows};
use crate::privacy::encode_keys;
use crate::record::{EventRef, payload};
use crate::seal::merkle::Hash;
use crate::seal::{self, Entry, LeafForm, Link, Seal, Sealer};

/// The batches of a journal, each sealed behind the one before.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    sealer: Sealer,
    /// The last batch.
    pub(super) last: Option<Link>,
    /// The positions at which batches begin that are not stored yet.
    open: Vec<u64>,
    /// Buffers of encoded rows and leaves, for the next batch. They are megabytes, which the system
    /// would otherwise allocate and free each time.
    spare: Vec<(CopyRows, Vec<u8>)>,
    /// The log of its batches.
    cuts: Option<CutLog>,
    /// A failure to write the log was reported.
    is_reported: bool,
    /// The positions at which the stored batches begin that hold records of a journal that is
    /// adopted.
    pub(super) shipped: Option<Vec<u64>>,
}

impl Chain {
    /// The chain of a journal whose batches are noted in a log, if there is one.
    pub(super) fn noted_in(cuts: Option<CutLog>) -> Self {
        Self { cuts, ..Self::default() }
    }

    /// The chain behind a batch that is stored.
    pub(crate) fn behind(last: Option<Link>) -> Self {
        Self { last, ..Self::default() }
    }

    /// The chain of a journal that is adopted, of which batches are stored already.
    pub(super) fn of_orphan(cuts: CutLog, stored: Vec<u64>) -> Self {
        Self { cuts: Some(cuts), shipped: Some(stored), ..Self::default() }
    }

    /// Has the disk hold the note of a batch. A disk that fails is reported by those who sync the
    /// journal, and holds up nothing. It does not borrow the chain while it waits.
    pub(super) fn sync_note(&self, first: u64) -> impl Future<Output = ()> + use<> {
        let noted = self.cuts.as_ref().map(|log| log.noted(first));
        async move {
            if let Some(noted) = noted {
                let _ = on_a_thread(move || noted.sync()).await;
            }
        }
    }

    /// A batch is stored.
    pub(crate) fn stored(&mut self, first: u64) {
        self.open.retain(|open| *open != first);
        if let Some(shipped) = &mut self.shipped {
            shipped.push(first);
        }
    }

    /// Keeps the buffers of a batch for the next one.
    pub(super) fn recycle(&mut self, batch: Batch) {
        let mut leaves = batch.seal.map(|seal| seal.leaves).unwrap_or_default();
        leaves.clear();
        self.spare.push((batch.encoded.cleared(), leaves));
    }
}

impl Batch {
    /// Encodes its rows, now that it is complete, and seals them behind the batch before.
    pub(crate) fn close(&mut self, settings: &Settings, chain: &mut Chain) {
        let (encoded, mut leaves) = chain.spare.pop().unwrap_or_default();
        let has_further = self.rows.iter().any(|row| payload::has_further(row.payload()));
        let columns = if has_further { Columns::All } else { Columns::First };
        self.encoded = encoded.with(columns);
        let mut json = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            let payload = row.payload();
            let entry = match EventRef::decode(payload, &mut json) {
                Ok(event) => {
                    if self.origin.is_none() && matches!(row, Row::Recovered(_)) {
                        self.origin = Some(event.origin.into());
                    }
                    let row = self.encoded.row(&event, self.id);
                    settings.seal.then(|| chain.sealer.record(event.id, row, columns, payload))
                }
                Err(error) => {
                    self.encoded.none();
                    self.undecoded.push((number, error));
                    settings.seal.then(|| seal::payload_entry(None, payload))
                }
            };
            leaves.extend(entry.into_iter().flat_map(Entry::to_bytes));
        }
        if let Some(cut) = &self.cut {
            chain.last = cut.previous.map(|(first, root)| Link { first, root: Hash(root) });
        }
        let open = self.cut.as_ref().map_or(&chain.open, |cut| &cut.open);
        let form = LeafForm::of(columns);
        self.seal = settings.seal.then(|| Seal::new(self.journal_id, chain.last, open, leaves, form));
        self.note(settings, chain);
        chain.open.push(self.first);
        chain.last = self.seal.as_ref().map(|seal| Link { first: self.first, root: seal.root });
    }

    /// Notes the batch in the cut log, or compares it with what was noted.
    fn note(&mut self, settings: &Settings, chain: &mut Chain) {
        let root = self.seal.as_ref().map(|seal| seal.root.0);
        if let Some(cut) = &self.cut {
            if cut.root.is_some() && root.is_some() && cut.root != root {
                tracing::error!(
                    journal = %self.journal_id, first = self.first, end = self.end,
                    "a batch that is cut again differs from what it was; some of its records are damaged or lost"
                );
            }
            return;
        }
        let cut = Cut {
            first: self.first,
            end: self.end,
            id: self.id,
            origin: self.origin.clone().unwrap_or_else(|| settings.origin.clone()),
            root,
            previous: chain.last.map(|link| (link.first, link.root.0)),
            open: chain.open.clone(),
            interruptions: self.interruptions,
            keys: if self.keys.is_empty() { Vec::new() } else { encode_keys(&self.keys) },
        };
        // Without a note, an adopter depends on PostgreSQL alone to find where its batches begin.
        if let Some(log) = &mut chain.cuts
            && let Err(error) = log.append(&cut)
            && !std::mem::replace(&mut chain.is_reported, true)
        {
            tracing::warn!(journal = %self.journal_id, %error, "the cut log cannot be written; free some space, or check the directory's permissions");
        }
        self.cut = Some(cut);
    }
}
