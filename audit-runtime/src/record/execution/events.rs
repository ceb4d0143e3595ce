//! The typed events. Their fields are the keys of `data`. An absent optional one is `null`.
//! `Default` fills in the vocabulary's defaults, for use as `..Default::default()`.

use super::*;
use crate::event::Timestamp;
use audit_macros::AuditEvent;
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// A recommendation was made, and possibly withheld.
#[derive(Debug, Clone, PartialEq, Default, Serialize, AuditEvent)]
#[audit(
    crate = crate, actor = "recommendation_worker", entity = "recommendation", id = recommendation_id,
    event = |e| if e.suppressed { RECOMMENDATION_SUPPRESSED } else { RECOMMENDATION_GENERATED },
)]
pub struct RecommendationGenerated {
    /// The recommendation: the event's entity.
    #[audit(skip)]
    pub recommendation_id: Uuid,
    /// The instrument.
    pub ticker: String,
    /// The recommended action.
    pub action: String,
    /// Paper or live.
    pub mode: String,
    /// The model's confidence, from 0 to 1.
    pub confidence: f64,
    /// The number of pieces of evidence.
    pub evidence_count: i64,
    /// Whether the recommendation is withheld. The default is `false`.
    pub suppressed: bool,
}

/// The risk rules were applied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, AuditEvent)]
#[audit(
    crate = crate, actor = "risk_engine", entity = "risk_evaluation", id = evaluation_id,
    event = |e| if e.eligible { RISK_EVALUATED } else { RISK_REJECTED },
)]
pub struct RiskEvaluated {
    /// The evaluation: the event's entity.
    #[audit(skip)]
    pub evaluation_id: Uuid,
    /// The recommendation that was judged.
    pub recommendation_id: Option<Uuid>,
    /// The instrument.
    pub ticker: String,
    /// Whether the trade may go on.
    pub eligible: bool,
    /// The mode in which it may go on.
    pub allowed_mode: String,
    /// The reasons it was rejected.
    pub rejection_reasons: Vec<String>,
    /// The number of rules that were applied.
    pub check_count: i64,
}

/// An order was sent to the broker.
#[derive(Debug, Clone, PartialEq, Default, Serialize, AuditEvent)]
#[audit(crate = crate, event = ORDER_SUBMITTED, entity = "order", id = order_id, actor = "broker_service")]
pub struct OrderSubmitted {
    /// The order: the event's entity.
    #[audit(skip)]
    pub order_id: Uuid,
    /// The instrument.
    pub ticker: String,
    /// Buy or sell.
    pub side: String,
    /// The quantity ordered.
    pub quantity: f64,
    /// Market, limit, ..
    pub order_type: String,
    /// The key that a repeated request shares.
    pub idempotency_key: String,
    /// The recommendation it comes from.
    pub recommendation_id: Option<Uuid>,
    /// The risk evaluation it passed.
    pub evaluation_id: Option<Uuid>,
}

/// The broker took the order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, AuditEvent)]
#[audit(crate = crate, event = ORDER_ACCEPTED, entity = "order", id = order_id, actor = "broker_service")]
pub struct OrderAccepted {
    /// The order: the event's entity.
    #[audit(skip)]
    pub order_id: Uuid,
    /// The instrument.
    pub ticker: String,
    /// The broker's name for the order.
    pub broker_order_id: String,
}

/// The order was executed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, AuditEvent)]
#[audit(crate = crate, event = ORDER_FILLED, entity = "order", id = order_id, actor = "broker_service")]
pub struct OrderFilled {
    /// The order: the event's entity.
    #[audit(skip)]
    pub order_id: Uuid,
    /// The instrument.
    pub ticker: String,
    /// Buy or sell.
    pub side: String,
    /// The quantity filled.
    pub fill_quantity: f64,
    /// The price, if the broker reports one.
    pub fill_price: Option<f64>,
    /// The broker's name for the order.
    pub broker_order_id: String,
}

/// The order was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, AuditEvent)]
#[audit(crate = crate, event = ORDER_REJECTED, entity = "order", id = order_id, actor = "broker_service")]
pub struct OrderRejected {
    /// The order: the event's entity.
    #[audit(skip)]
    pub order_id: Uuid,
    /// The instrument.
    pub ticker: String,
    /// The reason.
    pub reason: String,
    /// The party that refused it. The default is `broker`.
    pub rejection_source: String,
}

impl Default for OrderRejected {
    fn default() -> Self {
        Self { order_id: Uuid::nil(), ticker: String::new(), reason: String::new(), rejection_source: "broker".into() }
    }
}

