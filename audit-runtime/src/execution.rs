//! The vocabulary of trading: the event types of an execution, from the recommendation to the position.

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

/// The event type of a change of position: opened if there was none and now there is, closed if there is none now,
/// else updated.
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
