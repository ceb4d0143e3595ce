//! The question that a URL asks: its query, the filter that it means, and back again.

use super::refusal::Refusal;
use crate::select::{Condition, Interval, Selection, entity};
use crate::time::Zone;
use audit_runtime::Timestamp;
use audit_runtime::trail::{Cursor, EventFilter};
use form_urlencoded::Serializer;
use uuid::Uuid;

/// The event types by which the page records who looked.
pub(crate) const OWN: [&str; 4] = ["audit.viewed", "audit.exported", "audit.proof", "audit.revealed"];

/// The events of a page.
pub(crate) const PAGE: u32 = 100;

/// A query longer than this is refused.
const LONGEST: usize = 8 * 1024;

/// The parameters, with the words of the form and of the OpenAPI document.
pub(crate) const PARAMETERS: [(&str, &str); 26] = [
    ("event", "Events of this type; * stands for any text: order.*. May be given several times."),
    ("entity_type", "Events about entities of this type."),
    ("entity_id", "Events about the entity with this UUID."),
    ("entity", "Events about this entity, as TYPE:KEY."),
    ("target", "Events that have this entity as a further one, as TYPE:KEY."),
    ("tenant", "Events about data of this tenant."),
    ("actor", "Events of this actor."),
    (
        "outcome",
        "Calls that ended like this: ok, error, panicked, cancelled, started, interrupted. May be given several times.",
    ),
    ("since", "Events that began then or later: RFC 3339, a date, 2h, yesterday."),
    ("until", "Events that began before then."),
    ("where", "Events whose data contain this, as key=value. May be given several times."),
    ("context", "Events whose context contains this, as key=value. May be given several times."),
    ("correlation", "Events of this request or process, a UUID."),
    ("causation", "Events within this call, a UUID."),
    ("origin", "Events that this process recorded; * stands for any text."),
    ("batch", "Events of this batch, a UUID."),
    ("find", "Events that contain this text anywhere: as a key, an id or a name first, then in values."),
    ("in", "keys or values: looks for the text of find there alone."),
    ("own", "1 includes the page's own events, by which it records who looked."),
    ("order", "newest (the default) or oldest first. With find it is always newest first."),
    ("older", "The events before this cursor."),
    ("newer", "The events after this cursor."),
    ("check", "1 verifies each event of the list."),
    ("look", "1 looks for up to a second, where a first look ended before its page was full."),
    ("count", "1 counts for up to four seconds what a first look does not count in time."),
    ("tz", "The time zone in which times are shown, as in Europe/Berlin. UTC by default."),
];

/// The order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Order {
    #[default]
    Newest,
    Oldest,
}

/// The part of events in which a text is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    /// Keys, ids and names, which an index serves.
    Keys,
    Values,
}

/// A place in the trail, and the side of it that is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Side {
    Older(Cursor),
    Newer(Cursor),
}

/// A question: what is looked for, and how it is shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Question {
    pub(crate) selection: Selection,
    pub(crate) batch: Option<Uuid>,
    pub(crate) find: Option<String>,
    pub(crate) within: Option<Within>,
    pub(crate) own: bool,
    pub(crate) order: Order,
    pub(crate) side: Option<Side>,
    pub(crate) check: bool,
    pub(crate) look: bool,
    pub(crate) count: bool,
    pub(crate) tz: Option<String>,
}

