//! PostgreSQL as the sink of batches.

use super::already_stored::{self, Claim, Part};
use super::batch::Batch;
use super::catalogue_row;
use super::checked_connection;
use super::interrupted_calls;
use super::parts::ServiceCatalogue;
use super::scarcity;
use super::sink::{Answering, EndedJournal, How, Interruptions, Sink, Taken};
use super::store;
#[cfg(feature = "nats")]
use super::store_together::store_together;
use crate::postgres::ConnectOptions;
use crate::postgres::failure::Failure;
use crate::privacy::{KeyKeeper, TakingKeys, WrappedKey};
use crate::seal::Link;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use std::collections::HashSet;
use uuid::Uuid;

/// A connection to PostgreSQL.
#[derive(Debug)]
pub(crate) struct PostgresSink {
    connection: PgConnection,
    sets_keepalives: bool,
}

impl PostgresSink {
    /// Connects, and binds the journal of this process, if it has one, to its role.
    pub(crate) async fn connect(options: &ConnectOptions, journal: Option<Uuid>) -> Result<Self, sqlx::Error> {
        let connection = checked_connection::connect(options, journal).await?;
        Ok(Self { connection, sets_keepalives: options.sets_keepalives() })
    }
}

impl PostgresSink {
    /// Stores several batches in one transaction, or none.
    #[cfg(feature = "nats")]
    pub(crate) async fn store_together(&mut self, batches: &[&Batch], waits_for_disk: bool) -> Result<(), sqlx::Error> {
        store_together(&mut self.connection, batches, waits_for_disk, self.sets_keepalives).await
    }

    /// Returns the service and the host that recorded a journal, if a batch of it is stored.
    #[cfg(feature = "nats")]
    pub(crate) async fn origin_of(&mut self, journal: Uuid) -> Result<Option<String>, sqlx::Error> {
        already_stored::origin(&mut self.connection, journal).await
    }

    /// Claims a journal, and returns a part of its stored batches.
    pub(crate) async fn claim_part(&mut self, journal: Uuid, start: u64, part: Part) -> Result<Claim, sqlx::Error> {
        already_stored::claim(&mut self.connection, journal, start, part).await
    }

    /// Returns the last batch of a journal as the next one names it, and the position behind it.
    pub(crate) async fn last_batch(&mut self, journal: Uuid) -> Result<(Option<Link>, u64), sqlx::Error> {
        already_stored::last(&mut self.connection, journal).await
    }
}

impl KeyKeeper for PostgresSink {
    fn take<'a>(&'a mut self, offers: &'a [WrappedKey]) -> TakingKeys<'a> {
        self.connection.take(offers)
    }
}

impl Sink for PostgresSink {
    fn store<'a>(&'a mut self, batch: &'a Batch, how: How<'a>) -> Answering<'a, Taken> {
        Box::pin(async move {
            let outcome = store::store(&mut self.connection, batch, how.waits_for_disk, self.sets_keepalives).await?;
            // The database knows a batch by its key, and has compared the root of one that it had.
            Ok(Taken { key: batch.key(), outcome })
        })
    }

    fn claim(&mut self, journal: Uuid, start: u64) -> Answering<'_, Claim> {
        Box::pin(already_stored::claim(&mut self.connection, journal, start, Part::ALL))
    }

    fn durable<'a>(&'a mut self, batches: &'a [(Uuid, u64)]) -> Answering<'a, HashSet<(Uuid, u64)>> {
        Box::pin(store::durable(&mut self.connection, batches))
    }

    fn interrupt(&mut self, ended: EndedJournal) -> Answering<'_, Interruptions> {
        Box::pin(async move {
            match interrupted_calls::open_intents(&mut self.connection, ended.journal).await {
                Ok(intents) => Ok(Interruptions::Open(intents)),
                Err(error) if matches!(Failure::of(&error), Failure::NotAllowed | Failure::OfAnotherRole) => {
                    tracing::warn!(
                        journal = %ended.journal, %error,
                        "intents that were interrupted cannot be looked for; audit-trail migrate --writer grants what that needs"
                    );
                    Ok(Interruptions::NotAllowed)
                }
                Err(error) => Err(error),
            }
        })
    }

    fn catalogue<'a>(
        &'a mut self,
        catalogue: &'a ServiceCatalogue,
        origin: &'a str,
    ) -> Answering<'a, Result<(), sqlx::Error>> {
        Box::pin(catalogue_row::insert(&mut self.connection, catalogue, origin))
    }

    fn is_scarce(&mut self) -> Answering<'_, bool> {
        Box::pin(scarcity::is_scarce(&mut self.connection))
    }

    fn close(self: Box<Self>) -> Answering<'static, ()> {
        Box::pin(self.connection.close())
    }
}
