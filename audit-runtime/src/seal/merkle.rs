//! Merkle trees as in RFC 6962, section 2.1 (<https://www.rfc-editor.org/rfc/rfc6962#section-2.1>).
//!
//! Hashes of leaves and nodes, and proofs, are those of [`tlog_tiles`]. This file has the root of a
//! list, and that of a tree that grows and is not kept.

use tlog_tiles::tlog::{EMPTY_HASH, node_hash};
pub(crate) use tlog_tiles::tlog::{Hash, record_hash as leaf_hash};

/// The root over these leaves, which are used up.
pub(crate) fn root(mut level: Vec<Hash>) -> Hash {
    if level.is_empty() {
        return EMPTY_HASH;
    }
    // Pair by pair. A node without a neighbour rises as it is. That gives the tree of the RFC,
    // whose left part is the largest full one.
    while level.len() > 1 {
        let pairs = level.len() / 2;
        for pair in 0..pairs {
            level[pair] = node_hash(level[2 * pair], level[2 * pair + 1]);
        }
        if level.len() % 2 == 1 {
            level[pairs] = level[level.len() - 1];
        }
        level.truncate(level.len().div_ceil(2));
    }
    level[0]
}

#[cfg(feature = "evidence")]
/// A tree that grows at its end, by the roots of its full parts. There is one root for each bit
/// that is set in its size, the largest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

#[cfg(feature = "evidence")]
impl Frontier {
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each full part of the same size as what is added grows together with it.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(left, hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    pub(crate) fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return EMPTY_HASH;
        };
        peaks.fold(*last, |right, left| node_hash(*left, right))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.peaks.iter().flat_map(|peak| peak.0).collect()
    }

    /// `None` if so many bytes cannot belong to a tree of this size.
    pub(crate) fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (peaks, rest) = bytes.as_chunks::<32>();
        let fits = rest.is_empty() && peaks.len() == size.count_ones() as usize;
        fits.then(|| Self { size, peaks: peaks.iter().map(|peak| Hash(*peak)).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use tlog_tiles::tlog::{self, HashReader, stored_hashes, tree_hash};

    #[derive(Default)]
    struct Stored(RefCell<Vec<Hash>>);

    impl HashReader for Stored {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
            Ok(indexes.iter().map(|index| self.0.borrow()[*index as usize]).collect())
        }
    }

    #[test]
    fn roots_are_those_of_a_library_that_keeps_the_whole_tree() {
        let stored = Stored::default();
        let mut leaves = Vec::new();
        let mut frontier = Frontier::default();
        for number in 0..300_u64 {
            let expected = tree_hash(number, &stored).unwrap();
            assert_eq!(root(leaves.clone()), expected, "{number}");
            assert_eq!(frontier.root(), expected, "{number}");
            assert_eq!(Frontier::from_bytes(number, &frontier.to_bytes()), Some(frontier.clone()));
            let data = number.to_be_bytes();
            let hashes = stored_hashes(number, &data, &stored).unwrap();
            stored.0.borrow_mut().extend(hashes);
            leaves.push(leaf_hash(&data));
            frontier.push(leaf_hash(&data));
        }
        assert_eq!(Frontier::from_bytes(3, &[0; 32]), None);
    }
}
