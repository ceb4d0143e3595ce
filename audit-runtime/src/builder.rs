//! Configuration of an audit trail.

use crate::audit::Audit;
use crate::capture::{DATA_LIMIT, Rules};
use crate::core::{Core, Durability, Settings};
use crate::evidence::SigningKey;
use crate::journal::{Journal, JournalError, Limits, Overflow, housekeeping};
use crate::mask::Mask;
use crate::personal::MasterKey;
use crate::writer::{self, Checkpoints, ConnectOptions, IntoConnectOptions};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;
/// The least that holds the largest capture and a few more.
const MIN_SEGMENT: u64 = 64 * 1024;

/// Collects the settings of an audit trail; [`start`](Builder::start) checks them all at once.
///
/// ```no_run
/// use audit_runtime::Audit;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let audit = Audit::builder()
///     .postgres("postgres://broker@db/broker")
///     .journal("/var/lib/broker/audit")
///     .service("broker")
///     .start()?;
/// audit.install()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    postgres: Option<Result<ConnectOptions, String>>,
    place: Option<Place>,
    service: Option<String>,
    actor: Option<String>,
    segment_bytes: u64,
    limit_bytes: u64,
    overflow: Overflow,
    sync_every: Duration,
    data_limit: usize,
    mask: Mask,
    connections: usize,
    batch_rows: usize,
    batch_bytes: usize,
    seal: bool,
    synchronous_commit: bool,
    checkpoints: Option<Checkpoints>,
    upkeep_after: Duration,
    master_key: Option<MasterKey>,
}

#[derive(Debug)]
enum Place {
    Directory(PathBuf),
    Memory,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            postgres: None,
            place: None,
            service: None,
            actor: None,
            segment_bytes: 16 * MIB,
            limit_bytes: 1024 * MIB,
            overflow: Overflow::default(),
            sync_every: Duration::from_millis(100),
            data_limit: DATA_LIMIT,
            mask: Mask::default(),
            connections: 2,
            batch_rows: 5_000,
            batch_bytes: 4 * MIB as usize,
            seal: true,
            synchronous_commit: true,
            checkpoints: None,
            upkeep_after: Duration::from_secs(60),
            master_key: None,
        }
    }
}

/// Why an audit trail cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Settings are missing or contradict each other: all of them.
    #[error("the audit trail cannot start: {}", .0.join("; "))]
    Settings(Vec<String>),
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A thread cannot be started.
    #[error("the audit trail cannot start its threads: {0}")]
    Thread(#[source] io::Error),
}

impl Builder {
    /// Where the events go: a URL (`postgres://user:password@host/database`, what it leaves out is taken from the
    /// `PG*` variables), [`PgConnectOptions`](sqlx::postgres::PgConnectOptions) (sockets, TLS, `PG*` variables), or
    /// a function that gives one of these and is asked at every connect, for credentials that rotate.
    /// The connection is made later: a service starts while PostgreSQL is down.
    pub fn postgres(mut self, options: impl IntoConnectOptions) -> Self {
        self.postgres = Some(options.into_connect_options());
        self
    }

    /// The directory under which this process keeps its journal, on a local disk. Any number of processes may name
    /// the same one.
    pub fn journal(mut self, directory: impl Into<PathBuf>) -> Self {
        self.place = Some(Place::Directory(directory.into()));
        self
    }

    /// Keeps the journal in memory: what PostgreSQL does not have when the process dies is lost.
    pub fn memory(mut self) -> Self {
        self.place = Some(Place::Memory);
        self
    }

