//! The catalogue beside what was recorded.

use super::listed::Listed;
use crate::failure::Failure;
use crate::say;
use crate::text::count;
use audit_runtime::Timestamp;
use audit_runtime::trail::{RecordedType, StoredCatalogue, Trail};
use std::time::Duration;

/// Event types of the library's own.
const RESERVED: &str = "audit.";
/// A time of the newest event is known to the minute.
const MINUTE: Duration = Duration::from_secs(60);

pub(super) const UNUSED: [&str; 5] = ["event_type", "last_recorded", "service", "function", "place"];
pub(super) const UNKNOWN: [&str; 2] = ["event_type", "last_recorded"];

/// A cell of a list.
#[derive(Debug)]
pub(super) enum Cell {
    Text(String),
    /// A minute, or `None` for never.
    Minute(Option<Timestamp>),
}

/// Returns the event types that functions declare, and that were not recorded.
pub(super) async fn unused(
    trail: &Trail,
    functions: &[Listed<'_>],
    since: Option<Timestamp>,
) -> Result<Vec<[Cell; 5]>, Failure> {
    let mut types: Vec<String> = functions.iter().flat_map(|listed| listed.function.events.iter().cloned()).collect();
    types.sort_unstable();
    types.dedup();
    let recorded = trail.last_recorded(&types).await?;
    let mut rows = Vec::new();
    for RecordedType { event_type, last_recorded, .. } in
        recorded.iter().filter(|recorded| !was_recorded(recorded, since))
    {
        for listed in functions.iter().filter(|listed| listed.function.events.contains(event_type)) {
            let function = listed.function;
            rows.push([
                Cell::Text(event_type.clone()),
                Cell::Minute(*last_recorded),
                Cell::Text(listed.service.to_owned()),
                Cell::Text(function.function.clone()),
                Cell::Text(format!("{}:{}", function.file, function.line)),
            ]);
        }
    }
    Ok(rows)
}

/// Returns the event types that were recorded, and that no catalogue has.
pub(super) async fn unknown(
    trail: &Trail,
    catalogues: &[StoredCatalogue],
    since: Option<Timestamp>,
) -> Result<Vec<[Cell; 2]>, Failure> {
    let functions = || catalogues.iter().flat_map(|catalogue| &catalogue.functions);
    let is_declared = |event_type: &String| functions().any(|function| function.events.contains(event_type));
    let recorded = trail.recorded_types().await?.into_iter();
    let unknown = recorded.filter(|recorded| {
        let event_type = &recorded.event_type;
        !event_type.starts_with(RESERVED) && !is_declared(event_type) && was_recorded(recorded, since)
    });
    Ok(unknown.map(|recorded| [Cell::Text(recorded.event_type), Cell::Minute(recorded.last_recorded)]).collect())
}

/// Tells of functions whose types no catalogue can have.
pub(super) fn notice_late(catalogues: &[StoredCatalogue]) {
    let functions = catalogues.iter().flat_map(|catalogue| &catalogue.functions);
    let mut late: Vec<&str> =
        functions.filter(|function| function.has_late_events).map(|function| function.function.as_str()).collect();
    late.sort_unstable();
    late.dedup();
    if !late.is_empty() {
        let some = late.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        let more = if late.len() > 5 { ", .." } else { "" };
        say::notice(format!(
            "{} by the call and may be among these: {some}{more}",
            count(late.len(), "function decides its event type", "functions decide their event types")
        ));
    }
}

/// Whether events of a type were recorded, since a time or ever.
fn was_recorded(recorded: &RecordedType, since: Option<Timestamp>) -> bool {
    match (recorded.last_recorded, since) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(minute), Some(since)) => minute.saturating_add(MINUTE) > since,
    }
}
