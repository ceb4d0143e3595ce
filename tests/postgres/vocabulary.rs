//! The trading vocabulary, row by row of the reference, as it comes back from PostgreSQL.

use audit_runtime::execution::*;
use audit_runtime::trail::Trail;
use audit_runtime::{AuditEvent, Event};
use serde_json::{Value, json};
use std::time::Duration;
use tests::Database;
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(7);
const OTHER: Uuid = Uuid::from_u128(8);

#[test]
fn the_constants_are_those_of_the_reference() {
    for (constant, text) in [
        (RECOMMENDATION_GENERATED, "recommendation.generated"),
        (RECOMMENDATION_SUPPRESSED, "recommendation.suppressed"),
        (RISK_EVALUATED, "risk.evaluated"),
        (RISK_REJECTED, "risk.rejected"),
        (ORDER_SUBMITTED, "order.submitted"),
        (ORDER_ACCEPTED, "order.accepted"),
        (ORDER_FILLED, "order.filled"),
        (ORDER_REJECTED, "order.rejected"),
        (ORDER_CANCELLED, "order.cancelled"),
        (ORDER_DUPLICATE, "order.duplicate_prevented"),
        (POSITION_OPENED, "position.opened"),
        (POSITION_CLOSED, "position.closed"),
        (POSITION_UPDATED, "position.updated"),
        (TRADING_MODE_CHANGED, "trading.mode_changed"),
        (APPROVAL_REQUESTED, "approval.requested"),
        (APPROVAL_APPROVED, "approval.approved"),
        (APPROVAL_REJECTED, "approval.rejected"),
        (APPROVAL_EXPIRED, "approval.expired"),
    ] {
        assert_eq!(constant, text);
    }
}

#[test]
fn positions_are_opened_closed_and_updated_as_the_reference_has_it() {
    for (before, after, expected) in [
        (0.0, 0.0, POSITION_CLOSED),
        (0.0, -3.0, POSITION_UPDATED),
        (5.0, 0.0, POSITION_CLOSED),
        (-5.0, 0.0, POSITION_CLOSED),
        (0.0, 5.0, POSITION_OPENED),
        (5.0, 7.0, POSITION_UPDATED),
        (-0.0, 5.0, POSITION_OPENED),
        (-5.0, 5.0, POSITION_UPDATED),
        (5.0, -0.0, POSITION_CLOSED),
    ] {
        assert_eq!(position_event(before, after), expected, "{before} to {after}");
    }
}

