//! `audit-trail events`, and the trails of one thing.

use crate::cold::Cold;
use crate::failure::Failure;
use crate::say;
use crate::select::Selection;
use crate::show::{Output, Printer, Style};
use audit_runtime::DatabaseError;
use audit_runtime::Json;
use audit_runtime::Timestamp;
use audit_runtime::admin::Admin;
use audit_runtime::trail::{Cursor, EventFilter, Find, Found, Place, Trail, TrailEvent};
use clap::Args;
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt};
use sqlx::postgres::PgPool;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::pin::pin;
use uuid::Uuid;

/// Events of a page that is read as a whole; more are read page by page.
const PAGE: u32 = 1_000;

#[derive(Debug, Args)]
pub(crate) struct Events {
    #[command(flatten)]
    selection: Selection,
    /// At most so many events
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// The events after this one, as the last page printed it
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true, conflicts_with_all = ["before", "follow"])]
    after: Option<Cursor>,
    /// The events before this one, as the last page printed it
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true, conflicts_with = "follow")]
    before: Option<Cursor>,
    /// Goes on with what arrives, until it is interrupted
    #[arg(long)]
    follow: bool,
    /// The file of a cursor, with --follow: it begins behind what was printed before, in the order of
    /// arrival, and with a new file with what arrives from now on. Rows that came without a batch arrive
    /// with the checkpoint that seals them
    #[arg(long, value_name = "FILE", requires = "follow")]
    cursor: Option<PathBuf>,
    #[command(flatten)]
    cold: Cold,
}

impl Events {
    /// Whether it looks after lost connections and interrupts itself.
    pub(crate) fn follows(&self) -> bool {
        self.follow
    }

    /// The newest events in their order, or those after or before one.
    pub(crate) async fn run(self, trail: &Trail, pool: &PgPool, style: &Style) -> Result<(), Failure> {
        let filter = self.selection.filter()?;
        if self.cold.is_given() {
            if self.follow {
                return Err(Failure::Usage("--follow: what arrives is not in a lake yet; leave --lake out".into()));
            }
            let events = self.cold.page(trail, filter, (self.after, self.before), self.limit).await?;
            return print_all(&events, style, || self.nothing());
        }
        if self.follow {
            if style.output() == Output::Table {
                return Err(Failure::Usage(
                    "a table has an end, and --follow has none: use --output timeline, ndjson or csv".into(),
                ));
            }
            if let Some(path) = &self.cursor {
                return crate::follow::follow(trail, pool, filter, path, style).await;
            }
            return follow(trail, filter.limit(self.limit.min(PAGE)), style).await;
        }
        let next = match (self.after, self.before) {
            (Some(cursor), _) if self.limit > PAGE => {
                let after = trail.stream(filter.after(cursor).limit(PAGE)).take(self.limit as usize);
                print_stream(after, style, || self.nothing()).await?;
                None
            }
            (None, before) if self.limit > PAGE => {
                let filter = before.into_iter().fold(filter, EventFilter::before).limit(PAGE);
                print_stream(trail.newest(filter, self.limit.into()), style, || self.nothing()).await?;
                None
            }
            (Some(cursor), _) => {
                let page = trail.events(&filter.after(cursor).limit(self.limit)).await?;
                print_all(&page.events, style, || self.nothing())?;
                page.next
            }
            (None, before) => {
                let newest = before.into_iter().fold(filter.newest_first(), EventFilter::after);
                let mut page = trail.events(&newest.limit(self.limit)).await?;
                page.events.reverse();
                print_all(&page.events, style, || self.nothing())?;
                page.next
            }
        };
        if let Some(cursor) = next
            && io::stderr().is_terminal()
        {
            let (which, flag) = if self.after.is_some() { ("later", "--after") } else { ("earlier", "--before") };
            let line = format!("{which} ones: {flag} {cursor}");
            // A cursor that is broken by the terminal cannot be copied.
            let is_wide = style.width().is_none_or(|width| width >= line.len());
            let line = if is_wide { line } else { line.replacen(": ", ":\n", 1) };
            let _ = say::raw(&format!("\n{line}\n"));
        }
        Ok(())
    }
}

impl Events {
    /// Returns the answer where no event matches.
    fn nothing(&self) -> Failure {
        let side = match (self.after, self.before) {
            (None, None) => return self.selection.nothing(),
            (Some(_), _) => "after",
            (None, Some(_)) => "before",
        };
        let described = self.selection.described();
        let which = if described.is_empty() { "" } else { " that matches" };
        Failure::Nothing(format!("no event{which}{described} is {side} that one: the trail ends there"))
    }
}

