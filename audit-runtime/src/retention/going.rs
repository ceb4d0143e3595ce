//! The rows of a month that go, and the two ways in which they do.

use super::filter::{PruneFilter, matches};
use super::holds::{held, keeps};
use super::month::Month;
use super::settings::{Given, Prune};
use crate::event::Timestamp;
use crate::postgres::copy::decode;
use crate::postgres::schema::ddl::batch;
use crate::postgres::schema::partitions::COLUMNS;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::{Arguments, AssertSqlSafe, Error};
use uuid::Uuid;

/// The rows that a prune is about, as the parameters `$1` to `$6` of its queries.
#[derive(Debug)]
pub(super) struct Selection {
    holds: Given,
    only: Option<Value>,
    except: Value,
    before: Timestamp,
}

/// How many rows of a month there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// Rows that go.
    pub(super) going: u64,
    /// Rows that would go, and are held.
    pub(super) held: u64,
    pub(super) all: u64,
}

/// The way in which rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The rows that stay are copied, and take the place of the partition.
    Exchange,
    /// The rows that go are listed, and deleted some thousand at a time.
    Delete,
}

/// A month of which rows go.
#[derive(Debug)]
pub(super) struct Going {
    pub(super) month: Month,
    pub(super) way: Way,
    /// Rows that match, and are held.
    pub(super) held: u64,
    /// Rows on the list, if there is one.
    pub(super) listed: u64,
}

/// The rows and batches that a prune removes.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) rows: u64,
    pub(super) batches: u64,
    pub(super) hash: String,
}

impl Selection {
    pub(super) fn of(prune: &Prune) -> Self {
        let except: Vec<Value> = prune.except.iter().map(PruneFilter::stated).collect();
        Self {
            holds: prune.holds.clone(),
            only: prune.only.as_ref().map(|only| PruneFilter::parameter([&only.stated()])),
            except: PruneFilter::parameter(&except),
            before: prune.before,
        }
    }

    /// Returns the selection of a prune whose event states this.
    pub(super) fn stated(filter: Option<&Value>, except: &Value, before: Timestamp) -> Self {
        Self {
            holds: Given::default(),
            only: filter.map(|filter| PruneFilter::parameter([filter])),
            except: PruneFilter::parameter(except.as_array().into_iter().flatten()),
            before,
        }
    }

    pub(super) fn arguments(&self) -> Result<PgArguments, Error> {
        let mut arguments = PgArguments::default();
        let mut add = || {
            arguments.add(&self.holds.types)?;
            arguments.add(&self.holds.ids)?;
            arguments.add(&self.holds.names)?;
            arguments.add(&self.only)?;
            arguments.add(&self.except)?;
            arguments.add(self.before)
        };
        add().map_err(Error::Encode)?;
        Ok(arguments)
    }

    /// Returns the condition that an event `e` is selected, held or not.
    pub(super) fn selects() -> String {
        format!("(e.created_at < $6 AND ($4::jsonb IS NULL OR {}) AND NOT {})", matches("$4"), matches("$5"))
    }

    /// Counts the rows of a month.
    pub(super) async fn count(&self, connection: &mut PgConnection, month: &Month) -> Result<Counts, Error> {
        // Without OFFSET, the planner would evaluate each condition several times.
        let sql = format!(
            "SELECT count(*) FILTER (WHERE selected AND NOT held), count(*) FILTER (WHERE held), count(*) FROM \
             (SELECT {selects} AS selected, {selects} AND {} AS held FROM {} e OFFSET 0) rows",
            held(),
            month.name,
            selects = Self::selects(),
        );
        let (going, held, all): (i64, i64, i64) =
            sqlx::query_as_with(AssertSqlSafe(sql), self.arguments()?).fetch_one(connection).await?;
        Ok(Counts { going: going.cast_unsigned(), held: held.cast_unsigned(), all: all.cast_unsigned() })
    }

    /// Counts the rows of a month that each hold in force keeps.
    pub(super) async fn held_by(
        &self,
        connection: &mut PgConnection,
        month: &Month,
    ) -> Result<Vec<(Uuid, i64)>, Error> {
        let sql = format!(
            "SELECT h.id, count(*) FROM audit_holds h, {} e WHERE {} AND {} GROUP BY h.id, h.created_at ORDER BY h.created_at",
            month.name,
            keeps(),
            Self::selects(),
        );
        sqlx::query_as_with(AssertSqlSafe(sql), self.arguments()?).fetch_all(connection).await
    }
}

impl Counts {
    /// Returns the way for a month. A month that is not over is never exchanged, because its writers
    /// would wait.
    pub(super) fn way(self, month: &Month, now: Timestamp) -> Way {
        let is_small = self.going * 10 < self.all;
        if is_small || month.end > now { Way::Delete } else { Way::Exchange }
    }
}

