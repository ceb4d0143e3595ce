//! Configuration of an audit trail.

use super::handle::Audit;
#[cfg(feature = "postgres")]
use super::shipping::Shipping;
use crate::capture::DATA_LIMIT;
use crate::capture::mask::Mask;
use crate::journal::{Overflow, Writing};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// Settings of an audit trail, which [`start`](Builder::start) checks all at once.
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
    #[cfg(feature = "postgres")]
    pub(super) shipping: Shipping,
    pub(super) prints: bool,
    pub(super) place: Option<Place>,
    pub(super) service: Option<String>,
    pub(super) service_version: String,
    pub(super) actor: Option<String>,
    pub(super) segment_bytes: u64,
    pub(super) limit_bytes: u64,
    pub(super) overflow: Overflow,
    pub(super) writing: Writing,
    pub(super) sync_every: Duration,
    pub(super) data_limit: usize,
    pub(super) mask: Mask,
    pub(super) journal_group: Option<u32>,
    pub(super) directory_limit: Option<u64>,
    pub(super) on_exit: Option<Duration>,
    /// The file of a policy.
    #[cfg(feature = "policy")]
    pub(super) policy: Option<PathBuf>,
}

#[derive(Debug)]
pub(super) enum Place {
    Directory(PathBuf),
    Memory,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            #[cfg(feature = "postgres")]
            shipping: Shipping::default(),
            prints: false,
            place: None,
            service: None,
            service_version: String::new(),
            actor: None,
            segment_bytes: 16 * MIB,
            limit_bytes: 1024 * MIB,
            overflow: Overflow::default(),
            writing: Writing::default(),
            sync_every: Duration::from_millis(100),
            data_limit: DATA_LIMIT,
            mask: Mask::default(),
            journal_group: None,
            directory_limit: None,
            on_exit: None,
            #[cfg(feature = "policy")]
            policy: None,
        }
    }
}

