//! The batches of each journal, one behind the other.

use super::finding::{Finding, FindingKind};
use crate::evidence::error::Failure;
use crate::postgres::copy::decode;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

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
    let query = "SELECT journal_id, first_position, end_position, id, previous_position, previous_root, root \
         FROM audit_batches ORDER BY journal_id, first_position";
    decode::rows(connection, query, |row| {
        let mut fields = row.fields();
        let (journal_id, first, end, id) = (fields.uuid()?, fields.i64()?, fields.i64()?, fields.uuid()?);
        let previous_position = fields.next()?.and_then(|bytes| bytes.try_into().ok()).map(i64::from_be_bytes);
        let (previous_root, root) = (fields.next()?, fields.next()?);
        let before = last.take().filter(|last| last.journal_id == journal_id);
        let expected = before.as_ref().and_then(|before| Some((before.first, before.root.as_deref()?)));
        if previous_position.zip(previous_root) != expected || previous_position.is_some() != previous_root.is_some() {
            let between = previous_position.filter(|position| expected.is_none_or(|(first, _)| first < *position));
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