/// Prints events as they are read, in the memory of a page.
async fn print_stream(
    events: impl Stream<Item = Result<TrailEvent, DatabaseError>>,
    style: &Style,
    nothing: impl FnOnce() -> Failure,
) -> Result<(), Failure> {
    let mut printer = Printer::new(style)?;
    let mut events = pin!(events);
    while let Some(event) = events.try_next().await? {
        printer.event(&event)?;
    }
    printer.end()?;
    if printer.printed() == 0 { Err(nothing()) } else { Ok(()) }
}

async fn follow(trail: &Trail, filter: EventFilter, style: &Style) -> Result<(), Failure> {
    let mut printer = Printer::new(style)?;
    let mut events = Box::pin(trail.follow(filter));
    let mut lost = false;
    let mut interrupted = Box::pin(tokio::signal::ctrl_c());
    loop {
        // Events that are ready are printed together, before the flush.
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
                    say::notice("connected again, nothing is missed");
                }
                printer.event(&event)?;
            }
            Some(Err(error)) => {
                let failure = Failure::from(error);
                // Without a schema or a privilege there is nothing to wait for.
                if !matches!(&failure, Failure::Database(error) if is_passing(error)) {
                    return Err(failure);
                }
                if !std::mem::replace(&mut lost, true) {
                    say::notice(format!("the connection is lost, trying again: {failure}"));
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

/// Returns whether the connection is lost, or the server will be there again. An answer that cannot
/// be read will be the same next time.
pub(crate) fn is_passing(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    match code {
        Some(code) => ["08", "53", "57"].iter().any(|class| code.starts_with(class)),
        None => matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::WorkerCrashed
        ),
    }
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
            Format::Csv => Printer::csv(style.is_raw()),
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
            return Err(self.selection.nothing());
        }
        Ok(())
    }
}

fn print_all(events: &[TrailEvent], style: &Style, nothing: impl FnOnce() -> Failure) -> Result<(), Failure> {
    let mut printer = Printer::new(style)?;
    for event in events {
        printer.event(event)?;
    }
    printer.end()?;
    if events.is_empty() {
        return Err(nothing());
    }
    Ok(())
}

/// The trail of one thing, or, if it is empty, a notice of the events that exist instead.
pub(crate) async fn print_trail(
    trail: &Trail,
    style: &Style,
    what: &str,
    id: Uuid,
    events: Vec<TrailEvent>,
) -> Result<(), Failure> {
    let nothing = if events.is_empty() { nothing_of(trail, what, id).await? } else { String::new() };
    print_all(&events, style, || Failure::Nothing(nothing))
}

/// The trail of an entity, by its id or its own key.
pub(crate) async fn print_entity(
    trail: &Trail,
    cold: &Cold,
    style: &Style,
    what: &str,
    key: &str,
) -> Result<(), Failure> {
    let events = trail.entity(what, key).await?;
    let any = vec![EventFilter::new().entity(what, key), EventFilter::new().target(what, key)];
    let events = cold.with(trail, events, any, false, usize::MAX).await?;
    if let (Ok(id), []) = (Uuid::parse_str(key), &*events) {
        return print_trail(trail, style, what, id, events).await;
    }
    let mut printer = Printer::new(style)?;
    for event in &events {
        // The line names another entity.
        printer.noted(event, if event.is_about(what, key) { "" } else { "(target)" })?;
    }
    printer.end()?;
    if events.is_empty() { Err(nothing_of_key(trail, what, key).await?) } else { Ok(()) }
}

/// The trail of an order, by its id or its own key.
pub(crate) async fn print_order(
    trail: &Trail,
    style: &Style,
    key: &str,
    recommendation: Option<Uuid>,
) -> Result<(), Failure> {
    if let Ok(id) = Uuid::parse_str(key) {
        return print_trail(trail, style, "order", id, order(trail, id, recommendation).await?).await;
    }
    let mut events = trail.entity("order", key).await?;
    let named = |name: &str, value: Json| -> Json { [(name, value)].into_iter().collect() };
    let mut readings = vec![named("order_id", key.into())];
    readings.extend(key.parse::<Json>().ok().filter(Json::is_number).map(|number| named("order_id", number)));
    readings.extend(recommendation.map(|id| named("recommendation_id", id.to_string().into())));
    let naming = EventFilter::new().data_any(readings).limit(PAGE);
    events.extend(trail.stream(naming).try_collect::<Vec<_>>().await?);
    in_order(&mut events);
    let nothing = if events.is_empty() { Some(nothing_of_key(trail, "order", key).await?) } else { None };
    print_all(&events, style, || nothing.unwrap_or_else(|| Failure::Nothing(String::new())))
}

