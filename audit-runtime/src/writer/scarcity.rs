//! Whether a server has no connection left for another writer.

use sqlx::postgres::PgConnection;
use sqlx::{Executor, Row};
use std::io;
use std::time::Duration;

/// A server that does not answer this in time answers no batch either.
const ANSWER: Duration = Duration::from_secs(5);

/// Whether every connection is in use, at least half of them by processes that call themselves as
/// this one does. Their names are visible to every role, but the kind of a backend is not.
const IS_SCARCE: &str = "
SELECT taken >= current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int \
           - coalesce(current_setting('reserved_connections', true)::int, 0)
       AND 2 * writers >= taken
FROM (SELECT count(*) FILTER (WHERE datid IS NOT NULL) AS taken,
             count(*) FILTER (WHERE application_name = current_setting('application_name')) AS writers
      FROM pg_stat_activity) AS connections";

/// Returns whether the server has no connection left, and writers hold most of them.
pub(super) async fn is_scarce(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let answer = tokio::time::timeout(ANSWER, connection.fetch_one(sqlx::raw_sql(IS_SCARCE))).await;
    answer.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))?.try_get(0)
}
