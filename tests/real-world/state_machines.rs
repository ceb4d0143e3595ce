//! State machines: consumed by each step, with the state in the type or in a value, and those that
//! stop.

use crate::scene::{ID, error, ok, recorded};
use audit_runtime::audited;
use serde::Serialize;
use serde_json::{Value, json};
use std::marker::PhantomData;
use std::ops::ControlFlow;
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
enum OrderError {
    #[error("{missing} cents are missing")]
    Short { missing: u32 },
    #[error("no step from {from:?} by {by:?}")]
    NoStep { from: State, by: Step },
}

#[derive(Debug, Serialize)]
struct Draft {
    id: Uuid,
    cents: u32,
}

#[derive(Debug, Serialize)]
struct Paid {
    id: Uuid,
    change: u32,
}

/// Gives back what could not be paid.
type Attempt<T, Of> = Result<T, (Of, OrderError)>;

impl Draft {
    // 51. Consumed, and given back with the error: 3.
    #[audited(event = "order.paid", id = self.id, error = |(_, error)| error.to_string())]
    fn pay(self, cents: u32) -> Result<Paid, (Self, OrderError)> {
        match cents.checked_sub(self.cents) {
            Some(change) => Ok(Paid { id: self.id, change }),
            None => {
                let missing = self.cents - cents;
                Err((self, OrderError::Short { missing }))
            }
        }
    }

    // 52. The same by an alias, and without a statement about the error: 2.
    #[audited(event = "order.charged", id = self.id)]
    async fn charge(self, cents: u32) -> Attempt<Paid, Self> {
        self.pay(cents)
    }
}

/// The state in the type.
#[derive(Debug)]
struct Shipment<S> {
    id: Uuid,
    parcels: u8,
    state: PhantomData<S>,
}
#[derive(Debug)]
struct Packed;
#[derive(Debug)]
struct Sent;

/// A refusal, whole.
#[derive(Debug, thiserror::Error)]
#[error("no parcel in {}", .0.id)]
struct Empty(Shipment<Packed>);

impl Shipment<Packed> {
    // 53. From one parameter to another: 3.
    #[audited(event = "shipment.sent", id = self.id, result = |sent| sent.parcels)]
    fn send(self) -> Result<Shipment<Sent>, Box<Empty>> {
        let Self { id, parcels, .. } = self;
        if parcels == 0 { Err(Box::new(Empty(self))) } else { Ok(Shipment { id, parcels, state: PhantomData }) }
    }
}

impl<S> Shipment<S> {
    // 54. In any state: 3.
    #[audited(event = "shipment.counted", id = self.id, result = |(_, parcels)| *parcels)]
    fn counted(self) -> (Self, u8) {
        let parcels = self.parcels;
        (self, parcels)
    }
}

/// The state in a value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Open,
    Filled,
    Cancelled,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    Fill,
    Cancel,
}

impl State {
    // 55. From value to value, with an event for each state: 3.
    #[audited(
        event = |state| if *state == State::Filled { "order.filled" } else { "order.cancelled" }, err = "order.stuck",
        entity = "order",
    )]
    fn next(self, step: Step, id: Uuid) -> Result<Self, OrderError> {
        match (self, step) {
            (Self::Open, Step::Fill) => Ok(Self::Filled),
            (Self::Open, Step::Cancel) => Ok(Self::Cancelled),
            (from, by) => Err(OrderError::NoStep { from, by }),
        }
    }
}

#[derive(Debug)]
struct Machine {
    id: Uuid,
    state: State,
    steps: u8,
}

