//! `audit-trail relay`: takes batches from services, and stores them in PostgreSQL.

use crate::failure::Failure;
#[cfg(any(feature = "forward", feature = "serve"))]
use crate::metrics::Metric;
use crate::say;
use crate::server::Server;
use crate::signals::Ends;
use crate::text::count;
#[cfg(feature = "nats")]
use audit_runtime::Nats;
#[cfg(feature = "nats")]
use audit_runtime::relay::StreamSettings;
use audit_runtime::relay::{Relay, RelayAddress, RelayListener, RelayStats};
use clap::Args;
#[cfg(any(feature = "forward", feature = "serve"))]
use std::net::SocketAddr;
#[cfg(feature = "nats")]
use std::path::PathBuf;
#[cfg(feature = "nats")]
use std::time::Duration;
use tokio::sync::watch;

#[derive(Debug, Args)]
pub(crate) struct Command {
    /// The socket or the port of this machine on which services find it
    #[cfg_attr(feature = "nats", arg(long, value_name = "unix:PATH|tcp:HOST:PORT", required_unless_present = "nats"))]
    #[cfg_attr(not(feature = "nats"), arg(long, value_name = "unix:PATH|tcp:HOST:PORT", required = true))]
    listen: Option<RelayAddress>,
    #[cfg(feature = "nats")]
    #[command(flatten)]
    broker: Broker,
    /// Connections to PostgreSQL, which all services share
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// The id of the group whose members may connect to the Unix socket. By default, only this user
    /// may
    #[arg(long, value_name = "ID")]
    group: Option<u32>,
    /// The address of a server of metrics for Prometheus, at /metrics
    #[cfg(any(feature = "forward", feature = "serve"))]
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<SocketAddr>,
}

impl Command {
    /// Serves services until it is interrupted or terminated. PostgreSQL may be away: services keep
    /// their events meanwhile.
    pub(crate) async fn run(&self, server: &Server) -> Result<(), Failure> {
        let mut ends = Ends::listen()?;
        #[cfg(feature = "nats")]
        if self.broker.sets_up() {
            return self.broker.set_up().await;
        }
        let relay = Relay::new(server.options().clone(), usize::from(self.connections))
            .map_err(|error| Failure::Usage(error.to_string()))?;
        #[cfg(any(feature = "forward", feature = "serve"))]
        if let Some(address) = self.metrics {
            let relay = relay.clone();
            let bound = crate::metrics::serve(address, move || metrics(relay.stats())).await?;
            say::notice(format!("metrics are at http://{bound}/metrics"));
        }
        let (stopping, stopped) = watch::channel(false);
        let ended = async {
            ends.next().await;
            stopping.send_replace(true);
        };
        let (listens, takes, ()) =
            tokio::join!(self.listen(&relay, server, stopped.clone()), self.take(&relay, stopped), ended);
        let listens = listens.and(takes);
        say::line(told(relay.stats()))?;
        listens
    }

    /// Serves those that connect.
    async fn listen(&self, relay: &Relay, server: &Server, stopped: watch::Receiver<bool>) -> Result<(), Failure> {
        let Some(address) = &self.listen else { return Ok(()) };
        let listener = RelayListener::bind(address, self.group).await;
        let listener = listener.map_err(|error| Failure::Other(error.to_string()))?;
        say::notice(format!("the relay to {server} listens on {}", listener.address()?));
        relay.serve(listener, stopping(stopped)).await;
        Ok(())
    }

    /// Takes batches from NATS.
    #[cfg(feature = "nats")]
    async fn take(&self, relay: &Relay, stopped: watch::Receiver<bool>) -> Result<(), Failure> {
        let Some(nats) = self.broker.nats() else { return Ok(()) };
        say::notice("the relay takes batches from NATS");
        relay.serve_nats(&nats, stopping(stopped)).await;
        Ok(())
    }

    #[cfg(not(feature = "nats"))]
    async fn take(&self, _: &Relay, _: watch::Receiver<bool>) -> Result<(), Failure> {
        Ok(())
    }
}

