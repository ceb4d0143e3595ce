//! `audit-trail journal ..`: the events that wait on this machine's disk.

use crate::failure::{Failure, plain, plain_text};
use crate::pack::Pack;
use crate::replay::Replay;
use crate::say;
use crate::server::{ANSWER, Server};
use crate::show::{Output, Style};
use crate::text::count;
use crate::watch;
use audit_runtime::admin::{JournalState, JournalStatus, journals};
use audit_runtime::relay::RelayAddress;
use audit_runtime::{Audit, Builder, MasterKey, Timestamp};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the journals under a directory: their state, and the events that they contain. With a
    /// database, only the events that it lacks
    Status {
        /// The journal directory of the services
        directory: PathBuf,
    },
    /// Ships and removes the journals under a directory whose processes have ended, or ships the
    /// journals of a packed file
    Ship(Ship),
    /// Packs the journals of ended processes into one file, for a machine that ships it
    Pack(Pack),
    /// Sends the batches again that services have kept (Builder::keep_for), to a database that went back in
    /// time, as after a failover or a restore. The database has each of them once, however often this runs.
    /// Run it as the role of the services
    Replay(Replay),
}

#[derive(Debug, Args)]
pub(crate) struct Ship {
    /// The journal directory of the services, or a file that `journal pack` or a last resort made
    #[arg(value_name = "DIRECTORY|FILE")]
    directory: PathBuf,
    /// Stops after so many seconds; journals that are not shipped stay
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    /// Goes on until it is interrupted or terminated: ships the journals of processes that end
    #[arg(long, conflicts_with = "timeout")]
    watch: bool,
    /// Looks for journals every so many seconds, with --watch
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "watch", value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// The id of the group that shares the directory, if services of several users do
    #[arg(long, value_name = "ID")]
    group: Option<u32>,
    /// The relay to ship to, in place of the database
    #[arg(long, value_name = "unix:PATH|tcp:HOST:PORT")]
    relay: Option<RelayAddress>,
    /// Keeps copies of the batches for so many seconds, as Builder::keep_for does, for audit-trail journal
    /// replay
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    keep_for: Option<u64>,
}

impl Ship {
    pub(crate) fn watches(&self) -> bool {
        self.watch
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// The directory, or the file of packed journals.
    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    /// The same, of journals that were unpacked into this directory.
    pub(crate) fn of(&self, directory: PathBuf) -> Self {
        Self {
            directory,
            timeout: self.timeout,
            watch: false,
            every: self.every,
            group: None,
            relay: self.relay.clone(),
            keep_for: self.keep_for,
        }
    }

    pub(crate) fn has_relay(&self) -> bool {
        self.relay.is_some()
    }

    fn builder(&self, server: &Server, master_key: Option<MasterKey>) -> Builder {
        let builder = match &self.relay {
            Some(relay) => Audit::builder().relay(&relay.to_string()),
            None => Audit::builder().postgres(server.options().clone()),
        };
        let builder = builder.journal(&self.directory);
        // It records nothing itself, and what it needs fits any file system.
        let builder = builder.service("audit-trail").segment_bytes(1 << 18).journal_by_write();
        let builder = self.group.into_iter().fold(builder, Builder::journal_group);
        let builder = self.keep_for.map(Duration::from_secs).into_iter().fold(builder, Builder::keep_for);
        master_key.into_iter().fold(builder, Builder::master_key)
    }

    /// Ships what there is, and what comes, until it is interrupted or terminated.
    pub(crate) async fn watch(&self, server: &Server, master_key: Option<MasterKey>) -> Result<(), Failure> {
        watch::watch(self.builder(server, master_key), &self.directory, Duration::from_secs(self.every)).await
    }
}

/// A journal, and the events of it that wait, if the database could be asked.
pub(crate) struct Journal {
    all: JournalStatus,
    waiting: Option<JournalStatus>,
}

impl Journal {
    /// The events that wait: at most these.
    pub(crate) fn at_most(&self) -> &JournalStatus {
        self.waiting.as_ref().unwrap_or(&self.all)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.all.state == JournalState::Waiting
    }

