//! Events on standard output, in the form that was asked for.

use crate::failure::Failure;
use crate::format::{COLUMNS, cloud_event, record};
use crate::say;
use crate::table::Table;
use crate::text::{Guarded, Instead, count};
use crate::time::Zone;
use crate::timeline::Timeline;
use anstream::AutoStream;
use audit_runtime::Json;
use audit_runtime::trail::TrailEvent;
use clap::{Args, ValueEnum};
use std::io::{self, IsTerminal, StdoutLock, Write};

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A line for each event, grouped by request, indented below its cause
    Timeline,
    /// A table
    Table,
    /// One JSON array
    Json,
    /// A JSON object on each line
    Ndjson,
    /// CSV (RFC 4180) with a header
    Csv,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Style {
    /// How results are printed: by default a timeline on a terminal, ndjson in a pipe
    #[arg(long, value_enum, global = true, value_name = "FORM")]
    output: Option<Output>,
    /// Cuts no value and no line
    #[arg(long, global = true)]
    wide: bool,
    /// In CSV, leaves a cell as it is that a spreadsheet may take for a formula: by default an
    /// apostrophe is put before it
    #[arg(long, global = true)]
    raw: bool,
    /// Whether a master key was given.
    #[arg(skip)]
    has_key: bool,
}

impl Style {
    /// States whether a master key opens personal values.
    pub(crate) fn reveals(&mut self, has_key: bool) {
        self.has_key = has_key;
    }

    pub(crate) fn output(&self) -> Output {
        let default = if io::stdout().is_terminal() { Output::Timeline } else { Output::Ndjson };
        self.output.unwrap_or(default)
    }

    pub(crate) const fn is_raw(&self) -> bool {
        self.raw
    }

    pub(crate) fn is_given(&self) -> bool {
        self.output.is_some()
    }

    /// Columns of a line, or `None` for whole lines.
    pub(crate) fn width(&self) -> Option<usize> {
        if self.wide {
            return None;
        }
        // A pipe has no width, and its reader may want all of it.
        terminal_size::terminal_size().map(|(width, _)| width.0.into())
    }
}

/// Output for programs: buffered in a pipe, guarded on a terminal.
pub(crate) type Programs = Box<dyn Write>;

pub(crate) fn for_programs(instead: Instead) -> Programs {
    let output = io::stdout().lock();
    if output.is_terminal() {
        return Box::new(Guarded::new(output, instead));
    }
    Box::new(io::BufWriter::with_capacity(64 * 1024, output))
}

/// Prints events one by one.
pub(crate) struct Printer {
    form: Form,
    printed: u64,
    /// Whether a master key was given, and how many events have values that it does not open.
    has_key: bool,
    encrypted: u64,
}