/// The order was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, AuditEvent)]
#[audit(crate = crate, event = ORDER_CANCELLED, entity = "order", id = order_id, actor = "broker_service")]
pub struct OrderCancelled {
    /// The order: the event's entity.
    #[audit(skip)]
    pub order_id: Uuid,
    /// The instrument.
    pub ticker: String,
    /// The broker's name for the order.
    pub broker_order_id: String,
}

/// An order with the same idempotency key had been submitted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, AuditEvent)]
#[audit(crate = crate, event = ORDER_DUPLICATE, entity = "order", id = order_id, actor = "broker_service")]
pub struct DuplicatePrevented {
    /// The order that was not sent: the event's entity.
    #[audit(skip)]
    pub order_id: Uuid,
    /// The instrument.
    pub ticker: String,
    /// The key that both orders have.
    pub idempotency_key: String,
    /// The check that noticed it.
    pub detected_via: String,
}

/// A position was opened, closed or updated: see [`position_event`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, AuditEvent)]
#[audit(
    crate = crate, event = |e| position_event(e.quantity_before, e.quantity_after), entity = "position", id = order_id,
    actor = "broker_service",
)]
pub struct PositionChange {
    /// The order that changed it: the event's entity.
    #[audit(skip)]
    pub order_id: Uuid,
    /// The instrument.
    pub ticker: String,
    /// Buy or sell.
    pub side: String,
    /// The quantity held before.
    pub quantity_before: f64,
    /// The quantity held after.
    pub quantity_after: f64,
    /// The average price before.
    pub avg_entry_before: f64,
    /// The average price after.
    pub avg_entry_after: f64,
}

/// A time inside of `data`, as text in the existing system's form.
///
/// The form is `2026-05-04 03:02:01.000123+00:00`, without a fraction where that is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextTime(pub Timestamp);

impl<T: Into<Timestamp>> From<T> for TextTime {
    fn from(time: T) -> Self {
        Self(time.into())
    }
}

impl Serialize for TextTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.to_string().replacen('T', " ", 1).replacen(".000000", "", 1))
    }
}

/// An operator is asked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, AuditEvent)]
#[audit(crate = crate, event = APPROVAL_REQUESTED, entity = "approval", id = approval_id, actor = "broker_service")]
pub struct ApprovalRequested {
    /// The approval: the event's entity.
    #[audit(skip)]
    pub approval_id: Uuid,
    /// The instrument.
    pub ticker: String,
    /// Buy or sell.
    pub side: String,
    /// The quantity.
    pub quantity: f64,
    /// The estimated value of the order.
    pub estimated_value: f64,
    /// The recommendation it comes from.
    pub recommendation_id: Option<Uuid>,
    /// The time at which the request expires.
    pub expires_at: Option<TextTime>,
}

/// An operator answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, AuditEvent)]
#[audit(
    crate = crate, event = |e| if e.approved { APPROVAL_APPROVED } else { APPROVAL_REJECTED }, entity = "approval",
    id = approval_id, actor = reviewed_by,
)]
pub struct ApprovalReviewed {
    /// The approval: the event's entity.
    #[audit(skip)]
    pub approval_id: Uuid,
    /// The instrument.
    pub ticker: String,
    /// The operator's decision.
    pub approved: bool,
    /// The operator, who is the event's actor too. The default is `operator`.
    pub reviewed_by: String,
    /// The reason, which is empty by default.
    pub review_note: String,
}

impl Default for ApprovalReviewed {
    fn default() -> Self {
        Self {
            approval_id: Uuid::nil(),
            ticker: String::new(),
            approved: false,
            reviewed_by: "operator".into(),
            review_note: String::new(),
        }
    }
}

/// No operator answered in time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, AuditEvent)]
#[audit(crate = crate, event = APPROVAL_EXPIRED, entity = "approval", id = approval_id, actor = "system")]
pub struct ApprovalExpired {
    /// The approval: the event's entity.
    #[audit(skip)]
    pub approval_id: Uuid,
    /// The instrument.
    pub ticker: String,
}

/// The trading mode was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, AuditEvent)]
#[audit(crate = crate, event = TRADING_MODE_CHANGED, entity = "risk_config", id = config_id, actor = actor)]
pub struct TradingModeChanged {
    /// The configuration that contains the mode: the event's entity.
    #[audit(skip)]
    pub config_id: Uuid,
    /// The mode before.
    pub old_mode: String,
    /// The mode after.
    pub new_mode: String,
    /// The operator, who is the event's actor and not part of its data. The default is `operator`.
    #[audit(skip)]
    pub actor: String,
}

impl Default for TradingModeChanged {
    fn default() -> Self {
        Self { config_id: Uuid::nil(), old_mode: String::new(), new_mode: String::new(), actor: "operator".into() }
    }
}
