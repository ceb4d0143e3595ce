//! `audit-trail serve`: the page for auditors, with the proof beside every row.
//!
//! ```text
//! listen    connections: TCP, TLS, a Unix socket
//! router    headers, limits, which path answers what
//! access    who looks, and which part of the trail they may see
//! question  the URL as a filter, and back again
//! lists, events, export, tail, health, keys, sealed, catalogue    what is asked of the trail (read, evidence)
//! recorded  who looked is on record before anything is shown
//! pages     what is shown, as HTML
//! ```

mod access;
mod answer;
mod arrivals;
mod assets;
mod catalogue;
mod connections;
mod events;
mod evidence;
mod export;
mod headers;
mod health;
mod keys;
mod links;
mod listen;
mod lists;
mod openapi;
mod pages;
mod question;
mod read;
mod recorded;
mod refusal;
mod router;
mod sealed;
mod state;
mod tail;

use crate::environment::variable;
use crate::failure::Failure;
use crate::say;
use crate::server::{ANSWER, Server};
use crate::signals::Ends;
use crate::verify::public_key;
use access::{AccessFile, Limiter, Sessions, Walls, new_token};
use arrivals::Arrivals;
use audit_runtime::trail::Trail;
use audit_runtime::{Audit, MasterKey};
use clap::Args;
use listen::Listener;
use recorded::Recorded;
use state::{EXPORTS, Site};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// The variable with the URL of the role that records who looked.
const WRITER: &str = "AUDIT_WRITER_URL";
/// Serves the page for auditors: search, timelines, evidence of each event, export, live tail. It
/// records who looked at what as events audit.viewed, audit.exported, audit.proof, audit.revealed.
///
/// On loopback it needs no login. On any other address it needs --access.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The address of the page
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// A Unix socket for the page, in place of an address
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    socket: Option<PathBuf>,
    /// The public key that must have signed the checkpoints, or its file [env:
    /// AUDIT_CHECKPOINT_PUBLIC_KEY]
    #[arg(long, value_name = "KEY|FILE")]
    public_key: Option<String>,
    /// A TOML file that states who may see what
    #[arg(long, value_name = "FILE")]
    access: Option<PathBuf>,
    /// Makes a token for a user, prints it with the lines for the access file, and ends
    #[arg(long, value_name = "USER", conflicts_with_all = ["access", "socket", "listen"])]
    new_token: Option<String>,
    /// The database role that records who looked, which needs `migrate --writer`; by default that of
    /// --database-url [env: AUDIT_WRITER_URL]
    #[arg(long, value_name = "URL")]
    writer_url: Option<String>,
    /// The directory for the journal of who looked. Without it, each page waits for PostgreSQL to
    /// store its record
    #[arg(long, value_name = "DIRECTORY")]
    journal: Option<PathBuf>,
    /// A certificate with its chain, for TLS
    #[arg(long, value_name = "FILE", requires = "certificate_key")]
    certificate: Option<PathBuf>,
    /// The key of the certificate
    #[arg(long, value_name = "FILE", requires = "certificate")]
    certificate_key: Option<PathBuf>,
    /// Requests a second of each user; 0 for any number
    #[arg(long, value_name = "N", default_value_t = 20)]
    requests_per_second: u32,
    /// Connections to the database
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    connections: u32,
    /// Milliseconds for which a search that no index serves looks before it shows what it has
    #[arg(long, value_name = "N", default_value_t = 60, hide = true)]
    look_for: u16,
}

impl Serve {
    /// Whether it makes a token, which needs no database.
    pub(crate) fn is_local(&self) -> bool {
        self.new_token.is_some()
    }

    /// Makes a token and prints it.
    pub(crate) fn make_token(&self) -> Result<(), Failure> {
        let name = self.new_token.as_deref().unwrap_or_default();
        let (token, lines) = new_token(name);
        say::line(format!(
            "token: {token}\n\nThe server keeps its hash alone. Add these lines to the access file:\n\n{lines}"
        ))
    }