enum Form {
    Timeline(AutoStream<StdoutLock<'static>>, Timeline),
    Table(StdoutLock<'static>, Table),
    Json(Programs),
    Ndjson(Programs),
    CloudEvents(Programs),
    Csv { writer: Box<csv::Writer<Programs>>, is_raw: bool },
}

impl Printer {
    pub(crate) fn new(style: &Style) -> Result<Self, Failure> {
        let zone = || Zone::system().map_err(Failure::Usage);
        let form = match style.output() {
            Output::Timeline => {
                Form::Timeline(AutoStream::auto(io::stdout().lock()), Timeline::new(style.width(), zone()?))
            }
            Output::Table => Form::Table(io::stdout().lock(), Table::new(style.width(), zone()?)),
            Output::Json => Form::Json(for_programs(Instead::Escape)),
            Output::Ndjson => Form::Ndjson(for_programs(Instead::Escape)),
            Output::Csv => Form::csv(style.raw),
        };
        Ok(Self { has_key: style.has_key, ..Self::of(form) })
    }

    fn of(form: Form) -> Self {
        Self { form, printed: 0, has_key: false, encrypted: 0 }
    }

    pub(crate) fn cloud_events() -> Self {
        Self::of(Form::CloudEvents(for_programs(Instead::Escape)))
    }

    pub(crate) fn csv(is_raw: bool) -> Self {
        Self::of(Form::csv(is_raw))
    }

    pub(crate) fn ndjson() -> Self {
        Self::of(Form::Ndjson(for_programs(Instead::Escape)))
    }

    pub(crate) fn printed(&self) -> u64 {
        self.printed
    }

    pub(crate) fn event(&mut self, event: &TrailEvent) -> Result<(), Failure> {
        self.noted(event, "")
    }

    /// Prints an event, and on a timeline a note on it.
    pub(crate) fn noted(&mut self, event: &TrailEvent, note: &str) -> Result<(), Failure> {
        match &mut self.form {
            Form::Timeline(output, timeline) => timeline.event(output, event, note)?,
            Form::Table(output, table) => table.event(output, event)?,
            Form::Json(output) => {
                output.write_all(if self.printed == 0 { b"[\n" } else { b",\n" })?;
                serde_json::to_writer(output, event)?;
            }
            Form::Ndjson(output) => {
                serde_json::to_writer(&mut *output, event)?;
                output.write_all(b"\n")?;
            }
            Form::CloudEvents(output) => writeln!(output, "{}", cloud_event(event))?,
            Form::Csv { writer, is_raw } => {
                if self.printed == 0 {
                    writer.write_record(COLUMNS)?;
                }
                writer.write_record(record(event, *is_raw))?;
            }
        }
        self.printed += 1;
        self.encrypted += u64::from(self.has_key && holds_encrypted(event));
        Ok(())
    }

    /// Nothing more comes for now: what was printed is to be seen.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        match &mut self.form {
            Form::Timeline(output, timeline) => {
                timeline.flush(output)?;
                output.flush()?;
            }
            Form::Table(output, table) => {
                table.flush(output)?;
                output.flush()?;
            }
            Form::Json(output) | Form::Ndjson(output) | Form::CloudEvents(output) => output.flush()?,
            Form::Csv { writer, .. } => writer.flush()?,
        }
        Ok(())
    }

    /// Ends what has an end.
    pub(crate) fn end(&mut self) -> Result<(), Failure> {
        match &mut self.form {
            // An empty answer is an empty array, and a CSV of no rows has its header.
            Form::Json(output) => output.write_all(if self.printed == 0 { b"[]\n" } else { b"\n]\n" })?,
            Form::Csv { writer, .. } if self.printed == 0 => writer.write_record(COLUMNS)?,
            _ => {}
        }
        self.flush()?;
        if self.encrypted > 0 {
            say::notice(format!(
                "{} personal values that the master key does not open, shown as [encrypted]; all other values are as recorded; \
                 audit-trail master-key check tells which master key is missing, and whose values are lost without it",
                count(self.encrypted, "event has", "events have")
            ));
        }
        Ok(())
    }
}

/// Returns whether an event has a value whose key was not opened.
fn holds_encrypted(event: &TrailEvent) -> bool {
    fn holds(value: &Json, levels: usize) -> bool {
        let fields = value.as_object().into_iter().flatten();
        value.as_str() == Some("[encrypted]")
            || levels > 0 && fields.into_iter().any(|(_, value)| holds(value, levels - 1))
    }
    // Changes are below the data, and so are their parts.
    event.actor == "[encrypted]"
        || holds(&event.data, 4)
        || event.context.as_ref().is_some_and(|context| holds(context, 1))
}

impl Form {
    fn csv(is_raw: bool) -> Self {
        Self::Csv { writer: Box::new(csv_writer()), is_raw }
    }
}

/// CSV on standard output, as RFC 4180 has it.
pub(crate) fn csv_writer() -> csv::Writer<Programs> {
    let output = for_programs(Instead::Replacement);
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(output)
}
