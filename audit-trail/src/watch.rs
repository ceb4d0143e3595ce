//! `audit-trail journal ship --watch`: for a machine whose programs end before anybody adopts what
//! they leave.

use crate::failure::{Failure, plain_text};
use crate::journal::counted;
use crate::say;
use crate::server::ANSWER;
use crate::signals::Ends;
use audit_runtime::{Builder, Stats};
use std::path::Path;
use std::time::Duration;

/// How soon something is printed after it happened.
const LOOK: Duration = Duration::from_millis(200);

/// The counts and the error that were printed last.
#[derive(Default)]
struct Printed {
    events: u64,
    journals: u64,
    error: Option<String>,
}

/// Ships the journals of processes that end, until it is interrupted or terminated.
pub(crate) async fn watch(builder: Builder, directory: &Path, every: Duration) -> Result<(), Failure> {
    // First, so that a signal that comes early ends it well, too.
    let mut ends = Ends::listen()?;
    let audit = builder.adopt_every(every).start().map_err(|error| Failure::Other(error.to_string()))?;
    say::notice(format!("watching {} until it is interrupted", directory.display()));
    let mut printed = Printed::default();
    loop {
        printed.print(&audit.stats(), directory)?;
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = ends.next() => break,
        }
    }
    audit.shutdown(ANSWER).await.map_err(|error| Failure::Other(error.to_string()))?;
    printed.print(&audit.stats(), directory)
}

impl Printed {
    /// Prints what is new.
    fn print(&mut self, stats: &Stats, directory: &Path) -> Result<(), Failure> {
        if stats.adopted_journals > self.journals {
            let (events, journals) = (stats.adopted - self.events, stats.adopted_journals - self.journals);
            say::line(format!("{} of {} shipped", counted(events, "event"), counted(journals, "journal")))?;
            (self.events, self.journals) = (stats.adopted, stats.adopted_journals);
        }
        if stats.last_error != self.error {
            if let Some(error) = &stats.last_error {
                let waiting = counted(stats.inherited_journals, "journal");
                let status = format!("audit-trail journal status {}", directory.display());
                say::notice(format!(
                    "{waiting} cannot be shipped now: {}; {status} shows what waits",
                    plain_text(error)
                ));
            }
            self.error.clone_from(&stats.last_error);
        }
        Ok(())
    }
}
