//! What makes a batch's rows tamper-evident: an entry for each, and one root over all.
//!
//! ```text
//! digest   SHA-256 of "audit-event 1\n" and the row: its thirteen columns from `id` to `origin`, each as a field of binary COPY
//!          (length i32 big endian, -1 for NULL; value), but `data` and `context` in their canonical form
//! entry    id [16] | digest [32]
//! leaf 0   the journal's id [16], if the batch is its first, else the root of the batch before [32]
//! leaf n   the entry of the n-th row, in the journal's order
//! root     of the tree over these leaves, as in RFC 6962
//! ```
//!
//! A row that PostgreSQL refused is a leaf like the others. A record that is no event has as its digest the SHA-256 of
//! `"audit-payload 1\n"` and its bytes, and as its id the first half of that, marked as a UUID of version 8.

use super::canonical::{Canonical, NotJson, with_length};
use super::copy_out::Row;
use super::merkle::{self, Hash, leaf_hash};
use crate::writer::copy::push_field;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// Bytes of an entry.
pub(crate) const ENTRY: usize = 16 + 32;

const ROW: &[u8] = b"audit-event 1\n";
const PAYLOAD: &[u8] = b"audit-payload 1\n";

/// Columns that are sealed: all but the last, `batch_id`, which the batch itself attests.
pub(crate) const SEALED: usize = 13;
const JSON: [usize; 2] = [5, 11];
/// What binary COPY has before the text of a `jsonb`.
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

    /// Those of a batch, from `audit_batches.leaves`; what is left over at the end is no entry.
    pub(crate) fn all(leaves: &[u8]) -> impl ExactSizeIterator<Item = Self> {
        leaves.as_chunks::<ENTRY>().0.iter().map(Self::from_bytes)
    }
}

/// The batch before: where it begins, and its root.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Link {
    pub(crate) first: u64,
    pub(crate) root: Hash,
}

/// What a batch's row in `audit_batches` says of its rows.
#[derive(Debug)]
pub(crate) struct Seal {
    /// The entries, one after another.
    pub(crate) leaves: Vec<u8>,
    pub(crate) previous: Option<Link>,
    /// Where the batches before it begin that were not stored when it was made, 8 bytes each, big endian: whoever adopts the journal
    /// has to make them again as they were.
    pub(crate) open: Vec<u8>,
    pub(crate) root: Hash,
}

impl Seal {
    pub(crate) fn new(journal_id: Uuid, previous: Option<Link>, open: &[u64], leaves: Vec<u8>) -> Self {
        let root = root(journal_id, previous.as_ref().map(|link| &link.root.0[..]), &leaves);
        let open = open.iter().flat_map(|first| first.to_be_bytes()).collect();
        Self { leaves, previous, open, root }
    }
}

/// The root of a batch; `previous` is that of the batch before, if there is one.
pub(crate) fn root(journal_id: Uuid, previous: Option<&[u8]>, leaves: &[u8]) -> Hash {
    merkle::root(tree(journal_id, previous, leaves))
}

/// The leaves of a batch's tree, hashed.
pub(crate) fn tree(journal_id: Uuid, previous: Option<&[u8]>, leaves: &[u8]) -> Vec<Hash> {
    let link = leaf_hash(previous.unwrap_or(journal_id.as_bytes()));
    std::iter::once(link).chain(leaves.chunks(ENTRY).map(leaf_hash)).collect()
}

/// Makes entries; keeps its buffers from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Sealer {
    canonical: Canonical,
    bytes: Vec<u8>,
}

impl Sealer {
    /// The entry of a record that is an event, by the row that comes of it.
    pub(crate) fn record(&mut self, id: Uuid, row: &[u8], payload: &[u8]) -> Entry {
        self.row(row).unwrap_or_else(|NotJson| payload_entry(Some(id), payload))
    }

    /// The entry of a row that PostgreSQL has.
    pub(crate) fn stored(&mut self, row: &[u8]) -> Entry {
        // What it has as jsonb is JSON. Were it not: no other row has this entry.
        self.row(row)
            .unwrap_or_else(|NotJson| payload_entry(row.get(4..20).and_then(|id| Uuid::from_slice(id).ok()), row))
    }

    /// The entry of a row in the form of binary COPY, behind the number of its fields.
    ///
    /// # Errors
    /// Its data or its context are no JSON, or these bytes no row.
    pub(crate) fn row(&mut self, row: &[u8]) -> Result<Entry, NotJson> {
        self.bytes.clear();
        self.bytes.extend_from_slice(ROW);
        let mut fields = Row(row).fields();
        let mut id = None;
        for column in 0..SEALED {
            let value = fields.next().map_err(|_| NotJson)?;
            if column == 0 {
                id = value.and_then(|value| Uuid::from_slice(value).ok());
            }
            match value {
                Some(value) if JSON.contains(&column) => {
                    let (_, text) = value.split_at_checked(JSONB_VERSION).ok_or(NotJson)?;
                    with_length(&mut self.bytes, |out| self.canonical.json(text, out))?;
                }
                value => push_field(&mut self.bytes, value),
            }
        }
        Ok(Entry { id: id.ok_or(NotJson)?, digest: Sha256::digest(&self.bytes).into() })
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
