//! A page of events that no index serves, read in windows of time within a budget.
//!
//! ```text
//! an index may lead to few events   all at once, for a part of the time
//! else                              window after window, in the order of time; wider where they are quick
//! the time is over                  what was found, and the place up to which all events were looked at
//! ```

use super::counts::limited;
use super::cursor::Cursor;
use super::filter::{EventFilter, Page};
use super::read::Trail;
use super::row::columns;
use crate::event::Timestamp;
use crate::postgres::DatabaseError;
use crate::record::TrailEvent;
use sqlx::{FromRow, Postgres, QueryBuilder};
use std::time::{Duration, Instant};
use uuid::Uuid;

const FIRST_WINDOW: Duration = Duration::from_mins(1);
/// A window that is not wider takes the time that it needs.
const SHORTEST_WINDOW: Duration = Duration::from_millis(1);
/// A statement of few rows takes no longer.
const SHORTEST_LIMIT: Duration = Duration::from_millis(5);

/// A page of the events that match a filter, as far as they were found within a time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Looked {
    /// The events, in the filter's order.
    pub events: Vec<TrailEvent>,
    /// The cursor behind the page, or behind the events that were looked at. It is `None` if no event
    /// follows.
    pub next: Option<Cursor>,
    /// The time up to which all events were looked at, if the time was over before the page was full.
    ///
    /// Newest first, these are all events at this time and later. Oldest first, these are all events
    /// before it.
    pub up_to: Option<Timestamp>,
}

/// A part of the time, in the direction of the search.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Window {
    /// Where it begins: at the end of the window before it.
    near: Option<Timestamp>,
    /// Where it ends, unless it is the last.
    far: Option<Timestamp>,
    width: Duration,
}

/// The times between which there are events, and the direction of a search.
#[derive(Debug, Clone, Copy)]
struct Range {
    goes_back: bool,
    begin: Timestamp,
    end: Timestamp,
}

impl Trail {
    /// Returns one page of the events that match a filter, or what was found of it `within` a time.
    ///
    /// If an index serves the filter, the page is always whole, as by [`events`](Self::events). Other
    /// filters would read any number of events for a page: conditions on the context, patterns of
    /// types, frequent values of the data. Such a search goes through the trail in windows of time.
    /// Once the time is over, it returns what it has, and [`Looked::next`] leads to the rest. Each
    /// page goes on by at least one window, so all pages together contain each event once.
    ///
    /// ```no_run
    /// use audit_runtime::trail::{EventFilter, Trail};
    /// use std::time::Duration;
    /// # async fn print(trail: Trail) -> Result<(), audit_runtime::DatabaseError> {
    /// let mut filter = EventFilter::new().context(serde_json::json!({"ip": "10.0.0.7"})).newest_first();
    /// loop {
    ///     let looked = trail.look(&filter, Duration::from_millis(100)).await?;
    ///     looked.events.iter().for_each(|event| println!("{} {}", event.created_at, event.event_type));
    ///     let Some(next) = looked.next else { break };
    ///     filter = filter.after(next);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A query fails.
    pub async fn look(&self, filter: &EventFilter, within: Duration) -> Result<Looked, DatabaseError> {
        let looked = async {
            let looked = self.looked(filter, within).await?;
            Ok(Looked { events: self.revealed(looked.events).await?, ..looked })
        };
        looked.await.map_err(DatabaseError::of)
    }

    pub(super) async fn looked(&self, filter: &EventFilter, within: Duration) -> Result<Looked, sqlx::Error> {
        let began = Instant::now();
        let at_once = within * 2 / 5;
        let whole = if !filter.sifts() {
            Some(self.stored(filter).await?)
        } else if filter.has_lead() && !at_once.is_zero() {
            self.stored_within(filter, at_once).await?
        } else {
            None
        };
        if let Some(Page { events, next }) = whole {
            return Ok(Looked { events, next, up_to: None });
        }
        let range = self.range(filter).await?;
        let (mut window, mut filter) = (range.first(), filter.clone());
        let size = filter.page_size();
        let (mut events, mut reached) = (Vec::new(), None);
        loop {
            let left = within.saturating_sub(began.elapsed());
            if let Some(time) = reached.filter(|_| left.is_zero()) {
                return Ok(Looked { events, next: Some(range.behind(time)), up_to: Some(time) });
            }
            let begin = Instant::now();
            let part = range.part(&filter, window).limit((size - events.len()) as u32);
            let page = if window.width <= SHORTEST_WINDOW {
                Some(self.stored(&part).await?)
            } else {
                // The first one has to end, or no page would go on. If it is too wide, a narrower one may.
                let limit = if left.is_zero() { within } else { left };
                self.stored_within(&part, limit).await?
            };
            let Some(page) = page else {
                window = range.narrowed(window);
                continue;
            };
            events.extend(page.events);
            if page.next.is_some() && events.len() >= size {
                return Ok(Looked { events, next: page.next, up_to: None });
            }
            if let Some(next) = page.next {
                // A tenant's login left events out.
                filter = filter.after(next);
                continue;
            }
            let Some(far) = window.far else {
                return Ok(Looked { events, next: None, up_to: None });
            };
            if events.len() >= size {
                return Ok(Looked { events, next: Some(range.behind(far)), up_to: None });
            }
            reached = Some(far);
            let left = within.saturating_sub(began.elapsed());
            window = range.next(far, wider(window.width, begin.elapsed(), left));
        }
    }

