//! `audit-trail journal ..`: what waits on this machine's disk.

use crate::failure::Failure;
use crate::timeline::iso;
use audit_runtime::{Audit, Builder, JournalState, JournalStatus, MasterKey, journals};
use clap::Subcommand;
use sqlx::postgres::PgConnectOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the journals under a directory: whose process is there, and what they hold
    Status {
        /// The directory, as the services name it
        directory: PathBuf,
    },
    /// Ships the journals under a directory whose processes are gone, and removes them
    Ship {
        /// The directory, as the services name it
        directory: PathBuf,
        /// Gives up after so many seconds; what is not shipped stays
        #[arg(long, value_name = "SECONDS", default_value_t = 300)]
        timeout: u64,
    },
}

fn read(directory: &Path) -> Result<Vec<JournalStatus>, Failure> {
    journals(directory)
        .map_err(|error| Failure::Usage(format!("{}: {error}; name a journal directory", directory.display())))
}

fn waiting(journals: &[JournalStatus]) -> impl Iterator<Item = &JournalStatus> {
    journals.iter().filter(|journal| journal.state == JournalState::Waiting)
}

impl Command {
    /// Whether it needs the database.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Status { .. })
    }

    pub(crate) async fn run(self, options: &PgConnectOptions, master_key: Option<MasterKey>) -> Result<(), Failure> {
        match self {
            Self::Status { directory } => status(&directory),
            Self::Ship { directory, timeout } => {
                ship(&directory, options, master_key, Duration::from_secs(timeout)).await
            }
        }
    }
}

fn status(directory: &Path) -> Result<(), Failure> {
    let journals = read(directory)?;
    if journals.is_empty() {
        return Err(Failure::Nothing(format!("{}: there is no journal", directory.display())));
    }
    let mut output = io::stdout().lock();
    for journal in &journals {
        let state = match journal.state {
            JournalState::Held => "held",
            _ => "waiting",
        };
        let time = |time: Option<_>| time.map_or_else(|| "-".into(), iso);
        writeln!(
            output,
            "{}  {state:<7}  {:>9} events  {:>11} bytes  {}  {}",
            journal.id,
            journal.events,
            journal.bytes,
            time(journal.oldest),
            time(journal.newest)
        )?;
    }
    let left = waiting(&journals).count();
    if left > 0 {
        writeln!(
            output,
            "{left} of {} wait for a process that ships them: start their service, or audit-trail journal ship {}",
            journals.len(),
            directory.display()
        )?;
    }
    Ok(())
}

async fn ship(
    directory: &Path,
    options: &PgConnectOptions,
    master_key: Option<MasterKey>,
    timeout: Duration,
) -> Result<(), Failure> {
    let before = read(directory)?;
    let left = |journals: &[JournalStatus]| {
        before
            .iter()
            .filter(|was| was.state == JournalState::Waiting && journals.iter().any(|is| is.id == was.id))
            .count()
    };
    let all = waiting(&before).count();
    if all == 0 {
        return Err(Failure::Nothing(format!("{}: no journal waits", directory.display())));
    }
    if let Some(journal) = waiting(&before).find(|journal| journal.personal > 0 && master_key.is_none()) {
        return Err(Failure::Usage(format!(
            "journal {} holds {} events with personal data, which are encrypted when they are shipped: give --master-key",
            journal.id, journal.personal
        )));
    }
    let builder = Audit::builder().postgres(options.clone()).journal(directory).service("audit-trail");
    let builder = master_key.into_iter().fold(builder, Builder::master_key);
    let audit = builder.start().map_err(|error| Failure::Other(error.to_string()))?;
    let deadline = Instant::now() + timeout;
    while left(&read(directory)?) > 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let stats = audit.stats();
    audit.shutdown(Duration::from_secs(10)).await.map_err(|error| Failure::Other(error.to_string()))?;
    let left = left(&read(directory)?);
    writeln!(io::stdout().lock(), "{} events of {} journals shipped", stats.adopted, all - left)?;
    if left > 0 {
        let why = stats.last_error.unwrap_or_else(|| "the time was up, or they cannot be read".into());
        return Err(Failure::Other(format!("{left} journals are left: {why}")));
    }
    Ok(())
}
