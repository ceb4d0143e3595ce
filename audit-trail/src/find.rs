//! `audit-trail find`

use crate::failure::Failure;
use crate::say;
use crate::select::{self, Selection};
use crate::show::{Printer, Style};
use crate::text::{count, harmless};
use crate::time::{Bound, Zone};
use crate::timeline::shown;
use audit_runtime::Timestamp;
use audit_runtime::trail::{Find as Search, Found, FoundEvent, Place, Trail};
use clap::Args;
use futures_util::TryStreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::pin::pin;
use std::time::Duration;

/// How far back values are looked at, unless `--since` says it.
const VALUES: &str = "30d";
/// Characters of a value before and behind the text.
const BEFORE: usize = 12;
const BEHIND: usize = 24;

/// Looks at first where an index helps, and the text has to be all of it: key or id of the entity
/// and of further ones, the event's id, correlation, cause, batch, actor, tenant, event type. Then it
/// reads the values of data and context, newest first. There the text may be a part of a text, in
/// upper or lower case; a number and the name of a member have to be equal. Personal values are
/// encrypted, and cannot be found.
#[derive(Debug, Args)]
pub(crate) struct Find {
    /// The text, as in INV-2026-0007, account:42, an id or the end of one
    #[arg(allow_hyphen_values = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    text: String,
    #[command(flatten)]
    selection: Selection,
    /// At most so many events
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

impl Find {
    pub(crate) async fn run(self, trail: &Trail, style: &Style) -> Result<(), Failure> {
        let zone = Zone::system().map_err(Failure::Usage)?;
        // As the timeline shows the end of an id.
        let text = self.text.strip_prefix('\u{2026}').unwrap_or(&self.text);
        let mut search = Search::new(text).filter(self.selection.filter()?);
        let mut bound = "in the time that is given".to_owned();
        if !self.selection.has_since() {
            let since = select::moment("--since", VALUES, Bound::Since, &zone)?;
            search = search.values_since(since);
            bound = format!("since {} ({})", shown(&zone, since), zone.name());
            say::notice(format!("keys and ids of all times, values {bound}; --since 365d looks at more"));
        }
        let bar = progress();
        let mut printer = Printer::new(style)?;
        let mut found = pin!(trail.find(search));
        while let Some(step) = found.try_next().await? {
            match step {
                Found::Event(found) => {
                    bar.suspend(|| printer.noted(&found.event, &note(text, &found)))?;
                    if printer.printed() >= self.limit.into() {
                        bar.finish_and_clear();
                        printer.end()?;
                        say::notice(format!(
                            "{} printed, and the search ended there: --limit sets another number",
                            count(self.limit, "event is", "events are")
                        ));
                        return Ok(());
                    }
                }
                Found::Searched { since } => {
                    // Results are seen before the search goes on.
                    bar.suspend(|| printer.flush())?;
                    bar.set_message(message(&zone, since, printer.printed()));
                }
                _ => {}
            }
        }
        bar.finish_and_clear();
        printer.end()?;
        if printer.printed() > 0 {
            return Ok(());
        }
        let described = self.selection.described();
        let among = if described.is_empty() { String::new() } else { format!(" of the events{described}") };
        Err(Failure::Nothing(format!(
            "{text:?} was found nowhere{among}: neither as a key, an id, an actor, a tenant or an event type, nor in values {bound}; \
             personal values are encrypted and cannot be found"
        )))
    }
}

/// A line on a terminal that tells how far the search is.
fn progress() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    bar.set_message("looking at keys and ids");
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn message(zone: &Zone, since: Timestamp, found: u64) -> String {
    match since {
        Timestamp::INFINITY => format!("looked at keys and ids, {found} found"),
        since => format!("looked at values back to {}, {found} found", shown(zone, since)),
    }
}

/// Where a text was found, if the line does not show it anyway.
pub(crate) fn note(text: &str, found: &FoundEvent) -> String {
    match (found.place, &found.path, &found.value) {
        (Place::Value, Some(path), Some(value)) => harmless(&format!("{path}={:?}", excerpt(value, text))),
        (Place::Cause, ..) => format!("cause={}", harmless(text)),
        (Place::Correlation, ..) => format!("correlation={}", harmless(text)),
        (Place::Batch, ..) => format!("batch={}", harmless(text)),
        (Place::Id, ..) => format!("id={}", harmless(text)),
        _ => String::new(),
    }
}

/// Returns the part of a value around a text.
fn excerpt(value: &str, text: &str) -> String {
    let lower = |text: &str| -> String { text.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect() };
    let folded = lower(value);
    let before = folded.find(&lower(text)).map_or(0, |at| folded[..at].chars().count());
    let begin = before.saturating_sub(BEFORE);
    let most = BEFORE + text.chars().count().min(BEHIND) + BEHIND;
    let mut excerpt: String = value.chars().skip(begin).take(most).collect();
    if value.chars().nth(begin + most).is_some() {
        excerpt.push('\u{2026}');
    }
    if begin > 0 { format!("\u{2026}{excerpt}") } else { excerpt }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_shows_the_text_and_some_of_what_is_around_it() {
        let long = format!("{} Invoice INV-7 {}", "a".repeat(100), "b".repeat(100));
        let shown = excerpt(&long, "inv-7");
        assert!(shown.contains("INV-7") && shown.chars().count() < 60, "{shown}");
        assert!(shown.starts_with('\u{2026}') && shown.ends_with('\u{2026}'), "{shown}");
        assert_eq!(excerpt("INV-7", "inv-7"), "INV-7");
        assert_eq!(excerpt("12.50", "12.5"), "12.50");
    }
}
