//! Work of the writer's thread beside batches: partitions ahead of the months that need them.

use crate::postgres::ConnectOptions;
use crate::postgres::failure::{describe, is_not_allowed};
use crate::postgres::schema::partitions;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The interval at which partitions are made ahead.
const PARTITIONS_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// After a failure it is tried again this soon.
const AGAIN: Duration = Duration::from_secs(60);

/// Makes partitions until it is dropped, and begins after this time.
///
/// A process that runs for a moment has other things to do.
pub(crate) async fn run(options: &ConnectOptions, after: Duration) {
    let mut due = Instant::now() + after;
    loop {
        sleep_until(due).await;
        let made = once(options, async |connection| make_partitions(connection).await).await;
        due = Instant::now() + if made.is_ok() { PARTITIONS_EVERY } else { AGAIN };
        if let Err(error) = made {
            put_off(&error);
        }
    }
}

/// Works on a connection of its own.
pub(crate) async fn once<E: From<sqlx::Error>>(
    options: &ConnectOptions,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<(), E>,
) -> Result<(), E> {
    let mut connection = options.connect().await?;
    work(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Warns that the upkeep is put off. The writer reports failures of its own.
pub(crate) fn put_off(error: &sqlx::Error) {
    tracing::warn!("the upkeep of the audit trail is put off: {}", describe(error));
}

async fn make_partitions(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    // A session that waits for a lock blocks every session that queues behind it.
    connection.execute("SET lock_timeout TO '1s'").await?;
    match partitions::make_ahead(connection).await {
        Err(error) if is_not_allowed(&error) => {
            tracing::warn!(%error, "this role may not make partitions ahead; audit-trail migrate --writer grants it, or audit-trail partitions does it");
            Ok(())
        }
        made => made.map(drop),
    }
}
