//! Events for people: one line each, grouped by what they belong to, indented below what caused them.

use crate::format::entity;
use crate::summary::{context, data, other_columns};
use crate::text::{elided, harmless, padded};
use crate::time::Zone;
use anstyle::{AnsiColor, Style};
use audit_runtime::{IntentState, Outcome, Timestamp, TrailEvent};
use std::collections::HashMap;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;
use uuid::Uuid;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
/// The narrowest line that is worth cutting.
const LEAST: usize = 60;
/// Levels below a cause that are shown by indentation; deeper ones are counted.
const MOST_LEVELS: usize = 6;
/// Events of one correlation whose level is remembered.
const MOST_DEPTHS: usize = 100_000;
/// Lines that are kept to learn how wide their columns have to be.
const MOST_LINES: usize = 200;

/// Prints events as they come.
pub(crate) struct Timeline {
    /// Columns of a line; `None` for whole lines.
    width: Option<usize>,
    zone: Zone,
    group: Option<Group>,
    has_begun: bool,
    /// As wide as the groups so far needed.
    columns: Columns,
}

/// Events that follow each other and have the same correlation.
struct Group {
    correlation: Option<Uuid>,
    begin: Timestamp,
    depths: HashMap<Uuid, usize>,
    /// Those that are not printed yet.
    lines: Vec<Line>,
    is_headed: bool,
}

/// An event's columns.
struct Line {
    offset: String,
    name: String,
    outcome: String,
    style: Style,
    actor: String,
    duration: String,
    entity: String,
    rest: String,
}

impl Timeline {
    pub(crate) fn new(width: Option<usize>, zone: Zone) -> Self {
        Self {
            width: width.map(|width| width.max(LEAST)),
            zone,
            group: None,
            has_begun: false,
            columns: Columns::default(),
        }
    }

    pub(crate) fn event(&mut self, output: &mut impl Write, event: &TrailEvent) -> io::Result<()> {
        let continues = self
            .group
            .as_ref()
            .is_some_and(|group| group.correlation == event.correlation_id && group.correlation.is_some());
        if !continues {
            self.flush(output)?;
            self.group = Some(Group {
                correlation: event.correlation_id,
                begin: event.created_at,
                depths: HashMap::new(),
                lines: Vec::new(),
                is_headed: false,
            });
        }
        let is_whole = self.width.is_none();
        let Some(group) = &mut self.group else {
            return Ok(());
        };
        group.push(event, is_whole);
        if group.lines.len() >= MOST_LINES { self.flush(output) } else { Ok(()) }
    }

    /// Prints what is kept.
    pub(crate) fn flush(&mut self, output: &mut impl Write) -> io::Result<()> {
        let Some(group) = &mut self.group else {
            return Ok(());
        };
        if !group.is_headed {
            group.is_headed = true;
            if std::mem::replace(&mut self.has_begun, true) {
                writeln!(output)?;
            } else {
                writeln!(output, "{DIM}times are of {}{DIM:#}", self.zone.name())?;
            }
            let begin = shown(&self.zone, group.begin);
            let id = group.correlation.map_or_else(|| "no correlation".into(), |id| id.to_string());
            writeln!(output, "{BOLD}{begin}{BOLD:#}  {DIM}{id}{DIM:#}")?;
        }
        let columns = self.columns.widened(&group.lines, self.width);
        self.columns = columns;
        group.lines.drain(..).try_for_each(|line| columns.print(output, &line, self.width))
    }
}

impl Group {
    fn push(&mut self, event: &TrailEvent, is_whole: bool) {
        let depth = event.causation_id.and_then(|cause| self.depths.get(&cause)).map_or(0, |depth| depth + 1);
        if self.depths.len() >= MOST_DEPTHS {
            self.depths.clear();
        }
        self.depths.insert(event.id, depth);
        let (outcome, style) = outcome(event);
        let mut rest = data(event, is_whole);
        for more in [context(event, is_whole), if is_whole { other_columns(event) } else { String::new() }] {
            if !rest.is_empty() && !more.is_empty() {
                rest.push(' ');
            }
            rest.push_str(&more);
        }
        self.lines.push(Line {
            offset: relative(self.begin, event.created_at),
            name: match depth {
                0..=MOST_LEVELS => format!("{}{}", "  ".repeat(depth), harmless(&event.event_type)),
                _ => format!("{}\u{203a}{depth} {}", "  ".repeat(MOST_LEVELS), harmless(&event.event_type)),
            },
            outcome,
            style,
            actor: harmless(&event.actor),
            duration: event.duration_us.map_or_else(String::new, duration),
            entity: entity(event, is_whole),
            rest,
        });
    }
}

