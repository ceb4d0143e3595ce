//! The seal of a batch, which makes its rows tamper-evident: an entry for each, and one root over
//! all.
//!
//! ```text
//! digest   SHA-256 of "audit-event 1\n" and the row: its thirteen columns from `id` to `origin`, each as a field of binary COPY
//!          (length i32 big endian, -1 for NULL; value), but `data` and `context` in their canonical form
//! form 2   of a row with `entity_key`, `targets` or `tenant`: SHA-256 of "audit-event 2\n", the same and these three
//! entry    id [16] | digest [32]
//! leaf 0   the journal's id [16], if the batch is its first, else the root of the batch before [32]
//! leaf n   the entry of the n-th row, in the journal's order
//! root     of the tree over these leaves, as in RFC 6962
//! ```
//!
//! A batch states the form of its leaves: 2 if a row in it has one of those columns, else 1. Every
//! other row has the same digest in both.
//!
//! A row that PostgreSQL refused is a leaf like the others. A record that does not decode as an
//! event has the digest SHA-256 of `"audit-payload 1\n"` and its bytes. Its id is the first half of
//! that, marked as a UUID of version 8.

use super::canonical::{Canonical, NotJson, with_length};
use super::merkle::{self, Hash, leaf_hash};
use crate::postgres::copy::{Columns, Row, push_field};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// Bytes of an entry.
pub(crate) const ENTRY: usize = 16 + 32;

const ROW: &[u8] = b"audit-event 1\n";
const ROW_2: &[u8] = b"audit-event 2\n";
const PAYLOAD: &[u8] = b"audit-payload 1\n";

/// Columns that are sealed in every form.
const FIRST: usize = 13;
/// Columns that are sealed: all but the last, `batch_id`, which the batch itself attests.
pub(crate) const SEALED: usize = 16;
const JSON: [usize; 3] = [5, 11, 14];
/// The bytes that binary COPY writes before the text of a `jsonb`.
const JSONB_VERSION: usize = 1;

/// One row's id and digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) id: Uuid,
    pub(crate) digest: [u8; 32],
}

impl Entry {
    pub(crate) fn to_bytes(self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        bytes[..16].copy_from_slice(self.id.as_bytes());
        bytes[16..].copy_from_slice(&self.digest);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; ENTRY]) -> Self {
        let (mut id, mut digest) = ([0; 16], [0; 32]);
        id.copy_from_slice(&bytes[..16]);
        digest.copy_from_slice(&bytes[16..]);
        Self { id: Uuid::from_bytes(id), digest }
    }

    /// Those of a batch, from `audit_batches.leaves`. A rest at the end is ignored.
    pub(crate) fn all(leaves: &[u8]) -> impl ExactSizeIterator<Item = Self> {
        leaves.as_chunks::<ENTRY>().0.iter().map(Self::from_bytes)
    }
}

/// The form of a batch's leaves. Those of a later one are not known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LeafForm(pub(crate) i16);

impl LeafForm {
    /// No row of the batch has a column of version 6.
    pub(crate) const FIRST: Self = Self(1);
    /// At least one has.
    pub(crate) const SECOND: Self = Self(2);

    pub(crate) fn of(columns: Columns) -> Self {
        match columns {
            Columns::First => Self::FIRST,
            Columns::All => Self::SECOND,
        }
    }

    /// Whether this program knows the form.
    #[cfg(feature = "evidence")]
    pub(crate) fn is_known(self) -> bool {
        self == Self::FIRST || self == Self::SECOND
    }

    /// Whether the form is known, and a row of such a form may be in a batch of it.
    #[cfg(feature = "evidence")]
    pub(crate) fn allows(self, row: Self) -> bool {
        self.is_known() && row <= self
    }
}

/// A row's entry, and the form that a batch with it has at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) entry: Entry,
    pub(crate) form: LeafForm,
}

/// The batch before: where it begins, and its root.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Link {
    pub(crate) first: u64,
    pub(crate) root: Hash,
}

/// The seal of a batch, as its row in `audit_batches` stores it.
#[derive(Debug)]
pub(crate) struct Seal {
    /// The entries, one after another.
    pub(crate) leaves: Vec<u8>,
    pub(crate) previous: Option<Link>,
    /// The positions at which the batches before it begin that were not stored when it was made.
    /// They are 8 bytes each, big endian. An adopter of the journal must make these batches again
    /// as they were.
    pub(crate) open: Vec<u8>,
    pub(crate) root: Hash,
    pub(crate) form: LeafForm,
}

