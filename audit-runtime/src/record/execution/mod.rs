//! The vocabulary of trading: the event types of an execution, from the recommendation to the
//! position, and their payloads.
//!
//! ```
//! use audit_runtime::execution::{ORDER_FILLED, OrderFilled, OrderRejected};
//! use audit_runtime::testing::Probe;
//! use serde_json::json;
//! use uuid::Uuid;
//!
//! let (probe, order_id) = (Probe::new(), Uuid::now_v7());
//! probe.audit().record(OrderFilled {
//!     order_id, ticker: "AAPL".into(), side: "buy".into(), fill_quantity: 10.0, fill_price: None, broker_order_id: "B-1".into(),
//! })?;
//! let filled = probe.only(ORDER_FILLED);
//! assert_eq!((filled.entity_id, filled.actor.as_str()), (Some(order_id), "broker_service"));
//! assert_eq!(filled.data["fill_price"], json!(null));
//! // What has a default in the vocabulary has it here.
//! let rejected = OrderRejected { order_id, ticker: "AAPL".into(), reason: "halted".into(), ..Default::default() };
//! assert_eq!(rejected.rejection_source, "broker");
//! # Ok::<(), audit_runtime::RecordError>(())
//! ```

mod events;

pub use events::{
    ApprovalExpired, ApprovalRequested, ApprovalReviewed, DuplicatePrevented, OrderAccepted, OrderCancelled,
    OrderFilled, OrderRejected, OrderSubmitted, PositionChange, RecommendationGenerated, RiskEvaluated, TextTime,
    TradingModeChanged,
};

/// A recommendation was made.
pub const RECOMMENDATION_GENERATED: &str = "recommendation.generated";
/// A recommendation was made and withheld.
pub const RECOMMENDATION_SUPPRESSED: &str = "recommendation.suppressed";
/// The risk rules allow the trade.
pub const RISK_EVALUATED: &str = "risk.evaluated";
/// The risk rules forbid the trade.
pub const RISK_REJECTED: &str = "risk.rejected";
/// An order was sent to the broker.
pub const ORDER_SUBMITTED: &str = "order.submitted";
/// The broker took the order.
pub const ORDER_ACCEPTED: &str = "order.accepted";
/// The order was executed.
pub const ORDER_FILLED: &str = "order.filled";
/// The order was refused, by the broker or before.
pub const ORDER_REJECTED: &str = "order.rejected";
/// The order was taken back.
pub const ORDER_CANCELLED: &str = "order.cancelled";
/// An order with the same idempotency key had been submitted.
pub const ORDER_DUPLICATE: &str = "order.duplicate_prevented";
/// A position came into being.
pub const POSITION_OPENED: &str = "position.opened";
/// A position came to its end.
pub const POSITION_CLOSED: &str = "position.closed";
/// A position changed.
pub const POSITION_UPDATED: &str = "position.updated";
/// The trading mode was changed.
pub const TRADING_MODE_CHANGED: &str = "trading.mode_changed";
/// An operator is asked.
pub const APPROVAL_REQUESTED: &str = "approval.requested";
/// An operator agreed.
pub const APPROVAL_APPROVED: &str = "approval.approved";
/// An operator refused.
pub const APPROVAL_REJECTED: &str = "approval.rejected";
/// No operator answered in time.
pub const APPROVAL_EXPIRED: &str = "approval.expired";

/// Returns the event type of a change of position.
///
/// The position opened if its quantity was zero before, and closed if it is zero now. Otherwise it
/// was updated.
#[must_use]
pub fn position_event(quantity_before: f64, quantity_after: f64) -> &'static str {
    if quantity_before == 0.0 && quantity_after > 0.0 {
        POSITION_OPENED
    } else if quantity_after == 0.0 {
        POSITION_CLOSED
    } else {
        POSITION_UPDATED
    }
}