impl Audit {
    /// Returns a builder that configures an audit trail.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// Prints each event to standard error instead of storing it.
    ///
    /// This is for the first minutes with the library, and for development. It needs neither a
    /// database nor a journal directory, and keeps nothing. A call counts as stored once it is
    /// printed.
    ///
    /// ```
    /// use audit_runtime::{Audit, audited};
    /// use std::time::Duration;
    ///
    /// #[audited(event = "order.submitted", id = none, actor = "user:ada")]
    /// fn submit(ticker: &str, quantity: u32) {}
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let audit = Audit::builder().print().start()?;
    /// audit.install()?;
    /// submit("ACME", 10);
    /// audit.shutdown_blocking(Duration::from_secs(1))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn print(mut self) -> Self {
        self.prints = true;
        self
    }

    /// Sets the directory under which this process keeps its journal, on a local disk.
    ///
    /// Any number of processes may share one directory.
    pub fn journal(mut self, directory: impl Into<PathBuf>) -> Self {
        self.place = Some(Place::Directory(directory.into()));
        self
    }

    /// Keeps the journal in memory.
    ///
    /// If the process dies, the events that PostgreSQL does not have yet are lost.
    pub fn memory(mut self) -> Self {
        self.place = Some(Place::Memory);
        self
    }

    /// Sets the service's name, recorded in `origin` as `<service>@<host>:<process id>`.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.service = Some(name.into());
        self
    }

    /// Sets the service's version, under which its [catalogue](crate::catalogue()) is stored.
    ///
    /// By default a service has no version. Its catalogues are then told apart by the time at which
    /// each was first stored.
    ///
    /// ```
    /// # use audit_runtime::Audit;
    /// let builder = Audit::builder().service("broker").service_version(env!("CARGO_PKG_VERSION"));
    /// ```
    pub fn service_version(mut self, version: impl Into<String>) -> Self {
        self.service_version = version.into();
        self
    }

    /// Sets the actor of events whose call and context name none. The default is `system`.
    pub fn actor(mut self, actor: impl fmt::Display) -> Self {
        self.actor = Some(actor.to_string());
        self
    }

    /// Writes each event into the journal's file by a system call instead of a mapping.
    ///
    /// A journal is mapped into memory on file systems that keep their allocations: ext4, XFS,
    /// F2FS, tmpfs, and on macOS APFS and HFS+. On Windows, each journal is written by calls, with
    /// or without this setting.
    ///
    /// On other file systems (btrfs, ZFS, a network's) a full disk would end a process that maps
    /// its journal with SIGBUS. [`start`](Self::start) therefore refuses them. With this setting, a
    /// full disk makes the journal refuse the event instead.
    ///
    /// A call then costs one more system call, about a microsecond. Events that wait for PostgreSQL
    /// are in memory, too, up to [`journal_limit`](Self::journal_limit).
    pub fn journal_by_write(mut self) -> Self {
        self.writing = Writing::Call;
        self
    }

    /// Sets the size of a journal segment in bytes, a power of two. The default is 16 MiB.
    ///
    /// Its file begins with 64 KiB and grows as events need it.
    pub fn segment_bytes(mut self, bytes: usize) -> Self {
        self.segment_bytes = bytes as u64;
        self
    }

    /// Sets the most bytes the journal may use. The default is 1 GiB.
    pub fn journal_limit(mut self, bytes: usize) -> Self {
        self.limit_bytes = bytes as u64;
        self
    }

    /// Sets the most bytes that all journals under the directory may use together.
    ///
    /// The default is four times [`journal_limit`](Self::journal_limit). Journals of dead processes
    /// and of other living ones count. The other journals are counted at the start and then every
    /// [`adopt_every`](Self::adopt_every).
    ///
    /// If the others leave no room, this process makes no further segment, not even a first one.
    /// Its events then meet [`overflow`](Self::overflow). So a service that crashes in a loop while
    /// PostgreSQL is away does not fill the disk.
    pub fn directory_limit(mut self, bytes: usize) -> Self {
        self.directory_limit = Some(bytes as u64);
        self
    }

    /// Sets the id of the group that shares the journal directory. By default, the
    /// directory belongs to one user.
    ///
    /// A group is for services that run as different users. The directory then has the mode 2770
    /// and this group, and files have 0660. Each member can read and ship the journals of the
    /// others.
    ///
    /// Without a group, the directory and all in it belong to this process's user. Windows has no
    /// such groups: [`start`](Self::start) returns an error there.
    pub fn journal_group(mut self, group: u32) -> Self {
        self.journal_group = Some(group);
        self
    }

    /// Sets how a call proceeds when the journal is full.
    ///
    /// By default the call continues, and its event is refused and counted.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Sets how often the journal is synced to the disk. The default is 100 ms.
    ///
    /// The interval bounds the events that a power loss can destroy. A killed process loses nothing
    /// in any case.
    pub fn sync_every(mut self, interval: Duration) -> Self {
        self.sync_every = interval;
        self
    }

    /// Sets the most bytes of data an event may capture. The default is 64 KiB.
    ///
    /// The same limit applies to the attributes of its context. The field that exceeds it is
    /// replaced by its length and SHA-256 hash. The limit is at most a quarter of a segment.
    pub fn data_limit(mut self, bytes: usize) -> Self {
        self.data_limit = bytes;
        self
    }

    /// Adds names of secrets to the built-in ones (`password`, `api_key`, `token`, ..).
    ///
    /// The value of a key with such a name is replaced by `"[redacted]"` before it reaches the
    /// journal, at any depth of the captured data. Names are matched by whole words in any case:
    /// `iban` covers `iban`, `user_iban` and `userIban`, and not `ibanez`.
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

    /// Excepts names from the built-in secrets.
    ///
    /// Where a token is an asset, `token_in` hides nothing. A name is matched as a whole, in any
    /// style of writing it: `token_in` covers `tokenIn`, and not `access_token_in`. A name passed
    /// to [`mask`](Self::mask) stays a secret.
    ///
    /// It applies to values that `#[audited]` captures. [`Event::data`](crate::Event::data),
    /// derived events and [`Context::attribute`](crate::Context::attribute) are masked before their
    /// handle is known.
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

    /// Shuts the trail down when the process exits, which then waits at most this long.
    ///
    /// This is for programs that record something and end, such as jobs and command line tools.
    /// `main` may return, or call `std::process::exit`, without an [`Audit::shutdown`].
    ///
    /// A process that is killed or aborts leaves its journal to the next one, as ever. On Windows,
    /// so does one that calls `std::process::exit`.
    ///
    /// ```no_run
    /// use audit_runtime::Audit;
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let audit = Audit::builder()
    ///     .postgres("postgres://nightly@db/broker")
    ///     .journal("/var/lib/broker/audit")
    ///     .on_exit(Duration::from_secs(5))
    ///     .start()?;
    /// audit.install()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_exit(mut self, at_most: Duration) -> Self {
        self.on_exit = Some(at_most);
        self
    }
}