async fn stopping(mut stopped: watch::Receiver<bool>) {
    // Without a sender, the command ends.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// The way to NATS JetStream.
#[cfg(feature = "nats")]
#[derive(Debug, Args)]
struct Broker {
    /// The NATS servers whose stream has batches, with commas between
    #[arg(long, value_name = "nats://HOST:PORT,..")]
    nats: Option<String>,
    /// The file of credentials for NATS, as nsc makes it
    #[arg(long, value_name = "FILE", requires = "nats")]
    creds: Option<PathBuf>,
    /// The file of the seed of an NKey for NATS
    #[arg(long, value_name = "FILE", requires = "nats", conflicts_with = "creds")]
    nkey: Option<PathBuf>,
    /// The file of the certificates that a NATS server's own is signed by
    #[arg(long, value_name = "FILE", requires = "nats")]
    nats_ca: Option<PathBuf>,
    /// The most bytes of a message, as the server sets it
    #[arg(long, value_name = "BYTES", requires = "nats", default_value_t = 1 << 20)]
    max_payload: usize,
    /// Makes the stream and its consumer, or changes them, and ends
    #[arg(long, requires = "nats")]
    setup: bool,
    /// The servers that have a copy of each message, with --setup
    #[arg(long, value_name = "NUMBER", requires = "setup", default_value_t = 1)]
    replicas: usize,
    /// The days after which a message is removed, with --setup
    #[arg(long, value_name = "DAYS", requires = "setup", default_value_t = 7)]
    max_age: u64,
    /// The gibibytes of the stream, with --setup. A full one refuses batches, which wait in journals
    #[arg(long, value_name = "GIBIBYTES", requires = "setup", default_value_t = 10)]
    max_size: u64,
}

#[cfg(feature = "nats")]
impl Broker {
    fn nats(&self) -> Option<Nats> {
        let nats = Nats::new(self.nats.clone()?).max_payload(self.max_payload);
        let nats = self.creds.iter().fold(nats, Nats::credentials);
        let nats = self.nkey.iter().fold(nats, Nats::nkey);
        Some(self.nats_ca.iter().fold(nats, Nats::root_certificates))
    }

    fn sets_up(&self) -> bool {
        self.setup
    }

    async fn set_up(&self) -> Result<(), Failure> {
        let Some(nats) = self.nats() else { return Ok(()) };
        let mut settings = StreamSettings::default();
        settings.replicas = self.replicas;
        settings.max_age = Duration::from_secs(self.max_age * 24 * 60 * 60);
        settings.max_bytes = self.max_size << 30;
        Relay::set_up(&nats, &settings).await.map_err(|error| Failure::Other(error.to_string()))?;
        say::line(format!("the stream has {}", count(self.replicas as u64, "replica", "replicas")))
    }
}

#[cfg(any(feature = "forward", feature = "serve"))]
fn metrics(stats: RelayStats) -> String {
    [
        Metric::gauge("audit_relay_services", "Connections of services.", stats.services),
        Metric::counter("audit_relay_batches_total", "Batches that PostgreSQL has committed.", stats.batches),
        Metric::counter("audit_relay_events_total", "Events in these batches.", stats.events),
        Metric::counter("audit_relay_quarantined_total", "Events that PostgreSQL refused.", stats.quarantined),
        Metric::counter(
            "audit_relay_altered_total",
            "Messages that were no batch, or one with another root.",
            stats.altered,
        ),
        Metric::counter("audit_relay_failures_total", "Requests that failed and are sent again.", stats.failures),
    ]
    .map(|metric| metric.text(None))
    .concat()
}

fn told(stats: RelayStats) -> String {
    let (events, batches) = (count(stats.events, "event", "events"), count(stats.batches, "batch", "batches"));
    let quarantined = match stats.quarantined {
        0 => String::new(),
        some => format!(", {some} of them in quarantine"),
    };
    format!("{events} of {batches} stored{quarantined}")
}
