//! `audit-trail history`

use crate::failure::Failure;
use crate::format::without_formula;
use crate::grid::Grid;
use crate::named::Named;
use crate::say;
use crate::select;
use crate::show::{Output, Programs, Style, csv_writer, for_programs};
use crate::summary::value;
use crate::text::{Instead, harmless, harmless_json};
use crate::time::{Bound, Zone};
use crate::timeline::shown;
use audit_runtime::Timestamp;
use audit_runtime::trail::{ChangedBy, EventFilter, FieldChange, FieldState, FieldValue, Trail};
use clap::Args;
use futures_util::TryStreamExt;
use serde::Serialize;
use std::io::{self, Write};
use std::pin::pin;

/// Prints each change that the entity's events report in `data.changes`: when, which field, from
/// and to, by whom and why. A change that no event reports is shown where the next one tells of it.
/// With --at, it prints the fields as they were then. A value that no event reports is unknown.
#[derive(Debug, Args)]
pub(crate) struct History {
    #[command(flatten)]
    entity: Named,
    /// One field, by its name or all of its path: limit_cents, account.limit_cents
    #[arg(long, value_name = "FIELD")]
    field: Option<String>,
    /// The state as of this time: RFC 3339, a date, 2h (two hours ago), yesterday; a date is its
    /// first moment
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,
    /// Changes that are about data of this tenant
    #[arg(long, allow_hyphen_values = true)]
    tenant: Option<String>,
}

const COLUMNS: [&str; 15] = [
    "at",
    "field",
    "from_is",
    "from",
    "to_is",
    "to",
    "unrecorded_is",
    "unrecorded",
    "is_within",
    "actor",
    "reason",
    "event_id",
    "event_type",
    "outcome",
    "tenant",
];
const STATE_COLUMNS: [&str; 10] =
    ["field", "is", "value", "at", "actor", "reason", "event_id", "event_type", "outcome", "tenant"];
/// How the columns of changes give way: the change, the field, the actor.
const STEPS: [(usize, usize); 5] = [(2, 36), (1, 28), (3, 14), (2, 20), (1, 14)];
/// Those of a state: the value, the field, the actor.
const STATE_STEPS: [(usize, usize); 5] = [(1, 36), (0, 28), (3, 14), (1, 20), (0, 14)];
/// A narrower line shows times to the second. The header names the zone.
const NARROW: usize = 120;
const TO_THE_SECOND: usize = "2026-05-04 03:02:01".len();

impl History {
    pub(crate) async fn run(self, trail: &Trail, style: &Style) -> Result<(), Failure> {
        let zone = Zone::system().map_err(Failure::Usage)?;
        let (kind, key) = self.entity.clone().of("history")?;
        let mut history = trail.history(&kind, key.as_str());
        if let Some(field) = &self.field {
            history = history.field(field);
        }
        if let Some(tenant) = &self.tenant {
            history = history.tenant(tenant.as_str());
        }
        let printed = match &self.at {
            Some(at) => {
                let at = select::moment("--at", at, Bound::Until, &zone)?;
                say::notice(format!("{kind} {key} as of {} ({})", shown(&zone, at), zone.name()));
                let state = history.as_of(at).await?;
                let mut rows = Rows::new(style, Form::of_state(style, zone));
                state.iter().try_for_each(|field| rows.state(field))?;
                rows.end(&STATE_COLUMNS)?
            }
            None => {
                let mut rows = Rows::new(style, Form::of_changes(style, zone));
                let mut changes = pin!(history.changes());
                while let Some(change) = changes.try_next().await? {
                    rows.change(&change)?;
                }
                rows.end(&COLUMNS)?
            }
        };
        if printed > 0 { Ok(()) } else { Err(self.nothing(trail, &kind, &key).await?) }
    }

    /// Returns the answer where no change is recorded: what there is instead.
    async fn nothing(&self, trail: &Trail, kind: &str, key: &str) -> Result<Failure, Failure> {
        let field = self.field.as_ref().map_or_else(String::new, |field| format!(" of the field {field}"));
        let tenant = self.tenant.as_ref().map_or_else(String::new, |tenant| format!(" for the tenant {tenant}"));
        let filter = EventFilter::new().entity(kind, key).limit(1);
        let hint = if trail.events(&filter).await?.events.is_empty() {
            format!("no event is about it; audit-trail find {key} looks for the text everywhere")
        } else {
            format!(
                "its events are shown by audit-trail entity {kind} {key}; `changes(..)` in #[audited] records changes"
            )
        };
        Ok(Failure::Nothing(format!("no change{field} of {kind} {key} is recorded{tenant}: {hint}")))
    }
}

