//! `Builder::last_resort`: where the events go that a shutdown could not ship, when the journal's disk
//! goes, too.

use crate::journal::{Directory, Journal, Parent, is_held};
use crate::pack::{self, Destination, ENDING, PackError};
use crate::privacy::MasterKey;
use crate::recorder::{self, Taken};
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long it may take, unless it is told.
const WITHIN: Duration = Duration::from_secs(10);

/// The place for the events that a shutdown could not ship: one file with the packed journals.
///
/// ```
/// use audit_runtime::{Audit, LastResort};
/// use std::time::Duration;
///
/// let to_a_volume = LastResort::file("/mnt/spool");
/// let to_a_bucket = LastResort::command(r#"aws s3 cp - "s3://audit-spool/$AUDIT_PACK_NAME""#);
/// let builder = Audit::builder().last_resort(to_a_bucket.within(Duration::from_secs(20)));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a last resort does nothing until a builder has it"]
pub struct LastResort {
    to: Destination,
    within: Duration,
}

impl LastResort {
    /// Writes the file to this path, which must not exist.
    ///
    /// In an existing directory, the file gets the name `<journal id>.auditpack`. The file has the
    /// mode 0600, and is on the disk before the journal goes.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { to: Destination::Path(path.into()), within: WITHIN }
    }

    /// Writes the file to the standard input of a shell command.
    ///
    /// The variable `AUDIT_PACK_NAME` suggests a name that no other file has. The exit status 0 must
    /// mean that the file is stored for good, because the journal is then removed.
    pub fn command(command: impl Into<String>) -> Self {
        Self { to: Destination::Command(command.into()), within: WITHIN }
    }

    /// Sets how long it may take, beyond the time of the shutdown. The default is 10 s.
    ///
    /// Then the command is killed, and the journal stays where it is.
    pub fn within(mut self, at_most: Duration) -> Self {
        self.within = at_most;
        self
    }

    pub(super) fn is_instant(&self) -> bool {
        self.within.is_zero()
    }

    /// Prepares it for a journal.
    pub(super) fn of(self, journal: &Arc<Journal>, key: Option<MasterKey>) -> impl recorder::LastResort + use<> {
        Rescue { last_resort: self, journal: journal.clone(), key }
    }
}

/// A last resort, with what it is for.
#[derive(Clone)]
struct Rescue {
    last_resort: LastResort,
    journal: Arc<Journal>,
    key: Option<MasterKey>,
}

impl fmt::Debug for Rescue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.last_resort.fmt(f)
    }
}

impl recorder::LastResort for Rescue {
    fn take(&self) -> Pin<Box<dyn Future<Output = Taken> + Send + '_>> {
        let (done, taken) = oneshot::channel();
        let rescue = self.clone();
        // A disk or a command may hang, and no runtime is there to measure the time.
        let watching = move || {
            let within = rescue.last_resort.within;
            let (worked, result) = mpsc::channel();
            let work = move || worked.send(rescue.take_by(Instant::now() + within));
            let started = thread::Builder::new().name("audit-last-resort".into()).spawn(work);
            // The command is killed at its deadline, which is reported by the work itself.
            let taken = match started {
                Ok(_) => result.recv_timeout(within + LATE).unwrap_or_else(|_| {
                    tracing::error!(
                        "the last resort takes too long, and the shutdown goes on: unless it succeeds yet, the events stay in the journal"
                    );
                    Taken::default()
                }),
                Err(error) => {
                    tracing::error!(%error, "the last resort cannot start its thread: the events stay in the journal");
                    Taken::default()
                }
            };
            let _ = done.send(taken);
        };
        if let Err(error) = thread::Builder::new().name("audit-last-watch".into()).spawn(watching) {
            tracing::error!(%error, "the last resort cannot start its thread: the events stay in the journal");
        }
        Box::pin(async { taken.await.unwrap_or_default() })
    }
}

/// How often it looks whether the writer has let go of the journal.
const LOOK: Duration = Duration::from_millis(10);
/// How much later than its deadline the work may report it.
const LATE: Duration = Duration::from_millis(500);

impl Rescue {
    fn take_by(&self, deadline: Instant) -> Taken {
        let (Some(parent), Some(own)) = (self.journal.parent(), self.journal.path()) else {
            return Taken::default();
        };
        // Its own is gone where all of it is stored.
        let mut paths = inherited(parent, own);
        paths.extend(own.exists().then(|| own.to_owned()));
        paths.sort_unstable();
        let lock = |path: &PathBuf| locked(parent, path, if path == own { deadline } else { Instant::now() });
        let mut journals: Vec<Directory> = paths.iter().filter_map(lock).collect();
        if self.key.is_none() {
            journals.retain(may_be_in_clear);
        }
        journals.retain(was_used);
        if journals.is_empty() {
            return Taken::default();
        }
        let name = format!("{}.{ENDING}", self.journal.id());
        let stored =
            self.last_resort.to.store(&name, Some(deadline), |out| pack::pack(&journals, self.key.as_ref(), out));
        match stored {
            Ok((report, place)) => {
                tracing::warn!(
                    events = report.events(),
                    journals = report.journals.len(),
                    "PostgreSQL does not have all events yet: {place} has them now, and audit-trail journal ship FILE ships them"
                );
                removed(&journals);
                let is_own = journals.iter().any(|journal| journal.id() == self.journal.id());
                Taken { is_own, inherited: journals.len() as u64 - u64::from(is_own) }
            }
            Err(error) => {
                tracing::error!(directory = %parent.path.display(), "the last resort failed, and the events stay in the journal: {error}");
                Taken::default()
            }
        }
    }
}

/// Returns the journals of ended processes, unless another process uses the directory: that one
/// ships them.
fn inherited(parent: &Parent, own: &Path) -> Vec<PathBuf> {
    let all = Directory::all(&parent.path).unwrap_or_default();
    let others: Vec<PathBuf> = all.into_iter().filter(|path| path != own).collect();
    let is_used = others.iter().any(|path| is_held(path).unwrap_or(false));
    if is_used { Vec::new() } else { others }
}

/// Locks a journal, unless a process has shipped it or holds it. It waits for that one: a writer at
/// work may outlast the shutdown.
fn locked(parent: &Parent, path: &Path, until: Instant) -> Option<Directory> {
    loop {
        match Directory::adopt(parent, path) {
            Ok(Some(directory)) => return Some(directory),
            Ok(None) if !path.exists() => return None,
            Ok(None) if Instant::now() < until => thread::sleep(LOOK),
            Ok(None) => {
                tracing::error!(directory = %path.display(), "the last resort leaves a journal that is in use");
                return None;
            }
            Err(error) => {
                tracing::error!(directory = %path.display(), %error, "the last resort cannot take a journal, and leaves it");
                return None;
            }
        }
    }
}

fn may_be_in_clear(directory: &Directory) -> bool {
    match pack::must_not_be_clear(directory) {
        Ok(None) => true,
        Ok(Some(error)) | Err(error) => {
            left(&error);
            false
        }
    }
}

fn left(error: &PackError) {
    tracing::error!("the last resort leaves a journal: {error}");
}

/// Returns whether a journal has anything that PostgreSQL could lack. One that cannot be read may.
fn was_used(directory: &Directory) -> bool {
    pack::was_used(directory).unwrap_or(true)
}

/// Removes journals whose events the file has now.
fn removed(journals: &[Directory]) {
    for journal in journals {
        if let Err(error) = journal.remove() {
            // Whatever is shipped first is stored, and the other changes nothing.
            tracing::warn!(directory = %journal.path().display(), %error, "a journal that was packed cannot be removed");
        }
    }
}
