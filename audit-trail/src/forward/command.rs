//! `audit-trail forward`

use super::target::{Target, TargetOptions};
use super::{Form, Forward, ForwardError, Level, Mapping};
use crate::exact;
use crate::failure::Failure;
use crate::keys::secret;
use crate::say;
use crate::select::{Selection, moment};
use crate::server::Server;
use crate::signals::Ends;
use crate::text::count;
use crate::time::{Bound, Zone};
use audit_runtime::feed::{FeedError, Start};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Sends what is committed, in the order of its arrival, and each event at least once, by its id. The
/// position of a feed is in the database. Rows that came without a batch arrive once they are sealed:
/// by this command, if its role may make checkpoints, or by the next checkpoint.
#[derive(Debug, Args)]
pub(crate) struct Command {
    /// The target: a file, -, '|command', https://, splunk+https://, otlp+https:// or syslog+tls://
    #[arg(long, value_name = "TARGET", allow_hyphen_values = true)]
    to: String,
    /// The form of events; by default ndjson, and cef for syslog
    #[arg(long, value_name = "FORM")]
    form: Option<Form>,
    /// The name of the feed, by which it goes on where it was; by default the target. A URL with a query and
    /// a command with arguments need one
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Where a new feed begins: `now`, `beginning`, or with what was stored at this time or later
    #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true)]
    from: String,
    /// Ends once all that has arrived is sent
    #[arg(long)]
    once: bool,
    /// How much of each event is sent
    #[arg(long, value_name = "LEVEL", default_value = "full")]
    level: Level,
    /// The file of rules that give event types an OCSF class, an activity and a severity
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Leaves cells of csv as they are, even if a spreadsheet takes them for formulas
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten, next_help_heading = "Targets")]
    way: Way,
    /// The address of a server of metrics for Prometheus, at /metrics
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<SocketAddr>,
}

#[derive(Debug, Args)]
struct Way {
    /// The file of the token (a bearer token, or Splunk's), or after a `|` a command that prints it
    #[arg(long, value_name = "FILE|'|COMMAND'")]
    token: Option<String>,
    /// The file of the secret by which HTTP requests are signed as in Standard Webhooks, or a command
    #[arg(long, value_name = "FILE|'|COMMAND'")]
    signing_secret: Option<String>,
    /// The file of the certificates that sign the server's own; by default those of the system
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The file of the client's certificate
    #[arg(long, value_name = "FILE", requires = "cert_key")]
    cert: Option<PathBuf>,
    /// The file of the key of the client's certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    cert_key: Option<PathBuf>,
    /// Leaves the bodies of requests uncompressed
    #[arg(long)]
    no_gzip: bool,
    /// Takes Splunk's answer for storing, without the acknowledgement of its indexers
    #[arg(long)]
    no_ack: bool,
    /// The index of Splunk
    #[arg(long, value_name = "INDEX")]
    index: Option<String>,
    /// The mebibytes after which a file is rotated: it gets the time behind its name
    #[arg(long, value_name = "MEBIBYTES", value_parser = clap::value_parser!(u64).range(1..))]
    rotate: Option<u64>,
    /// The rotated files that are kept; by default all of them
    #[arg(long, value_name = "NUMBER", requires = "rotate")]
    keep: Option<usize>,
    /// The seconds after which a request or a command has failed
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

impl Way {
    fn options(self) -> Result<TargetOptions, Failure> {
        Ok(TargetOptions {
            token: self.token.as_deref().map(|given| secret("--token", given)).transpose()?,
            signing_secret: self
                .signing_secret
                .as_deref()
                .map(|given| secret("--signing-secret", given))
                .transpose()?,
            ca: self.ca,
            identity: self.cert.zip(self.cert_key),
            no_gzip: self.no_gzip,
            no_ack: self.no_ack,
            index: self.index,
            rotate: self.rotate.map(|mebibytes| mebibytes << 20),
            keep: self.keep,
            timeout: Some(Duration::from_secs(self.timeout)),
        })
    }
}

/// Reads where a feed begins.
pub(super) fn start(option: &str, text: &str) -> Result<Start, Failure> {
    match text {
        "now" => Ok(Start::Now),
        "beginning" => Ok(Start::Beginning),
        time => {
            let zone = Zone::system().map_err(Failure::Usage)?;
            Ok(Start::At(moment(option, time, Bound::Since, &zone)?))
        }
    }
}

impl Command {
    pub(crate) async fn run(self, server: &Server) -> Result<(), Failure> {
        let mut ends = Ends::listen()?;
        let conditions = self.selection.described().trim_start().to_owned();
        let filter = self.selection.filter()?;
        let Selection { tenant, actor, entity_type, .. } = &self.selection;
        let mut whole = vec![("--tenant", tenant.as_deref()), ("--actor", actor.as_deref())];
        whole.push(("--entity-type", entity_type.as_deref()));
        whole.extend(exact::entity("--entity", &self.selection.entity));
        whole.extend(exact::entity("--target", &self.selection.target));
        if let Some((name, text)) = exact::pattern(whole) {
            say::notice(format!("{name} {text:?} is compared as a whole, and only --event has `*`"));
        }
        let start = start("--from", &self.from)?;
        let mapping = match &self.mapping {
            Some(path) => Mapping::read(path).map_err(|error| Failure::Usage(error.to_string()))?,
            None => Mapping::default(),
        };
        let target = Target::new(&self.to, &self.way.options()?).map_err(|error| Failure::Usage(error.to_string()))?;
        let form = self.form.unwrap_or_else(|| target.usual_form());
        let Some(name) = self.name.or_else(|| target.usual_name().map(str::to_owned)) else {
            return Err(Failure::Usage(format!(
                "--to {}: the rest of the target may hold a secret, and a name is shown to everybody who reads the trail; give --name NAME \
                 (a feed that ran without it goes on by the name in audit-trail feed list)",
                target.shown()
            )));
        };
        if name.is_empty() || name.len() > 200 {
            return Err(Failure::Usage("--name: a feed needs a name of at most 200 bytes".into()));
        }
        let forward = Forward::new(name, target, form)
            .filter(filter, conditions)
            .start(start)
            .level(self.level)
            .mapping(mapping)
            .raw(self.raw)
            .once(self.once)
            .on_notice(|text| say::notice(text));
        if let Some(address) = self.metrics {
            let bound = crate::metrics::serve(address, forward.metrics()).await?;
            say::notice(format!("metrics are at http://{bound}/metrics"));
        }
        let sent = forward.run(server.options(), async { ends.next().await }).await.map_err(Failure::from)?;
        let aside = count(sent.set_aside, "event", "events");
        say::notice(format!("{} sent, {aside} set aside", count(sent.events, "event", "events")));
        if self.once && sent.set_aside > 0 {
            return Err(Failure::Nothing("audit-trail feed refused shows the events that were set aside".into()));
        }
        Ok(())
    }
}

impl From<FeedError> for Failure {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Database(error) => error.into(),
            FeedError::Unknown(_) => Self::Nothing(error.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<ForwardError> for Failure {
    fn from(error: ForwardError) -> Self {
        match error {
            ForwardError::Target(error) => Self::Usage(error.to_string()),
            ForwardError::Feed(error) => error.into(),
            ForwardError::Database(error) => error.into(),
            other => Self::Other(other.to_string()),
        }
    }
}
