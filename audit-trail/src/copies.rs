//! `audit-trail verify --feed`: events as another system has them.

use crate::failure::Failure;
use crate::forward::Level;
use crate::forward::form::{Form, Read};
use crate::say;
use crate::text::{count, harmless};
use audit_runtime::Json;
use audit_runtime::admin::Admin;
use audit_runtime::evidence::{CopyCheck, EventCopy, PublicKey};
use serde_json::json;
use sqlx::postgres::PgPool;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use uuid::Uuid;

/// How many copies were found in which state.
#[derive(Debug, Default)]
struct Counts {
    proven: u64,
    stated: u64,
    not_covered: u64,
    altered: u64,
}

/// Verifies each line of a file, whose feed was sent at this level, by a checkpoint that was kept elsewhere,
/// if there is one.
pub(crate) async fn verify(
    pool: &PgPool,
    path: &Path,
    level: Level,
    keys: &[PublicKey],
    checkpoint: Option<&str>,
    is_json: bool,
) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Usage(format!("--feed {}: {error}", path.display()));
    let mut lines: Box<dyn BufRead> = match path.to_str() {
        Some("-") => Box::new(BufReader::new(io::stdin())),
        _ => Box::new(BufReader::new(File::open(path).map_err(failed)?)),
    };
    let mut copies = Admin::new(pool.clone()).event_copies(keys, checkpoint).await?;
    let (mut counts, mut line, mut number) = (Counts::default(), String::new(), 0_u64);
    while lines.read_line(&mut line).map_err(failed)? > 0 {
        number += 1;
        let text = line.trim();
        if !text.is_empty() {
            let (id, checked) = check(&mut copies, text, level).await?;
            counts.add(&checked);
            if let CopyCheck::Altered(why) = checked {
                told(number, id.as_deref(), &why, is_json)?;
            }
        }
        line.clear();
    }
    counts.print(is_json)?;
    match counts.altered {
        0 if counts.proven + counts.stated + counts.not_covered == 0 => {
            Err(Failure::Nothing(format!("{} has no event", path.display())))
        }
        0 => Ok(()),
        altered => Err(Failure::Other(format!("{altered} events are not what was sealed"))),
    }
}

async fn check(
    copies: &mut audit_runtime::evidence::EventCopies,
    text: &str,
    level: Level,
) -> Result<(Option<String>, CopyCheck), Failure> {
    let Some(read) = Form::read(&unwrapped(text)) else {
        let why = "the line is no event with its evidence: forms that have it are ndjson, cloudevents, ocsf and ecs";
        return Ok((None, CopyCheck::Altered(why.into())));
    };
    let Read { event, batch_id, leaf, states_level } = read;
    let id = event.get("id").and_then(Json::as_str).map(str::to_owned);
    let Some(batch_id) = batch_id.and_then(|id| Uuid::try_parse(&id).ok()) else {
        return Ok((id, CopyCheck::Altered("it does not state the batch that seals it".into())));
    };
    if states_level && level == Level::Full {
        let why = "it states a level, by which its digest cannot be computed; if the feed was sent with --level metadata, verify it with --level metadata";
        return Ok((id, CopyCheck::Altered(why.into())));
    }
    let is_whole = !states_level;
    let event = event.to_string();
    let copy = EventCopy { event: &event, batch_id, leaf: leaf.as_deref(), is_whole };
    let checked = copies.check(&copy).await?;
    Ok((id, checked))
}

/// The event as it was sent, out of what Elasticsearch and Splunk put around it when they export it.
fn unwrapped(text: &str) -> Cow<'_, str> {
    let Ok(json) = text.parse::<Json>() else { return text.into() };
    if let Some(source) = json.get("_source") {
        return source.to_string().into();
    }
    let result = json.get("result").unwrap_or(&json);
    if let Some(raw) = result.get("_raw").and_then(Json::as_str) {
        return raw.to_owned().into();
    }
    match json.get("event") {
        // An event of Splunk's collector; in ECS, `event` is an object beside others.
        Some(event) if json.get("sourcetype").is_some() => event.to_string().into(),
        _ => text.into(),
    }
}

fn told(number: u64, id: Option<&str>, why: &str, is_json: bool) -> Result<(), Failure> {
    if is_json {
        return say::line(json!({"finding": {"kind": "altered", "line": number, "event_id": id, "text": why}}));
    }
    let id = id.map_or_else(String::new, |id| format!("event {}: ", harmless(id)));
    say::line(format!("line {number}: {id}{}", harmless(why)))
}

impl Counts {
    fn add(&mut self, checked: &CopyCheck) {
        *match checked {
            CopyCheck::Proven => &mut self.proven,
            CopyCheck::Stated => &mut self.stated,
            CopyCheck::NotCovered(_) => &mut self.not_covered,
            _ => &mut self.altered,
        } += 1;
    }

    fn print(&self, is_json: bool) -> Result<(), Failure> {
        let Self { proven, stated, not_covered, altered } = *self;
        if is_json {
            return say::line(
                json!({"report": {"proven": proven, "stated": stated, "not_covered": not_covered, "altered": altered}}),
            );
        }
        say::line(format!(
            "{} proven, {stated} stated by their digest alone, {not_covered} not covered by the checkpoint, {altered} altered",
            count(proven, "event", "events")
        ))
    }
}
