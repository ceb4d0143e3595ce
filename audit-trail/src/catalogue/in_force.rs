//! The rules of a service's policy that may be about its functions' events.

use super::listed::Listed;
use crate::failure::Failure;
use audit_runtime::policy::pattern_matches;
use audit_runtime::trail::{EventFilter, Trail};
use futures_util::TryStreamExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

/// The event by which a process reports its rules, at its start and after each change.
const CHANGED: &str = "audit.policy_changed";
/// The most of these events that are read.
const MOST: usize = 10_000;

/// A rule: the pattern of event types, and the rule in words.
type Shown = (String, String);

/// Adds to each function the rules that its service has reported last.
///
/// They are in the order of the file, of which the first that is about an event decides. All that
/// name one of its event types are listed, for a rule may look at actor and tenant too.
pub(super) async fn add(trail: &Trail, functions: &mut [Listed<'_>]) -> Result<(), Failure> {
    let services: BTreeSet<String> = functions.iter().map(|listed| listed.service.to_owned()).collect();
    let in_force = reported(trail, services).await?;
    for listed in functions {
        let rules = in_force.get(listed.service).map_or(&[][..], Vec::as_slice);
        let is_about = |(pattern, _): &&Shown| {
            listed.function.has_late_events
                || listed.function.events.iter().any(|event| pattern_matches(pattern, event))
        };
        listed.rules = rules.iter().filter(is_about).map(|(_, rule)| rule.clone()).collect();
    }
    Ok(())
}

/// Returns the newest rules of each of these services that has reported any.
async fn reported(trail: &Trail, mut services: BTreeSet<String>) -> Result<BTreeMap<String, Vec<Shown>>, Failure> {
    let mut in_force = BTreeMap::new();
    let mut events = pin!(trail.stream(EventFilter::new().event(CHANGED).newest_first().limit(100)));
    for _ in 0..MOST {
        if services.is_empty() {
            break;
        }
        let Some(event) = events.try_next().await? else { break };
        // `service@host:process`
        let origin = event.origin.as_deref().unwrap_or_default();
        let service = origin.rsplit_once('@').map_or(origin, |(service, _)| service);
        if !services.remove(service) {
            continue;
        }
        let data = event.data.value();
        let text = |rule: &serde_json::Value, name: &str| rule[name].as_str().map(str::to_owned);
        let rules = data["rules"].as_array().into_iter().flatten();
        let rules = rules.filter_map(|rule| Some((text(rule, "event")?, text(rule, "rule")?))).collect();
        in_force.insert(service.to_owned(), rules);
    }
    Ok(in_force)
}
