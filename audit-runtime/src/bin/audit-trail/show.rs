//! Events on standard output, in the form that was asked for.

use crate::failure::Failure;
use crate::format::{COLUMNS, cloud_event, record};
use crate::text::{Guarded, Instead, elided, harmless};
use crate::timeline::Timeline;
use anstream::AutoStream;
use audit_runtime::TrailEvent;
use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
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
}

impl Style {
    pub(crate) fn output(&self) -> Output {
        let default = if io::stdout().is_terminal() { Output::Timeline } else { Output::Ndjson };
        self.output.unwrap_or(default)
    }

    pub(crate) fn is_given(&self) -> bool {
        self.output.is_some()
    }

    /// Columns of a line; `None` for whole lines.
    pub(crate) fn width(&self) -> Option<usize> {
        if self.wide {
            return None;
        }
        // A pipe has no width, and whoever reads it may want all of it.
        terminal_size::terminal_size().map(|(width, _)| width.0.into())
    }
}

/// Output for programs: buffered in a pipe, guarded on a terminal.
type Programs = Box<dyn Write>;

fn for_programs(instead: Instead) -> Programs {
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
}

enum Form {
    Timeline(AutoStream<StdoutLock<'static>>, Timeline),
    Table(Box<Table>, Option<usize>),
    Json(Programs),
    Ndjson(Programs),
    CloudEvents(Programs),
    Csv(Box<csv::Writer<Programs>>),
}

impl Printer {
    pub(crate) fn new(style: &Style) -> Self {
        let form = match style.output() {
            Output::Timeline => Form::Timeline(AutoStream::auto(io::stdout().lock()), Timeline::new(style.width())),
            Output::Table => {
                let mut table = Table::new();
                table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Disabled);
                table.set_header(["created_at", "event_type", "outcome", "actor", "entity", "duration", "data"]);
                Form::Table(Box::new(table), style.width())
            }
            Output::Json => Form::Json(for_programs(Instead::Escape)),
            Output::Ndjson => Form::Ndjson(for_programs(Instead::Escape)),
            Output::Csv => Form::csv(),
        };
        Self { form, printed: 0 }
    }

    pub(crate) fn cloud_events() -> Self {
        Self { form: Form::CloudEvents(for_programs(Instead::Escape)), printed: 0 }
    }

    pub(crate) fn csv() -> Self {
        Self { form: Form::csv(), printed: 0 }
    }

    pub(crate) fn ndjson() -> Self {
        Self { form: Form::Ndjson(for_programs(Instead::Escape)), printed: 0 }
    }

    pub(crate) fn printed(&self) -> u64 {
        self.printed
    }

    pub(crate) fn event(&mut self, event: &TrailEvent) -> Result<(), Failure> {
        match &mut self.form {
            Form::Timeline(output, timeline) => timeline.event(output, event)?,
            Form::Table(table, width) => {
                let data = harmless(&event.data.to_string());
                let data = width.map_or_else(|| data.clone(), |width| elided(&data, width.saturating_sub(130).max(30)));
                let entity = event.entity_id.map_or_else(String::new, |id| format!(" {id}"));
                table.add_row([
                    event.created_at.format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
                    harmless(&event.event_type),
                    event.intent.map_or_else(|| event.outcome.to_string(), |state| format!("started, {state}")),
                    harmless(&event.actor),
                    harmless(&format!("{}{entity}", event.entity_type)),
                    event.duration_us.map_or_else(String::new, |micros| format!("{micros} us")),
                    data,
                ]);
            }
            Form::Json(output) => {
                output.write_all(if self.printed == 0 { b"[\n" } else { b",\n" })?;
                serde_json::to_writer(output, event)?;
            }
            Form::Ndjson(output) => {
                serde_json::to_writer(&mut *output, event)?;
                output.write_all(b"\n")?;
            }
            Form::CloudEvents(output) => {
                serde_json::to_writer(&mut *output, &cloud_event(event))?;
                output.write_all(b"\n")?;
            }
            Form::Csv(writer) => {
                if self.printed == 0 {
                    writer.write_record(COLUMNS)?;
                }
                writer.write_record(record(event))?;
            }
        }
        self.printed += 1;
        Ok(())
    }

    /// Nothing more comes for now: what was printed is to be seen.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        match &mut self.form {
            Form::Timeline(output, _) => output.flush()?,
            Form::Table(..) => {}
            Form::Json(output) | Form::Ndjson(output) | Form::CloudEvents(output) => output.flush()?,
            Form::Csv(writer) => writer.flush()?,
        }
        Ok(())
    }

    /// Ends what has an end.
    pub(crate) fn end(&mut self) -> Result<(), Failure> {
        match &mut self.form {
            Form::Table(table, _) if self.printed > 0 => writeln!(io::stdout().lock(), "{table}")?,
            // An empty answer is an empty array, and a CSV of no rows has its header.
            Form::Json(output) => output.write_all(if self.printed == 0 { b"[]\n" } else { b"\n]\n" })?,
            Form::Csv(writer) if self.printed == 0 => writer.write_record(COLUMNS)?,
            _ => {}
        }
        self.flush()
    }
}

impl Form {
    fn csv() -> Self {
        let output = for_programs(Instead::Replacement);
        Self::Csv(Box::new(csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(output)))
    }
}
