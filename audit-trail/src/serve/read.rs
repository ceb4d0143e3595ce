//! Lists of events, read page by page in one order of time, and the counts beside them.

use super::access::Viewer;
use super::arrivals::Arrived;
use super::question::{Order, PAGE, Question, Side, Within};
use super::refusal::Refusal;
use super::state::Site;
use audit_runtime::Timestamp;
use audit_runtime::trail::{Cursor, EventFilter, FacetCount, Find, FoundEvent, Parts, TimeCount, TrailEvent};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Counts may take so long at a first look, and so long if they are asked for.
const GLANCE: Duration = Duration::from_millis(50);
pub(super) const LOOK: Duration = Duration::from_secs(4);
/// Values are counted among so many of the newest events.
pub(crate) const COUNTED: u32 = 5_000;
const COUNTED_ON_REQUEST: u32 = 1_000_000;
/// A search that no index serves looks so many times as long if it is asked to look further.
const FURTHER: u32 = 16;
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
    /// How far the search has looked, if its time was over before the page was full.
    pub(crate) looked: Option<Further>,
}

impl Listed {
    /// Returns whether nothing matches, as far as is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.looked.is_none()
    }
}

/// Where a search ended before its page was full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Further {
    /// All events up to this time were looked at, in the order of the search.
    pub(crate) up_to: Timestamp,
    /// Where it goes on.
    pub(crate) side: Side,
}

/// Reads a page of the events that match at least one of the filters, or what is found of it in time.
pub(crate) async fn list(
    site: &Site,
    viewer: &Viewer,
    filters: &[EventFilter],
    question: &Question,
) -> Result<Listed, Refusal> {
    let trail = site.trail_of(viewer);
    let within = if question.look { site.look_for * FURTHER } else { site.look_for };
    let (goes_back, cursor) = match (question.side, question.order) {
        (None, order) => (order == Order::Newest, None),
        (Some(Side::Older(cursor)), _) => (true, Some(cursor)),
        (Some(Side::Newer(cursor)), _) => (false, Some(cursor)),
    };
    let (mut events, mut has_more, mut partial) = (Vec::new(), false, None);
    for filter in filters {
        let filter = cursor.into_iter().fold(filter.clone().limit(PAGE), EventFilter::after);
        let filter = if goes_back { filter.newest_first() } else { filter };
        let page = trail.look(&filter, within / filters.len() as u32).await?;
        has_more |= page.next.is_some();
        events.extend(page.events);
        // Together they have looked as far as the one that has looked least far.
        let is_nearer = |than: Timestamp, up_to: Timestamp| if goes_back { up_to > than } else { up_to < than };
        partial = match (page.up_to.zip(page.next), partial) {
            (Some((up_to, _)), Some((than, at))) if !is_nearer(than, up_to) => Some((than, at)),
            (Some(further), _) => Some(further),
            (None, partial) => partial,
        };
    }
    if let Some((up_to, _)) = partial {
        events
            .retain(|event: &TrailEvent| if goes_back { event.created_at >= up_to } else { event.created_at < up_to });
    }
    if filters.len() > 1 {
        let place = |event: &TrailEvent| (event.created_at, event.id);
        events.sort_by(|a, b| if goes_back { place(b).cmp(&place(a)) } else { place(a).cmp(&place(b)) });
        events.dedup_by_key(|event| place(event));
    }
    has_more |= events.len() > PAGE as usize;
    let partial = partial.filter(|_| events.len() < PAGE as usize);
    has_more &= partial.is_none();
    events.truncate(PAGE as usize);
    let side = |cursor| if goes_back { Side::Older(cursor) } else { Side::Newer(cursor) };
    let looked = partial.map(|(up_to, next)| Further { up_to, side: side(next) });
    let (first, last) = (events.first().map(Cursor::of), events.last().map(Cursor::of));
    let (older, newer) = if goes_back {
        (last.filter(|_| has_more), first.filter(|_| question.side.is_some()))
    } else {
        (first.filter(|_| question.side.is_some()), last.filter(|_| has_more))
    };
    if goes_back != (question.order == Order::Newest) {
        events.reverse();
    }
    Ok(Listed { events, older: older.map(Side::Older), newer: newer.map(Side::Newer), looked })
}

/// Events that contain a text, newest first, and the part of events in which they have it.
#[derive(Debug)]
pub(crate) struct Searched {
    pub(crate) found: Vec<FoundEvent>,
    /// The part where the search has looked last.
    pub(crate) within: Within,
    /// Where it goes on in this part, if there is more.
    pub(crate) older: Option<Side>,
    /// How far it has looked, if its time was over before the page was full.
    pub(crate) looked: Option<Further>,
}

/// Searches for a text as a key, an id or a name. If no event has it there, it searches values.
pub(crate) async fn search(
    site: &Site,
    viewer: &Viewer,
    filter: EventFilter,
    text: &str,
    question: &Question,
) -> Result<Searched, Refusal> {
    let (trail, begin) = (site.trail_of(viewer), Instant::now());
    let within = if question.look { site.look_for * FURTHER } else { site.look_for };
    let cursor = match (question.side, question.within) {
        (Some(Side::Newer(_)), _) => {
            return Err(Refusal::bad("newer: events that contain a text are listed newest first; write older"));
        }
        (Some(Side::Older(_)), None) => {
            return Err(Refusal::bad("older: with find, write in=keys or in=values, too"));
        }
        (Some(Side::Older(cursor)), Some(_)) => Some(cursor),
        (None, _) => None,
    };
    let filter = cursor.into_iter().fold(filter.limit(PAGE), EventFilter::after);
    let search = trail.search(Find::new(text).filter(filter)).await?;
    if question.within != Some(Within::Values) {
        let page = search.keys().await?;
        if question.within.is_some() || !page.found.is_empty() {
            let older = page.next.map(Side::Older);
            return Ok(Searched { found: page.found, within: Within::Keys, older, looked: None });
        }
    }
    let left = within.saturating_sub(begin.elapsed()).max(within / 4);
    let page = search.values(left).await?;
    let older = page.next.map(Side::Older);
    let looked = page.up_to.zip(older).map(|(up_to, side)| Further { up_to, side });
    Ok(Searched { found: page.found, within: Within::Values, older: older.filter(|_| looked.is_none()), looked })
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