    fn stored(&self) -> Option<u64> {
        Some(self.all.events.saturating_sub(self.waiting.as_ref()?.events))
    }

    fn state(&self) -> &'static str {
        match self.all.state {
            JournalState::Held => "held",
            _ => "waiting",
        }
    }

    fn json(&self) -> Value {
        let status = self.at_most();
        json!({
            "id": self.all.id,
            "path": self.all.path.display().to_string(),
            "state": self.state(),
            "events": self.all.events,
            "waiting": self.waiting.as_ref().map(|waiting| waiting.events),
            "personal": status.personal,
            "bytes": self.all.bytes,
            "oldest": status.oldest,
            "newest": status.newest,
        })
    }

    fn line(&self) -> String {
        let status = self.at_most();
        let time = |time: Option<Timestamp>| time.map_or_else(|| "-".into(), |time| time.to_string());
        let up_to = if self.waiting.is_none() { "up to " } else { "" };
        format!(
            "{}  {:<7}  {:>15} events  {:>11} bytes  {}  {}",
            status.id,
            self.state(),
            format!("{up_to}{}", status.events),
            status.bytes,
            time(status.oldest),
            time(status.newest)
        )
    }
}

fn read(directory: &Path) -> Result<Vec<JournalStatus>, Failure> {
    journals(directory).map_err(|error| {
        let failed = format!("cannot read the journals under {}: {error}", directory.display());
        match error.kind() {
            io::ErrorKind::PermissionDenied => Failure::Other(format!("{failed}; run this as the user of the service")),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Failure::Usage(format!("{failed}; give the journal directory of the service"))
            }
            _ => Failure::Other(failed),
        }
    })
}