impl Question {
    /// Reads a query. A parameter that is empty counts as not given.
    pub(crate) fn read(query: &str) -> Result<Self, Refusal> {
        if query.len() > LONGEST {
            return Err(Refusal::bad(format!("the query has more than {LONGEST} bytes; leave conditions out")));
        }
        let mut question = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.trim().is_empty()) {
            question.take(&name, value.trim())?;
        }
        if question.within.is_some() && question.find.is_none() {
            return Err(Refusal::bad("in: it states where the text of find is looked for; write find, too"));
        }
        Ok(question)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let invalid = |why: String| Refusal::bad(format!("{name}: {why}"));
        let text = || Some(value.to_owned());
        let id = || Uuid::try_parse(value).map(Some).map_err(|_| invalid(format!("{value:?} is not a UUID")));
        let flag = || match value {
            "1" => Ok(true),
            "0" => Ok(false),
            _ => Err(invalid("write 1 or 0".into())),
        };
        let cursor = || value.parse::<Cursor>().map_err(|error| invalid(error.to_string()));
        let condition = || Condition::parse(value).map_err(invalid);
        let selection = &mut self.selection;
        match name {
            "event" => selection.event.push(value.into()),
            "entity_type" => selection.entity_type = text(),
            "entity_id" => selection.entity_id = id()?,
            "entity" => selection.entity = Some(entity(value).map_err(invalid)?),
            "target" => selection.target = Some(entity(value).map_err(invalid)?),
            "tenant" => selection.tenant = text(),
            "actor" => selection.actor = text(),
            "outcome" => selection.outcome.push(value.into()),
            "since" => selection.since = text(),
            "until" => selection.until = text(),
            "where" => selection.conditions.push(condition()?),
            "context" => selection.context.push(condition()?),
            "correlation" => selection.correlation = id()?,
            "causation" => selection.causation = id()?,
            "origin" => selection.origin = text(),
            "batch" => self.batch = id()?,
            "find" => self.find = text(),
            "in" => {
                self.within = match value {
                    "keys" => Some(Within::Keys),
                    "values" => Some(Within::Values),
                    _ => return Err(invalid("write keys or values".into())),
                }
            }
            "own" => self.own = flag()?,
            "order" => {
                self.order = match value {
                    "newest" => Order::Newest,
                    "oldest" => Order::Oldest,
                    _ => return Err(invalid("write newest or oldest".into())),
                }
            }
            "older" => self.side = Some(Side::Older(cursor()?)),
            "newer" => self.side = Some(Side::Newer(cursor()?)),
            "check" => self.check = flag()?,
            "look" => self.look = flag()?,
            "count" => self.count = flag()?,
            "tz" => {
                Zone::of_name(value)
                    .ok_or_else(|| invalid(format!("{value:?} names no time zone; write Europe/Berlin")))?;
                self.tz = text();
            }
            // A filter that is misspelt must not show everything.
            _ => return Err(Refusal::bad(format!("{name:?} is not a parameter of this page; see /openapi.json"))),
        }
        Ok(())
    }

    /// Returns the query that asks the same, with its parameters in their order.
    pub(crate) fn query(&self) -> String {
        let mut query = Serializer::new(String::new());
        let selection = &self.selection;
        let pair = |entity: &(String, String)| format!("{}:{}", entity.0, entity.1);
        let own = self.own.then_some("1");
        let (older, newer) = match self.side {
            Some(Side::Older(cursor)) => (Some(cursor.to_string()), None),
            Some(Side::Newer(cursor)) => (None, Some(cursor.to_string())),
            None => (None, None),
        };
        let mut put = |name: &str, values: Vec<String>| {
            for value in values {
                query.append_pair(name, &value);
            }
        };
        let text = |value: &Option<String>| value.clone().into_iter().collect::<Vec<_>>();
        let id = |value: Option<Uuid>| value.map(|id| id.to_string()).into_iter().collect::<Vec<_>>();
        let texts = |conditions: &[Condition]| conditions.iter().map(|condition| condition.text.clone()).collect();
        put("event", selection.event.clone());
        put("entity_type", text(&selection.entity_type));
        put("entity_id", id(selection.entity_id));
        put("entity", selection.entity.iter().map(pair).collect());
        put("target", selection.target.iter().map(pair).collect());
        put("tenant", text(&selection.tenant));
        put("actor", text(&selection.actor));
        put("outcome", selection.outcome.clone());
        put("since", text(&selection.since));
        put("until", text(&selection.until));
        put("where", texts(&selection.conditions));
        put("context", texts(&selection.context));
        put("correlation", id(selection.correlation));
        put("causation", id(selection.causation));
        put("origin", text(&selection.origin));
        put("batch", id(self.batch));
        put("find", text(&self.find));
        let within = self.within.map(|within| if within == Within::Keys { "keys" } else { "values" });
        put("in", within.map(str::to_owned).into_iter().collect());
        put("own", own.map(str::to_owned).into_iter().collect());
        put("order", (self.order == Order::Oldest).then(|| "oldest".to_owned()).into_iter().collect());
        put("older", older.into_iter().collect());
        put("newer", newer.into_iter().collect());
        put("check", self.check.then(|| "1".to_owned()).into_iter().collect());
        put("look", self.look.then(|| "1".to_owned()).into_iter().collect());
        put("count", self.count.then(|| "1".to_owned()).into_iter().collect());
        put("tz", text(&self.tz));
        query.finish()
    }

    /// Returns the zone in which times are read and shown.
    pub(crate) fn zone(&self) -> Zone {
        self.tz.as_deref().and_then(Zone::of_name).unwrap_or_else(Zone::utc)
    }

    /// Returns the interval of its times.
    pub(crate) fn interval(&self) -> Result<Interval, Refusal> {
        self.selection.interval(&self.zone(), ["since", "until"]).map_err(|failure| Refusal::bad(failure.to_string()))
    }

    /// Returns the same question with absolute times.
    pub(crate) fn absolute(mut self) -> Result<Self, Refusal> {
        let interval = self.interval()?;
        self.selection.since = interval.since.map(absolute);
        self.selection.until = interval.until.map(absolute);
        Ok(self)
    }

    /// Returns the filter, without an order, a place or a limit.
    pub(crate) fn filter(&self) -> Result<EventFilter, Refusal> {
        let mut filter = self.selection.filter_within(self.interval()?);
        if let Some(batch) = self.batch {
            filter = filter.batch(batch);
        }
        if !self.shows_own() {
            filter = OWN.iter().fold(filter, |filter, event| filter.without_event(*event));
        }
        Ok(filter)
    }

    /// Returns whether the page's own events are shown: on request, or if their type, their actor's
    /// request or their batch is named.
    fn shows_own(&self) -> bool {
        let names_one = |event: &String| event.starts_with("audit.");
        self.own
            || self.batch.is_some()
            || self.selection.correlation.is_some()
            || self.selection.event.iter().any(names_one)
    }

    /// Returns whether nothing but the time narrows it.
    pub(crate) fn is_of_all(&self) -> bool {
        let times = Selection {
            since: self.selection.since.clone(),
            until: self.selection.until.clone(),
            ..Selection::default()
        };
        self.selection == times && self.batch.is_none() && self.find.is_none()
    }

    /// Returns the same question about another place of the trail.
    pub(crate) fn at(&self, side: Option<Side>) -> Self {
        Self { side, check: false, look: false, count: false, ..self.clone() }
    }

    /// Returns the question for the text of the same question in a part of events.
    pub(crate) fn within(&self, within: Within) -> Self {
        Self { within: Some(within), ..self.at(None) }
    }

    /// Returns the question that looks on from where a search ended before its page was full.
    pub(crate) fn further(&self, side: Side) -> Self {
        Self { look: true, ..self.at(Some(side)) }
    }

    /// Returns the same question with a change in its selection, from the beginning.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut question = self.at(None);
        change(&mut question);
        question
    }

    /// Returns what applies to every page: the zone, the order, and whether own events are shown.
    pub(crate) fn plain(&self) -> Self {
        Self { tz: self.tz.clone(), order: self.order, own: self.own, ..Self::default() }
    }
}

