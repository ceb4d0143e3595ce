//! Feeds that have not sent the rows that go.

use super::going::Selection;
use super::holds::held;
use super::month::Month;
use crate::feed::{Last, Progressed};
use sqlx::postgres::PgConnection;
use std::collections::BTreeSet;

/// Returns the feeds that have not come behind all rows that go. A prune seals rows without a batch first,
/// so that in a dry run these are still to come for every feed.
pub(super) async fn by(
    connection: &mut PgConnection,
    selection: &Selection,
    months: &[&Month],
    is_dry_run: bool,
) -> Result<BTreeSet<String>, sqlx::Error> {
    let (feeds, mut behind) = (Progressed::read(connection).await?, BTreeSet::new());
    if feeds.is_empty() {
        return Ok(behind);
    }
    let sealed = if is_dry_run { "" } else { " AND coalesce(e.batch_id, l.batch_id) IS NOT NULL" };
    for month in months {
        let rows = format!(
            "SELECT e.id, coalesce(e.batch_id, l.batch_id) AS batch_id FROM {} e LEFT JOIN audit_late l \
             ON e.batch_id IS NULL AND l.event_id = e.id AND l.created_at = e.created_at WHERE {} AND NOT {}{sealed}",
            month.name,
            Selection::selects(),
            held(),
        );
        behind.extend(feeds.before(&Last::of(connection, &rows, selection.arguments()?).await?));
    }
    Ok(behind)
}