/// Prints changes or fields in the form that was asked for.
struct Rows {
    form: Form,
    is_raw: bool,
    is_narrow: bool,
    printed: u64,
}

enum Form {
    Changes(Grid<5>, Zone),
    State(Grid<5>, Zone),
    Json(Programs, Output),
    Csv(Box<csv::Writer<Programs>>),
}

impl Form {
    fn of_changes(style: &Style, zone: Zone) -> Self {
        let header = [&*format!("time ({})", zone.name()), "field", "change", "by", "why"];
        Self::of(style).unwrap_or_else(|| Self::Changes(Grid::new(style.width(), header, &STEPS, 1), zone))
    }

    fn of_state(style: &Style, zone: Zone) -> Self {
        let header = ["field", "value", &*format!("since ({})", zone.name()), "by", "why"];
        Self::of(style).unwrap_or_else(|| Self::State(Grid::new(style.width(), header, &STATE_STEPS, 0), zone))
    }

    /// A form for programs.
    fn of(style: &Style) -> Option<Self> {
        match style.output() {
            Output::Timeline | Output::Table => None,
            output @ (Output::Json | Output::Ndjson) => Some(Self::Json(for_programs(Instead::Escape), output)),
            Output::Csv => Some(Self::Csv(Box::new(csv_writer()))),
        }
    }
}

impl Rows {
    fn new(style: &Style, form: Form) -> Self {
        let is_narrow = style.width().is_some_and(|width| width < NARROW);
        Self { form, is_raw: style.is_raw(), is_narrow, printed: 0 }
    }

    fn change(&mut self, change: &FieldChange) -> Result<(), Failure> {
        match &mut self.form {
            Form::Changes(grid, zone) => {
                let output = &mut io::stdout().lock();
                if let Some(left) = &change.unrecorded {
                    let gap = format!("{}\u{2192}{}", told(left), told(&change.from));
                    let row = ["before that".into(), harmless_json(&change.field), gap, "unknown".into()];
                    let [time, field, gap, by] = row;
                    grid.row(output, [time, field, gap, by, "no event reports this change".into()])?;
                }
                let shown_change = format!("{}\u{2192}{}", told(&change.from), told(&change.to));
                let mut why = why(&change.by);
                if change.is_within {
                    why.push_str(", within a call that is shown above");
                }
                let time = time(zone, change.by.at, self.is_narrow);
                grid.row(output, [time, harmless_json(&change.field), shown_change, harmless(&change.by.actor), why])?;
            }
            Form::State(..) => {}
            Form::Json(..) => self.json(change)?,
            Form::Csv(_) => {
                let unrecorded = change.unrecorded.as_ref();
                let by = &change.by;
                let [from_is, from] = cells(&change.from);
                let [to_is, to] = cells(&change.to);
                let [unrecorded_is, unrecorded] = unrecorded.map_or_else(Default::default, cells);
                self.csv(
                    &COLUMNS,
                    [
                        by.at.to_string(),
                        change.field.clone(),
                        from_is,
                        from,
                        to_is,
                        to,
                        unrecorded_is,
                        unrecorded,
                        change.is_within.to_string(),
                        by.actor.clone(),
                        by.reason.clone().unwrap_or_default(),
                        by.event_id.to_string(),
                        by.event_type.clone(),
                        by.outcome.clone(),
                        by.tenant.clone().unwrap_or_default(),
                    ],
                )?;
            }
        }
        self.printed += 1;
        Ok(())
    }