    /// One page of the events as they are stored, or `None` if that takes longer than the limit.
    async fn stored_within(&self, filter: &EventFilter, limit: Duration) -> Result<Option<Page>, sqlx::Error> {
        let mut query = QueryBuilder::<Postgres>::new(columns!());
        filter.conditions(&mut query);
        let Some(rows) = limited(&self.pool, limit.max(SHORTEST_LIMIT), query).await? else {
            return Ok(None);
        };
        let page = filter.page(rows.iter().map(TrailEvent::from_row).collect::<Result<_, _>>()?);
        Ok(Some(Page { events: self.walled(page.events).await?, ..page }))
    }

    /// The times through which a search goes. Infinite ones are in its first and last windows, which
    /// have no bound.
    async fn range(&self, filter: &EventFilter) -> Result<Range, sqlx::Error> {
        let sql = "SELECT now(), (SELECT min(created_at) FROM audit_events WHERE created_at > '-infinity'), \
                   (SELECT max(created_at) FROM audit_events WHERE created_at < 'infinity')";
        let (now, first, last): (Timestamp, Option<Timestamp>, Option<Timestamp>) =
            sqlx::query_as(sql).persistent(false).fetch_one(&self.pool).await?;
        let finite = |time: Option<Timestamp>| time.filter(|time| time.is_finite());
        let (since, until) = (finite(filter.since), finite(filter.until));
        let latest = [until, last.or(Some(now))].into_iter().flatten().min().unwrap_or(now);
        let earliest = [since, first.or(Some(now))].into_iter().flatten().max().unwrap_or(now);
        let goes_back = filter.newest_first;
        let (begin, end) = if goes_back { (latest, earliest) } else { (earliest, latest) };
        let begin = match filter.after.map(|cursor| cursor.created_at) {
            Some(after) if goes_back => after.min(begin),
            Some(after) => after.max(begin),
            None => begin,
        };
        // Behind an infinite time there is the last window alone.
        Ok(Range { goes_back, begin: if begin.is_finite() { begin } else { end }, end })
    }
}

impl Range {
    /// The first window, which has the bounds of the filter alone at its beginning.
    fn first(self) -> Window {
        Window { near: None, ..self.next(self.begin, FIRST_WINDOW) }
    }

    /// The window behind a time. The last one has no end.
    fn next(self, near: Timestamp, width: Duration) -> Window {
        let far = if self.goes_back { near.saturating_sub(width) } else { near.saturating_add(width) };
        let is_within = far.is_finite() && if self.goes_back { far > self.end } else { far <= self.end };
        Window { near: Some(near), far: Some(far).filter(|_| is_within), width }
    }

    /// The beginning of a window that took too long.
    fn narrowed(self, window: Window) -> Window {
        let begin = window.near.unwrap_or(self.begin);
        // The last window may be shorter than its width.
        let (one, other) = if self.goes_back { (begin, self.end) } else { (self.end, begin) };
        let length = one.duration_since(other).unwrap_or_default();
        let width = if window.far.is_none() { window.width.min(length) } else { window.width };
        let width = (width / 4).max(SHORTEST_WINDOW);
        Window { near: window.near, ..self.next(begin, width) }
    }

    /// The filter within a window, which includes its earlier end and not its later one.
    fn part(self, filter: &EventFilter, window: Window) -> EventFilter {
        let (since, until) = if self.goes_back { (window.far, window.near) } else { (window.near, window.far) };
        EventFilter {
            since: filter.since.into_iter().chain(since).max(),
            until: filter.until.into_iter().chain(until).min(),
            ..filter.clone()
        }
    }

    /// The cursor behind all events of the windows up to this time.
    fn behind(self, time: Timestamp) -> Cursor {
        if self.goes_back {
            Cursor::at(time, Uuid::nil())
        } else {
            Cursor::at(time.saturating_sub(Duration::from_micros(1)), Uuid::max())
        }
    }
}

/// The width of the next window, which should take at most half of the time that is left.
fn wider(width: Duration, took: Duration, left: Duration) -> Duration {
    let factor = (left / 2).as_secs_f64() / took.as_secs_f64().max(1e-4);
    let width = width.as_secs_f64() * factor.clamp(0.25, 64.0);
    // A century.
    Duration::from_secs_f64(width.min(3.2e9)).max(SHORTEST_WINDOW)
}
