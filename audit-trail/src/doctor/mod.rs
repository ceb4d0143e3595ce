//! `audit-trail doctor`: examines a trail and what is around it, and changes nothing.

mod database;
mod evidence;
mod finding;
mod journals;
mod keys;
mod roles;

use crate::failure::{Failure, plain};
use crate::say;
use crate::server::{ANSWER, Server};
use crate::show::Style;
use crate::text::{count, harmless};
use audit_runtime::admin::Role;
use clap::Args;
use finding::{Finding, Findings, KINDS, Severity};
use serde::Serialize;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// A session reads alone. A statement that takes longer than this reads more than it should.
const SESSION: &str = "SET default_transaction_read_only = on; SET statement_timeout = '10s'; SET lock_timeout = '2s'";

/// Connects as each role that is named, and as the role of --database-url, which needs to read. It
/// takes seconds, whatever the number of rows, and does not verify the trail.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Checks that this role has the rights to store events, and no others. By its URL it connects
    /// with its own password
    #[arg(long, value_name = "ROLE|URL")]
    writer: Vec<String>,
    /// The same, of a role that reads and verifies
    #[arg(long, value_name = "ROLE|URL")]
    reader: Vec<String>,
    /// The same, of a role that makes checkpoints
    #[arg(long, value_name = "ROLE|URL", alias = "sealer")]
    checkpointer: Vec<String>,
    /// The same, of a role that forgets subjects
    #[arg(long, value_name = "ROLE|URL")]
    eraser: Vec<String>,
    /// The same, of a role that sends events to other systems
    #[arg(long, value_name = "ROLE|URL")]
    forwarder: Vec<String>,
    /// Checks that this login sees the events of one tenant, and no others
    #[arg(long, value_name = "ROLE=TENANT", value_parser = crate::migrate::assignment)]
    tenant: Vec<(String, String)>,
    /// A journal directory of services on this machine
    #[arg(long, value_name = "DIRECTORY")]
    journal: Vec<PathBuf>,
    /// The free space that a journal directory needs, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    journal_free: u64,
    /// The public key that must have signed the last checkpoint, or its file [env:
    /// AUDIT_CHECKPOINT_PUBLIC_KEY]
    #[arg(long, value_name = "KEY|FILE")]
    public_key: Option<String>,
    /// The file of the secret key that must have signed the last checkpoint
    #[arg(long, value_name = "FILE")]
    signing_key: Option<String>,
    /// The output of the last `audit-trail verify --json`, as a timer keeps it
    #[arg(long, value_name = "FILE")]
    verification: Option<PathBuf>,
    /// The oldest batch or row that may be without a checkpoint, in hours
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    checkpoint_within: u64,
    /// The oldest verification, in hours
    #[arg(long, value_name = "HOURS", default_value_t = 168)]
    verified_within: u64,
    /// Lists the findings that it may report, and ends
    #[arg(long)]
    list: bool,
    /// Prints findings and the report as JSON, one on each line; the same as --output json
    #[arg(long)]
    json: bool,
}

/// A role with a duty.
#[derive(Debug)]
struct Named {
    duty: Role,
    name: String,
    /// Where it connects, if its URL was given.
    server: Option<Server>,
}

impl Named {
    fn new(duty: Role, text: &str) -> Result<Self, Failure> {
        if !text.contains("://") {
            return Ok(Self { duty, name: text.into(), server: None });
        }
        // clap would print the URL, and with it the password.
        let server = Server::new(Some(text)).map_err(|error| Failure::Usage(format!("--{duty}: {error}")))?;
        Ok(Self { duty, name: server.options().get_username().into(), server: Some(server) })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    Finding(&'a Finding),
    Report { findings: usize, critical: usize, warnings: usize, not_checked: &'a [String], seconds: f64 },
}

impl Doctor {
    /// Whether it only lists what it may report.
    pub(crate) fn is_local(&self) -> bool {
        self.list
    }

    pub(crate) fn print_list(&self, style: &Style) -> Result<(), Failure> {
        let is_json = self.json || style.is_given();
        KINDS.iter().try_for_each(|kind| {
            if is_json {
                say::line(json!(kind))
            } else {
                say::line(format!("{:<9} {:<22} {}", kind.severity, kind.name, kind.why))
            }
        })
    }

    /// The roles with their duties.
    fn roles(&self) -> Result<Vec<Named>, Failure> {
        let duties = [
            (Role::Writer, &self.writer),
            (Role::Reader, &self.reader),
            (Role::Checkpointer, &self.checkpointer),
            (Role::Eraser, &self.eraser),
            (Role::Forwarder, &self.forwarder),
        ];
        let roles = duties.into_iter().flat_map(|(duty, roles)| roles.iter().map(move |role| (duty, role)));
        roles.map(|(duty, role)| Named::new(duty, role)).collect()
    }

    pub(crate) async fn run(mut self, server: &Server, master_keys: &[String], style: &Style) -> Result<(), Failure> {
        self.json |= style.is_given();
        let named = self.roles()?;
        let (begin, mut findings) = (Instant::now(), Findings::default());
        let keys = keys::read(&self, master_keys, &mut findings);
        evidence::verification(&self, &mut findings);
        // Findings that need no database are printed even if it is out of reach.
        if let Err(unreachable) = server.greet(ANSWER).await {
            journals::check(&self, None, &mut findings).await;
            findings.not_checked("the database", &unreachable);
            self.print(&findings, begin)?;
            return Err(unreachable);
        }
        journals::check(&self, Some(server), &mut findings).await;
        let pool = server.reading(2, SESSION);
        if let Err(error) = database::clock(&pool, &mut findings).await {
            findings.not_checked("this machine's clock", plain(&error));
        }
        if database::schema(&pool, &mut findings).await? {
            database::rights(&named, &pool, &mut findings).await?;
            roles::check(&named, server, &pool, &mut findings).await?;
            roles::tenants(&self, &pool, &mut findings).await?;
            keys.compare(&pool, &mut findings).await;
            evidence::check(&self, &pool, &mut findings).await;
            database::writers(&pool, &mut findings).await;
        }
        self.print(&findings, begin)?;
        match findings.found.len() {
            0 => Ok(()),
            found => Err(Failure::Other(format!(
                "{}, {} of them critical",
                count(found as u64, "finding", "findings"),
                findings.count(Severity::Critical)
            ))),
        }
    }

    fn print(&self, findings: &Findings, begin: Instant) -> Result<(), Failure> {
        let (found, not_checked) = (&findings.found, &findings.not_checked);
        let seconds = begin.elapsed().as_secs_f64();
        if self.json {
            for finding in found {
                say::line(serde_json::to_string(&Line::Finding(finding))?)?;
            }
            let report = Line::Report {
                findings: found.len(),
                critical: findings.count(Severity::Critical),
                warnings: findings.count(Severity::Warning),
                not_checked,
                seconds,
            };
            return say::line(serde_json::to_string(&report)?);
        }
        found.iter().try_for_each(say::line)?;
        for check in not_checked {
            say::line(format!("not checked: {}", harmless(check)))?;
        }
        if found.is_empty() { say::line(format!("nothing found in {seconds:.1} s")) } else { Ok(()) }
    }
}
