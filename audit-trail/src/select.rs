//! Which events: the flags of `events` and `export`.

use crate::failure::Failure;
use crate::time::{self, Bound, Moment, Zone};
use crate::timeline::shown;
use audit_runtime::trail::EventFilter;
use audit_runtime::{Json, Outcome, Timestamp};
use clap::Args;
use std::fmt::Write as _;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Default, Args)]
pub(crate) struct Selection {
    /// Events of this type; `*` stands for any text: 'order.*'. May be given several times
    #[arg(long, value_name = "TYPE", allow_hyphen_values = true)]
    pub(crate) event: Vec<String>,
    /// Events about entities of this type
    #[arg(long, value_name = "TYPE", allow_hyphen_values = true)]
    pub(crate) entity_type: Option<String>,
    /// Events about this entity
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(crate) entity_id: Option<Uuid>,
    /// Events about this entity, by its id or its own key, as in account:42
    #[arg(long, value_name = "TYPE:KEY", value_parser = entity)]
    pub(crate) entity: Option<(String, String)>,
    /// Events that have this entity as a further one
    #[arg(long, value_name = "TYPE:KEY", value_parser = entity)]
    pub(crate) target: Option<(String, String)>,
    /// Events about data of this tenant
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) tenant: Option<String>,
    /// Events of this actor
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) actor: Option<String>,
    /// Calls that ended like this: ok, error, panicked, cancelled, started, interrupted, or a text
    /// that another program wrote. May be given several times
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) outcome: Vec<String>,
    /// Events that began then or later: RFC 3339, a date, 2h (two hours ago), yesterday, monday
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Events that began before then; a date is its first moment
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    /// Events whose data contain this value, as a number or the like, or as a text. A key may be a
    /// path: error.message=halted, 'limits["a.b"]=1'. May be given several times
    #[arg(long = "where", value_name = "KEY=VALUE", allow_hyphen_values = true, value_parser = Condition::parse)]
    pub(crate) conditions: Vec<Condition>,
    /// Events whose context contains this value, with a key as for --where: ip=10.0.0.7. May be
    /// given several times
    #[arg(long, value_name = "KEY=VALUE", allow_hyphen_values = true, value_parser = Condition::parse)]
    pub(crate) context: Vec<Condition>,
    /// Events of this request or process
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(crate) correlation: Option<Uuid>,
    /// Events within this call
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(crate) causation: Option<Uuid>,
    /// Events that this process recorded; `*` stands for any text
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) origin: Option<String>,
}

/// Reads an id.
pub(crate) fn id(text: &str) -> Result<Uuid, String> {
    Uuid::parse_str(text).map_err(|_| {
        "expected a UUID, as in 0190a4c1-7c4a-7bbd-8f8e-2d6c5b4a3921; for a key of another form, name the entity: \
         audit-trail events --entity account:42"
            .to_owned()
    })
}

/// Reads an entity: its type, and its id or key.
pub(crate) fn entity(text: &str) -> Result<(String, String), String> {
    let (kind, key) = text.split_once(':').ok_or("write TYPE:KEY, as in order:0190a4c1-.. or account:42")?;
    Ok((kind.to_owned(), key.to_owned()))
}

/// A key, as the names on the way to it, and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Condition {
    pub(crate) text: String,
    /// The value by every reading: as JSON, and as a text.
    parts: Vec<Json>,
}

impl Condition {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (path, value) = split(text)?;
        let as_text = Json::from(value);
        let mut readings = vec![as_text.to_string()];
        if let Some(as_json) = value.parse::<Json>().ok().filter(|as_json| *as_json != as_text) {
            readings.insert(0, as_json.to_string());
        }
        // As text, for a value is read to any depth, and built by hand it is not.
        let keys: String = path.iter().map(|key| format!("{{{}:", Json::from(key.as_str()))).collect();
        let nested = |value: String| format!("{keys}{value}{}", "}".repeat(path.len())).parse::<Json>();
        let parts = readings.into_iter().map(nested).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        Ok(Self { text: text.to_owned(), parts })
    }
}