impl Going {
    /// Copies the rows that stay.
    pub(super) async fn keep(&self, connection: &mut PgConnection, selection: &Selection) -> Result<(), Error> {
        let Month { name, kept, .. } = &self.month;
        let copy = format!(
            "INSERT INTO {kept} ({COLUMNS}) SELECT {COLUMNS} FROM {name} e WHERE NOT {} OR {} ON CONFLICT DO NOTHING",
            Selection::selects(),
            held(),
        );
        sqlx::query_with(AssertSqlSafe(copy), selection.arguments()?).execute(&mut *connection).await?;
        batch(connection, &format!("ANALYZE {kept}")).await
    }

    /// Lists the rows that go, of those that are sealed.
    pub(super) async fn list(&mut self, connection: &mut PgConnection, selection: &Selection) -> Result<(), Error> {
        let Month { name, kept, .. } = &self.month;
        let list = format!(
            "INSERT INTO {kept} (number, id, created_at, batch_id) SELECT row_number() OVER (ORDER BY batch_id, id), id, created_at, batch_id \
             FROM (SELECT e.id, e.created_at, coalesce(e.batch_id, l.batch_id) AS batch_id FROM {name} e LEFT JOIN audit_late l \
             ON e.batch_id IS NULL AND l.event_id = e.id AND l.created_at = e.created_at WHERE {} AND NOT {}) going \
             WHERE batch_id IS NOT NULL",
            Selection::selects(),
            held(),
        );
        let listed = sqlx::query_with(AssertSqlSafe(list), selection.arguments()?).execute(&mut *connection).await?;
        batch(connection, &format!("ANALYZE {kept}")).await?;
        self.listed = listed.rows_affected();
        Ok(())
    }

    /// Returns the rows that go, as what follows on `FROM`. They are the same from the moment that
    /// they are listed, or that what stays is copied.
    pub(super) fn rows(&self) -> String {
        let Month { name, kept, .. } = &self.month;
        match self.way {
            Way::Exchange => format!(
                "{name} e LEFT JOIN audit_late l ON e.batch_id IS NULL AND l.event_id = e.id AND l.created_at = e.created_at \
                 WHERE NOT EXISTS (SELECT FROM {kept} k WHERE k.id = e.id AND k.created_at = e.created_at)"
            ),
            Way::Delete => format!("{name} e JOIN {kept} l ON l.id = e.id AND l.created_at = e.created_at WHERE true"),
        }
    }

    /// Says in `audit_pruned` which rows of which batches go, of those whose numbers follow on one, up
    /// to another.
    pub(super) async fn account(
        &self,
        connection: &mut PgConnection,
        event_id: Uuid,
        numbers: Option<(u64, u64)>,
    ) -> Result<Account, Error> {
        let of =
            numbers.map_or_else(String::new, |(behind, to)| format!(" AND l.number > {behind} AND l.number <= {to}"));
        let insert = format!(
            "INSERT INTO audit_pruned (batch_id, event_id, rows, ids) \
             SELECT p.batch_id, '{event_id}', p.rows, CASE WHEN p.rows = b.rows THEN NULL ELSE p.ids END \
             FROM (SELECT coalesce(e.batch_id, l.batch_id) AS batch_id, count(*)::integer AS rows, \
             string_agg(uuid_send(e.id), '' ORDER BY e.id) AS ids FROM {}{of} GROUP BY 1) p LEFT JOIN audit_batches b ON b.id = p.batch_id",
            self.rows()
        );
        batch(connection, &insert).await?;
        let query =
            format!("SELECT batch_id, rows, ids FROM audit_pruned WHERE event_id = '{event_id}' ORDER BY batch_id");
        let (mut rows, mut batches, mut hash) = (0, 0, Sha256::new());
        decode::rows(connection, &query, |row| {
            let mut fields = row.fields();
            fields.uuid()?;
            rows += u64::try_from(fields.i32()?).unwrap_or(0);
            batches += 1;
            hash.update(row.0);
            Ok::<_, Error>(())
        })
        .await?;
        Ok(Account { rows, batches, hash: hex::encode(hash.finalize()) })
    }

    /// Deletes the rows that these numbers name, and returns how many there were.
    pub(super) async fn delete(&self, connection: &mut PgConnection, (behind, to): (u64, u64)) -> Result<u64, Error> {
        let Month { name, kept, .. } = &self.month;
        let delete = format!(
            "DELETE FROM {name} e USING {kept} l WHERE l.id = e.id AND l.created_at = e.created_at AND l.number > {behind} AND l.number <= {to}"
        );
        Ok(sqlx::query(AssertSqlSafe(delete)).execute(connection).await?.rows_affected())
    }
}