/// How wide each column is.
#[derive(Debug, Clone, Copy, Default)]
struct Columns {
    offset: usize,
    name: usize,
    outcome: usize,
    actor: usize,
    duration: usize,
    entity: usize,
}

impl Columns {
    /// As wide as these lines need, too, and no wider than leaves room for the data.
    fn widened(self, lines: &[Line], width: Option<usize>) -> Self {
        let widest = |column: fn(&Line) -> &str, before: usize, most: usize| {
            lines.iter().map(|line| column(line).width().min(most)).fold(before, usize::max)
        };
        let most = |most: usize| width.map_or(usize::MAX, |_| most);
        let mut widened = Self {
            offset: widest(|line| &line.offset, self.offset, most(9)),
            name: widest(|line| &line.name, self.name, most(40)),
            outcome: widest(|line| &line.outcome, self.outcome, most(11)),
            actor: widest(|line| &line.actor, self.actor, most(24)),
            duration: widest(|line| &line.duration, self.duration, most(8)),
            entity: widest(|line| &line.entity, self.entity, most(40)),
        };
        if let Some(width) = width {
            widened.leave_room(width / 3, width);
        }
        widened
    }

    /// The columns and the blanks behind them.
    fn taken(&self) -> usize {
        self.offset + self.name + self.outcome + self.actor + self.duration + self.entity + 6
    }

    /// Narrows the widest columns until the data have so much room.
    fn leave_room(&mut self, room: usize, width: usize) {
        const LEAST_COLUMN: usize = 8;
        while self.taken() + room > width {
            let columns = [&mut self.entity, &mut self.actor, &mut self.name];
            match columns.into_iter().filter(|column| **column > LEAST_COLUMN).max_by_key(|column| **column) {
                Some(column) => *column -= 1,
                None => break,
            }
        }
    }

    fn print(&self, output: &mut impl Write, line: &Line, width: Option<usize>) -> io::Result<()> {
        let Line { style, .. } = line;
        // Without a width nothing is cut.
        let cell = |text: &str, columns: usize| {
            padded(&width.map_or_else(|| text.to_owned(), |_| elided(text, columns)), columns)
        };
        let offset = format!("{:>width$}", line.offset, width = self.offset);
        let duration = format!("{:>width$}", line.duration, width = self.duration);
        let name = cell(&line.name, self.name);
        let outcome = cell(&line.outcome, self.outcome);
        let (actor, entity) = (cell(&line.actor, self.actor), cell(&line.entity, self.entity));
        let room = width.map(|width| width.saturating_sub(self.taken()));
        let rest = room.map_or_else(|| line.rest.clone(), |room| elided(&line.rest, room));
        let text = format!(
            "{DIM}{offset}{DIM:#} {name} {style}{outcome}{style:#} {actor} {DIM}{duration}{DIM:#} {entity} {rest}"
        );
        writeln!(output, "{}", text.trim_end())
    }
}

/// Returns a time of this place, with its offset.
pub(crate) fn shown(zone: &Zone, time: Timestamp) -> String {
    time.unix_micros().map_or_else(|| time.to_string(), |micros| zone.show(micros))
}

/// Returns the outcome as it is shown, and how.
fn outcome(event: &TrailEvent) -> (String, Style) {
    let color = |color: AnsiColor| color.on_default();
    let style = match (event.outcome, event.intent) {
        (Outcome::Started, Some(IntentState::InFlight)) => return ("in flight".into(), color(AnsiColor::Yellow)),
        (Outcome::Started, _) => DIM,
        (Outcome::Ok, _) => color(AnsiColor::Green),
        (Outcome::Error, _) => color(AnsiColor::Red),
        (Outcome::Panicked, _) => color(AnsiColor::Red).bold(),
        _ => color(AnsiColor::Yellow),
    };
    (harmless(event.outcome_text()), style)
}

/// Since the group's first event, in a unit that fits.
fn relative(begin: Timestamp, time: Timestamp) -> String {
    match (time.duration_since(begin), begin.duration_since(time)) {
        (Some(after), _) => format!("+{}", duration(micros(after))),
        (None, Some(before)) => format!("-{}", duration(micros(before))),
        (None, None) => time.to_string(),
    }
}

fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

pub(crate) fn duration(micros: i64) -> String {
    match micros {
        ..1_000 => format!("{micros}us"),
        1_000..1_000_000 => format!("{:.1}ms", micros as f64 / 1e3),
        1_000_000..120_000_000 => format!("{:.2}s", micros as f64 / 1e6),
        120_000_000..7_200_000_000 => format!("{}m", micros / 60_000_000),
        7_200_000_000..172_800_000_000 => format!("{}h", micros / 3_600_000_000),
        _ => format!("{}d", micros / 86_400_000_000),
    }
}
