//! The catalogue as text, JSON and CSV.

use super::compared::Cell;
use super::listed::{Listed, by_service};
use crate::failure::Failure;
use crate::format::without_formula;
use crate::grid::Grid;
use crate::say;
use crate::show::{csv_writer, for_programs};
use crate::text::{Instead, count, harmless};
use crate::time::Zone;
use crate::timeline::shown;
use audit_runtime::catalogue::{AuditedField, FieldCapture};
use audit_runtime::trail::StoredCatalogue;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::io::{self, Write as _};

/// How a list of rows is printed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Text(Option<usize>),
    Json,
    Csv { is_raw: bool },
}

/// How the columns of a list give way on a narrow line: the function, then the service.
const STEPS: &[(usize, usize)] = &[(3, 24), (2, 10), (0, 20)];

/// Prints the functions of each service, below its newest version.
pub(super) fn text(catalogues: &[StoredCatalogue], functions: &[Listed<'_>], zone: &Zone) -> Result<(), Failure> {
    let mut text = String::new();
    for service in by_service(catalogues, functions) {
        let title = format!(
            "{} {}, first seen {}: {}, {} with personal data",
            service.name,
            service.version,
            shown(zone, service.first_seen_at),
            count(service.functions.len(), "function", "functions"),
            service.personal()
        );
        let _ = writeln!(text, "{}\n", harmless(&title));
        for listed in service.functions {
            text.push_str(&block(listed));
            text.push('\n');
        }
    }
    say::bytes(text.trim_end().as_bytes())?;
    say::line("")
}

/// A function, with its line, the rules about it, and the versions that have it.
fn block(listed: &Listed<'_>) -> String {
    let mut block = String::new();
    for (number, line) in listed.function.to_string().lines().enumerate() {
        let place = if number == 0 { format!(":{}", listed.function.line) } else { String::new() };
        let _ = writeln!(block, "{}{place}", harmless(line));
    }
    for rule in &listed.rules {
        let _ = writeln!(block, "  policy     {}", harmless(rule));
    }
    let _ = writeln!(block, "  versions   {}", harmless(&listed.versions()));
    block
}

/// Prints one array.
pub(super) fn json(functions: &[Listed<'_>]) -> Result<(), Failure> {
    array(functions)
}

fn array(rows: &[impl Serialize]) -> Result<(), Failure> {
    let mut output = for_programs(Instead::Escape);
    for (number, row) in rows.iter().enumerate() {
        output.write_all(if number == 0 { b"[\n" } else { b",\n" })?;
        serde_json::to_writer(&mut output, row)?;
    }
    output.write_all(if rows.is_empty() { b"[]\n" } else { b"\n]\n" })?;
    Ok(output.flush()?)
}

const COLUMNS: [&str; 18] = [
    "service",
    "function",
    "file",
    "line",
    "is_async",
    "events",
    "has_late_events",
    "entity_type",
    "recorded",
    "personal",
    "redacted",
    "left_out",
    "guarantee",
    "is_in_transaction",
    "is_conditional",
    "rules",
    "first_version",
    "last_version",
];

/// Prints a line for each function.
pub(super) fn csv(functions: &[Listed<'_>], is_raw: bool) -> Result<(), Failure> {
    let mut writer = csv_writer();
    writer.write_record(COLUMNS)?;
    for listed in functions {
        let function = listed.function;
        let names = |is_one: fn(&AuditedField) -> bool| {
            let names = function.fields.iter().filter(|field| is_one(field)).map(|field| field.name.as_str());
            names.collect::<Vec<_>>().join(" ")
        };
        let row = [
            listed.service.to_owned(),
            function.function.clone(),
            function.file.clone(),
            function.line.to_string(),
            function.is_async.to_string(),
            function.events.join(" "),
            function.has_late_events.to_string(),
            function.entity_type.clone().unwrap_or_default(),
            names(is_recorded),
            names(|field| field.is_personal),
            names(|field| field.capture == FieldCapture::Redacted),
            names(|field| field.capture == FieldCapture::LeftOut),
            function.guarantee.to_string(),
            function.is_in_transaction.to_string(),
            function.is_conditional.to_string(),
            listed.rules.join("; "),
            listed.first_version.clone(),
            listed.last_version.clone(),
        ];
        writer.write_record(row.map(|cell| if is_raw { cell } else { without_formula(cell) }))?;
    }
    Ok(writer.flush()?)
}

/// Whether events contain the value of a field.
pub(super) fn is_recorded(field: &AuditedField) -> bool {
    !matches!(field.capture, FieldCapture::LeftOut | FieldCapture::Redacted)
}

/// Prints a list of rows.
pub(super) fn rows<const N: usize>(
    header: &[&str; N],
    rows: Vec<[Cell; N]>,
    form: Form,
    zone: &Zone,
) -> Result<(), Failure> {
    match form {
        Form::Text(width) => {
            let steps = if N > 3 { STEPS } else { &[] };
            let mut grid = Grid::new(width, header.map(|name| name), steps, N);
            let text = |cell: Cell| match cell {
                Cell::Text(text) => harmless(&text),
                Cell::Minute(minute) => minute.map_or_else(|| "never".into(), |minute| shown(zone, minute)),
            };
            for row in rows {
                grid.row(&mut io::stdout().lock(), row.map(text))?;
            }
            Ok(grid.flush(&mut io::stdout().lock())?)
        }
        Form::Json => {
            let value = |cell: Cell| match cell {
                Cell::Text(text) => Value::from(text),
                Cell::Minute(minute) => Value::from(minute.map(|minute| minute.to_string())),
            };
            let object = |row: [Cell; N]| {
                header.iter().map(|name| (*name).to_owned()).zip(row.map(value)).collect::<Map<String, Value>>()
            };
            array(&rows.into_iter().map(object).collect::<Vec<_>>())
        }
        Form::Csv { is_raw } => {
            let mut writer = csv_writer();
            writer.write_record(header)?;
            for row in rows {
                let row = row.map(|cell| match cell {
                    Cell::Text(text) if is_raw => text,
                    Cell::Text(text) => without_formula(text),
                    Cell::Minute(minute) => minute.map_or_else(String::new, |minute| minute.to_string()),
                });
                writer.write_record(row)?;
            }
            Ok(writer.flush()?)
        }
    }
}
