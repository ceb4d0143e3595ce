//! How to reach PostgreSQL.

use super::sockets::Sockets;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A server that does not answer in this time is not reachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A server whose client is gone without a word keeps its connection for two hours, by default. A
/// pooler applies this to another connection, where it is harmless. Batches repeat it for their
/// own.
const KEEPALIVE: &str = "SET tcp_keepalives_idle TO 5; SET tcp_keepalives_interval TO 2; SET tcp_keepalives_count TO 3; \
                         SET tcp_user_timeout TO 11000";

/// The options that [`Builder::postgres`](crate::Builder::postgres) received.
#[derive(Clone)]
pub struct ConnectOptions {
    make: Arc<dyn Fn() -> Result<PgConnectOptions, String> + Send + Sync>,
    /// The options of the last connection have a keepalive of their own.
    names_keepalives: Arc<AtomicBool>,
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectOptions")
    }
}

impl ConnectOptions {
    fn new(make: impl Fn() -> Result<PgConnectOptions, String> + Send + Sync + 'static) -> Self {
        Self { make: Arc::new(make), names_keepalives: Arc::default() }
    }

    /// Returns whether batches set the time that the server waits for a silent client.
    pub(crate) fn sets_keepalives(&self) -> bool {
        !self.names_keepalives.load(Ordering::Relaxed)
    }

    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let options = (self.make)().map_err(|error| sqlx::Error::Configuration(error.into()))?;
        let names_keepalives = options.get_options().is_some_and(|options| options.contains("tcp_"));
        self.names_keepalives.store(names_keepalives, Ordering::Relaxed);
        // A pooler knows nothing of this parameter, and no float is read here.
        let options = options.extra_float_digits(None);
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("audit-runtime"),
        };
        let connecting = async {
            let sockets = Sockets::now();
            let mut connection = PgConnection::connect_with(&options).await?;
            super::schema::check::supported(connection.server_version_num())?;
            sockets.tune_new(options.get_port(), !names_keepalives);
            if !names_keepalives {
                connection.execute(sqlx::raw_sql(KEEPALIVE)).await?;
            }
            Ok(connection)
        };
        let connection = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        connection.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
    }
}

/// A way to reach PostgreSQL: a URL, [`PgConnectOptions`], or a function.
///
/// A function returns one of the others at every connect.
pub trait IntoConnectOptions {
    /// The options, or what is wrong with them.
    ///
    /// # Errors
    /// The text cannot be parsed as a URL. The error does not repeat it, because it may contain a
    /// password.
    fn into_connect_options(self) -> Result<ConnectOptions, String>;
}

fn parse(url: &str) -> Result<PgConnectOptions, String> {
    url.parse().map_err(|error: sqlx::Error| {
        format!("the PostgreSQL URL cannot be read: {error}; write postgres://user:password@host:port/database")
    })
}

impl IntoConnectOptions for &str {
    fn into_connect_options(self) -> Result<ConnectOptions, String> {
        parse(self)?.into_connect_options()
    }
}

impl IntoConnectOptions for String {
    fn into_connect_options(self) -> Result<ConnectOptions, String> {
        self.as_str().into_connect_options()
    }
}

impl IntoConnectOptions for PgConnectOptions {
    fn into_connect_options(self) -> Result<ConnectOptions, String> {
        Ok(ConnectOptions::new(move || Ok(self.clone())))
    }
}

impl<F, O> IntoConnectOptions for F
where
    F: Fn() -> O + Send + Sync + 'static,
    O: FreshOptions,
{
    fn into_connect_options(self) -> Result<ConnectOptions, String> {
        Ok(ConnectOptions::new(move || self().fresh()))
    }
}

/// The return type of a function that is called at every connect.
pub trait FreshOptions {
    /// The options, or what is wrong with them.
    ///
    /// # Errors
    /// The text cannot be parsed as a URL.
    fn fresh(self) -> Result<PgConnectOptions, String>;
}

impl FreshOptions for PgConnectOptions {
    fn fresh(self) -> Result<PgConnectOptions, String> {
        Ok(self)
    }
}

impl FreshOptions for String {
    fn fresh(self) -> Result<PgConnectOptions, String> {
        parse(&self)
    }
}
