//! Checkpoints that the writer's thread makes, if an application asked for them.

use crate::evidence::SigningKey;
use crate::evidence::checkpoint::{has_all, last_of, make};
use crate::evidence::error::Failure;
use crate::evidence::head::SignedHead;
use crate::evidence::unbatched::Lookback;
use crate::postgres::ConnectOptions;
use crate::writer::upkeep::{once, put_off};
use sqlx::postgres::PgConnection;
use std::cell::RefCell;
use std::time::Duration;

/// Checkpoints that the writer makes.
#[derive(Debug, Clone)]
pub(super) struct Checkpoints {
    pub(super) every: Duration,
    pub(super) key: SigningKey,
}

/// Makes checkpoints until it is dropped.
pub(super) async fn run(options: &ConnectOptions, checkpoints: Option<Checkpoints>) {
    let Some(checkpoints) = checkpoints else {
        return std::future::pending().await;
    };
    // The first looks at everything, and later work is recent.
    let mut lookback = Lookback::All;
    // The last one that was seen in the database, which may go back in time.
    let known = RefCell::new(None);
    loop {
        tokio::time::sleep(checkpoints.every).await;
        match once(options, async |connection| checkpoint(connection, &checkpoints, lookback, &known).await).await {
            Ok(()) => lookback = Lookback::Recent,
            Err(Failure::Database(error)) => put_off(&error),
            Err(Failure::Own(error)) => tracing::error!("no checkpoint of the audit trail is made: {error}"),
        }
    }
}

/// Unless another process has made one meanwhile.
async fn checkpoint(
    connection: &mut PgConnection,
    checkpoints: &Checkpoints,
    lookback: Lookback,
    known: &RefCell<Option<SignedHead>>,
) -> Result<(), Failure> {
    let before: Vec<SignedHead> = known.borrow().iter().cloned().collect();
    let is_due: bool = sqlx::query_scalar(
        "SELECT NOT EXISTS (SELECT FROM audit_checkpoints WHERE created_at > now() - interval '1 millisecond' * $1)",
    )
    .bind(checkpoints.every.as_secs_f64() * 1e3 / 2.0)
    .fetch_one(&mut *connection)
    .await?;
    if is_due {
        make(connection, &checkpoints.key, lookback, &before).await?;
    }
    let last = last_of(connection, &checkpoints.key).await?;
    has_all(last.as_ref(), &before)?;
    *known.borrow_mut() = last;
    Ok(())
}
