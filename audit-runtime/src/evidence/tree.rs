//! The tree of all batches in memory, from which paths are read without the database.

use super::key::{KeyError, PublicKey};
use super::keyring::{Keyring, Rotations};
use crate::postgres::copy::decode;
use crate::seal::merkle::Hash;
use sqlx::postgres::PgConnection;
use tlog_tiles::tlog::{self, HashReader, stored_hashes_for_record_hash};

/// Holds the hashes of the tree of all batches, 64 bytes for each batch, and the checkpoints that
/// exchange the log's key.
///
/// A program that examines many events keeps one, and
/// [extends](crate::admin::Admin::extend_tree) it as the tree grows.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    size: u64,
    hashes: Vec<Hash>,
    rotations: Rotations,
}

impl Tree {
    /// Creates a tree without batches.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of its batches.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.size
    }

    /// Verifies that this key signed a checkpoint, or one of the keys to which exchanges lead from it,
    /// and returns the number of batches it covers.
    ///
    /// # Errors
    /// The text is not a checkpoint, another key signed it, or it was changed. Or the key was not in
    /// force then.
    pub fn signed(&self, key: &PublicKey, note: &str) -> Result<u64, KeyError> {
        self.keyring(key).open(note).map(|head| head.size)
    }

    pub(super) fn keyring(&self, key: &PublicKey) -> Keyring {
        self.rotations.keyring(std::slice::from_ref(key))
    }

    /// Returns the checkpoints of a log that exchange its key.
    pub(super) fn rotations(&self, name: &str) -> Vec<String> {
        self.rotations.notes(name).map(str::to_owned).collect()
    }

    fn push(&mut self, leaf: Hash) -> Result<(), tlog::Error> {
        let hashes = stored_hashes_for_record_hash(self.size, leaf, &*self)?;
        self.hashes.extend(hashes);
        self.size += 1;
        Ok(())
    }
}

impl HashReader for Tree {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
        let hash = |index: &u64| usize::try_from(*index).ok().and_then(|index| self.hashes.get(index)).copied();
        // A hash that is missing leads to another root, and the path is refused.
        Ok(indexes.iter().map(|index| hash(index).unwrap_or_default()).collect())
    }
}

/// Adds the batches that the table has beyond those of the tree, up to the first number that is
/// missing, and the exchanges of keys, and returns how many batches there were.
pub(crate) async fn extend(connection: &mut PgConnection, tree: &mut Tree) -> Result<u64, sqlx::Error> {
    let before = tree.size;
    let query = format!("SELECT number, leaf FROM audit_tree WHERE number >= {before} ORDER BY number");
    let mut is_whole = true;
    decode::rows(connection, &query, |row| {
        let mut fields = row.fields();
        let (number, leaf) = (fields.i64()?, fields.next()?);
        is_whole &= number.cast_unsigned() == tree.size;
        if is_whole {
            let leaf = Hash(leaf.and_then(|leaf| leaf.try_into().ok()).unwrap_or_default());
            tree.push(leaf).map_err(|error| sqlx::Error::Protocol(format!("{error:?}")))?;
        }
        Ok::<_, sqlx::Error>(())
    })
    .await?;
    tree.rotations.extend(connection).await?;
    Ok(tree.size - before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::merkle::{Frontier, leaf_hash};
    use tlog_tiles::tlog::{check_record, prove_record};

    #[test]
    fn every_path_of_every_size_leads_to_the_root_of_that_size() {
        let (mut tree, mut frontier) = (Tree::new(), Frontier::default());
        let mut roots = Vec::new();
        for number in 0..40_u64 {
            let leaf = leaf_hash(&number.to_be_bytes());
            tree.push(leaf).unwrap();
            frontier.push(leaf);
            roots.push(frontier.root());
        }
        for size in 1..=40_u64 {
            for number in 0..size {
                let path = prove_record(size, number, &tree).unwrap();
                let leaf = leaf_hash(&number.to_be_bytes());
                check_record(&path, size, roots[size as usize - 1], number, leaf).unwrap();
            }
        }
    }
}
