//! A connection to a sink that is made when it is needed, and given back.

use super::destination::Destination;
use super::sink::Sink;
use std::io;
use std::time::Duration;
use uuid::Uuid;

/// An attempt that takes longer is repeated on another connection.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest wait for a connection to close, which is polite, but not worth more.
const FAREWELL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Link<'a> {
    destination: &'a Destination,
    /// The journal of this process, if it has one.
    journal: Option<Uuid>,
    connection: Option<Box<dyn Sink>>,
}

impl<'a> Link<'a> {
    pub(super) fn new(destination: &'a Destination, journal: Option<Uuid>) -> Self {
        Self { destination, journal, connection: None }
    }

    /// Makes the connection, unless there is one.
    pub(super) async fn connect(&mut self) -> Result<&mut dyn Sink, sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.destination.connect(self.journal).await?,
        };
        Ok(&mut **self.connection.insert(connection))
    }

    /// Runs work once. After a failure the state of the connection is unknown, so the next attempt
    /// uses another one.
    pub(super) async fn once<T>(
        &mut self,
        attempt: impl AsyncFn(&mut dyn Sink) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let connection = self.connect().await?;
        let done = tokio::time::timeout(ATTEMPT_TIMEOUT, attempt(connection)).await;
        let done = done.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())));
        if done.is_err() {
            // Dropping it closes the socket without a farewell.
            self.connection = None;
        }
        done
    }

    /// Returns whether a batch that has left may arrive after its process has died.
    pub(super) fn may_hold_back(&self) -> bool {
        self.destination.may_hold_back()
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
