//! Whether a trail takes events and stores them: for the probes of a service.

use super::control::Control;
use super::counters::Counters;
use crate::journal::{AppendError, Journal};
use std::fmt;
use std::sync::atomic::Ordering;

/// The part of its limit, in percent, from which a journal counts as filling.
const FILLING: u64 = 80;

/// The health of a trail: whether it takes events and stores them.
///
/// A service whose trail is [`Refusing`](Self::Refusing) is not ready. In all other states it is,
/// also while PostgreSQL is away, because events then wait in the journal.
///
/// ```
/// use audit_runtime::Audit;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let audit = Audit::builder().print().start()?;
/// let health = audit.health();
/// let (status, body) = (if health.is_ready() { 200 } else { 503 }, health.to_string());
/// assert_eq!((status, &*body), (200, "healthy"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// Events are taken and stored.
    Healthy,
    /// Events are taken. Somebody should look at these reasons.
    Degraded(Vec<Reason>),
    /// Events are lost, or calls wait, and `required` calls fail. The reasons for this come first.
    Refusing(Vec<Reason>),
}

/// A reason why a trail is not [`Healthy`](Health::Healthy). Its text states the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The trail was shut down. Refuses events.
    #[error("the trail is shut down and refuses events: stop sending requests to this process")]
    ShutDown,
    /// The writer's thread has ended by itself. Refuses events.
    #[error(
        "the writer's thread has ended, and events are refused: read its panic in the log, and restart the process"
    )]
    WriterEnded,
    /// This process is a fork of the one that started the trail. Refuses events.
    #[error("this process is a fork of the one that started the trail: start a trail in it")]
    Forked,
    /// The journal has reached its limit. Refuses events.
    #[error(
        "the journal is full, and events are refused: let PostgreSQL take the events, or raise Builder::journal_limit or \
         Builder::directory_limit (this journal may use {limit} bytes)"
    )]
    JournalFull {
        /// The most bytes that the journal may use.
        limit: u64,
    },
    /// The journal's disk has no room, or fails. Refuses events.
    #[error("the journal's disk has no room for it, and events are refused: free some space")]
    DiskFull,
    /// The journal cannot be synced, so `required` calls fail.
    #[error(
        "the journal cannot be synced to its disk, and required calls fail: read the error in the log, and mend the disk or the directory"
    )]
    NotSynced,
    /// PostgreSQL does not store the events. They wait in the journal.
    #[error(
        "PostgreSQL does not store the events, which wait in the journal: restore the database or the way to it ({error})"
    )]
    NotStored {
        /// The last error.
        error: String,
    },
    /// The journal has used 80 percent of its limit.
    #[error(
        "the journal has used {used} of its {limit} bytes: let PostgreSQL take the events, or raise Builder::journal_limit or \
         Builder::directory_limit"
    )]
    JournalFilling {
        /// Bytes in use.
        used: u64,
        /// The most bytes that the journal may use.
        limit: u64,
    },
    /// Events were refused within the last minute.
    #[error("events were refused within the last minute ({events}): read the reason in the log")]
    Refused {
        /// How many.
        events: u64,
    },
    /// Journals of processes that have ended wait in the directory.
    #[error(
        "journals of ended processes wait in the directory ({journals}): if that lasts, run audit-trail journal status on it"
    )]
    InheritedJournals {
        /// How many.
        journals: u64,
    },
    /// Personal values came, and no master key encrypts them. They are recorded as `"[redacted]"`.
    #[error("personal values are recorded as [redacted]: name a key with Builder::master_key")]
    MissingMasterKey,
}

impl Reason {
    /// Returns whether events are refused, or `required` calls fail, for this reason.
    #[must_use]
    pub fn refuses(&self) -> bool {
        match self {
            Self::ShutDown
            | Self::WriterEnded
            | Self::Forked
            | Self::JournalFull { .. }
            | Self::DiskFull
            | Self::NotSynced => true,
            Self::NotStored { .. }
            | Self::JournalFilling { .. }
            | Self::Refused { .. }
            | Self::InheritedJournals { .. }
            | Self::MissingMasterKey => false,
        }
    }
}

impl Health {
    /// Returns whether the service may get requests: the trail takes events.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !matches!(self, Self::Refusing(_))
    }

    /// Returns the reasons, or none if the trail is healthy.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Self::Healthy => &[],
            Self::Degraded(reasons) | Self::Refusing(reasons) => reasons,
        }
    }

    /// Looks at what is known.
    pub(crate) fn of(counters: &Counters, journal: &Journal, control: &Control) -> Self {
        let reasons = [
            refusing(journal, control),
            journal.is_sync_failing().then_some(Reason::NotSynced),
            not_stored(counters, control),
            filling(journal),
            Some(counters.refused_recently()).filter(|events| *events > 0).map(|events| Reason::Refused { events }),
            Some(counters.inherited.load(Ordering::Relaxed))
                .filter(|journals| *journals > 0)
                .map(|journals| Reason::InheritedJournals { journals }),
            (counters.redacted() > 0).then_some(Reason::MissingMasterKey),
        ];
        let reasons: Vec<Reason> = reasons.into_iter().flatten().collect();
        if reasons.iter().any(Reason::refuses) {
            Self::Refusing(reasons)
        } else if reasons.is_empty() {
            Self::Healthy
        } else {
            Self::Degraded(reasons)
        }
    }
}

/// Why the journal takes no events.
fn refusing(journal: &Journal, control: &Control) -> Option<Reason> {
    if journal.is_forked() {
        return Some(Reason::Forked);
    }
    if journal.is_closed() {
        return Some(if control.is_stopping() { Reason::ShutDown } else { Reason::WriterEnded });
    }
    Some(match journal.has_no_room()? {
        AppendError::Disk => Reason::DiskFull,
        _ => Reason::JournalFull { limit: journal.limit() },
    })
}

/// The last error, while events wait for which it may be the reason. Without any, it is history.
fn not_stored(counters: &Counters, control: &Control) -> Option<Reason> {
    let is_waiting = counters.appended() > control.progress().stored || counters.inherited.load(Ordering::Relaxed) > 0;
    let error = counters.last_error().filter(|_| is_waiting)?;
    Some(Reason::NotStored { error })
}

fn filling(journal: &Journal) -> Option<Reason> {
    let (used, limit) = (journal.used(), journal.limit());
    let is_filling = journal.has_no_room().is_none() && used.saturating_mul(100) >= limit.saturating_mul(FILLING);
    is_filling.then_some(Reason::JournalFilling { used, limit })
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => return f.write_str("healthy"),
            Self::Degraded(_) => "degraded: ",
            Self::Refusing(_) => "refusing events: ",
        })?;
        for (number, reason) in self.reasons().iter().enumerate() {
            write!(f, "{}{reason}", if number == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}
