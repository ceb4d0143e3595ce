//! Events for people: one line each, grouped by what they belong to, indented below what caused
//! them.

use crate::format::{entity, fitted_entity};
use crate::summary::{cause_left_out, line, other_columns};
use crate::text::{WIDEST, columns, elided, harmless, narrowed, padded};
use crate::time::Zone;
use anstyle::{AnsiColor, Style};
use audit_runtime::trail::{IntentState, TrailEvent};
use audit_runtime::{Outcome, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use uuid::Uuid;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
/// The narrowest line that is worth cutting.
const LEAST: usize = 60;
/// Levels below a cause that are shown by indentation. Deeper ones are counted.
const MOST_LEVELS: usize = 6;
/// Events of one correlation whose level is remembered.
const MOST_DEPTHS: usize = 100_000;
/// Lines that are kept to learn how wide their columns have to be.
const MOST_LINES: usize = 200;
/// Groups whose widths are remembered.
const MOST_BEFORE: usize = 8;

/// Prints events as they come.
pub(crate) struct Timeline {
    /// Columns of a line, or `None` for whole lines.
    width: Option<usize>,
    zone: Zone,
    group: Option<Group>,
    has_begun: bool,
    /// As wide as the lines before needed: lines that follow each other begin alike, and a wide one
    /// is forgotten after some groups.
    before: VecDeque<Columns>,
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
            before: VecDeque::new(),
        }
    }

    pub(crate) fn event(&mut self, output: &mut impl Write, event: &TrailEvent, note: &str) -> io::Result<()> {
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
        group.push(event, note, is_whole);
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
            let id =
                self.width.map_or_else(|| id.clone(), |width| elided(&id, width.saturating_sub(columns(&begin) + 2)));
            writeln!(output, "{BOLD}{begin}{BOLD:#}  {DIM}{id}{DIM:#}")?;
        }
        let needed = Columns::of(&group.lines, self.width.is_none());
        let columns = self.before.iter().copied().fold(needed, Columns::or).within(self.width);
        self.before.truncate(MOST_BEFORE - 1);
        self.before.push_front(needed);
        group.lines.drain(..).try_for_each(|line| columns.print(output, &line, self.width))
    }
}

impl Group {
    /// Shows in its place the cause of an event that a policy left out, once.
    fn push_left_out(&mut self, event: &TrailEvent) {
        let (Some(cause), Some(rule)) = (event.causation_id, cause_left_out(event)) else { return };
        if self.depths.contains_key(&cause) {
            return;
        }
        self.depths.insert(cause, 0);
        self.lines.push(Line {
            offset: String::new(),
            name: harmless(&format!("not recorded (rule {rule})")),
            outcome: String::new(),
            style: DIM,
            actor: String::new(),
            duration: String::new(),
            entity: String::new(),
            rest: String::new(),
        });
    }

    fn push(&mut self, event: &TrailEvent, note: &str, is_whole: bool) {
        self.push_left_out(event);
        let depth = event.causation_id.and_then(|cause| self.depths.get(&cause)).map_or(0, |depth| depth + 1);
        if self.depths.len() >= MOST_DEPTHS {
            self.depths.clear();
        }
        self.depths.insert(event.id, depth);
        let (outcome, style) = outcome(event);
        let mut rest = note.to_owned();
        for more in [line(event, is_whole), if is_whole { other_columns(event) } else { String::new() }] {
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

const OFFSET: usize = 0;
const NAME: usize = 1;
const OUTCOME: usize = 2;
const ACTOR: usize = 3;
const DURATION: usize = 4;
const ENTITY: usize = 5;

/// How columns give way to the data on a narrow terminal: those first that lose least by it.
const FOR_DATA: [(usize, usize); 7] =
    [(ACTOR, 16), (ENTITY, 28), (NAME, 28), (ACTOR, 10), (DURATION, 0), (ENTITY, 18), (NAME, 22)];
/// How they give way to each other.
const FOR_THE_LINE: [(usize, usize); 6] = [(ACTOR, 6), (NAME, 15), (ENTITY, 13), (OUTCOME, 5), (NAME, 10), (OFFSET, 6)];

/// How wide each column is. One of no width is left out.
#[derive(Debug, Clone, Copy, Default)]
struct Columns([usize; 6]);

impl Columns {
    /// As wide as these lines need, within reason: one long name does not pad every line.
    fn of(lines: &[Line], is_whole: bool) -> Self {
        let widest = |column: fn(&Line) -> &str, most: usize| {
            let most = if is_whole { WIDEST } else { most };
            lines.iter().map(|line| columns(column(line)).min(most)).max().unwrap_or(0)
        };
        Self([
            widest(|line| &line.offset, 9),
            widest(|line| &line.name, 40),
            widest(|line| &line.outcome, 11),
            widest(|line| &line.actor, 24),
            widest(|line| &line.duration, 8),
            widest(|line| &line.entity, 40),
        ])
    }

    /// As wide as both.
    fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|column| self.0[column].max(other.0[column])))
    }

    /// The columns and the blanks behind them.
    fn taken(&self) -> usize {
        self.0.iter().map(|width| width + usize::from(*width > 0)).sum()
    }

    /// No wider than leaves a fifth of the line for the data, as long as little is lost by it.
    fn within(mut self, width: Option<usize>) -> Self {
        if let Some(width) = width {
            let most = width.saturating_sub(self.0.len());
            let duration = self.0[DURATION];
            narrowed(&mut self.0, &FOR_DATA, most.saturating_sub(width / 5));
            // A part of a duration misleads.
            if self.0[DURATION] < duration {
                self.0[DURATION] = 0;
            }
            narrowed(&mut self.0, &FOR_THE_LINE, most);
        }
        self
    }

    fn print(&self, output: &mut impl Write, line: &Line, width: Option<usize>) -> io::Result<()> {
        let Line { style, .. } = line;
        // Without a width nothing is cut.
        let fitted = |column: usize, text: &str| match (width, column) {
            (None, _) => text.to_owned(),
            (Some(_), ENTITY) => fitted_entity(text, self.0[column]),
            (Some(_), _) => elided(text, self.0[column]),
        };
        let styles = [DIM, Style::new(), *style, Style::new(), DIM, Style::new()];
        let cells = [&line.offset, &line.name, &line.outcome, &line.actor, &line.duration, &line.entity];
        let mut text = String::new();
        for (column, (cell, style)) in
            cells.into_iter().zip(styles).enumerate().filter(|(column, _)| self.0[*column] > 0)
        {
            let cell = fitted(column, cell);
            let cell = match column {
                OFFSET | DURATION => format!("{cell:>width$}", width = self.0[column]),
                _ => padded(&cell, self.0[column]),
            };
            text.push_str(&format!("{style}{cell}{style:#} "));
        }
        let room = width.map(|width| width.saturating_sub(self.taken()));
        text.push_str(&room.map_or_else(|| line.rest.clone(), |room| elided(&line.rest, room)));
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
