//! The relay's connections to PostgreSQL, which its services share.

use crate::postgres::ConnectOptions;
use crate::writer::PostgresSink;
use crate::writer::sink::Sink;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// An attempt that takes longer has failed.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest wait for a connection to close.
const FAREWELL: Duration = Duration::from_secs(1);

/// Connections that are made when they are needed.
#[derive(Debug)]
pub(crate) struct Connections {
    options: ConnectOptions,
    /// A permit for each connection.
    free: Semaphore,
    idle: Mutex<Vec<PostgresSink>>,
}

impl Connections {
    pub(super) fn new(options: ConnectOptions, connections: usize) -> Self {
        Self { options, free: Semaphore::new(connections), idle: Mutex::default() }
    }

    pub(super) fn options(&self) -> &ConnectOptions {
        &self.options
    }

    fn idle(&self) -> MutexGuard<'_, Vec<PostgresSink>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a connection that no other request uses, or makes one.
    pub(super) async fn lease(&self) -> Result<Lease<'_>, sqlx::Error> {
        within(async {
            let permit = self.free.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
            let idle = self.idle().pop();
            let sink = match idle {
                Some(sink) => sink,
                None => PostgresSink::connect(&self.options, None).await?,
            };
            Ok(Lease { sink, home: self, _permit: permit })
        })
        .await
    }

    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            let _ = tokio::time::timeout(FAREWELL, Box::new(connection).close()).await;
        }
    }
}

/// A connection that one request uses. It is closed when it is dropped, because its state is unknown
/// after a failure.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    pub(super) sink: PostgresSink,
    home: &'a Connections,
    _permit: SemaphorePermit<'a>,
}

impl Lease<'_> {
    /// Keeps the connection for other requests, after work that has succeeded.
    pub(super) fn give_back(self) {
        self.home.idle().push(self.sink);
    }
}

/// Gives up work that takes too long.
pub(super) async fn within<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let done = tokio::time::timeout(ATTEMPT_TIMEOUT, work).await;
    done.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
}
