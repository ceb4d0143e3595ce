//! `#[derive(AuditEvent)]`: what a struct's fields become.

use audit_runtime::testing::Probe;
use audit_runtime::trail::TrailEvent;
use audit_runtime::{AuditEvent, EntityId, Event};
use serde::Serialize;
use serde_json::json;
use std::borrow::Cow;
use std::fmt::Debug;
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(7);

fn recorded(event: impl AuditEvent) -> TrailEvent {
    let probe = Probe::new();
    probe.audit().record(event).unwrap();
    let mut events = probe.events();
    assert_eq!(events.len(), 1);
    events.remove(0)
}

/// As in the existing system: the type depends on the verdict, absent options are null.
#[derive(AuditEvent, Serialize)]
#[audit(
    event = |e| if e.eligible { audit_runtime::execution::RISK_EVALUATED } else { "risk.rejected" },
    entity = "risk_evaluation", id = evaluation_id, actor = "risk_engine",
)]
struct RiskEvaluated {
    #[audit(skip)]
    evaluation_id: Uuid,
    recommendation_id: Option<Uuid>,
    eligible: bool,
    rejection_reasons: Vec<String>,
}

#[test]
fn the_type_can_depend_on_the_event_and_fields_are_data() {
    let event = |eligible| RiskEvaluated {
        evaluation_id: ID,
        recommendation_id: None,
        eligible,
        rejection_reasons: vec!["size".into()],
    };
    let row = recorded(event(false));
    assert_eq!((row.event_type.as_str(), row.entity_type.as_str()), ("risk.rejected", "risk_evaluation"));
    assert_eq!((row.entity_id, row.actor.as_str()), (Some(ID), "risk_engine"));
    assert_eq!(row.data, json!({"recommendation_id": null, "eligible": false, "rejection_reasons": ["size"]}));
    assert_eq!(recorded(event(true)).event_type, "risk.evaluated");
}

#[derive(AuditEvent)]
#[audit(event = SHOWN, entity = *kind, id = EntityId::named(kind, key), actor = format!("{}@{kind}", user.name))]
struct Shown<'a, T: Debug, U, const N: usize>
where
    U: Clone,
{
    kind: &'static str,
    key: &'a str,
    #[audit(skip)]
    user: &'a User,
    #[audit(?)]
    debugged: T,
    #[audit(rename = "content-type")]
    generic: U,
    #[audit(%)]
    displayed: Cow<'a, str>,
    #[audit(redact)]
    password: String,
    #[audit(plain)]
    page_token: [u8; 2],
    #[audit(skip)]
    _sized: [u8; N],
    r#type: u8,
}

const SHOWN: &str = "thing.shown";

struct User {
    name: String,
}

#[test]
fn every_option_of_a_field_and_generics() {
    let user = User { name: "ann".into() };
    let row = recorded(Shown::<_, _, 3> {
        kind: "account",
        key: "DE89",
        user: &user,
        debugged: Some(1),
        generic: vec![json!({"api_key": 1})],
        displayed: "x".into(),
        password: "hunter2".into(),
        page_token: [1, 2],
        _sized: [0; 3],
        r#type: 9,
    });
    assert_eq!(
        (row.event_type.as_str(), row.entity_type.as_str(), row.actor.as_str()),
        (SHOWN, "account", "ann@account")
    );
    let EntityId::Id(id) = EntityId::named("account", "DE89") else { panic!("a name gives an id") };
    assert_eq!(row.entity_id, Some(id));
    assert_eq!(
        row.data,
        json!({"kind": "account", "key": "DE89", "debugged": "Some(1)", "content-type": [{"api_key": "[redacted]"}],
               "displayed": "x", "password": "[redacted]", "page_token": [1, 2], "type": 9})
    );
}

#[test]
fn skipped_fields_are_not_recorded_and_a_unit_struct_has_no_data() {
    #[derive(AuditEvent, Serialize)]
    #[audit(event = "order.noted")]
    #[allow(dead_code)]
    struct Noted {
        id: String,
        #[serde(skip)]
        password: String,
        #[serde(default, skip_serializing, rename = "x")]
        internal: u8,
    }
    let row = recorded(Noted { id: ID.to_string(), password: "hunter2".into(), internal: 3 });
    assert_eq!((row.entity_id, row.data), (Some(ID), json!({"id": ID}).into()));

    #[derive(AuditEvent)]
    #[audit(event = "market.closed", id = None::<Uuid>)]
    struct Closed;
    assert_eq!(recorded(Closed).data, json!({}));
}

#[test]
fn a_field_that_cannot_be_captured_spoils_no_other() {
    struct Fails;
    impl Serialize for Fails {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    #[derive(AuditEvent)]
    #[audit(event = "a.b")]
    struct Odd {
        id: Uuid,
        fails: Fails,
        after: u8,
    }
    let event: Event = Odd { id: ID, fails: Fails, after: 1 }.into_event();
    assert_eq!(recorded(event).data, json!({"id": ID, "fails": {"$error": "no"}, "after": 1}));
}
