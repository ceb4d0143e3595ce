//! A lake that has the rows already which leave the database.

use super::error::{Failure, PruneError};
use super::going::Going;
use super::kept::Kept;
use crate::event::Timestamp;
use crate::evidence::unbatched::COLUMNS;
use crate::postgres::copy::decode;
use crate::seal::Sealer;
use serde_json::Value;
use sqlx::postgres::PgConnection;
use std::time::Duration;
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Compares the rows of months that go with those of a lake, and returns what the event of each month
/// states of it.
pub(super) async fn confirm(
    connection: &mut PgConnection,
    going: &[Going],
    kept: &dyn Kept,
    tell: &mut impl FnMut(&str),
) -> Result<Vec<Value>, Failure> {
    let (mut statements, mut all) = (Vec::new(), 0);
    for going in going {
        let rows = compare(connection, going, kept).await?;
        statements.push(kept.statement(rows));
        all += rows;
    }
    tell(&format!("{all} rows are in the lake with their digests"));
    Ok(statements)
}

/// Compares the rows of a month that go with those of the lake, day by day, and returns how many go.
async fn compare(connection: &mut PgConnection, going: &Going, kept: &dyn Kept) -> Result<u64, Failure> {
    let month = &going.month;
    let (mut rows, mut sealer, mut day) = (0, Sealer::default(), month.begin);
    while day < month.end {
        let end = day.saturating_add(DAY).min(month.end);
        let mut there = kept.rows(day, end).await.map_err(PruneError::Lake)?;
        let query = format!(
            "SELECT {COLUMNS} FROM {} AND e.created_at >= '{day}' AND e.created_at < '{end}' ORDER BY e.created_at, e.id",
            going.rows()
        );
        decode::rows(connection, &query, |row| {
            let entry = sealer.stored(row.0).entry;
            let mut fields = row.fields();
            for _ in 0..6 {
                fields.next()?;
            }
            let place = (Timestamp::from_postgres(fields.i64()?), entry.id);
            loop {
                let (time, id, digest) = there.next().ok_or_else(|| missing(place))?.map_err(PruneError::Lake)?;
                if (time, id) > place {
                    return Err(missing(place).into());
                }
                if (time, id) == place {
                    if digest != entry.digest {
                        let text = format!("event {id} in the lake is not the one in the database");
                        return Err(PruneError::Lake(text).into());
                    }
                    rows += 1;
                    return Ok(());
                }
            }
        })
        .await
        .map_err(|failure: Failure| failure)?;
        day = end;
    }
    Ok(rows)
}

fn missing((time, id): (Timestamp, Uuid)) -> PruneError {
    PruneError::Lake(format!(
        "event {id} of {time} is not in the lake; run audit-trail checkpoint, for a lake contains what a checkpoint covers, and prune again"
    ))
}