    /// The service's name, kept in the column `origin` as `<service>@<host>:<process id>`.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.service = Some(name.into());
        self
    }

    /// The actor of events that name none, outside of a context that does; `system` by default.
    pub fn actor(mut self, actor: impl fmt::Display) -> Self {
        self.actor = Some(actor.to_string());
        self
    }

    /// Bytes of one journal segment, a power of two; 16 MiB by default.
    pub fn segment_bytes(mut self, bytes: usize) -> Self {
        self.segment_bytes = bytes as u64;
        self
    }

    /// The most bytes the journal may take; 1 GiB by default.
    pub fn journal_limit(mut self, bytes: usize) -> Self {
        self.limit_bytes = bytes as u64;
        self
    }

    /// What a call does when the journal is full; by default it proceeds, and the event is refused and counted.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// How often the journal is synced to the disk; 100 ms by default. It bounds what a power loss can take: a killed
    /// process loses nothing in any case.
    pub fn sync_every(mut self, interval: Duration) -> Self {
        self.sync_every = interval;
        self
    }

    /// The most bytes of data an event may capture, and as many of its context's attributes; 64 KiB by default. The field
    /// that goes beyond is replaced by its length and SHA-256 hash. At most a quarter of a segment.
    pub fn data_limit(mut self, bytes: usize) -> Self {
        self.data_limit = bytes;
        self
    }

    /// Further names of secrets, beside those known already (`password`, `api_key`, `token`, ..): what a key of that
    /// name holds, at any depth of what is captured, is replaced by `"[redacted]"` before it reaches the journal. Names
    /// are matched by whole words in any case: `iban` covers `iban`, `user_iban` and `userIban`, and not `ibanez`.
    ///
    /// ```
    /// # use audit_runtime::Audit;
    /// let builder = Audit::builder().mask(["iban", "mothers_maiden_name"]);
    /// ```
    pub fn mask<N: AsRef<str>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        for name in names {
            self.mask.add(name.as_ref());
        }
        self
    }

    /// Excepts names from those that are known as secrets: where a token is an asset, `token_in` hides nothing. A name is matched as a
    /// whole, in any style of writing it: `token_in` covers `tokenIn`, and not `access_token_in`. A name given to [`mask`](Self::mask)
    /// stays a secret. It concerns what `#[audited]` captures: [`Event::data`](crate::Event::data), derived events and
    /// [`Context::attribute`](crate::Context::attribute) are masked before their handle is known.
    ///
    /// ```
    /// # use audit_runtime::Audit;
    /// let builder = Audit::builder().plain(["token_in", "token_out"]);
    /// ```
    pub fn plain<N: AsRef<str>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        for name in names {
            self.mask.except(name.as_ref());
        }
        self
    }

    /// How many connections carry batches in parallel while there is a backlog; 2 by default.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// The most rows of one batch, which is one transaction; 5,000 by default.
    pub fn batch_rows(mut self, rows: usize) -> Self {
        self.batch_rows = rows;
        self
    }

    /// Makes a checkpoint of the whole trail every so often, signed with this key; none by default, and then
    /// `audit-trail checkpoint` makes them. Of several processes that do, one makes each. Checkpoints stay in the database: keep copies
    /// elsewhere. The role needs what `audit-trail migrate --sealer` grants.
    ///
    /// ```
    /// # use audit_runtime::{Audit, evidence::SigningKey};
    /// # use std::time::Duration;
    /// # fn configure(secret: &str) -> Result<(), audit_runtime::evidence::KeyError> {
    /// let key: SigningKey = secret.parse()?;
    /// let builder = Audit::builder().checkpoint_every(Duration::from_secs(600), key);
    /// # Ok(())
    /// # }
    /// ```
    pub fn checkpoint_every(mut self, interval: Duration, key: SigningKey) -> Self {
        self.checkpoints = Some(Checkpoints { every: interval, key });
        self
    }

    /// The key that wraps the keys by which values of `personal(..)` are encrypted; all processes of a trail have the same. Without one,
    /// such values are recorded as `"[redacted]"`, and a warning says so. They are encrypted on their way to PostgreSQL: until then, the
    /// journal holds them as they are, in files of the service's own user.
    ///
    /// ```no_run
    /// # use audit_runtime::{Audit, MasterKey};
    /// # fn main() -> Result<(), audit_runtime::MasterKeyError> {
    /// let builder = Audit::builder().master_key(MasterKey::from_file("/etc/broker/audit-master-key")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.master_key = Some(key);
        self
    }

    /// When partitions are first looked after: for tests, which do not wait for a minute.
    #[doc(hidden)]
    pub fn upkeep_after(mut self, delay: Duration) -> Self {
        self.upkeep_after = delay;
        self
    }

    /// Whether a batch counts as stored only when PostgreSQL has it on disk; by default it does, whatever the server's own
    /// `synchronous_commit` says.
    ///
    /// Without it a commit does not wait for the disk of the server, and the journal lets go of events that a crash of the server can
    /// still take: those of its last fraction of a second (three times its `wal_writer_delay` of 200 ms). For trails that may lose
    /// them, on servers whose disks are slow; where they are not it gains little, because a batch of 5,000 events waits once.
    pub fn synchronous_commit(mut self, waits_for_the_disk: bool) -> Self {
        self.synchronous_commit = waits_for_the_disk;
        self
    }

    /// Leaves batches unsealed: to measure what sealing costs. Verification will say of each that it is not sealed.
    #[doc(hidden)]
    pub fn without_seal(mut self) -> Self {
        self.seal = false;
        self
    }

    /// Starts the journal and the writer's threads. Needs no runtime and does not wait for PostgreSQL.
    ///
    /// # Errors
    /// Settings are missing or wrong, or the journal cannot be opened.
    pub fn start(self) -> Result<Audit, StartError> {
        let mut problems = self.problems();
        let (options, place) = match (self.postgres, self.place) {
            (Some(Ok(options)), Some(place)) if problems.is_empty() => (options, place),
            (postgres, _) => {
                if let Some(Err(error)) = postgres {
                    problems.push(error);
                }
                return Err(StartError::Settings(problems));
            }
        };
        let parent = match place {
            Place::Directory(directory) => Some(directory),
            Place::Memory => None,
        };
        let limits =
            Limits { segment_bytes: self.segment_bytes, limit_bytes: self.limit_bytes, overflow: self.overflow };
        let journal = Arc::new(Journal::create(parent.as_deref(), limits)?);
        let settings = Settings {
            origin: origin(self.service.as_deref()),
            actor: self.actor,
            rules: Rules { limit: self.data_limit, mask: self.mask },
            connections: self.connections,
            batch_rows: self.batch_rows,
            batch_bytes: self.batch_bytes,
            seal: self.seal,
            synchronous_commit: self.synchronous_commit,
            checkpoints: self.checkpoints,
            upkeep_after: self.upkeep_after,
            master_key: self.master_key,
            durability: if parent.is_some() { Durability::Disk } else { Durability::Database },
        };
        let core = Arc::new(Core::new(journal.clone(), settings));
        housekeeping::start(&journal, self.sync_every).map_err(StartError::Thread)?;
        writer::start(core.clone(), options, parent).map_err(|error| {
            journal.close();
            StartError::Thread(error)
        })?;
        Ok(Audit::written(core))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.postgres.is_none() {
            problems.push("no PostgreSQL was named; call .postgres(url), or .postgres(PgConnectOptions::new()) for the PG* variables".into());
        }
        if self.place.is_none() {
            problems.push("no journal was named; call .journal(directory), or .memory() if losing events with the process is acceptable".into());
        }
        if !self.segment_bytes.is_power_of_two() || self.segment_bytes < MIN_SEGMENT {
            problems.push(format!(
                "segment_bytes is {}; it must be a power of two of at least {MIN_SEGMENT}",
                self.segment_bytes
            ));
        } else if self.data_limit as u64 > self.segment_bytes / 4 {
            problems.push(format!(
                "data_limit is {}; it must be at most a quarter of segment_bytes, {}",
                self.data_limit, self.segment_bytes
            ));
        }
        if self.limit_bytes < 2 * self.segment_bytes {
            problems.push(format!(
                "journal_limit is {}; it must be at least two segments, {}",
                self.limit_bytes,
                2 * self.segment_bytes
            ));
        }
        if self.sync_every.is_zero() {
            problems.push("sync_every is zero; name an interval, 100 ms by default".into());
        }
        if self.checkpoints.as_ref().is_some_and(|checkpoints| checkpoints.every.is_zero()) {
            problems.push("checkpoint_every is zero; name an interval, ten minutes as an example".into());
        }
        if self.connections == 0 || self.batch_rows == 0 {
            problems.push("connections and batch_rows must be at least 1".into());
        }
        problems
    }
}

/// Where events come from: `<service>@<host>:<process id>`, by default the program's name.
pub(crate) fn origin(service: Option<&str>) -> String {
    let uname = rustix::system::uname();
    let program = || {
        let program = std::env::current_exe().ok()?;
        Some(program.file_name()?.to_string_lossy().into_owned())
    };
    let service = service.map_or_else(|| program().unwrap_or_else(|| "unnamed".into()), str::to_owned);
    format!("{service}@{}:{}", uname.nodename().to_string_lossy(), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_named_at_once() {
        let error = Audit::builder().segment_bytes(1000).connections(0).start().unwrap_err().to_string();
        for part in [".postgres(url)", ".journal(directory)", ".memory()", "segment_bytes is 1000", "connections"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn a_malformed_url_is_named_without_its_password() {
        let error = Audit::builder().postgres("postgres://u:hunter2@host:notaport/x").memory().start().unwrap_err();
        let error = error.to_string();
        assert!(error.contains("PostgreSQL") && !error.contains("hunter2"), "{error}");
    }
}