    fn state(&mut self, state: &FieldState) -> Result<(), Failure> {
        let by = state.by.as_ref();
        match &mut self.form {
            Form::State(grid, zone) => {
                let time = by.map_or_else(|| "unknown".into(), |by| time(zone, by.at, self.is_narrow));
                let why = by.map_or_else(|| "the next change found it so".into(), why);
                let actor = by.map_or_else(String::new, |by| harmless(&by.actor));
                let row = [harmless_json(&state.field), told(&state.value), time, actor, why];
                grid.row(&mut io::stdout().lock(), row)?;
            }
            Form::Changes(..) => {}
            Form::Json(..) => self.json(state)?,
            Form::Csv(_) => {
                let [is, value] = cells(&state.value);
                let of = |text: fn(&ChangedBy) -> String| by.map_or_else(String::new, text);
                self.csv(
                    &STATE_COLUMNS,
                    [
                        state.field.clone(),
                        is,
                        value,
                        of(|by| by.at.to_string()),
                        of(|by| by.actor.clone()),
                        of(|by| by.reason.clone().unwrap_or_default()),
                        of(|by| by.event_id.to_string()),
                        of(|by| by.event_type.clone()),
                        of(|by| by.outcome.clone()),
                        of(|by| by.tenant.clone().unwrap_or_default()),
                    ],
                )?;
            }
        }
        self.printed += 1;
        Ok(())
    }

    fn json(&mut self, row: &impl Serialize) -> Result<(), Failure> {
        let Form::Json(output, form) = &mut self.form else {
            return Ok(());
        };
        if *form == Output::Json {
            output.write_all(if self.printed == 0 { b"[\n" } else { b",\n" })?;
        }
        serde_json::to_writer(&mut *output, row)?;
        if *form == Output::Ndjson {
            output.write_all(b"\n")?;
        }
        Ok(())
    }

    fn csv<const N: usize>(&mut self, header: &[&str], row: [String; N]) -> Result<(), Failure> {
        let Form::Csv(writer) = &mut self.form else {
            return Ok(());
        };
        if self.printed == 0 {
            writer.write_record(header)?;
        }
        let is_raw = self.is_raw;
        writer.write_record(row.map(|cell| if is_raw { cell } else { without_formula(cell) }))?;
        Ok(())
    }

    /// Ends what has an end, and returns how many rows there are.
    fn end(mut self, header: &[&str]) -> Result<u64, Failure> {
        match &mut self.form {
            Form::Changes(grid, _) | Form::State(grid, _) => grid.flush(&mut io::stdout().lock())?,
            Form::Json(output, form) => {
                if *form == Output::Json {
                    output.write_all(if self.printed == 0 { b"[]\n" } else { b"\n]\n" })?;
                }
                output.flush()?;
            }
            Form::Csv(writer) => {
                if self.printed == 0 {
                    writer.write_record(header)?;
                }
                writer.flush()?;
            }
        }
        Ok(self.printed)
    }
}

/// A time, on a narrow line to the second.
fn time(zone: &Zone, time: Timestamp, is_narrow: bool) -> String {
    let mut shown = shown(zone, time);
    // Years of five digits and those before Christ stay whole.
    if is_narrow && shown.as_bytes().get(TO_THE_SECOND) == Some(&b'.') && !shown.ends_with("BC") {
        shown.truncate(TO_THE_SECOND);
    }
    shown
}

/// A value for people.
fn told(told: &FieldValue) -> String {
    match told {
        FieldValue::Known(json) => value(json),
        FieldValue::Absent => "-".into(),
        FieldValue::Erased => "[erased]".into(),
        FieldValue::Encrypted => "[encrypted]".into(),
        FieldValue::Redacted => "[redacted]".into(),
        _ => "[unknown]".into(),
    }
}

/// A value for programs: its kind, and its JSON if it is known.
fn cells(value: &FieldValue) -> [String; 2] {
    let kind = serde_json::to_value(value).ok().and_then(|value| value["is"].as_str().map(str::to_owned));
    let json = if let FieldValue::Known(json) = value { json.to_string() } else { String::new() };
    [kind.unwrap_or_default(), json]
}

/// The reason, the event and, if it is not `ok`, the outcome.
fn why(by: &ChangedBy) -> String {
    let mut why = String::new();
    if by.outcome != "ok" {
        why.push_str(&format!("{}, may be taken back: ", by.outcome));
    }
    if let Some(reason) = &by.reason {
        why.push_str(&format!("{reason:?} "));
    }
    why.push_str(&by.event_type);
    if let Some(tenant) = &by.tenant {
        why.push_str(&format!(" tenant={tenant}"));
    }
    harmless(&why)
}