/// An event, and its row: event type, entity type, actor, data.
type Expected = (Event, &'static str, &'static str, &'static str, Value);

fn text(text: &str) -> String {
    text.to_owned()
}

fn recommendation(suppressed: bool) -> RecommendationGenerated {
    RecommendationGenerated {
        recommendation_id: ID,
        ticker: text("AAPL"),
        action: text("buy"),
        mode: text("live"),
        confidence: 1.0,
        evidence_count: 3,
        suppressed,
    }
}

fn risk(eligible: bool) -> RiskEvaluated {
    RiskEvaluated {
        evaluation_id: ID,
        recommendation_id: (!eligible).then_some(OTHER),
        ticker: text("AAPL"),
        eligible,
        allowed_mode: text("live"),
        rejection_reasons: vec![text("size"); usize::from(!eligible)],
        check_count: 4,
    }
}

fn position(quantity_before: f64, quantity_after: f64) -> PositionChange {
    let (ticker, side) = (text("AAPL"), text("sell"));
    PositionChange {
        order_id: ID,
        ticker,
        side,
        quantity_before,
        quantity_after,
        avg_entry_before: 1.25,
        avg_entry_after: 0.0,
    }
}

fn position_data(before: f64, after: f64) -> Value {
    json!({"ticker": "AAPL", "side": "sell", "quantity_before": before, "quantity_after": after, "avg_entry_before": 1.25,
           "avg_entry_after": 0.0})
}

fn orders() -> Vec<Expected> {
    let (ticker, broker_order_id) = (text("AAPL"), text("B-1"));
    let submitted = OrderSubmitted {
        order_id: ID,
        ticker: ticker.clone(),
        side: text("buy"),
        quantity: 2.5,
        order_type: text("limit"),
        idempotency_key: text("k"),
        ..Default::default()
    };
    let filled = OrderFilled {
        order_id: ID,
        ticker: ticker.clone(),
        side: text("buy"),
        fill_quantity: 2.5,
        fill_price: None,
        broker_order_id: broker_order_id.clone(),
    };
    let rejected = OrderRejected { order_id: ID, ticker: ticker.clone(), reason: text("halted"), ..Default::default() };
    let duplicate = DuplicatePrevented {
        order_id: ID,
        ticker: ticker.clone(),
        idempotency_key: text("k"),
        detected_via: text("cache"),
    };
    let accepted = OrderAccepted { order_id: ID, ticker: ticker.clone(), broker_order_id: broker_order_id.clone() };
    let (order, broker) = ("order", "broker_service");
    let nothing = Value::Null;
    vec![
        (
            submitted.clone().into_event(),
            ORDER_SUBMITTED,
            order,
            broker,
            json!({"ticker": "AAPL", "side": "buy", "quantity": 2.5, "order_type": "limit", "idempotency_key": "k",
                   "recommendation_id": nothing, "evaluation_id": nothing}),
        ),
        (
            OrderSubmitted { recommendation_id: Some(OTHER), evaluation_id: Some(ID), ..submitted }.into_event(),
            ORDER_SUBMITTED,
            order,
            broker,
            json!({"ticker": "AAPL", "side": "buy", "quantity": 2.5, "order_type": "limit", "idempotency_key": "k",
                   "recommendation_id": OTHER, "evaluation_id": ID}),
        ),
        (accepted.into_event(), ORDER_ACCEPTED, order, broker, json!({"ticker": "AAPL", "broker_order_id": "B-1"})),
        (
            filled.clone().into_event(),
            ORDER_FILLED,
            order,
            broker,
            json!({"ticker": "AAPL", "side": "buy", "fill_quantity": 2.5, "fill_price": nothing, "broker_order_id": "B-1"}),
        ),
        (
            OrderFilled { fill_price: Some(101.25), ..filled }.into_event(),
            ORDER_FILLED,
            order,
            broker,
            json!({"ticker": "AAPL", "side": "buy", "fill_quantity": 2.5, "fill_price": 101.25, "broker_order_id": "B-1"}),
        ),
        (
            rejected.into_event(),
            ORDER_REJECTED,
            order,
            broker,
            json!({"ticker": "AAPL", "reason": "halted", "rejection_source": "broker"}),
        ),
        (
            OrderCancelled { order_id: ID, ticker, broker_order_id }.into_event(),
            ORDER_CANCELLED,
            order,
            broker,
            json!({"ticker": "AAPL", "broker_order_id": "B-1"}),
        ),
        (
            duplicate.into_event(),
            ORDER_DUPLICATE,
            order,
            broker,
            json!({"ticker": "AAPL", "idempotency_key": "k", "detected_via": "cache"}),
        ),
    ]
}

fn approvals() -> Vec<Expected> {
    let ticker = text("AAPL");
    let requested = |expires_at: Option<&str>| ApprovalRequested {
        approval_id: ID,
        ticker: text("AAPL"),
        side: text("buy"),
        quantity: 300.0,
        estimated_value: 68_550.0,
        recommendation_id: Some(OTHER),
        expires_at: expires_at.map(|time| TextTime(time.parse().unwrap())),
    };
    let requested_data = |expires_at: Option<&str>| {
        json!({"ticker": "AAPL", "side": "buy", "quantity": 300.0, "estimated_value": 68_550.0, "recommendation_id": OTHER,
               "expires_at": expires_at})
    };
    let reviewed = ApprovalReviewed { approval_id: ID, ticker: ticker.clone(), approved: true, ..Default::default() };
    let refused =
        ApprovalReviewed { approved: false, reviewed_by: text("kim"), review_note: text("no"), ..reviewed.clone() };
    let (approval, broker) = ("approval", "broker_service");
    let mut rows: Vec<Expected> = [
        (None, None),
        (Some("2026-05-04T03:02:01.000123Z"), Some("2026-05-04 03:02:01.000123+00:00")),
        (Some("2026-05-04T03:02:01Z"), Some("2026-05-04 03:02:01+00:00")),
    ]
    .into_iter()
    .map(|(given, kept)| -> Expected {
        (requested(given).into_event(), APPROVAL_REQUESTED, approval, broker, requested_data(kept))
    })
    .collect();
    rows.extend([
        (
            reviewed.into_event(),
            APPROVAL_APPROVED,
            approval,
            "operator",
            json!({"ticker": "AAPL", "approved": true, "reviewed_by": "operator", "review_note": ""}),
        ),
        (
            refused.into_event(),
            APPROVAL_REJECTED,
            approval,
            "kim",
            json!({"ticker": "AAPL", "approved": false, "reviewed_by": "kim", "review_note": "no"}),
        ),
        (
            ApprovalExpired { approval_id: ID, ticker }.into_event(),
            APPROVAL_EXPIRED,
            approval,
            "system",
            json!({"ticker": "AAPL"}),
        ),
    ]);
    rows
}

fn reference() -> Vec<Expected> {
    let recommendation_data = |suppressed: bool| {
        json!({"ticker": "AAPL", "action": "buy", "mode": "live", "confidence": 1.0, "evidence_count": 3,
               "suppressed": suppressed})
    };
    let modes = TradingModeChanged {
        config_id: ID,
        old_mode: text("paper"),
        new_mode: text("live"),
        ..TradingModeChanged::default()
    };
    let modes_data = json!({"old_mode": "paper", "new_mode": "live"});
    let (worker, engine, broker) = ("recommendation_worker", "risk_engine", "broker_service");
    let mut rows: Vec<Expected> = vec![
        (
            recommendation(false).into_event(),
            RECOMMENDATION_GENERATED,
            "recommendation",
            worker,
            recommendation_data(false),
        ),
        (
            recommendation(true).into_event(),
            RECOMMENDATION_SUPPRESSED,
            "recommendation",
            worker,
            recommendation_data(true),
        ),
        (
            risk(true).into_event(),
            RISK_EVALUATED,
            "risk_evaluation",
            engine,
            json!({"recommendation_id": null, "ticker": "AAPL", "eligible": true, "allowed_mode": "live",
                   "rejection_reasons": [], "check_count": 4}),
        ),
        (
            risk(false).into_event(),
            RISK_REJECTED,
            "risk_evaluation",
            engine,
            json!({"recommendation_id": OTHER, "ticker": "AAPL", "eligible": false, "allowed_mode": "live",
                   "rejection_reasons": ["size"], "check_count": 4}),
        ),
        (
            TradingModeChanged { actor: text("ann"), ..modes.clone() }.into_event(),
            TRADING_MODE_CHANGED,
            "risk_config",
            "ann",
            modes_data.clone(),
        ),
        (modes.into_event(), TRADING_MODE_CHANGED, "risk_config", "operator", modes_data),
    ];
    for (before, after, event) in
        [(0.0, 5.0, POSITION_OPENED), (5.0, 7.0, POSITION_UPDATED), (5.0, 0.0, POSITION_CLOSED)]
    {
        rows.push((position(before, after).into_event(), event, "position", broker, position_data(before, after)));
    }
    rows.extend(orders());
    rows.extend(approvals());
    rows
}

#[tokio::test]
async fn every_typed_event_is_stored_as_the_reference_has_it() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    let trail = Trail::new(database.pool.clone());
    for (event, event_type, entity_type, actor, data) in reference() {
        let receipt = audit.record(event).unwrap();
        receipt.stored().await.unwrap();
        let row = trail.entity(entity_type, ID).await.unwrap().pop().unwrap();
        assert_eq!(row.id, receipt.id());
        assert_eq!((row.event_type.as_str(), row.actor.as_str()), (event_type, actor));
        assert_eq!(row.data, data, "{event_type}");
    }
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
}
