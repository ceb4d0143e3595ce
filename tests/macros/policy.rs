//! Calls and events under a policy: which are recorded, how much of them, and what the others tell.

use crate::support::ID;
use audit_runtime::testing::Probe;
use audit_runtime::trail::TrailEvent;
use audit_runtime::{Audit, Context, Event, InContext, Outcome, RecordError, audited};
use serde_json::json;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task;
use std::time::Duration;
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("not recorded")]
    Unrecorded(#[from] RecordError),
    #[error("account 7 is closed")]
    Closed,
}

#[audited(event = "account.viewed", err = "account.hidden", id = account_id)]
fn view(account_id: u64, fails: bool) -> Result<u64, Failure> {
    if fails { Err(Failure::Closed) } else { Ok(account_id) }
}

#[audited(event = "account.closed", id = account_id)]
fn close(account_id: u64) {}

/// Records by the policy and returns the events.
fn recorded(policy: &str, calls: impl FnOnce(&Audit)) -> Vec<TrailEvent> {
    let probe = Probe::with_policy(policy);
    let entered = probe.enter();
    calls(probe.audit());
    drop(entered);
    probe.events()
}

/// The types and outcomes of events.
fn told(events: &[TrailEvent]) -> Vec<String> {
    events.iter().map(|event| format!("{} {}", event.event_type, event.outcome)).collect()
}

fn rule(lines: &str) -> String {
    format!("[[rule]]\nname = 'reads'\n{lines}\n")
}

#[test]
fn the_first_rule_about_an_event_decides_and_a_failure_is_always_recorded() {
    let policy = rule("event = 'account.viewed'\nactor = 'user:*'\nlevel = 'full'")
        + "[[rule]]\nname = 'acme'\ntenant = 'acme'\nlevel = 'none'\n"
        + "[[rule]]\nname = 'views'\nevent = '*.viewed'\nlevel = 'none'";
    let probe = Probe::with_policy(&policy);
    let entered = probe.enter();
    let inside = |context: Context, call: fn()| {
        let _entered = context.enter();
        call();
    };
    inside(Context::new().actor("user:kim"), || drop(view(1, false)));
    inside(Context::new().actor("service:desk"), || drop(view(2, false)));
    inside(Context::new().tenant("acme"), || close(3));
    inside(Context::new().tenant("other"), || close(4));
    let _ = (view(5, false), view(6, true));
    drop(entered);
    let events = probe.events();
    let keys: Vec<_> = events.iter().map(|event| event.entity_key.as_deref().unwrap()).collect();
    assert_eq!(keys, ["1", "4", "6"]);
    assert_eq!(
        (&*events[2].event_type, &events[2].data["error"]["message"]),
        ("account.hidden", &json!("account 7 is closed").into())
    );
    assert!(events.iter().all(|event| event.data.get("$policy").is_none()), "{events:#?}");
    let stats = probe.audit().stats();
    assert_eq!(stats.left_out, [("acme".into(), 1), ("reads".into(), 0), ("views".into(), 2)].into());
    assert_eq!((stats.recorded, stats.policy_error), (3, None));
}

#[audited(event = "job.run", id = none, skip_all)]
fn job(ends: impl FnOnce()) {
    ends();
}

#[audited(event = "job.run", id = none, skip_all)]
async fn wait() {
    std::future::pending::<()>().await;
}

#[test]
fn panics_and_cancelled_futures_are_recorded() {
    let events = recorded(&rule("level = 'none'"), |_| {
        let _ = catch_unwind(AssertUnwindSafe(|| job(|| panic!("no ledger"))));
        let mut waiting = Box::pin(wait());
        let _ = pin!(&mut waiting).poll(&mut task::Context::from_waker(task::Waker::noop()));
        drop(waiting);
        job(|| ());
    });
    assert_eq!(told(&events), ["job.run panicked", "job.run cancelled"]);
}