/// Splits `key.path["quoted key"]=value`.
fn split(text: &str) -> Result<(Vec<String>, &str), String> {
    let form = |why: &str| format!("{why}; write key=value, as in error.message=halted or 'limits[\"a.b\"]=1'");
    let (mut path, mut rest) = (Vec::new(), text.trim_start());
    loop {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let end = end_of_text(quoted).filter(|end| quoted[*end..].starts_with("\"]"));
            let end = end.ok_or_else(|| form("the quoted key has no end"))?;
            let key = format!("\"{}\"", &quoted[..end]).parse::<Json>();
            let key = key.ok().and_then(|key| key.as_str().map(str::to_owned));
            path.push(key.ok_or_else(|| form("the quoted key is not a JSON string"))?);
            rest = &quoted[end + 2..];
        } else {
            let end = rest.find(['=', '.', '[']).ok_or_else(|| form("there is no `=`"))?;
            let key = rest[..end].trim_end();
            if key.is_empty() {
                return Err(form("the key is empty"));
            }
            if key.ends_with(['!', '<', '>', '~']) {
                return Err(form(&format!("the key would be {key:?}, and values are compared for equality alone")));
            }
            path.push(key.to_owned());
            rest = &rest[end..];
        }
        match rest.trim_start().split_at_checked(1) {
            Some(("=", value)) => return Ok((path, value)),
            Some((".", after)) => rest = after,
            Some(("[", _)) if rest.starts_with("[\"") => {}
            _ => return Err(form("the key is followed by neither `.` nor `=`")),
        }
    }
}

/// Returns where the quote is that ends a JSON string.
fn end_of_text(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })
}

/// Reads the time of a flag.
pub(crate) fn moment(flag: &str, text: &str, bound: Bound, zone: &Zone) -> Result<Timestamp, Failure> {
    let now = Timestamp::now().unix_micros().unwrap_or_default();
    let moment = time::parse(text, now, zone, bound).map_err(|error| Failure::Usage(format!("{flag}: {error}")))?;
    Ok(match moment {
        Moment::NegativeInfinity => Timestamp::NEG_INFINITY,
        Moment::At(micros) => Timestamp::from_unix_micros(micros),
        Moment::Last(time) => time,
        Moment::Infinity => Timestamp::INFINITY,
    })
}

/// An interval as it was understood.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Interval {
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

impl Selection {
    /// Reads the flags, and reports the interval that was understood.
    pub(crate) fn filter(&self) -> Result<EventFilter, Failure> {
        let zone = Zone::system().map_err(Failure::Usage)?;
        let interval = self.interval(&zone, ["--since", "--until"])?;
        if let Some(understood) = interval.understood(&zone) {
            crate::say::notice(understood);
        }
        Ok(self.filter_within(interval))
    }

    /// Returns the filter of the flags, with the interval as it was understood.
    pub(crate) fn filter_within(&self, interval: Interval) -> EventFilter {
        let mut filter = EventFilter::new();
        for event in &self.event {
            filter = filter.event(event);
        }
        for outcome in &self.outcome {
            filter = filter.outcome_text(outcome);
        }
        for condition in &self.conditions {
            filter = filter.data_any(condition.parts.iter().cloned());
        }
        for condition in &self.context {
            filter = filter.context_any(condition.parts.iter().cloned());
        }
        if let Some((kind, key)) = &self.entity {
            filter = filter.entity(kind, key);
        }
        if let Some((kind, key)) = &self.target {
            filter = filter.target(kind, key);
        }
        macro_rules! each {
            ($($flag:ident => $given:expr),+ $(,)?) => {$(
                if let Some(value) = $given {
                    filter = filter.$flag(value);
                }
            )+};
        }
        each! {
            tenant => self.tenant.clone(), entity_type => self.entity_type.clone(), entity_id => self.entity_id, actor => self.actor.clone(),
            since => interval.since, until => interval.until, correlation => self.correlation,
            causation => self.causation, origin => self.origin.clone(),
        }
        filter
    }

