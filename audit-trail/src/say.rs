//! Words on standard output and standard error: a closed pipe is quiet, a full disk is an error.

use crate::failure::Failure;
use crate::text::harmless;
use std::fmt::Display;
use std::io::{self, Write};

/// Prints a line on standard output.
pub(crate) fn line(text: impl Display) -> Result<(), Failure> {
    bytes(format!("{text}\n").as_bytes())
}

/// Prints bytes on standard output.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    output.write_all(bytes)?;
    Ok(output.flush()?)
}

/// Prints a notice on standard error. A failure there is not returned, because no other place is
/// left to report it.
pub(crate) fn notice(text: impl Display) {
    let _ = problem(text);
}

/// Prints a notice on standard error, and fails if that is closed or full.
pub(crate) fn problem(text: impl Display) -> io::Result<()> {
    raw(&format!("audit-trail: {}\n", harmless(&text.to_string())))
}

/// Prints a text on standard error as it is.
pub(crate) fn raw(text: &str) -> io::Result<()> {
    io::stderr().lock().write_all(text.as_bytes())
}

/// Prints each step of a task that takes several. The task goes on when the reader of its steps is
/// gone.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    printed: u64,
    failed: Option<Failure>,
}

impl Steps {
    pub(crate) fn step(&mut self, step: &str) {
        self.printed += 1;
        if self.failed.is_none() {
            self.failed = line(harmless(step)).err();
        }
    }

    /// Prints this if no step was taken, and fails if a step could not be printed.
    pub(crate) fn or(mut self, nothing: &str) -> Result<(), Failure> {
        if self.printed == 0 {
            self.step(nothing);
        }
        self.failed.map_or(Ok(()), Err)
    }
}

/// Prints rows as JSON: as one array, or each on a line.
pub(crate) fn rows(rows: impl IntoIterator<Item = serde_json::Value>, as_array: bool) -> Result<(), Failure> {
    let rows: Vec<String> = rows.into_iter().map(|row| row.to_string()).collect();
    match (as_array, rows.is_empty()) {
        (true, true) => line("[]"),
        (true, false) => line(format!("[\n{}\n]", rows.join(",\n"))),
        (false, _) => rows.iter().try_for_each(line),
    }
}
