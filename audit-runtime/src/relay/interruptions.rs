//! Records the interruptions of a journal of which every batch is stored.

use crate::writer::PostgresSink;
use crate::writer::Settings;
use crate::writer::batch::Batch;
use crate::writer::sink::{EndedJournal, How, Interruptions, Sink};
use crate::writer::{Chain, StoreOutcome, interruption_batches};

/// Records for each intent of the journal without a completion that it will stay without one.
///
/// It returns how many there were, or `None` if the role may not look for them. It announces each
/// batch before it stores that.
///
/// Its batches follow on the last one in the database. If another relay does the same at once, one of
/// them fails at the unique key, and finds nothing left when it is asked again.
pub(super) async fn record<F: Future<Output = Result<(), sqlx::Error>>>(
    sink: &mut PostgresSink,
    ended: EndedJournal,
    settings: &Settings,
    announce: impl Fn(&Batch) -> F,
) -> Result<Option<u64>, sqlx::Error> {
    let mut made = 0;
    'look: loop {
        let (last, stored_to) = sink.last_batch(ended.journal).await?;
        let Interruptions::Open(intents) = sink.interrupt(ended).await? else {
            return Ok(None);
        };
        let end = ended.end.max(stored_to);
        let mut chain = Chain::behind(last);
        for mut batch in interruption_batches(settings, ended.journal, end, ended.noticed, &intents, &[]) {
            batch.close(settings, &mut chain);
            announce(&batch).await?;
            let taken = sink.store(&batch, How { waits_for_disk: true, sent: &|| () }).await?;
            if taken.outcome == StoreOutcome::Superseded {
                continue 'look;
            }
            chain.stored(batch.first);
            made += batch.rows.len() as u64;
        }
        return Ok(Some(made));
    }
}
