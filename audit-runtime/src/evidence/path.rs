//! The path from a leaf to the root of its tree.

use super::proof_error::{Failure, ProofError, bytes};
use crate::postgres::copy::decode;
use crate::seal::merkle::{self, Frontier, Hash};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;
use std::cell::RefCell;
use std::collections::HashMap;
use tlog_tiles::tlog::{self, HashReader, check_record, prove_record, split_stored_hash_index};

/// Where a leaf is in a tree, and the hashes from there to the root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Path {
    number: u64,
    pub(super) size: u64,
    /// Hexadecimal.
    hashes: Vec<String>,
}

impl Path {
    pub(super) fn new(number: u64, size: u64, hashes: &[Hash]) -> Self {
        Self { number, size, hashes: hashes.iter().map(|hash| hex::encode(hash.0)).collect() }
    }

    /// Returns the path in a tree whose leaves are all here.
    pub(super) fn in_tree(leaves: &[Hash], number: u64) -> Result<Self, tlog::Error> {
        struct Leaves<'a>(&'a [Hash]);
        impl HashReader for Leaves<'_> {
            fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
                let part = |index: &u64| {
                    let (begin, end) = range(*index);
                    merkle::root(self.0[begin as usize..end as usize].to_vec())
                };
                Ok(indexes.iter().map(part).collect())
            }
        }
        let size = leaves.len() as u64;
        Ok(Self::new(number, size, &prove_record(size, number, &Leaves(leaves))?))
    }

    /// Returns whether it leads from this leaf to this root.
    pub(super) fn leads(&self, leaf: Hash, root: Hash) -> Result<bool, ProofError> {
        let hash = |text: &String| {
            bytes(text)?.try_into().map(Hash).map_err(|_| ProofError::Malformed("a hash has 32 bytes".into()))
        };
        let hashes = self.hashes.iter().map(hash).collect::<Result<Vec<_>, _>>()?;
        Ok(self.number < self.size && check_record(&hashes, self.size, root, self.number, leaf).is_ok())
    }
}

/// The parts of a tree of which paths are made: it notes which are asked for, and answers with the roots
/// of those that are known.
#[derive(Default)]
pub(super) struct TreeParts {
    asked: RefCell<Vec<u64>>,
    known: HashMap<u64, Hash>,
}

impl HashReader for TreeParts {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
        self.asked.borrow_mut().extend(indexes);
        Ok(indexes.iter().map(|index| self.known.get(index).copied().unwrap_or_default()).collect())
    }
}

impl TreeParts {
    /// Parts whose roots are known, by their numbers among those that [`tlog`] knows.
    pub(super) fn knowing(known: HashMap<u64, Hash>) -> Self {
        Self { known, ..Self::default() }
    }

    /// Returns the path of a leaf in the tree of a size.
    ///
    /// # Errors
    /// The tree lacks the leaf.
    pub(super) fn path(&self, number: u64, size: u64) -> Result<Path, ProofError> {
        let hashes = prove_record(size, number, self)
            .map_err(|_| ProofError::Wrong("the tree is smaller than its checkpoint says"))?;
        Ok(Path::new(number, size, &hashes))
    }

    /// Returns the parts that were asked for.
    pub(super) fn asked(self) -> Vec<u64> {
        self.asked.into_inner()
    }
}

/// Returns which leaves a full part of a tree has, by its number among those that [`tlog`] knows.
pub(super) fn range(index: u64) -> (u64, u64) {
    let (level, number) = split_stored_hash_index(index);
    (number << level, (number + 1) << level)
}

/// Returns the path in the tree of all batches, of whose leaves each is read once and none is kept.
pub(super) async fn path_in_database(connection: &mut PgConnection, number: u64, size: u64) -> Result<Path, Failure> {
    let first = TreeParts::default();
    first.path(number, size)?;
    let mut known = HashMap::new();
    for index in first.asked() {
        let (begin, end) = range(index);
        let mut part = Frontier::default();
        let query = format!("SELECT leaf FROM audit_tree WHERE number >= {begin} AND number < {end} ORDER BY number");
        decode::rows(connection, &query, |row| {
            let leaf = row.fields().next()?.and_then(|leaf| leaf.try_into().ok()).unwrap_or_default();
            part.push(Hash(leaf));
            Ok::<_, sqlx::Error>(())
        })
        .await?;
        known.insert(index, part.root());
    }
    Ok(TreeParts::knowing(known).path(number, size)?)
}
