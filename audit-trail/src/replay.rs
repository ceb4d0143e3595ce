//! `audit-trail journal replay`: sends kept batches to a database that went back in time.

use crate::failure::{Failure, plain_text};
use crate::say;
use crate::select::moment;
use crate::server::Server;
use crate::text::{count, harmless};
use crate::time::{Bound, Zone};
use audit_runtime::admin::{Replay as Sending, ReplayError, ReplayReport};
use audit_runtime::relay::RelayAddress;
use clap::Args;
use std::io;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The journal directory of the services, which have Builder::keep_for
    directory: PathBuf,
    /// Leaves out batches that were stored before then: RFC 3339, a date, 2h (two hours ago), yesterday
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// The id of the group that shares the directory, if services of several users do
    #[arg(long, value_name = "ID")]
    group: Option<u32>,
    /// The relay to send to, in place of the database
    #[arg(long, value_name = "unix:PATH|tcp:HOST:PORT")]
    relay: Option<RelayAddress>,
}

impl Replay {
    pub(crate) fn has_relay(&self) -> bool {
        self.relay.is_some()
    }

    pub(crate) async fn run(self, server: &Server) -> Result<(), Failure> {
        let sending = match self.relay {
            Some(relay) => Sending::to_relay(relay),
            None => Sending::to_postgres(server.options().clone()).map_err(failed)?,
        };
        let sending = self.group.into_iter().fold(sending, Sending::journal_group);
        let sending = match &self.since {
            Some(since) => {
                let zone = Zone::system().map_err(Failure::Usage)?;
                sending.since(moment("--since", since, Bound::Since, &zone)?)
            }
            None => sending,
        };
        let report = sending.run(&self.directory, |_, _| {}).await.map_err(failed)?;
        report.problems.iter().for_each(|problem| say::notice(harmless(&plain_text(problem))));
        say::line(told(&report))?;
        match report.problems.len() as u64 {
            0 => Ok(()),
            some => Err(Failure::Other(format!(
                "{} could not be sent; all others are in the database",
                count(some, "batch or file", "batches or files")
            ))),
        }
    }
}

fn failed(error: ReplayError) -> Failure {
    match error {
        ReplayError::Database(error) => error.into(),
        ReplayError::Files { source, directory } if source.kind() == io::ErrorKind::NotFound => Failure::Nothing(
            format!("no batch is kept under {}: services keep them with Builder::keep_for", directory.display()),
        ),
        ReplayError::Files { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            Failure::Other(format!("cannot read the kept batches: {source}; run this as the user of the service"))
        }
        other => Failure::Other(other.to_string()),
    }
}

fn told(report: &ReplayReport) -> String {
    let kept = match (report.oldest, report.newest) {
        (Some(oldest), Some(newest)) => {
            format!("{} kept from {oldest} to {newest}", count(report.batches, "batch", "batches"))
        }
        _ => "no batch kept".into(),
    };
    let quarantined = match report.quarantined {
        0 => String::new(),
        some => format!(", {some} of them in quarantine"),
    };
    let interrupted = match report.interrupted {
        0 => String::new(),
        some => format!("; {} recorded as interrupted", count(some, "call", "calls")),
    };
    format!(
        "{kept}; {} of them sent again with {}{quarantined}, the others were there{interrupted}",
        report.sent,
        count(report.events, "event", "events")
    )
}
