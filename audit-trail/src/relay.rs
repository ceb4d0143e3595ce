//! `audit-trail relay`: takes batches from services, and stores them in PostgreSQL.

use crate::failure::Failure;
use crate::say;
use crate::server::Server;
use crate::signals::Ends;
use crate::text::count;
use audit_runtime::relay::{Relay, RelayAddress, RelayListener, RelayStats};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Command {
    /// The socket or the port of this machine on which services find it
    #[arg(long, value_name = "unix:PATH|tcp:HOST:PORT")]
    listen: RelayAddress,
    /// Connections to PostgreSQL, which all services share
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// The id of the group whose members may connect to the Unix socket. By default, only this user
    /// may
    #[arg(long, value_name = "ID")]
    group: Option<u32>,
}

impl Command {
    /// Serves services until it is interrupted or terminated. PostgreSQL may be away: services keep
    /// their events meanwhile.
    pub(crate) async fn run(&self, server: &Server) -> Result<(), Failure> {
        let mut ends = Ends::listen()?;
        let relay = Relay::new(server.options().clone(), usize::from(self.connections))
            .map_err(|error| Failure::Usage(error.to_string()))?;
        let listener = RelayListener::bind(&self.listen, self.group).await;
        let listener = listener.map_err(|error| Failure::Other(error.to_string()))?;
        let place = match listener.port() {
            Some(port) if matches!(&self.listen, RelayAddress::Tcp(_)) => with_port(&self.listen, port),
            _ => self.listen.to_string(),
        };
        say::notice(format!("the relay to {server} listens on {place}"));
        relay.serve(listener, ends.next()).await;
        say::line(told(relay.stats()))
    }
}

/// Names the port that the system has chosen.
fn with_port(address: &RelayAddress, port: u16) -> String {
    let text = address.to_string();
    let host = text.rsplit_once(':').map_or(&*text, |(host, _)| host);
    format!("{host}:{port}")
}

fn told(stats: RelayStats) -> String {
    let (events, batches) = (count(stats.events, "event", "events"), count(stats.batches, "batch", "batches"));
    let quarantined = match stats.quarantined {
        0 => String::new(),
        some => format!(", {some} of them in quarantine"),
    };
    format!("{events} of {batches} stored{quarantined}")
}