#[audited(event = "mail.sent", id = ID, actor = customer, subject = customer, personal(actor, address), also(account = 7), tenant = "acme")]
fn send(customer: &str, address: &str, fails: bool) -> Result<&'static str, Failure> {
    if fails { Err(Failure::Closed) } else { Ok("sent") }
}

#[test]
fn metadata_tell_who_did_what_to_which_and_how_it_ended_and_nothing_else() {
    let events = recorded(&rule("level = 'metadata'"), |audit| {
        let _ = (send("customer:1", "ann@example.com", false), send("customer:1", "ann@example.com", true));
        audit.record(Event::new("mail.bounced").data(&json!({"why": "full"}))).unwrap();
    });
    assert_eq!(told(&events), ["mail.sent ok", "mail.sent error", "mail.bounced ok"]);
    let note = json!({"$policy": {"metadata_only": "reads"}});
    let [sent, failed, bounced] = &events[..] else { panic!("{events:#?}") };
    for event in [sent, failed] {
        let plain = Probe::new();
        let entered = plain.enter();
        let _ = send("customer:1", "ann@example.com", event.outcome == Outcome::Error);
        drop(entered);
        let plain = plain.only("mail.sent");
        assert_eq!((&event.actor, &event.tenant, &event.targets), (&plain.actor, &plain.tenant, &plain.targets));
        assert_eq!((event.entity_id, event.duration_us.is_some()), (Some(ID), true));
        assert!(
            !event.data.to_string().contains("ann@") && !event.data.to_string().contains("closed"),
            "{}",
            event.data
        );
        // The actor's mark refers to the subject.
        assert_eq!(event.data.get("$subject"), plain.data.get("$subject"));
        assert_eq!(event.data["$policy"], note["$policy"].clone());
    }
    assert_eq!(bounced.data, note);
}

#[test]
fn a_sample_keeps_requests_whole() {
    let probe = Probe::with_policy(&rule("sample = 0.3"));
    let entered = probe.enter();
    let requests: Vec<Uuid> = (0..400).map(|_| Uuid::new_v4()).collect();
    for request in &requests {
        let _entered = Context::new().correlation(*request).enter();
        job(|| close(1));
        close(2);
        probe.audit().record(Event::new("account.noted")).unwrap();
    }
    drop(entered);
    let events = probe.events();
    let of = |request: &Uuid| events.iter().filter(|event| event.correlation_id == Some(*request)).count();
    let kept = requests.iter().map(of).collect::<Vec<_>>();
    assert!(kept.iter().all(|events| [0, 4].contains(events)), "{kept:?}");
    let whole = kept.iter().filter(|events| **events == 4).count();
    assert!((60..180).contains(&whole), "{whole}");
    assert_eq!(probe.audit().stats().left_out["reads"], 4 * (400 - whole as u64));
}

#[test]
fn once_per_period_each_entity_actor_and_tenant_is_recorded_and_a_failure_has_the_count() {
    let events = recorded(&rule("event = 'account.*'\nonce_per = '1h'"), |_| {
        for actor in ["kim", "kim", "ann"] {
            let _entered = Context::new().actor(actor).enter();
            let _ = (view(1, false), view(2, false));
        }
        let _entered = Context::new().actor("kim").tenant("acme").enter();
        let _ = view(1, false);
        drop(_entered);
        let _entered = Context::new().actor("kim").enter();
        close(1);
        // The type of a failure is its own, and the calls are those of the success.
        let _ = (view(1, false), view(1, true), view(1, true));
    });
    let shown: Vec<String> = events
        .iter()
        .map(|event| {
            let count = event.data.get("$policy").map_or(String::new(), |note| format!(" {note}"));
            format!("{} {}{count}", event.actor, event.event_type)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "kim account.viewed",
            "kim account.viewed",
            "ann account.viewed",
            "ann account.viewed",
            "kim account.viewed",
            "kim account.closed",
            r#"kim account.hidden {"left_out":2}"#,
            "kim account.hidden",
            // At the end of the trail.
        ]
    );
}

