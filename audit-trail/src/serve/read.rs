//! Lists of events, read page by page in one order of time, and the counts beside them.

use super::access::Viewer;
use super::arrivals::Arrived;
use super::question::{Order, PAGE, Question, Side};
use super::refusal::Refusal;
use super::state::Site;
use audit_runtime::Timestamp;
use audit_runtime::trail::{
    Cursor, EventFilter, FacetCount, Find, Found, FoundEvent, Parts, TimeCount, Trail, TrailEvent,
};
use futures_util::TryStreamExt;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Counts may take so long at a first look, and so long if they are asked for.
const GLANCE: Duration = Duration::from_millis(50);
pub(super) const LOOK: Duration = Duration::from_secs(4);
/// Values are counted among so many of the newest events.
pub(crate) const COUNTED: u32 = 5_000;
const COUNTED_ON_REQUEST: u32 = 1_000_000;
/// A search for a text looks so long before it shows what it has.
const SEARCH: Duration = Duration::from_secs(3);
/// Bars of the histogram, at most.
const BARS: i64 = 72;

/// A page of events, in the order in which they are shown.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) events: Vec<TrailEvent>,
    /// Where the older ones are, if there may be any.
    pub(crate) older: Option<Side>,
    /// Where the newer ones are, if there may be any.
    pub(crate) newer: Option<Side>,
}

/// Reads a page of the events that match at least one of the filters.
pub(crate) async fn list(trail: &Trail, filters: &[EventFilter], question: &Question) -> Result<Listed, Refusal> {
    let (goes_back, cursor) = match (question.side, question.order) {
        (None, order) => (order == Order::Newest, None),
        (Some(Side::Older(cursor)), _) => (true, Some(cursor)),
        (Some(Side::Newer(cursor)), _) => (false, Some(cursor)),
    };
    let (mut events, mut has_more) = (Vec::new(), false);
    for filter in filters {
        let filter = cursor.into_iter().fold(filter.clone().limit(PAGE), EventFilter::after);
        let page = trail.events(&if goes_back { filter.newest_first() } else { filter }).await?;
        has_more |= page.next.is_some();
        events.extend(page.events);
    }
    if filters.len() > 1 {
        let place = |event: &TrailEvent| (event.created_at, event.id);
        events.sort_by(|a, b| if goes_back { place(b).cmp(&place(a)) } else { place(a).cmp(&place(b)) });
        events.dedup_by_key(|event| place(event));
    }
    has_more |= events.len() > PAGE as usize;
    events.truncate(PAGE as usize);
    let (first, last) = (events.first().map(Cursor::of), events.last().map(Cursor::of));
    let (older, newer) = if goes_back {
        (last.filter(|_| has_more), first.filter(|_| question.side.is_some()))
    } else {
        (first.filter(|_| question.side.is_some()), last.filter(|_| has_more))
    };
    if goes_back != (question.order == Order::Newest) {
        events.reverse();
    }
    Ok(Listed { events, older: older.map(Side::Older), newer: newer.map(Side::Newer) })
}

/// Events that contain a text, and how far the search has looked.
#[derive(Debug, Default)]
pub(crate) struct Searched {
    pub(crate) found: Vec<FoundEvent>,
    /// The time down to which all values were looked at; `None` if the whole range was.
    pub(crate) since: Option<Timestamp>,
}

/// Searches for a text, newest first, until a page is full or the time is over.
///
/// Events that have it as a key, an id or a name are there at once. If there are any, values are
/// looked at on request alone.
pub(crate) async fn search(
    trail: &Trail,
    filter: EventFilter,
    text: &str,
    in_values: bool,
) -> Result<Searched, Refusal> {
    let mut steps = pin!(trail.find(Find::new(text).filter(filter)));
    let mut searched = Searched::default();
    let mut looked = None;
    let begin = Instant::now();
    loop {
        let left = SEARCH.saturating_sub(begin.elapsed());
        let step = match tokio::time::timeout(left, steps.try_next()).await {
            Ok(step) => step?,
            Err(_) => break,
        };
        match step {
            Some(Found::Event(found)) => searched.found.push(*found),
            Some(Found::Searched { since }) => {
                looked = Some(since);
                if !in_values && !searched.found.is_empty() && !since.is_finite() {
                    break;
                }
            }
            Some(_) => {}
            None => return Ok(searched),
        }
        if searched.found.len() >= PAGE as usize {
            break;
        }
    }
    // In places that an index serves a search is quick. Without a window it has seen no value yet.
    searched.since = Some(looked.unwrap_or(Timestamp::INFINITY));
    Ok(searched)
}

/// The histogram of the whole range that is asked for.
#[derive(Debug)]
pub(crate) struct Histogram {
    pub(crate) counts: Vec<TimeCount>,
    pub(crate) end: Timestamp,
    /// Whether it shows when batches arrived, and not when events began.
    pub(crate) is_of_arrivals: bool,
}

/// The counts beside a list. `None` was not counted in time.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) facets: Option<Vec<FacetCount>>,
    /// The newest events among which values were counted.
    pub(crate) among: u32,
    pub(crate) histogram: Option<Histogram>,
}

