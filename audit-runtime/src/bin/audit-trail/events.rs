//! `audit-trail events`, and the trails of one thing.

use crate::failure::Failure;
use crate::select::Selection;
use crate::show::{Printer, Style};
use audit_runtime::{Cursor, EventFilter, Trail, TrailEvent};
use clap::Args;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use std::io::{self, IsTerminal};
use uuid::Uuid;

#[derive(Debug, Args)]
pub(crate) struct Events {
    #[command(flatten)]
    selection: Selection,
    /// At most so many events
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// The events after this one, as the last page printed it
    #[arg(long, value_name = "CURSOR", conflicts_with_all = ["before", "follow"])]
    after: Option<Cursor>,
    /// The events before this one, as the last page printed it
    #[arg(long, value_name = "CURSOR", conflicts_with = "follow")]
    before: Option<Cursor>,
    /// Goes on with what arrives, until it is interrupted
    #[arg(long)]
    follow: bool,
}

impl Events {
    /// The newest events in their order, or those after or before one.
    pub(crate) async fn run(self, trail: &Trail, style: &Style) -> Result<(), Failure> {
        let filter = self.selection.filter()?.limit(self.limit);
        if self.follow {
            return follow(trail, filter, style).await;
        }
        let page = match (self.after, self.before) {
            (Some(cursor), _) => trail.events(&filter.after(cursor)).await?,
            (None, before) => {
                let newest = before.into_iter().fold(filter.newest_first(), EventFilter::after);
                let mut page = trail.events(&newest).await?;
                page.events.reverse();
                page
            }
        };
        print_all(
            &page.events,
            style,
            "no event matches; leave a condition out, or look at audit-trail events --help",
        )?;
        if let Some(cursor) = page.next
            && io::stderr().is_terminal()
        {
            let (which, flag) = if self.after.is_some() { ("later", "--after") } else { ("earlier", "--before") };
            eprintln!("\n{which} ones: {flag} {cursor}");
        }
        Ok(())
    }
}

async fn follow(trail: &Trail, filter: EventFilter, style: &Style) -> Result<(), Failure> {
    let mut printer = Printer::new(style);
    let mut events = Box::pin(trail.follow(filter));
    let mut lost = false;
    let mut interrupted = Box::pin(tokio::signal::ctrl_c());
    loop {
        // What is there is printed before it is shown.
        let event = match events.next().now_or_never() {
            Some(event) => event,
            None => {
                printer.flush()?;
                tokio::select! {
                    event = events.next() => event,
                    _ = &mut interrupted => break,
                }
            }
        };
        match event {
            Some(Ok(event)) => {
                if std::mem::take(&mut lost) {
                    eprintln!("audit-trail: connected again, nothing is missed");
                }
                printer.event(&event)?;
            }
            Some(Err(error)) => {
                let failure = Failure::Database(error);
                // Without a schema or a privilege there is nothing to wait for.
                if !matches!(&failure, Failure::Database(error) if is_passing(error)) {
                    return Err(failure);
                }
                if !std::mem::replace(&mut lost, true) {
                    eprintln!("audit-trail: the connection is lost, trying again: {failure}");
                }
                tokio::select! {
                    () = tokio::time::sleep(std::time::Duration::from_millis(500)) => {}
                    _ = &mut interrupted => break,
                }
            }
            None => break,
        }
    }
    printer.end()
}

fn is_passing(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_none_or(|code| ["08", "53", "57"].iter().any(|class| code.starts_with(class)))
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    selection: Selection,
    /// The form of each event
    #[arg(long, value_enum, default_value = "ndjson")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A JSON object on each line
    Ndjson,
    /// CSV (RFC 4180) with a header
    Csv,
    /// A CloudEvent 1.0 in JSON on each line
    Cloudevents,
}

impl Export {
    /// All events that match, oldest first.
    pub(crate) async fn run(self, trail: &Trail, style: &Style) -> Result<(), Failure> {
        if style.is_given() {
            return Err(Failure::Usage("export has forms of its own: --format ndjson, csv or cloudevents".into()));
        }
        let mut printer = match self.format {
            Format::Ndjson => Printer::ndjson(),
            Format::Csv => Printer::csv(),
            Format::Cloudevents => Printer::cloud_events(),
        };
        // On a terminal it would be in the way of what is printed there.
        let bar = if io::stdout().is_terminal() {
            indicatif::ProgressBar::hidden()
        } else {
            indicatif::ProgressBar::new_spinner()
        };
        bar.set_style(
            indicatif::ProgressStyle::with_template("{spinner} {human_pos} events, {per_sec}, {elapsed}")
                .map_err(|error| Failure::Other(error.to_string()))?,
        );
        let mut events = Box::pin(trail.stream(self.selection.filter()?.limit(2_000)));
        while let Some(event) = events.try_next().await? {
            printer.event(&event)?;
            bar.inc(1);
        }
        printer.end()?;
        bar.finish_and_clear();
        if printer.printed() == 0 {
            return Err(Failure::Nothing("no event matches: nothing is exported".into()));
        }
        Ok(())
    }
}

fn print_all(events: &[TrailEvent], style: &Style, nothing: &str) -> Result<(), Failure> {
    let mut printer = Printer::new(style);
    for event in events {
        printer.event(event)?;
    }
    printer.end()?;
    if events.is_empty() {
        return Err(Failure::Nothing(nothing.to_owned()));
    }
    Ok(())
}

/// The trail of one thing; if it is empty, what there is instead.
pub(crate) async fn print_trail(
    trail: &Trail,
    style: &Style,
    what: &str,
    id: Uuid,
    events: Vec<TrailEvent>,
) -> Result<(), Failure> {
    let nothing = if events.is_empty() { nothing_of(trail, what, id).await? } else { String::new() };
    print_all(&events, style, &nothing)
}

/// Why a trail is empty: what there is of this id, if anything.
async fn nothing_of(trail: &Trail, what: &str, id: Uuid) -> Result<String, Failure> {
    let of_id = trail.events(&EventFilter::new().entity_id(id)).await?.events;
    let mut types: Vec<&str> = of_id.iter().map(|event| event.entity_type.as_str()).collect();
    types.sort_unstable();
    types.dedup();
    if let [first, ..] = &*types {
        return Ok(format!(
            "there is no {what} {id}, but events about it as {}: audit-trail entity {first} {id}",
            types.join(", ")
        ));
    }
    for (filter, hint) in [
        (EventFilter::new().id(id), format!("it is the id of an event: audit-trail events --causation {id}")),
        (EventFilter::new().correlation(id), format!("it is a correlation: audit-trail events --correlation {id}")),
    ] {
        if !trail.events(&filter.limit(1)).await?.events.is_empty() {
            return Ok(format!("there is no {what} {id}, but {hint}"));
        }
    }
    Ok(format!("there is no {what} {id}"))
}