/// Why there is nothing of a key: entities of other types that have it.
async fn nothing_of_key(trail: &Trail, what: &str, key: &str) -> Result<Failure, Failure> {
    let find = Find::new(key).values_since(Timestamp::INFINITY);
    let mut found = pin!(trail.find(find).take(PAGE as usize));
    while let Some(step) = found.try_next().await? {
        match step {
            Found::Event(found) if found.place == Place::Entity => {
                let kind = &found.event.entity_type;
                return Ok(Failure::Nothing(format!(
                    "no {what} {key} was found, but events about it as {kind}: audit-trail entity {kind} {key}"
                )));
            }
            Found::Searched { .. } => break,
            _ => {}
        }
    }
    Ok(Failure::Nothing(format!(
        "no {what} {key} was found: looked for events about it, and for events that have it as a further entity; \
         audit-trail find {key} looks in all values"
    )))
}

/// The events of an order, and those of the recommendations that it names, or of the one that is
/// given.
pub(crate) async fn order(trail: &Trail, id: Uuid, recommendation: Option<Uuid>) -> Result<Vec<TrailEvent>, Failure> {
    let mut events = trail.order(id, None).await?;
    let named = |event: &TrailEvent| event.data["recommendation_id"].as_str().and_then(|id| Uuid::parse_str(id).ok());
    let mut recommendations: Vec<Uuid> = match recommendation {
        Some(recommendation) => vec![recommendation],
        None => events.iter().filter_map(named).collect(),
    };
    recommendations.sort_unstable();
    recommendations.dedup();
    for recommendation in recommendations {
        events.extend(trail.order(id, Some(recommendation)).await?);
        events.extend(trail.entity("recommendation", recommendation).await?);
    }
    in_order(&mut events);
    Ok(events)
}

/// In the order of time, each once.
fn in_order(events: &mut Vec<TrailEvent>) {
    events.sort_by_key(|event| (event.created_at, event.id));
    events.dedup_by_key(|event| (event.created_at, event.id));
}

/// One event by its id, with all that it has.
pub(crate) async fn print_event(
    trail: &Trail,
    pool: &PgPool,
    cold: &Cold,
    style: &Style,
    id: Uuid,
) -> Result<(), Failure> {
    let filter = EventFilter::new().id(id);
    let events = trail.events(&filter).await?.events;
    let events = cold.with(trail, events, vec![filter], false, usize::MAX).await?;
    if let ([event], Output::Timeline) = (&*events, style.output()) {
        let relations = crate::relations::of(trail, event).await?;
        let coverage = Admin::new(pool.clone()).coverage(event).await?;
        return crate::detail::print(event, &relations, coverage.as_ref(), style);
    }
    let nothing = if events.is_empty() { nothing_of(trail, "event", id).await? } else { String::new() };
    print_all(&events, style, || Failure::Nothing(nothing))
}

/// Why a trail is empty: what there is of this id, if anything.
async fn nothing_of(trail: &Trail, what: &str, id: Uuid) -> Result<String, Failure> {
    let what = if what.is_empty() { "\"\"" } else { what };
    let of_id = trail.events(&EventFilter::new().entity_id(id)).await?.events;
    let mut types: Vec<&str> = of_id.iter().map(|event| event.entity_type.as_str()).collect();
    types.sort_unstable();
    types.dedup();
    if let [first, ..] = &*types {
        return Ok(format!(
            "no {what} {id} was found, but events about it as {}: audit-trail entity {first} {id}",
            types.join(", ")
        ));
    }
    for (filter, hint) in [
        (EventFilter::new().id(id), format!("it is the id of an event: audit-trail event {id}")),
        (EventFilter::new().correlation(id), format!("it is a correlation: audit-trail events --correlation {id}")),
        (EventFilter::new().batch(id), "it is a batch: audit-trail verify checks the events it brought".to_owned()),
    ] {
        if !trail.events(&filter.limit(1)).await?.events.is_empty() {
            return Ok(format!("no {what} {id} was found, but {hint}"));
        }
    }
    Ok(format!(
        "no {what} {id} was found: looked for events about it, of this id, of this correlation and of this batch"
    ))
}
