//! Events for people: one line each, grouped by what they belong to, indented below what caused them.

use crate::text::{elided, harmless, padded};
use anstyle::{AnsiColor, Style};
use audit_runtime::{IntentState, Outcome, TrailEvent};
use chrono::{DateTime, Local, SecondsFormat, Utc};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;
use uuid::Uuid;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
/// The narrowest line that is worth cutting.
const LEAST: usize = 60;
/// A value is not shown beyond this, unless all of it is asked for.
const LONGEST_VALUE: usize = 48;

/// Prints events as they come.
pub(crate) struct Timeline {
    /// Columns of a line; `None` for whole lines.
    width: Option<usize>,
    group: Option<Group>,
}

/// Events that follow each other and have the same correlation.
struct Group {
    correlation: Option<Uuid>,
    begin: DateTime<Utc>,
    depths: HashMap<Uuid, usize>,
}

impl Timeline {
    pub(crate) fn new(width: Option<usize>) -> Self {
        Self { width: width.map(|width| width.max(LEAST)), group: None }
    }

    pub(crate) fn event(&mut self, output: &mut impl Write, event: &TrailEvent) -> io::Result<()> {
        let continues = self
            .group
            .as_ref()
            .is_some_and(|group| group.correlation == event.correlation_id && group.correlation.is_some());
        if !continues {
            if self.group.is_some() {
                writeln!(output)?;
            }
            let day = event.created_at.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S%.6f %:z");
            let id = event.correlation_id.map_or_else(|| "no correlation".into(), |id| id.to_string());
            writeln!(output, "{BOLD}{day}{BOLD:#}  {DIM}{id}{DIM:#}")?;
            self.group =
                Some(Group { correlation: event.correlation_id, begin: event.created_at, depths: HashMap::new() });
        }
        let Some(group) = &mut self.group else {
            return Ok(());
        };
        let depth = event.causation_id.and_then(|cause| group.depths.get(&cause)).map_or(0, |depth| depth + 1);
        group.depths.insert(event.id, depth);
        let offset = relative(event.created_at - group.begin);
        let name = padded(&format!("{}{}", "  ".repeat(depth), harmless(&event.event_type)), 30);
        let (outcome, style) = outcome(event);
        let actor = padded(&elided(&harmless(&event.actor), 22), 22);
        let duration = event.duration_us.map_or_else(String::new, duration);
        let head = format!("{offset:>9}  {name} {} {actor} {duration:>8}  ", padded(outcome, 11));
        let data = summary(event, self.width.is_none());
        let data = match self.width {
            Some(width) => elided(&data, width.saturating_sub(head.width()).max(10)),
            None => data,
        };
        writeln!(
            output,
            "{DIM}{offset:>9}{DIM:#}  {name} {style}{}{style:#} {actor} {DIM}{duration:>8}{DIM:#}  {data}",
            padded(outcome, 11)
        )
    }
}

fn outcome(event: &TrailEvent) -> (&'static str, Style) {
    let color = |color: AnsiColor| color.on_default();
    match (event.outcome, event.intent) {
        (Outcome::Started, Some(IntentState::InFlight)) => ("in flight", color(AnsiColor::Yellow)),
        (Outcome::Started, _) => ("started", DIM),
        (Outcome::Ok, _) => ("ok", color(AnsiColor::Green)),
        (outcome @ Outcome::Error, _) => (outcome.as_str(), color(AnsiColor::Red)),
        (outcome @ Outcome::Panicked, _) => (outcome.as_str(), color(AnsiColor::Red).bold()),
        (outcome, _) => (outcome.as_str(), color(AnsiColor::Yellow)),
    }
}

/// Since the group's first event, in a unit that fits.
fn relative(offset: chrono::TimeDelta) -> String {
    let micros = offset.num_microseconds().unwrap_or(i64::MAX);
    format!("{}{}", if micros < 0 { "-" } else { "+" }, duration(micros.saturating_abs()))
}

fn duration(micros: i64) -> String {
    match micros {
        ..1_000 => format!("{micros}us"),
        1_000..1_000_000 => format!("{:.1}ms", micros as f64 / 1e3),
        1_000_000..120_000_000 => format!("{:.2}s", micros as f64 / 1e6),
        120_000_000..7_200_000_000 => format!("{}m", micros / 60_000_000),
        7_200_000_000..172_800_000_000 => format!("{}h", micros / 3_600_000_000),
        _ => format!("{}d", micros / 86_400_000_000),
    }
}

/// What says most of the data: why it failed, what changed, then the plain values; ids and what is empty come last or not at all.
fn summary(event: &TrailEvent, whole: bool) -> String {
    let Some(data) = event.data.as_object() else {
        return harmless(&event.data.to_string());
    };
    let mut line = String::new();
    let mut part = |key: &str, value: &str| {
        let value = if whole { value.to_owned() } else { elided(value, LONGEST_VALUE) };
        let _ = write!(line, "{}{key}={value}", if line.is_empty() { "" } else { " " });
    };
    if let Some(error) = data.get("error").and_then(|error| error.get("message")) {
        part("error", &value(error));
    }
    if let Some(Value::Object(changes)) = data.get("changes") {
        for (what, leaves) in changes {
            for (path, leaf) in leaves.as_object().into_iter().flatten() {
                let (from, to) = (leaf.get("from"), leaf.get("to"));
                let change = |value: Option<&Value>| value.map_or_else(|| "-".into(), self::value);
                let name =
                    if path == "from" || path == "to" { harmless(what) } else { harmless(&format!("{what}.{path}")) };
                part(&name, &format!("{}\u{2192}{}", change(from), change(to)));
            }
        }
    }
    let is_shown = |key: &str, value: &Value| match value {
        Value::Null => whole,
        Value::Array(values) => whole || !values.is_empty(),
        Value::Object(values) => whole || !values.is_empty(),
        _ => whole || !key.ends_with("_id"),
    };
    for (key, content) in data {
        if key != "error" && key != "changes" && is_shown(key, content) {
            part(&harmless(key), &value(content));
        }
    }
    line
}

fn value(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains([' ', '=', '"']) || text.is_empty() => harmless(&format!("{text:?}")),
        Value::String(text) => harmless(text),
        other => harmless(&other.to_string()),
    }
}

/// A time as every machine-readable output has it.
pub(crate) fn iso(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, false)
}