#[audited(event = "account.opened", entity = "account", id = |id| *id, skip_all)]
fn open(id: u64) -> u64 {
    job(|| ());
    id
}

#[audited(event = |id| if *id > 5 { "account.opened" } else { "account.drafted" }, entity = "account", id = |id| *id)]
async fn open_later(id: u64) -> u64 {
    tokio::task::yield_now().await;
    id
}

#[audited(event = "account.opened", entity = "account", id = |id| *id, intent)]
fn open_with_intent(id: u64) -> u64 {
    id
}

#[tokio::test]
async fn a_call_whose_type_or_entity_is_late_is_decided_about_by_them() {
    let probe = Probe::with_policy(&rule("event = 'account.opened'\nonce_per = '1h'"));
    probe
        .scope(async {
            for id in [7, 8, 7, 3, 3] {
                open_later(id).await;
            }
            for id in [7, 9] {
                open(id);
            }
            // Its intent is recorded before the entity is known.
            open_with_intent(7);
        })
        .await;
    let keys: Vec<_> = probe
        .events()
        .iter()
        .filter(|event| event.event_type.starts_with("account"))
        .map(|event| format!("{} {}", event.entity_key.as_deref().unwrap_or("-"), event.outcome))
        .collect();
    assert_eq!(keys, ["7 ok", "8 ok", "3 ok", "3 ok", "9 ok", "- started", "7 ok"]);
    assert_eq!(probe.audit().stats().left_out["reads"], 2);
}

#[audited(event = "order.sent", err = "order.refused", id = ID, intent)]
fn send_order(number: u8) -> Result<u8, Failure> {
    if number > 9 { Err(Failure::Closed) } else { Ok(number) }
}

#[audited(event = "order.booked", id = ID, required)]
fn book(number: u8) -> Result<u8, Failure> {
    if number > 9 { Err(Failure::Closed) } else { Ok(number) }
}

#[test]
fn an_intent_goes_with_its_completion_and_required_is_always_recorded() {
    let events = recorded(&rule("level = 'none'"), |_| {
        let _ = (send_order(1), send_order(10), book(1), book(10));
    });
    let expected = [
        "order.refused error",
        "order.booked started",
        "order.booked ok",
        "order.booked started",
        "order.booked error",
    ];
    assert_eq!(told(&events), expected);
    assert_eq!(events[0].causation_id, None, "there is no intent that it could follow");
    let events = recorded(&rule("once_per = '1h'"), |_| {
        let _ = (send_order(1), send_order(2), book(1), book(2));
    });
    let expected = [
        "order.sent started",
        "order.sent ok",
        "order.booked started",
        "order.booked ok",
        "order.booked started",
        "order.booked ok",
    ];
    assert_eq!(told(&events), expected);
    let events = recorded(&rule("level = 'metadata'"), |_| drop(book(1)));
    assert!(events.iter().all(|event| event.data == json!({"$policy": {"metadata_only": "reads"}})), "{events:#?}");
}

#[audited(event = "request.served", id = none, skip_all)]
async fn serve(audit: &Audit) {
    tokio::task::yield_now().await;
    close(1);
    audit.record(Event::new("account.noted")).unwrap();
    tokio::spawn(async { close(2) }.in_context()).await.unwrap();
    check().await;
}

#[audited(event = "request.checked", id = none)]
async fn check() {
    close(3);
}

