//! What the writer looks after beside batches: partitions ahead, and checkpoints if it was asked for them.

use super::connect::ConnectOptions;
use super::failure::describe;
use crate::core::Core;
use crate::evidence::{self, EvidenceError, Reach, SigningKey};
use crate::schema;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How often months are looked ahead for.
const PARTITIONS_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// After a failure it is tried again this soon.
const AGAIN: Duration = Duration::from_secs(60);

/// Checkpoints that the writer makes.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoints {
    pub(crate) every: Duration,
    pub(crate) key: SigningKey,
}

/// Goes on until it is dropped.
pub(super) async fn run(core: &Core, options: &ConnectOptions) {
    let partitions = async {
        // Whoever starts for a moment only has other things to do.
        let mut due = Instant::now() + core.settings.upkeep_after;
        loop {
            sleep_until(due).await;
            let made = once(options, async |connection| make_partitions(connection).await).await;
            due = Instant::now() + if made { PARTITIONS_EVERY } else { AGAIN };
        }
    };
    let checkpoints = async {
        let Some(checkpoints) = &core.settings.checkpoints else {
            return std::future::pending().await;
        };
        // The first looks at everything; what comes later is recent.
        let mut reach = Reach::All;
        loop {
            tokio::time::sleep(checkpoints.every).await;
            let made = once(options, async |connection| checkpoint(connection, checkpoints, reach).await).await;
            if made {
                reach = Reach::Recent;
            }
        }
    };
    tokio::join!(partitions, checkpoints);
}

/// Does it on a connection of its own; says what went wrong.
async fn once(
    options: &ConnectOptions,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<(), EvidenceError>,
) -> bool {
    let done = async {
        let mut connection = options.connect().await?;
        work(&mut connection).await?;
        connection.close().await?;
        Ok::<_, EvidenceError>(())
    };
    let Err(error) = done.await else {
        return true;
    };
    match &error {
        // The writer itself says so, too.
        EvidenceError::Database(error) => {
            tracing::warn!("the upkeep of the audit trail is put off: {}", describe(error))
        }
        error => tracing::error!("no checkpoint of the audit trail is made: {error}"),
    }
    false
}

async fn make_partitions(connection: &mut PgConnection) -> Result<(), EvidenceError> {
    // Who waits for a lock holds up whoever comes behind.
    connection.execute("SET lock_timeout TO '1s'").await?;
    match schema::make_ahead(connection).await {
        Err(error) if super::failure::is_not_allowed(&error) => {
            tracing::warn!(%error, "this role may not make partitions ahead; audit-trail migrate --writer grants it, or audit-trail partitions does it");
            Ok(())
        }
        made => Ok(made.map(|_| ())?),
    }
}

/// Unless another process has made one meanwhile.
async fn checkpoint(
    connection: &mut PgConnection,
    checkpoints: &Checkpoints,
    reach: Reach,
) -> Result<(), EvidenceError> {
    let is_due: bool = sqlx::query_scalar(
        "SELECT NOT EXISTS (SELECT FROM audit_checkpoints WHERE created_at > now() - interval '1 millisecond' * $1)",
    )
    .bind(checkpoints.every.as_secs_f64() * 1e3 / 2.0)
    .fetch_one(&mut *connection)
    .await?;
    if is_due {
        evidence::make(connection, &checkpoints.key, reach).await?;
    }
    Ok(())
}
