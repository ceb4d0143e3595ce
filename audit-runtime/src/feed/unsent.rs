//! Feeds that have not come as far as certain rows.

use super::position::Position;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

/// The last entry of a lineage by which certain rows arrive.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct Last {
    lineage: Option<String>,
    at: i64,
    id: Uuid,
}

/// The feeds of a trail, as far as each has come.
#[derive(Debug)]
pub(crate) struct Progressed(Vec<(String, Option<Position>)>);

impl Progressed {
    pub(crate) async fn read(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let feeds: Vec<(String, String)> =
            sqlx::query_as("SELECT name, position FROM audit_feeds ORDER BY name").fetch_all(connection).await?;
        Ok(Self(feeds.into_iter().map(|(name, position)| (name, position.parse().ok())).collect()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the feeds that have not come behind all of these entries. The position of another version
    /// counts as one that has not.
    pub(crate) fn before(&self, entries: &[Last]) -> Vec<String> {
        let is_before = |position: &Position| entries.iter().any(|last| position.is_before(last));
        let behind = self.0.iter().filter(|(_, position)| position.as_ref().is_none_or(is_before));
        behind.filter(|_| !entries.is_empty()).map(|(name, _)| name.clone()).collect()
    }
}

impl Position {
    /// Whether an entry is still to come.
    fn is_before(&self, entry: &Last) -> bool {
        let is_behind = match self.leaves {
            Some(_) => (entry.at, entry.id) >= (self.at, self.id),
            None => (entry.at, entry.id) > (self.at, self.id),
        };
        match (&self.lineage, &entry.lineage) {
            // Batches without a lineage come before all others.
            (None, Some(_)) => true,
            (Some(_), None) => false,
            (Some(lineage), Some(of)) if lineage != of => !self.passed.contains(of),
            _ => is_behind,
        }
    }
}

impl Last {
    /// Returns the last entry of each lineage by which rows arrive. `rows` selects `id` and `batch_id` of
    /// each, which is NULL for a row that no batch has sealed yet, and `arguments` are what it takes.
    pub(crate) async fn of(
        connection: &mut PgConnection,
        rows: &str,
        arguments: PgArguments,
    ) -> Result<Vec<Self>, sqlx::Error> {
        // The batch that will seal a row comes last.
        let sql = format!(
            "WITH r AS MATERIALIZED ({rows}) SELECT DISTINCT ON (lineage) lineage, at, id FROM (\
             SELECT b.lineage, CASE WHEN b.lineage IS NULL THEN (extract(epoch FROM b.created_at - timestamptz '2000-01-01 00:00Z') * 1000000)::bigint \
             ELSE b.xact::text::bigint END AS at, b.id FROM audit_batches b WHERE b.id IN (SELECT batch_id FROM r) \
             UNION ALL SELECT t.lineage, t.xact::text::bigint, t.event_id FROM audit_retried t WHERE t.event_id IN (SELECT id FROM r) \
             UNION ALL SELECT audit_lineage(), pg_snapshot_xmax(pg_current_snapshot())::text::bigint, 'ffffffff-ffff-ffff-ffff-ffffffffffff' \
             WHERE EXISTS (SELECT FROM r WHERE batch_id IS NULL)) entries ORDER BY lineage, at DESC, id DESC"
        );
        sqlx::query_as_with(AssertSqlSafe(sql), arguments).fetch_all(connection).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(lineage: Option<&str>, at: i64, id: u128) -> Last {
        Last { lineage: lineage.map(str::to_owned), at, id: Uuid::from_u128(id) }
    }

    #[test]
    fn a_position_knows_which_entries_are_still_to_come() {
        let id = Uuid::from_u128;
        let beginning = Position::beginning();
        let old = beginning.at(5, id(5), None);
        let first = old.enter("1/1".into()).at(7, id(7), None);
        let second = first.enter("2/1".into()).at(3, id(3), None);
        for (position, entry, expected) in [
            (&beginning, last(None, i64::MIN, 1), true),
            (&beginning, last(Some("1/1"), 0, 0), true),
            (&old, last(None, 5, 5), false),
            (&old, last(None, 5, 6), true),
            (&old.at(5, id(5), Some(3)), last(None, 5, 5), true),
            (&first, last(None, 9, 9), false),
            (&first, last(Some("1/1"), 7, 7), false),
            (&first, last(Some("1/1"), 8, 0), true),
            (&first, last(Some("2/1"), 0, 0), true),
            (&second, last(Some("1/1"), 9, 9), false),
            (&second, last(Some("2/1"), 3, 4), true),
        ] {
            assert_eq!(position.is_before(&entry), expected, "{position}: {entry:?}");
        }
    }

    #[test]
    fn a_position_of_another_version_counts_as_one_that_is_before() {
        let feeds = Progressed(vec![("new".into(), None), ("old".into(), Some(Position::beginning()))]);
        assert_eq!(feeds.before(&[last(None, 0, 0)]), ["new", "old"]);
        assert_eq!(feeds.before(&[]), Vec::<String>::new());
    }
}