#[tokio::test]
async fn an_event_names_the_rule_by_which_its_cause_was_not_recorded() {
    let policy = "[[rule]]\nname = 'served'\nevent = 'request.served'\nlevel = 'none'\n[[rule]]\nname = 'checked'\nevent = 'request.checked'\nlevel = 'none'";
    let probe = Probe::with_policy(policy);
    probe.scope(serve(probe.audit())).await;
    let events = probe.events();
    let causes: Vec<_> =
        events.iter().map(|event| event.data["$policy"]["cause_left_out"].as_str().unwrap().to_owned()).collect();
    assert_eq!(causes, ["served", "served", "served", "checked"]);
    let ids: Vec<_> = events.iter().map(|event| event.causation_id.unwrap()).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "the ids are those of the calls");
    assert!(events.iter().all(|event| event.correlation_id == Some(ids[0])));
    // A call that is recorded is no such cause.
    let probe = Probe::with_policy(&rule("event = 'account.viewed'\nlevel = 'none'"));
    probe.scope(check()).await;
    assert!(probe.events().iter().all(|event| event.data.get("$policy").is_none()));
}

#[audited(event = "account.viewed", id = ID, when = |value| *value > 5)]
fn view_some(value: u8) -> u8 {
    value
}

#[test]
fn a_call_that_is_not_recorded_after_all_does_not_count_as_the_one_of_its_period() {
    let events = recorded(&rule("once_per = '1h'"), |_| {
        for value in [1, 2, 7, 8] {
            view_some(value);
        }
    });
    let values: Vec<_> = events.iter().filter_map(|event| event.data.get("value")?.as_u64()).collect();
    assert_eq!(values, [7]);
}

#[tokio::test]
async fn events_by_hand_are_left_out_and_their_receipts_say_so() {
    let probe = Probe::with_policy(&rule("event = 'account.viewed'\nonce_per = '1h'"));
    let viewed = |id: u64| Event::new("account.viewed").entity("account", id);
    let audit = probe.audit();
    let receipts: Vec<bool> = [1, 1, 2].map(|id| audit.record(viewed(id)).unwrap().is_recorded()).into();
    assert_eq!(receipts, [true, false, true]);
    let left_out = audit.record(viewed(1)).unwrap();
    left_out.stored().await.unwrap();
    left_out.synced().await.unwrap();
    let all = audit.record_all([viewed(1), viewed(1)]).unwrap();
    all.stored().await.unwrap();
    assert_eq!((all.ids().len(), probe.events().len()), (2, 2));
    // The library's own events are always recorded.
    assert!(audit.record(Event::new("audit.viewed")).unwrap().is_recorded());
    assert!(audit.record(Event::new("audit.viewed")).unwrap().is_recorded());
}

#[audited(event = "mail.read", id = ID, actor = customer, subject = customer, personal(actor), skip_all)]
fn read_mail(customer: &str) {}

#[tokio::test]
async fn the_end_of_a_trail_reports_the_counts_and_no_personal_actor() {
    let probe = Probe::with_policy(&rule("once_per = '1h'"));
    let entered = probe.enter();
    {
        let _entered = Context::new().actor("kim").tenant("acme").enter();
        (0..4).for_each(|_| close(7));
        (0..2).for_each(|_| read_mail("customer:1"));
        close(8);
    }
    drop(entered);
    probe.audit().shutdown(Duration::ZERO).await.unwrap();
    probe.audit().shutdown(Duration::ZERO).await.unwrap();
    let mut reports: Vec<_> =
        probe.events().into_iter().filter(|event| event.event_type == "audit.thinned_out").collect();
    reports.sort_by_key(|event| event.entity_type.clone());
    let [account, mail] = &reports[..] else { panic!("{reports:#?}") };
    let data =
        |event_type, actor, count| json!({"rule": "reads", "event_type": event_type, "actor": actor, "count": count});
    assert_eq!(account.data, data("account.closed", "kim", 3));
    assert_eq!(
        (account.entity_key.as_deref(), account.tenant.as_deref(), &*account.actor),
        (Some("7"), Some("acme"), "audit")
    );
    assert_eq!(mail.data, data("mail.read", "[redacted]", 1));
    assert_eq!(mail.entity_id, Some(ID));
}
