//! Which events: the flags of `events` and `export`.

use crate::failure::Failure;
use crate::time;
use audit_runtime::{EventFilter, Outcome};
use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::{Map, Value};
use uuid::Uuid;

#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Events of this type; `*` stands for any text: 'order.*'. May be given several times
    #[arg(long, value_name = "TYPE")]
    event: Vec<String>,
    /// Events about entities of this type
    #[arg(long, value_name = "TYPE")]
    entity_type: Option<String>,
    /// Events about this entity
    #[arg(long, value_name = "ID")]
    entity_id: Option<Uuid>,
    /// What this actor did
    #[arg(long)]
    actor: Option<String>,
    /// Calls that ended like this: ok, error, panicked, cancelled, started, interrupted. May be given several times
    #[arg(long)]
    outcome: Vec<Outcome>,
    /// What began then or later: RFC 3339, a date, '2h ago', yesterday
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    since: Option<DateTime<Utc>>,
    /// What began before
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    until: Option<DateTime<Utc>>,
    /// Events whose data say this; a key may be a path: error.message=halted. The value is JSON, else text. May be given
    /// several times
    #[arg(long = "where", value_name = "KEY=VALUE", value_parser = condition)]
    conditions: Vec<Value>,
    /// Events of this request or process
    #[arg(long, value_name = "ID")]
    correlation: Option<Uuid>,
    /// What happened within this call
    #[arg(long, value_name = "ID")]
    causation: Option<Uuid>,
    /// What this process recorded; `*` stands for any text
    #[arg(long)]
    origin: Option<String>,
}

fn condition(text: &str) -> Result<Value, String> {
    let (path, value) = text.split_once('=').ok_or("write key=value")?;
    if path.split('.').any(str::is_empty) {
        return Err("the key is empty; write key=value".into());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    let nested = |value, key: &str| Value::Object(Map::from_iter([(key.to_owned(), value)]));
    Ok(path.rsplit('.').fold(value, nested))
}

impl Selection {
    pub(crate) fn filter(&self) -> Result<EventFilter, Failure> {
        let mut filter = EventFilter::new();
        for event in &self.event {
            filter = filter.event(event);
        }
        for outcome in &self.outcome {
            filter = filter.outcome(*outcome);
        }
        for condition in &self.conditions {
            filter = filter.data(condition.clone());
        }
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            return Err(Failure::Usage(format!("--since {since} is not before --until {until}")));
        }
        macro_rules! each {
            ($($flag:ident => $condition:ident),+) => {$(
                if let Some(value) = self.$flag.clone() {
                    filter = filter.$condition(value);
                }
            )+};
        }
        each!(entity_type => entity_type, entity_id => entity_id, actor => actor, since => since, until => until,
              correlation => correlation, causation => causation, origin => origin);
        Ok(filter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_condition_is_json_or_text_at_a_path() {
        for (text, expected) in [
            ("ticker=AAPL", json!({"ticker": "AAPL"})),
            ("quantity=10", json!({"quantity": 10})),
            ("ticker=\"10\"", json!({"ticker": "10"})),
            ("error.message=market closed", json!({"error": {"message": "market closed"}})),
            ("tags=[\"a\"]", json!({"tags": ["a"]})),
            ("note=a=b", json!({"note": "a=b"})),
            ("note=", json!({"note": ""})),
            ("done=true", json!({"done": true})),
        ] {
            assert_eq!(condition(text), Ok(expected), "{text}");
        }
        for bad in ["ticker", "=x", "a..b=1"] {
            assert!(condition(bad).is_err(), "{bad}");
        }
    }
}
