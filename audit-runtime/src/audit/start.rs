//! The start of an audit trail: its settings are checked, and its parts are put together.

use super::builder::{Builder, Place};
use super::handle::Audit;
use super::on_exit;
#[cfg(feature = "postgres")]
use crate::call::catalogue;
use crate::capture::Rules;
use crate::event::origin;
#[cfg(feature = "postgres")]
use crate::event::service_name;
use crate::journal::{Journal, JournalError, Limits, Parent, housekeeping};
use crate::recorder::{self, Durability, Recorder, printer};
use crate::sys::platform;
#[cfg(feature = "postgres")]
use crate::writer::{MakeCatalogue, ServiceCatalogue};
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// The least that holds the largest capture and a few more.
const MIN_SEGMENT: u64 = 64 * 1024;

/// The reason an audit trail cannot start.
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
    /// Starts the journal and the writer's threads.
    ///
    /// It needs no runtime and does not wait for PostgreSQL.
    ///
    /// # Errors
    /// Settings are missing or wrong, or the journal cannot be opened.
    pub fn start(self) -> Result<Audit, StartError> {
        let mut problems = self.problems();
        let policy = self.read_policy().unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        if !problems.is_empty() {
            return Err(StartError::Settings(problems));
        }
        let journal = Arc::new(Journal::create_under(self.parent(), self.limits())?);
        let settings = recorder::Settings {
            origin: origin(self.service.as_deref()),
            actor: self.actor.clone(),
            rules: Rules { limit: self.data_limit, mask: self.mask.clone() },
            durability: if journal.is_in_memory() { Durability::Database } else { Durability::Disk },
            keeps_personal: self.encrypts() && !self.prints,
        };
        let recorder = Recorder::new(journal.clone(), settings);
        let recorder = Arc::new(match &policy {
            Some(policy) => policy.applied(recorder),
            None => recorder,
        });
        housekeeping::start(&journal, self.sync_every).map_err(StartError::Thread)?;
        let on_exit = self.on_exit;
        let started =
            self.start_sink(&recorder).and_then(|()| policy.map_or(Ok(()), |policy| policy.watched(&recorder)));
        started.map_err(|error| {
            journal.close();
            recorder.control.stop(Instant::now());
            StartError::Thread(error)
        })?;
        if let Some(at_most) = on_exit {
            on_exit::shut_down(&recorder, at_most);
        }
        Ok(Audit::written(recorder))
    }

    fn parent(&self) -> Option<Parent> {
        let Some(Place::Directory(path)) = &self.place else {
            return None;
        };
        let limit_bytes = self.directory_limit.unwrap_or(self.limit_bytes.saturating_mul(4));
        Some(Parent { path: path.clone(), group: self.journal_group, limit_bytes })
    }

    fn limits(&self) -> Limits {
        Limits {
            segment_bytes: self.segment_bytes,
            limit_bytes: self.limit_bytes,
            record_bytes: self.record_bytes(),
            overflow: self.overflow,
            writing: self.writing,
        }
    }

    /// Returns the most bytes of one event, which its way to PostgreSQL sets.
    #[cfg(feature = "postgres")]
    fn record_bytes(&self) -> usize {
        self.shipping.record_bytes()
    }

    #[cfg(not(feature = "postgres"))]
    fn record_bytes(&self) -> usize {
        usize::MAX
    }

    /// Starts what takes events from the journal.
    fn start_sink(self, recorder: &Arc<Recorder>) -> io::Result<()> {
        #[cfg(feature = "postgres")]
        if let Some(destination) = self.shipping.destination(recorder.origin()) {
            let catalogue = stored_catalogue(self.service, self.service_version);
            return self.shipping.start(destination, recorder, catalogue);
        }
        printer::start(recorder.clone())
    }

    /// Returns whether personal values are encrypted on their way.
    #[cfg(feature = "postgres")]
    fn encrypts(&self) -> bool {
        self.shipping.writer.master_key.is_some()
    }

    #[cfg(not(feature = "postgres"))]
    fn encrypts(&self) -> bool {
        false
    }

    #[cfg(not(feature = "postgres"))]
    fn shipping_problems(&self) -> Vec<String> {
        let hint = "nothing takes the events; call .print(), or enable the feature `postgres` of audit-runtime and call .postgres(url)";
        if self.prints { Vec::new() } else { vec![hint.into()] }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.shipping_problems();
        if self.prints && matches!(self.place, Some(Place::Directory(_))) {
            problems.push("printed events are kept nowhere; call .journal(directory) or .print(), not both".into());
        }
        if !self.prints && self.place.is_none() {
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
        if self.journal_group.is_some() && !platform::HAS_GROUPS {
            problems.push(
                "journal_group was called, and this system has no groups; call .journal(directory) with a directory whose access list \
                 admits the services' users"
                    .into(),
            );
        }
        if self.sync_every.is_zero() {
            problems.push("sync_every is zero; name an interval, 100 ms by default".into());
        }
        problems
    }
}

/// Describes this program's annotated functions, once the writer asks for them.
#[cfg(feature = "postgres")]
fn stored_catalogue(service: Option<String>, version: String) -> MakeCatalogue {
    Box::new(move || {
        let functions = catalogue();
        // Texts are all that they consist of, and these serialise.
        let functions = if functions.is_empty() { None } else { serde_json::to_string(&functions).ok() };
        functions.map(|functions| ServiceCatalogue {
            service: service_name(service.as_deref()),
            version: version.clone(),
            functions,
        })
    })
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_named_at_once() {
        let error = Audit::builder().segment_bytes(1000).connections(0).start().unwrap_err().to_string();
        for part in [".postgres(url)", ".journal(directory)", ".memory()", "segment_bytes is 1000", "connections"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[cfg(windows)]
    #[test]
    fn a_group_is_refused_where_there_are_none() {
        let error = Audit::builder().print().journal_group(7).start().unwrap_err().to_string();
        assert!(error.contains("journal_group") && error.contains("access list"), "{error}");
    }

    #[test]
    fn events_are_printed_or_kept() {
        let error = Audit::builder().print().postgres("postgres://h/x").journal("/j").start().unwrap_err().to_string();
        for part in [".print() and .postgres(..) were called", ".journal(directory) or .print()"] {
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