/// A time as a URL states it.
pub(crate) fn absolute(time: Timestamp) -> String {
    let text = time.to_string();
    match text.strip_suffix("+00:00") {
        Some(text) => format!("{}Z", text.strip_suffix(".000000").unwrap_or(text)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVERY: &str = "event=a.b&event=c.*&entity_type=order&entity_id=00000000-0000-7000-8000-0000000000aa&entity=account%3A42\
        &target=invoice%3A7&tenant=acme&actor=user%3Aada&outcome=ok&outcome=error&since=2026-05-04T09%3A00%3A00Z\
        &until=2026-05-05T00%3A00%3A00Z&where=ticker%3DAAPL&context=ip%3D10.0.0.7&correlation=00000000-0000-7000-8000-0000000000cc\
        &causation=00000000-0000-7000-8000-0000000000cd&origin=desk%40*&batch=00000000-0000-7000-8000-0000000000ce&find=x+y&in=keys&own=1\
        &order=oldest&older=1764000000123456.000000000000700080000000000000cc&check=1&look=1&count=1&tz=Europe%2FBerlin";

    #[test]
    fn a_query_with_every_parameter_is_read_and_written_back() {
        let question = Question::read(EVERY).unwrap();
        assert_eq!(question.query(), EVERY);
        let named = |name: &str| EVERY.contains(&format!("{name}=")) || name == "newer";
        assert!(PARAMETERS.iter().all(|(name, _)| named(name)));
        assert_eq!(question.clone().absolute().unwrap(), question);
        assert_eq!(Question::read("event=&since=+&tenant=").unwrap(), Question::default());
    }

    #[test]
    fn a_relative_time_becomes_an_absolute_one() {
        let question = Question::read("since=2h&until=2030-01-01").unwrap().absolute().unwrap();
        let since = question.selection.since.clone().unwrap();
        assert!(since.ends_with('Z') && since.parse::<Timestamp>().is_ok(), "{since}");
        assert_eq!(question.selection.until.as_deref(), Some("2030-01-01T00:00:00Z"));
        assert_eq!(question.clone().absolute().unwrap(), question);
    }

    #[test]
    fn mistakes_are_named() {
        for (query, named) in [
            ("evnet=a.b", "\"evnet\" is not a parameter"),
            ("entity=account", "entity: write TYPE:KEY"),
            ("older=x", "older: invalid cursor"),
            ("since=someday", "since: invalid time"),
            ("since=2026-05-05&until=2026-05-04", "the interval is empty"),
            ("tz=/etc/passwd", "tz: "),
            ("tz=../../etc/passwd", "tz: "),
            ("where=x", "where: "),
            ("find=x&in=data", "in: write keys or values"),
            ("in=keys", "in: it states where"),
        ] {
            let error = Question::read(query).and_then(Question::absolute).unwrap_err();
            assert!(error.to_string().contains(named), "{query}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_question_that_survives_its_url_or_a_mistake(query in "\\PC{0,200}") {
            if let Ok(question) = Question::read(&query) {
                prop_assert_eq!(Question::read(&question.query()).unwrap(), question);
            }
        }

        #[test]
        fn values_survive(actor in "\\PC{1,40}", key in "\\PC{1,40}") {
            let mut question = Question::default();
            question.selection.actor = Some(actor.trim().to_owned()).filter(|actor| !actor.is_empty());
            question.selection.entity = Some(("account".into(), key.trim().to_owned()));
            prop_assert_eq!(Question::read(&question.query()).unwrap(), question);
        }
    }
}
