//! `audit-trail events --follow --cursor`: what arrives behind a cursor that a file keeps.

use crate::checkpoint::replace;
use crate::events::is_passing;
use crate::failure::Failure;
use crate::say;
use crate::show::{Printer, Style};
use audit_runtime::feed::{Arrivals, Position, Start};
use audit_runtime::trail::{EventFilter, Trail};
use sqlx::postgres::PgPool;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

/// How often it is looked for what has arrived.
const EVERY: Duration = Duration::from_millis(500);

/// Prints what arrives, and keeps the position behind it in the file, until it is interrupted.
pub(crate) async fn follow(
    trail: &Trail,
    pool: &PgPool,
    filter: EventFilter,
    path: &Path,
    style: &Style,
) -> Result<(), Failure> {
    let mut interrupted = Box::pin(tokio::signal::ctrl_c());
    let position = match read(path)? {
        Some(position) => position,
        None => {
            let position = Position::start(pool, Start::Now).await?;
            keep(path, &position)?;
            position
        }
    };
    let mut arrivals = Arrivals::new(pool.clone(), filter, position);
    let mut printer = Printer::new(style)?;
    let mut lost = false;
    loop {
        let next = tokio::select! {
            next = arrivals.next() => next,
            _ = &mut interrupted => break,
        };
        match next {
            Ok(Some(portion)) => {
                if std::mem::take(&mut lost) {
                    say::notice("connected again, nothing is missed");
                }
                let events = portion.events.into_iter().map(|arrived| arrived.event).collect();
                for event in trail.reveal(events).await? {
                    printer.event(&event)?;
                }
                printer.flush()?;
                keep(path, &portion.position)?;
                continue;
            }
            Ok(None) => {}
            Err(error) => {
                let failure = Failure::from(error);
                if !matches!(&failure, Failure::Database(error) if is_passing(error)) {
                    return Err(failure);
                }
                if !std::mem::replace(&mut lost, true) {
                    say::notice(format!("the connection is lost, trying again: {failure}"));
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = &mut interrupted => break,
        }
    }
    printer.end()
}

fn read(path: &Path) -> Result<Option<Position>, Failure> {
    let said = |why: &dyn std::fmt::Display| Failure::Usage(format!("--cursor {}: {why}", path.display()));
    match fs::read_to_string(path) {
        Ok(text) => text.parse().map(Some).map_err(|error| said(&error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(said(&error)),
    }
}

/// Keeps the position in the file.
fn keep(path: &Path, position: &Position) -> Result<(), Failure> {
    replace(path, &format!("{position}\n"))
        .map_err(|error| Failure::Other(format!("--cursor {}: {error}", path.display())))
}