impl Seal {
    pub(crate) fn new(journal_id: Uuid, previous: Option<Link>, open: &[u64], leaves: Vec<u8>, form: LeafForm) -> Self {
        let root = root(journal_id, previous.as_ref().map(|link| &link.root.0[..]), &leaves);
        let open = open.iter().flat_map(|first| first.to_be_bytes()).collect();
        Self { leaves, previous, open, root, form }
    }
}

/// The root of a batch, where `previous` is that of the batch before, if any.
pub(crate) fn root(journal_id: Uuid, previous: Option<&[u8]>, leaves: &[u8]) -> Hash {
    merkle::root(tree(journal_id, previous, leaves))
}

/// The leaves of a batch's tree, hashed.
pub(crate) fn tree(journal_id: Uuid, previous: Option<&[u8]>, leaves: &[u8]) -> Vec<Hash> {
    let link = leaf_hash(previous.unwrap_or(journal_id.as_bytes()));
    std::iter::once(link).chain(leaves.chunks(ENTRY).map(leaf_hash)).collect()
}

/// Makes entries, and keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Sealer {
    canonical: Canonical,
    bytes: Vec<u8>,
}

impl Sealer {
    /// The entry of a record that is an event, by the row that comes of it, with these columns.
    pub(crate) fn record(&mut self, id: Uuid, row: &[u8], columns: Columns, payload: &[u8]) -> Entry {
        let row = self.row(row, columns).map(|sealed| sealed.entry);
        row.unwrap_or_else(|NotJson| payload_entry(Some(id), payload))
    }

    #[cfg(feature = "evidence")]
    /// The entry of a row that PostgreSQL has, with all of its columns.
    pub(crate) fn stored(&mut self, row: &[u8]) -> Sealed {
        // PostgreSQL's `jsonb` always is JSON. If it were not, the entry would still be unique to
        // this row.
        self.row(row, Columns::All).unwrap_or_else(|NotJson| {
            let id = row.get(4..20).and_then(|id| Uuid::from_slice(id).ok());
            Sealed { entry: payload_entry(id, row), form: LeafForm::FIRST }
        })
    }

    /// The entry of a row in the form of binary COPY, behind the number of its fields.
    ///
    /// # Errors
    /// Its data or its context are invalid JSON, or these bytes are not a row.
    pub(crate) fn row(&mut self, row: &[u8], columns: Columns) -> Result<Sealed, NotJson> {
        self.bytes.clear();
        self.bytes.extend_from_slice(ROW);
        let mut fields = Row(row).fields();
        let mut id = None;
        let mut form = LeafForm::FIRST;
        let all = if columns == Columns::All { SEALED } else { FIRST };
        let mut first = 0;
        for column in 0..all {
            if column == FIRST {
                first = self.bytes.len();
            }
            let value = fields.next().map_err(|_| NotJson)?;
            if column == 0 {
                id = value.and_then(|value| Uuid::from_slice(value).ok());
            } else if column >= FIRST && value.is_some() {
                form = LeafForm::SECOND;
            }
            match value {
                Some(value) if JSON.contains(&column) => {
                    let (_, text) = value.split_at_checked(JSONB_VERSION).ok_or(NotJson)?;
                    with_length(&mut self.bytes, |out| self.canonical.json(text, out))?;
                }
                value => push_field(&mut self.bytes, value),
            }
        }
        if form == LeafForm::SECOND {
            self.bytes[..ROW_2.len()].copy_from_slice(ROW_2);
        } else if columns == Columns::All {
            self.bytes.truncate(first);
        }
        Ok(Sealed { entry: Entry { id: id.ok_or(NotJson)?, digest: Sha256::digest(&self.bytes).into() }, form })
    }
}

/// The entry of a record that cannot be a row.
pub(crate) fn payload_entry(id: Option<Uuid>, payload: &[u8]) -> Entry {
    let digest: [u8; 32] = Sha256::new().chain_update(PAYLOAD).chain_update(payload).finalize().into();
    let id = id.unwrap_or_else(|| {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Builder::from_custom_bytes(bytes).into_uuid()
    });
    Entry { id, digest }
}