// The block of 56 to 58: 1 beside the entity, for all three.
#[audited(entity = "order", id = self.id)]
impl Machine {
    // 56. In place, with what changed: 2.
    #[audited(event = "order.stepped", changes(self.state, self.steps))]
    fn step(&mut self, step: Step) -> Result<&'static str, OrderError> {
        self.state = self.state.next(step, self.id)?;
        self.steps += 1;
        Ok("done")
    }

    // 57. nautilus: whether it differs, with `ok`: 3.
    #[audited(event = "state.set", changes(self.state), ok = |set| *set)]
    fn set(&mut self, state: State) -> bool {
        let differs = self.state != state;
        self.state = state;
        differs
    }

    // 58. A machine that stops: 3.
    #[audited(event = "order.advanced", ok = |flow| flow.is_continue(), result = ?)]
    fn advance(&mut self) -> ControlFlow<State> {
        match self.state {
            State::Open => ControlFlow::Continue(()),
            stopped => ControlFlow::Break(stopped),
        }
    }
}

fn message(text: &str) -> Value {
    json!({"message": text, "causes": []})
}

#[tokio::test]
async fn a_consumed_value_is_returned_with_its_error() {
    let draft = || Draft { id: ID, cents: 5 };
    let ((), rows) = recorded(async {
        assert_eq!(draft().pay(7).unwrap().change, 2);
        let (kept, _) = draft().pay(3).unwrap_err();
        assert_eq!(kept.cents, 5);
        draft().charge(3).await.unwrap_err();
    })
    .await;
    let refused = "2 cents are missing";
    let short = || json!({"cents": 3, "error": "2 cents are missing"});
    let expected = [
        ok("order.paid", ID, json!({"cents": 7, "result": {"id": ID, "change": 2}})),
        error("order.paid", ID, short()),
        error("order.charged", ID, json!({"cents": 3, "error": message(refused)})),
        error("order.paid", ID, short()),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_state_in_the_type_is_recorded_by_its_parts() {
    let packed = |parcels| Shipment::<Packed> { id: ID, parcels, state: PhantomData };
    let ((), rows) = recorded(async {
        let sent = packed(2).send().unwrap();
        assert_eq!(sent.counted().1, 2);
        let kept = packed(0).send().unwrap_err();
        assert_eq!(kept.0.counted().1, 0);
    })
    .await;
    let expected = [
        ok("shipment.sent", ID, json!({"result": 2})),
        ok("shipment.counted", ID, json!({"result": 2})),
        error("shipment.sent", ID, json!({"error": message(&format!("no parcel in {ID}"))})),
        ok("shipment.counted", ID, json!({"result": 0})),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_state_in_a_value_is_recorded_with_what_changed() {
    let mut machine = Machine { id: ID, state: State::Open, steps: 0 };
    let ((), rows) = recorded(async {
        assert!(machine.advance().is_continue());
        machine.step(Step::Fill).unwrap();
        machine.step(Step::Cancel).unwrap_err();
        assert!(!machine.set(State::Filled));
        assert!(machine.advance().is_break());
        assert!(machine.set(State::Open));
        machine.state.next(Step::Cancel, ID).unwrap();
    })
    .await;
    let by = |step: &str| json!({"step": step, "id": ID});
    let no_step = || message("no step from Filled by Cancel");
    let changed = json!({"state": {"from": "open", "to": "filled"}, "steps": {"from": 0, "to": 1}});
    let unchanged = json!({"state": {}, "steps": {}});
    let expected = [
        ok("order.advanced", ID, json!({"result": "Continue(())"})),
        ok("order.stepped", ID, json!({"step": "fill", "result": "done", "changes": changed})),
        ok("order.filled", ID, json!({"step": "fill", "id": ID, "result": "filled"})),
        error("order.stepped", ID, json!({"step": "cancel", "error": no_step(), "changes": unchanged})),
        error("order.stuck", ID, json!({"step": "cancel", "id": ID, "error": no_step()})),
        error("state.set", ID, json!({"state": "filled", "result": false, "changes": {"state": {}}})),
        error("order.advanced", ID, json!({"result": "Break(Filled)"})),
        ok(
            "state.set",
            ID,
            json!({"state": "open", "result": true, "changes": {"state": {"from": "filled", "to": "open"}}}),
        ),
        ok("order.cancelled", ID, {
            let mut data = by("cancel");
            data["result"] = json!("cancelled");
            data
        }),
    ];
    assert_eq!(rows, expected);
}