    /// Serves until it is interrupted or terminated.
    pub(crate) async fn run(self, server: &Server, master_key: Option<MasterKey>) -> Result<(), Failure> {
        // First, so that a signal that comes early ends it well, too.
        let mut signals = Ends::listen()?;
        let access = self.access.as_deref().map(AccessFile::read).transpose()?;
        self.check(access.as_ref())?;
        let key = public_key(self.public_key.as_deref())?;
        if key.is_none() {
            say::notice(
                "signatures are not verified without --public-key; an attacker who can change the trail can forge checkpoints too",
            );
        }
        server.greet(ANSWER).await?;
        let listener = self.listener().await?;
        let pool = connections::reading(server, self.connections);
        let walls = Walls::open(access.as_ref(), self.connections).await?;
        let evidence = evidence::Evidence::new(pool.clone(), key);
        // The tree is read before the first viewer waits for it. A server of one connection gives
        // it to readers: what is recorded waits in the journal.
        evidence.refresh().await.map_err(|refusal| Failure::Other(refusal.text))?;
        let recorded = self.recorded(server)?;
        let (end, ends) = watch::channel(false);
        let trail = Trail::new(pool.clone());
        let site = Arc::new(Site {
            keys: master_key.clone().map(|key| keys::Keys::new(pool.clone(), key)),
            revealing: master_key.map(|key| trail.clone().master_key(key)),
            trail,
            walls,
            evidence,
            arrivals: Arrivals::default(),
            look_for: Duration::from_millis(self.look_for.into()),
            pool,
            recorded,
            access,
            limiter: Limiter::new(self.requests_per_second),
            sessions: Sessions::default(),
            exports: Arc::new(Semaphore::new(EXPORTS)),
            tails: tail::Tails::default(),
            ends,
        });
        listen::announce(&listener);
        let over = async {
            signals.next().await;
            end.send_replace(true);
        };
        listener.serve(router::router(site.clone()), over).await;
        // First the readers' connections, for the server may have no further one for the record.
        let _ = tokio::time::timeout(Duration::from_secs(1), site.pool.close()).await;
        site.recorded.close().await;
        Ok(())
    }

    /// Refuses an address that others reach, unless it is said who may come.
    fn check(&self, access: Option<&AccessFile>) -> Result<(), Failure> {
        let is_open = self.socket.is_none() && !self.listen.ip().to_canonical().is_loopback();
        match access {
            None if is_open => Err(Failure::Usage(format!(
                "{} can be reached from elsewhere, and nothing states who may see the trail; give --access FILE, or listen on 127.0.0.1",
                self.listen
            ))),
            Some(access) if self.socket.is_none() && !access.has_tokens() && !access.trusts_only_peers() => Err(Failure::Usage(
                "nobody can come: the access file has no token, and its header no peers; add token_sha256 or peers, or use --socket".into(),
            )),
            Some(_) if is_open && self.certificate.is_none() => {
                say::notice("this server speaks plain HTTP; put a proxy with TLS before it, or give --certificate");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn listener(&self) -> Result<Listener, Failure> {
        #[cfg(unix)]
        if let Some(path) = &self.socket {
            return Listener::socket(path);
        }
        let files = self.certificate.as_deref().zip(self.certificate_key.as_deref());
        let tls = files.map(|(certificate, key)| listen::tls(certificate, key)).transpose()?;
        Listener::tcp(self.listen, tls).await
    }

    /// The journal of who looked.
    fn recorded(&self, server: &Server) -> Result<Recorded, Failure> {
        let writer = match self.writer_url.clone().or_else(|| variable(WRITER)) {
            Some(url) => Server::new(Some(&url))?,
            None => server.clone(),
        };
        let builder = Audit::builder().postgres(writer.options().clone()).connections(1).service("audit-trail");
        let builder = match &self.journal {
            Some(directory) => builder.journal(directory),
            None => builder.memory(),
        };
        let audit = builder.start().map_err(|error| Failure::Other(error.to_string()))?;
        Ok(Recorded::new(audit, self.journal.is_some()))
    }
}
