//! The database server: reached within a limit, and watched for as long as a command needs it.
//!
//! ```text
//! at the beginning   a login and a query, within 10 seconds
//! then, on a thread  a login every 15 seconds. Three that are not answered in a row mean that server or network are silent
//! in the kernel      keepalive, for a connection that is forgotten while others are answered
//! ```
//!
//! A server answers a login whatever its other sessions do, so that a query may take hours, or wait
//! for a lock. A pooler answers one even if all its connections are in use.

use crate::environment;
use crate::failure::{Failure, INTERRUPTED, is_unreachable, plain};
use crate::keepalive;
use crate::say;
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use std::fmt;
use std::io::{self, IsTerminal};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// A server that does not answer in this time is silent.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);
/// A pool for reading waits no longer for a connection.
const READING: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_secs(15);
const ATTEMPTS: u32 = 3;
/// For the goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub(crate) struct Server {
    options: PgConnectOptions,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.options.get_host(), self.options.get_port());
        match self.options.get_socket() {
            Some(socket) => write!(f, "{}/.s.PGSQL.{port}", socket.display()),
            None if host.starts_with('/') => write!(f, "{host}/.s.PGSQL.{port}"),
            None if host.contains(':') && !host.starts_with('[') => write!(f, "[{host}]:{port}"),
            None => write!(f, "{host}:{port}"),
        }
    }
}

/// The database's URL, as it was given or is in the environment.
pub(crate) fn url(given: Option<String>) -> Option<String> {
    given.filter(|url| !url.is_empty()).or_else(|| environment::variable("DATABASE_URL"))
}

impl Server {
    /// The server of a URL, or without one, of the PG* variables.
    pub(crate) fn new(url: Option<&str>) -> Result<Self, Failure> {
        // Neither the URL nor a part of it is printed: it may hold a password.
        let invalid = || {
            let text = "invalid database URL; write postgres://user:password@host:port/database";
            Failure::Usage(text.into())
        };
        let options: PgConnectOptions = match url {
            Some(url) => {
                let (scheme, _) = url.split_once("://").ok_or_else(invalid)?;
                if !["postgres", "postgresql"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
                    return Err(invalid());
                }
                url.parse().map_err(|_| invalid())?
            }
            None => PgConnectOptions::new(),
        };
        Ok(Self { options: options.application_name("audit-trail") })
    }

    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    pub(crate) fn pool(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(2)
            .acquire_timeout(ANSWER)
            .after_connect(|_, _| {
                keepalive::everywhere();
                Box::pin(std::future::ready(Ok(())))
            })
            .connect_lazy_with(self.options.clone())
    }

    /// Makes connections that begin with these statements.
    pub(crate) fn reading(&self, connections: u32, session: &'static str) -> PgPool {
        PgPoolOptions::new()
            .max_connections(connections)
            .min_connections(1)
            .acquire_timeout(READING)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    keepalive::everywhere();
                    sqlx::raw_sql(session).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_lazy_with(self.options.clone())
    }

    /// Makes sure that the server answers. (A pool would only report that it waited in vain.)
    pub(crate) async fn greet(&self, limit: Duration) -> Result<(), Failure> {
        let greeting = async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            sqlx::raw_sql("SELECT 1").execute(&mut connection).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        let error = match timeout(limit, greeting).await {
            Ok(Ok(connection)) => {
                let _ = timeout(FAREWELL, connection.close()).await;
                return Ok(());
            }
            Ok(Err(error)) => error,
            Err(_) => {
                let hint = "check the address, the network and the server";
                let text =
                    format!("cannot reach the database at {self}: no answer within {} s; {hint}", limit.as_secs());
                return Err(Failure::Unreachable(text));
            }
        };
        let hint = if is_unreachable(&error) {
            "check the address, and that the server runs there"
        } else {
            "check the user, the password and the name of the database"
        };
        Err(Failure::Unreachable(format!("cannot reach the database at {self}: {}; {hint}", plain(&error))))
    }

    /// Whether a login is answered. An error of the server's is an answer, too.
    async fn is_answering(&self) -> bool {
        let login = async {
            match PgConnection::connect_with(&self.options).await {
                Ok(connection) => {
                    let _ = timeout(FAREWELL, connection.close()).await;
                    true
                }
                Err(sqlx::Error::Io(_)) => false,
                Err(_) => true,
            }
        };
        timeout(ANSWER, login).await.unwrap_or(false)
    }

    /// Logs in again and again, and notes when the server is silent, and when it answers again.
    async fn watch(&self, silent: watch::Sender<bool>) {
        loop {
            sleep(EVERY).await;
            let mut attempts = 0;
            loop {
                let begin = Instant::now();
                if self.is_answering().await {
                    break;
                }
                sleep_until(begin + ANSWER).await;
                attempts += 1;
                if attempts >= ATTEMPTS {
                    silent.send_replace(true);
                }
            }
            silent.send_replace(false);
        }
    }

    /// Returns the failure of a command whose server is silent.
    fn silent(&self) -> Failure {
        let seconds = (ANSWER * ATTEMPTS).as_secs();
        let hint = "check the network, then run it again";
        Failure::Unreachable(format!("lost the database at {self}: no answer for {seconds} s; {hint}"))
    }
}

/// Runs a command, ends it if its server is silent, and ends the process with this notice if it is
/// interrupted.
///
/// A thread watches for both, because the command may block this one, as when it prints to a pager
/// that nobody scrolls. Its server may be silent meanwhile: the command ends only if it waits for
/// the server.
pub(crate) async fn watched<T>(
    server: Option<&Server>,
    interrupted: String,
    command: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let (silent, mut is_silent) = watch::channel(false);
    let watching = server.cloned();
    let thread = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return;
        };
        runtime.block_on(async {
            let server = async {
                match watching {
                    Some(server) => server.watch(silent).await,
                    None => std::future::pending().await,
                }
            };
            tokio::join!(server, end_at_interrupt(&interrupted))
        });
    };
    std::thread::Builder::new().name("audit-watch".into()).spawn(thread)?;
    let lost = async {
        // Without its thread, nobody knows.
        match is_silent.wait_for(|silent| *silent).await {
            Ok(_) => (),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        done = command => done,
        () = lost => Err(server.map_or_else(|| Failure::Other("interrupted".into()), Server::silent)),
    }
}

async fn end_at_interrupt(text: &str) {
    if tokio::signal::ctrl_c().await.is_ok() {
        // Behind the terminal's ^C, or a progress bar.
        if io::stderr().is_terminal() {
            let _ = say::raw("\n");
        }
        say::notice(text);
        std::process::exit(INTERRUPTED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_of_postgresql_and_never_repeated() {
        for (url, shown) in [
            ("postgres://u:secret@db.example.com:7/x", "db.example.com:7"),
            ("PostgreSQL://u:secret@db/x", "db:5432"),
            ("postgres://u@[::1]:7/x", "[::1]:7"),
            ("postgres:///x?host=/run/db&port=7", "/run/db/.s.PGSQL.7"),
        ] {
            assert_eq!(Server::new(Some(url)).unwrap().to_string(), shown);
        }
        for url in
            ["mysql://u:secret@a/b", "postgres:/u:secret@a/b", "host=a password=secret", "postgres://u:secret@a:port/b"]
        {
            let error = Server::new(Some(url)).unwrap_err();
            assert!(matches!(&error, Failure::Usage(text) if text.contains("write postgres://")), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