/// Counts values and events over time, within a limit of time.
pub(crate) async fn counts(
    site: &Arc<Site>,
    viewer: &Viewer,
    filter: &EventFilter,
    question: &Question,
    is_of_all: bool,
) -> Result<Counts, Refusal> {
    let (within, among) = if question.count { (LOOK, COUNTED_ON_REQUEST) } else { (GLANCE, COUNTED) };
    let trail = site.trail_of(viewer);
    let facets = async { trail.facets(filter, among, within).await.map_err(Refusal::from) };
    let histogram = histogram(site, viewer, filter, question, is_of_all, within);
    let (facets, histogram) = tokio::try_join!(facets, histogram)?;
    Ok(Counts { facets, among, histogram })
}

async fn histogram(
    site: &Arc<Site>,
    viewer: &Viewer,
    filter: &EventFilter,
    question: &Question,
    is_of_all: bool,
    within: Duration,
) -> Result<Option<Histogram>, Refusal> {
    let interval = question.interval()?;
    let until = interval.until.unwrap_or_else(|| Timestamp::now().saturating_add(Duration::from_secs(1)));
    // Of the whole trail, the rows of batches show it without a look at events. They say nothing of
    // events that came without a batch.
    // Of the whole trail, the rows of batches show it without a look at events. They say nothing of
    // events that came without a batch.
    let by_arrival = async |since: Option<Timestamp>| match since.and_then(|since| parts(since, until)) {
        Some(parts) => site.arrivals.counts(site, parts, within).await,
        None => Ok(Arrived::Nothing),
    };
    if is_of_all && interval.since.is_none() {
        match by_arrival(first(site, "audit_batches").await?).await? {
            Arrived::Counted(histogram) => return Ok(Some(histogram)),
            Arrived::NotInTime => return Ok(None),
            Arrived::Nothing => {}
        }
    }
    let since = match interval.since {
        Some(since) => Some(since),
        None => first_event(site, viewer).await?,
    };
    let Some(parts) = since.and_then(|since| parts(since, until)) else {
        return Ok(None);
    };
    match site.trail_of(viewer).histogram(filter, parts, within).await? {
        Some(counts) => Ok(Some(Histogram { counts, end: parts.end(), is_of_arrivals: false })),
        None if is_of_all => Ok(by_arrival(since).await?.histogram()),
        None => Ok(None),
    }
}

/// The time of the first event of the viewer's tenants, or of the trail.
async fn first_event(site: &Site, viewer: &Viewer) -> Result<Option<Timestamp>, Refusal> {
    let Some(tenants) = &viewer.scope.tenants else {
        return first(site, "audit_events").await;
    };
    let (trail, mut first) = (site.trail_of(viewer), None);
    for tenant in tenants {
        // An index has the events of one tenant in the order of time.
        let filter = EventFilter::new().tenant_any([tenant]).since(Timestamp::MIN).limit(1);
        first =
            first.into_iter().chain(trail.events(&filter).await?.events.first().map(|event| event.created_at)).min();
    }
    Ok(first)
}

/// The time of the first row of a table.
async fn first(site: &Site, table: &'static str) -> Result<Option<Timestamp>, Refusal> {
    let sql = format!("SELECT min(created_at) FROM {table} WHERE created_at > '-infinity'");
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&site.pool).await?)
}

/// Divides an interval into parts of a length that people use, at times that people expect.
fn parts(since: Timestamp, until: Timestamp) -> Option<Parts> {
    const SECOND: i64 = 1_000_000;
    const DAY: i64 = 86_400 * SECOND;
    const LENGTHS: [i64; 24] = [
        SECOND,
        2 * SECOND,
        5 * SECOND,
        10 * SECOND,
        30 * SECOND,
        60 * SECOND,
        120 * SECOND,
        300 * SECOND,
        600 * SECOND,
        1_800 * SECOND,
        3_600 * SECOND,
        7_200 * SECOND,
        10_800 * SECOND,
        21_600 * SECOND,
        43_200 * SECOND,
        DAY,
        2 * DAY,
        7 * DAY,
        14 * DAY,
        28 * DAY,
        91 * DAY,
        364 * DAY,
        3_640 * DAY,
        36_400 * DAY,
    ];
    let (begin, end) = (since.unix_micros()?, until.unix_micros()?);
    let length = end.checked_sub(begin).filter(|length| *length > 0)?;
    let width = LENGTHS.into_iter().find(|width| length / width < BARS - 1)?;
    let begin = begin.div_euclid(width).checked_mul(width)?;
    let number = end.checked_sub(begin)?.checked_add(width - 1)? / width;
    let end = begin.checked_add(number.checked_mul(width)?)?;
    Parts::new(Timestamp::from_unix_micros(begin), Timestamp::from_unix_micros(end), u32::try_from(number).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_has_parts_of_a_usual_length_at_usual_times() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let days = parts(at("2026-05-04T09:12:00Z"), at("2026-06-03T08:00:00Z")).unwrap();
        assert_eq!(days.begins().next(), Some(at("2026-05-04T00:00:00Z")));
        assert_eq!((days.begins().len(), days.end()), (61, at("2026-06-03T12:00:00Z")));
        let seconds = parts(at("2026-05-04T09:12:00.5Z"), at("2026-05-04T09:12:01Z")).unwrap();
        assert_eq!(seconds.begins().next(), Some(at("2026-05-04T09:12:00Z")));
        for (since, until) in
            [("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"), ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z")]
        {
            let parts = parts(at(since), at(until));
            assert!(parts.is_none_or(|parts| parts.begins().len() <= BARS as usize), "{parts:?}");
        }
        assert_eq!(parts(Timestamp::NEG_INFINITY, Timestamp::INFINITY), None);
    }
}
