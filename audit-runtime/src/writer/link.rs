//! A connection that is made when it is needed, and given back.

use super::checked_connection;
use crate::postgres::ConnectOptions;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use std::io;
use std::time::Duration;
use uuid::Uuid;

/// An attempt that takes longer is repeated on another connection.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest wait for a connection to close, which is polite, but not worth more.
const FAREWELL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Link<'a> {
    pub(super) options: &'a ConnectOptions,
    /// The journal of this process.
    journal: Uuid,
    connection: Option<PgConnection>,
}

impl<'a> Link<'a> {
    pub(super) fn new(options: &'a ConnectOptions, journal: Uuid) -> Self {
        Self { options, journal, connection: None }
    }

    pub(super) async fn connected(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        match &mut self.connection {
            Some(connection) => Ok(connection),
            none => Ok(none.insert(checked_connection::connect(self.options, self.journal).await?)),
        }
    }

    /// Runs work once. After a failure the state of the connection is unknown, so the next attempt
    /// uses another one.
    pub(super) async fn once<T>(
        &mut self,
        attempt: impl AsyncFn(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let connection = self.connected().await?;
        let done = tokio::time::timeout(ATTEMPT_TIMEOUT, attempt(connection)).await;
        let done = done.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())));
        if done.is_err() {
            // Dropping it closes the socket without a farewell.
            self.connection = None;
        }
        done
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    pub(super) async fn give_back(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = tokio::time::timeout(FAREWELL, connection.close()).await;
        }
    }
}
