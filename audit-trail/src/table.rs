//! Events as a table, whose columns are as wide as its first rows need.

use crate::format::{entity, fitted_entity};
use crate::summary;
use crate::text::{WIDEST, columns, elided, harmless, harmless_json, narrowed, padded};
use crate::time::Zone;
use crate::timeline::{duration, shown};
use audit_runtime::Json;
use audit_runtime::trail::TrailEvent;
use std::io::{self, Write};

/// Rows that are kept to learn how wide the columns have to be.
const FIRST_ROWS: usize = 200;
/// The columns before the last one, which takes what is left.
const NARROW: usize = 6;
const TIME: usize = 0;
const TYPE: usize = 1;
const OUTCOME: usize = 2;
const ACTOR: usize = 3;
const ENTITY: usize = 4;
const DURATION: usize = 5;
/// How columns give way on a narrow terminal: those first that lose least by it. The time loses its
/// offset, which the header names, and its decimals.
const STEPS: [(usize, usize); 11] = [
    (ACTOR, 16),
    (ENTITY, 28),
    (TYPE, 28),
    (TIME, 23),
    (OUTCOME, 11),
    (ACTOR, 10),
    (ENTITY, 18),
    (TYPE, 18),
    (TIME, 20),
    (DURATION, 6),
    (ACTOR, 6),
];

/// Prints rows as they come.
pub(crate) struct Table {
    /// Columns of a line, or `None` for whole lines.
    width: Option<usize>,
    zone: Zone,
    kept: Vec<[String; NARROW + 1]>,
    widths: Option<[usize; NARROW]>,
}

impl Table {
    pub(crate) fn new(width: Option<usize>, zone: Zone) -> Self {
        Self { width, zone, kept: Vec::new(), widths: None }
    }

    pub(crate) fn event(&mut self, output: &mut impl Write, event: &TrailEvent) -> io::Result<()> {
        let row = self.row(event);
        if let Some(widths) = self.widths {
            return self.print(output, widths, &row);
        }
        self.kept.push(row);
        if self.kept.len() >= FIRST_ROWS { self.flush(output) } else { Ok(()) }
    }

    fn row(&self, event: &TrailEvent) -> [String; NARROW + 1] {
        let is_whole = self.width.is_none();
        let mut data = event.data.to_string();
        if is_whole {
            let context = event.context.as_ref().map_or_else(String::new, Json::to_string);
            let correlation = event.correlation_id.map_or_else(String::new, |id| format!(" correlation={id}"));
            let about = summary::about(event, true);
            let space = if about.is_empty() { "" } else { " " };
            data = format!("{data} {context} {}{correlation}{space}{about}", summary::other_columns(event));
        }
        [
            shown(&self.zone, event.created_at),
            harmless(&event.event_type),
            event.intent.map_or_else(|| harmless(event.outcome_text()), |state| format!("started, {state}")),
            harmless(&event.actor),
            entity(event, is_whole),
            event.duration_us.map_or_else(String::new, duration),
            harmless_json(&data),
        ]
    }

    /// Prints what is kept, with the header before it.
    pub(crate) fn flush(&mut self, output: &mut impl Write) -> io::Result<()> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.kept);
        let time = format!("created_at ({})", self.zone.name());
        let header = [&time, "event_type", "outcome", "actor", "entity", "duration", "data"].map(str::to_owned);
        let widths = *self.widths.insert(widths(&header, &rows, self.width));
        self.print(output, widths, &header)?;
        let line = self.width.unwrap_or(widths.iter().sum::<usize>() + 2 * NARROW + 4);
        writeln!(output, "{}", "\u{2500}".repeat(line))?;
        rows.iter().try_for_each(|row| self.print(output, widths, row))
    }

    fn print(&self, output: &mut impl Write, widths: [usize; NARROW], row: &[String; NARROW + 1]) -> io::Result<()> {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let cell = match column {
                _ if self.width.is_none() => cell.clone(),
                ENTITY => fitted_entity(cell, width),
                _ => elided(cell, width),
            };
            line.push_str(&padded(&cell, width + 2));
        }
        line.push_str(&row[NARROW]);
        let line = self.width.map_or_else(|| line.clone(), |width| elided(&line, width));
        writeln!(output, "{}", line.trim_end())
    }
}

/// Returns how wide each column is: what its rows need, as long as the data keep a quarter of the
/// line.
fn widths(header: &[String], rows: &[[String; NARROW + 1]], line: Option<usize>) -> [usize; NARROW] {
    let widest =
        |column: usize| rows.iter().map(|row| columns(&row[column])).fold(columns(&header[column]), usize::max);
    let mut widths: [usize; NARROW] = std::array::from_fn(|column| widest(column).min(WIDEST));
    if let Some(line) = line {
        narrowed(&mut widths, &STEPS, (line * 3 / 4).saturating_sub(2 * NARROW));
    }
    widths
}
