//! The batches of each journal, one behind the other.

use super::finding::{Finding, FindingKind};
use crate::evidence::error::Failure;
use crate::postgres::copy::decode;
use sqlx::postgres::PgConnection;
use std::collections::BTreeSet;
use uuid::Uuid;

/// A batch states those before it that were not stored when it was made: of the last few thousand.
const REMEMBERED: usize = 8_192;

/// The batch before.
struct Last {
    journal_id: Uuid,
    id: Uuid,
    first: i64,
    end: i64,
    root: Option<Vec<u8>>,
}

/// Goes along every chain.
pub(super) async fn verify(connection: &mut PgConnection, mut found: impl FnMut(Finding)) -> Result<(), Failure> {
    let mut last: Option<Last> = None;
    // Of the journal: where its batches begin, and where lost ones did.
    let (mut begun, mut named, mut forgotten) = (BTreeSet::new(), BTreeSet::new(), i64::MIN);
    let query = "SELECT journal_id, first_position, end_position, id, previous_position, previous_root, root, \
         open_positions FROM audit_batches ORDER BY journal_id, first_position";
    decode::rows(connection, query, |row| {
        let mut fields = row.fields();
        let (journal_id, first, end, id) = (fields.uuid()?, fields.i64()?, fields.i64()?, fields.uuid()?);
        let previous_position = fields.next()?.and_then(|bytes| bytes.try_into().ok()).map(i64::from_be_bytes);
        let (previous_root, root, open) = (fields.next()?, fields.next()?, fields.next()?.unwrap_or_default());
        let before = last.take().filter(|last| last.journal_id == journal_id);
        if before.is_none() {
            begun.clear();
            named.clear();
            forgotten = i64::MIN;
        }
        let expected = before.as_ref().and_then(|before| Some((before.first, before.root.as_deref()?)));
        if previous_position.zip(previous_root) != expected || previous_position.is_some() != previous_root.is_some() {
            let between = previous_position.filter(|position| expected.is_none_or(|(first, _)| first < *position));
            named.extend(between);
            let finding = match between {
                Some(position) => Finding::batch(
                    FindingKind::BatchMissing,
                    id,
                    format!("the batch before it, which begins at {position} of journal {journal_id}, is gone"),
                ),
                None => Finding::batch(
                    FindingKind::ChainBroken,
                    id,
                    match &before {
                        Some(before) => format!("it does not follow on batch {} of journal {journal_id}", before.id),
                        None => format!("it is the first of journal {journal_id}, and names one before it"),
                    },
                ),
            };
            found(finding);
        }
        let sent = open.as_chunks().0.iter().copied().map(i64::from_be_bytes);
        let lost = sent.filter(|at| *at > forgotten && !begun.contains(at));
        for at in lost.filter(|at| named.insert(*at)).collect::<Vec<_>>() {
            let text = format!(
                "a batch before it, which begins at {at} of journal {journal_id}, was sent when it was, and is gone"
            );
            found(Finding::batch(FindingKind::BatchMissing, id, text));
        }
        begun.insert(first);
        if begun.len() > REMEMBERED {
            forgotten = begun.pop_first().unwrap_or(forgotten);
        }
        if let Some(before) = before.filter(|before| first < before.end) {
            let text = format!(
                "it begins at {first} of journal {journal_id}, and batch {} ends at {} only",
                before.id, before.end
            );
            found(Finding::batch(FindingKind::BatchInserted, id, text));
        }
        last = Some(Last { journal_id, id, first, end, root: root.map(<[u8]>::to_vec) });
        Ok::<_, Failure>(())
    })
    .await
}