    /// Reads the times in a zone. An error names them by the names that they have for the user.
    pub(crate) fn interval(&self, zone: &Zone, [since_name, until_name]: [&str; 2]) -> Result<Interval, Failure> {
        let read = |flag, text: &Option<String>, bound| {
            text.as_deref().map(|text| moment(flag, text, bound, zone)).transpose()
        };
        let since = read(since_name, &self.since, Bound::Since)?;
        let until = read(until_name, &self.until, Bound::Until)?;
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            return Err(Failure::Usage(format!(
                "the interval is empty: {since_name} is {} and {until_name} is {}; give {until_name} a later time than {since_name}",
                shown(zone, since),
                shown(zone, until)
            )));
        }
        Ok(Interval { since, until })
    }

    /// Returns whether a time is given at which the events begin.
    pub(crate) fn has_since(&self) -> bool {
        self.since.is_some()
    }

    /// Returns the conditions as they were given, for an answer that found nothing.
    pub(crate) fn described(&self) -> String {
        let mut described = String::new();
        let mut flag = |flag: &str, value: &str| {
            let _ = write!(described, " --{flag} {value}");
        };
        self.event.iter().for_each(|event| flag("event", event));
        self.outcome.iter().for_each(|outcome| flag("outcome", outcome));
        self.conditions.iter().for_each(|condition| flag("where", &condition.text));
        self.context.iter().for_each(|condition| flag("context", &condition.text));
        for (name, value) in [
            ("entity-type", self.entity_type.clone()),
            ("entity-id", self.entity_id.map(|id| id.to_string())),
            ("entity", self.entity.as_ref().map(|(kind, key)| format!("{kind}:{key}"))),
            ("target", self.target.as_ref().map(|(kind, key)| format!("{kind}:{key}"))),
            ("tenant", self.tenant.clone()),
            ("actor", self.actor.clone()),
            ("since", self.since.clone()),
            ("until", self.until.clone()),
            ("correlation", self.correlation.map(|id| id.to_string())),
            ("causation", self.causation.map(|id| id.to_string())),
            ("origin", self.origin.clone()),
        ] {
            value.iter().for_each(|value| flag(name, value));
        }
        described
    }

    /// Returns the answer where no event matches: what was looked for, and what may be meant.
    pub(crate) fn nothing(&self) -> Failure {
        let described = self.described();
        if described.is_empty() {
            return Failure::Nothing("the trail is empty: no event is stored yet".into());
        }
        if let Some(outcome) = self.outcome.iter().find(|outcome| outcome.parse::<Outcome>().is_err()) {
            return Failure::Usage(format!(
                "no event has the outcome {outcome:?}: this library writes ok, error, panicked, cancelled, started and interrupted"
            ));
        }
        let unfinished = self.event.iter().find(|event| !event.contains(['.', '*']));
        let hint = unfinished.map_or_else(
            || "leave a condition out, or see audit-trail events --help".to_owned(),
            |event| format!("an event type has a dot: --event '{event}.*' matches all that begin with {event}"),
        );
        Failure::Nothing(format!("no event matches{described}; {hint}"))
    }
}

impl Interval {
    fn understood(self, zone: &Zone) -> Option<String> {
        let show = |time| shown(zone, time);
        match (self.since, self.until) {
            (None, None) => None,
            (Some(since), None) => Some(format!("since {} ({})", show(since), zone.name())),
            (None, Some(until)) => Some(format!("until {} ({})", show(until), zone.name())),
            (Some(since), Some(until)) => {
                Some(format!("since {} until {} ({})", show(since), show(until), zone.name()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_condition_is_json_and_text_at_a_path() {
        for (text, expected) in [
            ("ticker=AAPL", vec![json!({"ticker": "AAPL"})]),
            ("quantity=10", vec![json!({"quantity": 10}), json!({"quantity": "10"})]),
            ("ticker=\"10\"", vec![json!({"ticker": "10"}), json!({"ticker": "\"10\""})]),
            ("error.message=market closed", vec![json!({"error": {"message": "market closed"}})]),
            ("tags=[\"a\"]", vec![json!({"tags": ["a"]}), json!({"tags": "[\"a\"]"})]),
            ("note=a=b", vec![json!({"note": "a=b"})]),
            ("note=", vec![json!({"note": ""})]),
            ("done=true", vec![json!({"done": true}), json!({"done": "true"})]),
            (" zip =01234", vec![json!({"zip": "01234"})]),
            ("limits[\"a.b\"]=x", vec![json!({"limits": {"a.b": "x"}})]),
            ("[\"a=b\"].c=x", vec![json!({"a=b": {"c": "x"}})]),
            ("[\"x\\\"]y\"]=x", vec![json!({"x\"]y": "x"})]),
            ("[\"x\\\\\"].y=x", vec![json!({"x\\": {"y": "x"}})]),
            ("a[\"\\u00e4\"][\"b\"]=x", vec![json!({"a": {"ä": {"b": "x"}}})]),
        ] {
            let parts = Condition::parse(text).map(|condition| condition.parts);
            assert_eq!(parts, Ok(expected.iter().map(Json::from).collect()), "{text}");
        }
        let exact = Condition::parse("x=199.39999999999998").unwrap().parts;
        assert_eq!(exact[0].to_string(), r#"{"x":199.39999999999998}"#);
        let deep = Condition::parse(&format!("{}=x", vec!["a"; 100_000].join("."))).unwrap().parts;
        assert_eq!(deep[0].to_string(), format!("{}\"x\"{}", "{\"a\":".repeat(100_000), "}".repeat(100_000)));
        for bad in ["ticker", "=x", "a..b=1", "code!=1", "a[\"b=1", "a[0]=1", "a[\"b\"]c=1", "."] {
            assert!(Condition::parse(bad).is_err(), "{bad}");
        }
    }
}