/// Returns the positions of these journals that batches cover.
async fn stored(server: &Server, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Vec<Range<u64>>>, String> {
    let asking = async {
        let mut connection = PgConnection::connect_with(server.options()).await?;
        let sql = "SELECT journal_id, first_position, end_position FROM audit_batches WHERE journal_id = ANY($1) ORDER BY 1, 2";
        let rows: Vec<(Uuid, i64, i64)> =
            sqlx::query_as(sql).persistent(false).bind(ids).fetch_all(&mut connection).await?;
        let _ = connection.close().await;
        Ok::<_, sqlx::Error>(rows)
    };
    let mut stored: HashMap<Uuid, Vec<Range<u64>>> = HashMap::new();
    match tokio::time::timeout(ANSWER, asking).await {
        Ok(Ok(rows)) => {
            for (id, first, end) in rows {
                stored.entry(id).or_default().push(first.cast_unsigned()..end.cast_unsigned());
            }
            Ok(stored)
        }
        Ok(Err(error)) => Err(plain(&error)),
        Err(_) => Err(format!("no answer for {} s", ANSWER.as_secs())),
    }
}

/// Returns the journals under a directory, and, if the server can be asked, the events that it
/// lacks. Journals often wait because it is out of reach.
pub(crate) async fn look(directory: &Path, server: Option<&Server>) -> Result<Vec<Journal>, Failure> {
    let journals = read(directory)?;
    let stored = match server {
        Some(server) if !journals.is_empty() => {
            let stored = stored(server, journals.iter().map(|journal| journal.id).collect()).await;
            stored
                .map_err(|why| say::notice(format!("cannot ask the database at {server} for stored events: {why}")))
                .ok()
        }
        _ => None,
    };
    let known = |all: JournalStatus| {
        let waiting = stored.as_ref().map(|stored| all.without(stored.get(&all.id).map_or(&[], Vec::as_slice)));
        match waiting.transpose() {
            Ok(waiting) => Some(Ok(Journal { all, waiting })),
            // Shipped and removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(Err(Failure::Other(format!("cannot read {}: {error}", all.path.display())))),
        }
    };
    journals.into_iter().filter_map(known).collect()
}

pub(crate) async fn status(directory: &Path, style: &Style, server: Option<&Server>) -> Result<(), Failure> {
    let journals = look(directory, server).await?;
    if style.is_given() {
        say::rows(journals.iter().map(Journal::json), style.output() == Output::Json)?;
    } else {
        journals.iter().try_for_each(|journal| say::line(journal.line()))?;
    }
    if journals.is_empty() {
        return Err(Failure::Nothing(format!("no journal under {}", directory.display())));
    }
    if style.is_given() {
        return Ok(());
    }
    let stored: u64 = journals.iter().filter_map(Journal::stored).sum();
    if stored > 0 {
        say::line(format!("{stored} further events of these files are stored already"))?;
    }
    if journals.iter().any(|journal| journal.waiting.is_none() && journal.all.events > 0) {
        say::line("some of these events may be stored already; give --database-url to count those that wait")?;
    }
    let left = journals.iter().filter(|journal| journal.has_ended()).count();
    if left > 0 {
        let (of, directory) = (journals.len(), directory.display());
        say::line(format!(
            "{left} of {of} wait for a process that ships them: start their service, or run audit-trail journal ship {directory}"
        ))?;
    }
    Ok(())
}

pub(crate) async fn ship(command: &Ship, server: &Server, master_key: Option<MasterKey>) -> Result<(), Failure> {
    let (begin, timeout, directory) = (Instant::now(), command.timeout(), command.directory.as_path());
    let asked = Some(server).filter(|_| !command.has_relay());
    let before: Vec<Journal> = look(directory, asked).await?.into_iter().filter(Journal::has_ended).collect();
    let is_left = |was: &Journal, journals: &[JournalStatus]| journals.iter().any(|is| is.id == was.all.id);
    if before.is_empty() {
        return Err(Failure::Nothing(format!("no journal waits under {}", directory.display())));
    }
    let personal = before.iter().map(Journal::at_most).find(|journal| journal.personal > 0 && master_key.is_none());
    if let Some(journal) = personal {
        return Err(Failure::Usage(format!(
            "journal {} contains {} with personal data, which are encrypted when they are shipped; give --master-key",
            journal.id,
            count(journal.personal, "event", "events")
        )));
    }
    let audit = command.builder(server, master_key).start().map_err(|error| Failure::Other(error.to_string()))?;
    loop {
        let journals = read(directory)?;
        if !before.iter().any(|was| is_left(was, &journals)) || begin.elapsed() >= timeout {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let stats = audit.stats();
    audit.shutdown(ANSWER).await.map_err(|error| Failure::Other(error.to_string()))?;
    let journals = read(directory)?;
    let (left, gone): (Vec<&Journal>, Vec<&Journal>) = before.iter().partition(|was| is_left(was, &journals));
    let printed = say::line(shipped(stats.adopted, &gone));
    if !left.is_empty() {
        let why =
            stats.last_error.as_deref().map_or_else(|| "the time was up, or they cannot be read".into(), plain_text);
        return Err(Failure::Other(format!("left on the disk: {}; {why}", counted(left.len() as u64, "journal"))));
    }
    printed
}

/// The report of events that were shipped from journals that are gone now.
fn shipped(events: u64, gone: &[&Journal]) -> String {
    let journals = counted(gone.len() as u64, "journal");
    let stored = gone.iter().map(|journal| journal.stored()).sum::<Option<u64>>().filter(|stored| *stored > 0);
    match stored {
        Some(stored) if events == 0 => {
            let are = if stored == 1 { "is" } else { "are" };
            format!("nothing had to be shipped: {} of {journals} {are} stored already", counted(stored, "event"))
        }
        Some(stored) => {
            let were = if stored == 1 { "was" } else { "were" };
            let (events, stored) = (counted(events, "event"), counted(stored, "event"));
            format!("{events} of {journals} shipped; {stored} {were} stored already")
        }
        None => format!("{} of {journals} shipped", counted(events, "event")),
    }
}

pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
