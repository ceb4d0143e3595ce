//! The desk: from a request to a position, each step an ordinary function with one more attribute.

use crate::broker::{Accepted, Broker, BrokerError, Execution, Order, market_price};
use crate::orders::{Request, Side};
use crate::positions::Positions;
use crate::risk::{self, Verdict};
use audit_runtime::{Context, RecordError, audited, execution::*};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// Below this confidence a recommendation is withheld.
const LEAST_CONFIDENCE: f64 = 0.35;

/// A desk with its broker and its books.
#[derive(Debug)]
pub struct Desk<B, P> {
    config_id: Uuid,
    broker: B,
    positions: P,
    mode: Mutex<Mode>,
    keys: Mutex<HashSet<String>>,
    pending: Mutex<HashMap<Uuid, Pending>>,
}

/// How the desk trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// On paper.
    Paper,
    /// With money.
    Live,
}

/// A recommendation of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    /// Its id.
    pub recommendation_id: Uuid,
    /// Whether it is withheld.
    pub suppressed: bool,
    /// How many pieces of evidence support it.
    pub evidence_count: u32,
}

/// A trade that passed the risk rules.
#[derive(Debug, Clone)]
pub struct Trade {
    /// The order to be sent.
    pub order: Order,
    /// The recommendation it comes from.
    pub recommendation_id: Uuid,
    /// The risk evaluation it passed.
    pub evaluation_id: Uuid,
    /// The request's key.
    pub idempotency_key: String,
    /// Its value, in dollars.
    pub estimated_value: f64,
}

/// A trade that waits for an operator.
#[derive(Debug, Clone)]
struct Pending {
    trade: Trade,
    context: Context,
}

/// The result of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Placed {
    /// The request had been seen before.
    Duplicate,
    /// The recommendation was withheld.
    Suppressed,
    /// The risk rules forbid it.
    RiskRejected(Ids),
    /// An operator has to agree.
    NeedsApproval(Ids, Uuid),
    /// An operator refused.
    Declined(Ids),
    /// No operator answered.
    Expired(Ids),
    /// The broker refused.
    BrokerRejected(Ids),
    /// It was traded.
    Filled(Ids),
    /// It was taken back.
    Cancelled(Ids),
}

/// Where to look a request up in the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ids {
    /// The order, whether or not it was sent.
    pub order_id: Uuid,
    /// The recommendation.
    pub recommendation_id: Uuid,
}

impl fmt::Display for Placed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duplicate => "duplicate",
            Self::Suppressed => "suppressed",
            Self::RiskRejected(_) => "risk-rejected",
            Self::NeedsApproval(..) => "needs approval",
            Self::Declined(_) => "declined",
            Self::Expired(_) => "expired",
            Self::BrokerRejected(_) => "broker-rejected",
            Self::Filled(_) => "filled",
            Self::Cancelled(_) => "cancelled",
        })
    }
}

impl Placed {
    /// Where to look it up, if it came to an order.
    pub fn ids(&self) -> Option<Ids> {
        match self {
            Self::Duplicate | Self::Suppressed => None,
            Self::RiskRejected(ids)
            | Self::NeedsApproval(ids, _)
            | Self::Declined(ids)
            | Self::Expired(ids)
            | Self::BrokerRejected(ids)
            | Self::Filled(ids)
            | Self::Cancelled(ids) => Some(*ids),
        }
    }
}

/// An operator's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Yes or no.
    pub approved: bool,
    /// The operator.
    pub reviewed_by: String,
    /// Why.
    pub note: String,
}

/// A failure for reasons of the desk's own.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// It cannot be recorded, and is not done.
    #[error("not done, for it cannot be recorded: {0}")]
    Unrecorded(#[from] RecordError),
    /// The books cannot be read or written.
    #[error("the books cannot be reached now")]
    Books(#[from] sqlx::Error),
    /// The desk has no such approval, or it was answered.
    #[error("no approval {0} is waiting")]
    NoApproval(Uuid),
    /// A position would become negative.
    #[error("{ticker}: {sold} sold, {held} held")]
    Oversold {
        /// The instrument.
        ticker: String,
        /// Shares sold.
        sold: f64,
        /// Shares held.
        held: f64,
    },
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B: Broker, P: Positions> Desk<B, P> {
    /// A desk that trades on paper.
    pub fn new(broker: B, positions: P) -> Self {
        Self {
            config_id: Uuid::now_v7(),
            broker,
            positions,
            mode: Mutex::new(Mode::Paper),
            keys: Mutex::default(),
            pending: Mutex::default(),
        }
    }

    /// Takes a request as far as it goes without an operator.
    ///
    /// # Errors
    /// The books do not agree.
    pub async fn place(&self, request: &Request) -> Result<Placed, DeskError> {
        // That of the request it came with, if there is one.
        let correlation = Context::current().correlation_id().unwrap_or_else(Uuid::now_v7);
        let context = Context::new().correlation(correlation).attribute("requested_by", &request.requested_by);
        context.clone().scope(self.place_in(request, context)).await
    }

    async fn place_in(&self, request: &Request, context: Context) -> Result<Placed, DeskError> {
        let order_id = Uuid::now_v7();
        if !locked(&self.keys).insert(request.idempotency_key.clone()) {
            self.prevent_duplicate(order_id, &request.ticker, &request.idempotency_key, "desk");
            return Ok(Placed::Duplicate);
        }
        let recommendation = self.recommend(&request.ticker, request.side, *locked(&self.mode), request.confidence);
        let recommendation_id = recommendation.recommendation_id;
        let ids = Ids { order_id, recommendation_id };
        if recommendation.suppressed {
            return Ok(Placed::Suppressed);
        }
        let estimated_value = request.quantity * request.limit_price.unwrap_or_else(|| market_price(&request.ticker));
        let evaluation_id = Uuid::now_v7();
        let held = self.positions.get(&request.ticker).await?.quantity;
        let verdict = self.evaluate(evaluation_id, recommendation_id, &request.ticker, request, estimated_value, held);
        if !verdict.eligible {
            return Ok(Placed::RiskRejected(ids));
        }
        let trade = Trade {
            order: Order {
                id: order_id,
                ticker: request.ticker.clone(),
                side: request.side,
                quantity: request.quantity,
                order_type: request.order_type,
                limit_price: request.limit_price,
            },
            recommendation_id,
            evaluation_id,
            idempotency_key: request.idempotency_key.clone(),
            estimated_value,
        };
        if verdict.needs_approval {
            let approval_id = Uuid::now_v7();
            self.request_approval(approval_id, &trade);
            locked(&self.pending).insert(approval_id, Pending { trade, context });
            return Ok(Placed::NeedsApproval(ids, approval_id));
        }
        self.execute(&trade).await
    }

    /// Goes on, or not, after an operator's answer.
    ///
    /// # Errors
    /// Nobody waits for this answer, or the books do not agree.
    pub async fn answer(&self, approval_id: Uuid, review: Review) -> Result<Placed, DeskError> {
        let Pending { trade, context } = self.take_pending(approval_id)?;
        context
            .scope(async {
                self.review(approval_id, &trade.order.ticker, &review);
                if review.approved { self.execute(&trade).await } else { Ok(Placed::Declined(trade.ids())) }
            })
            .await
    }

    /// Ends the wait for an answer.
    ///
    /// # Errors
    /// Nobody waits.
    pub async fn give_up(&self, approval_id: Uuid) -> Result<Placed, DeskError> {
        let Pending { trade, context } = self.take_pending(approval_id)?;
        context.scope(async { self.expire(approval_id, &trade.order.ticker) }).await;
        Ok(Placed::Expired(trade.ids()))
    }

    fn take_pending(&self, approval_id: Uuid) -> Result<Pending, DeskError> {
        locked(&self.pending).remove(&approval_id).ok_or(DeskError::NoApproval(approval_id))
    }

    async fn execute(&self, trade: &Trade) -> Result<Placed, DeskError> {
        let order = &trade.order;
        let Ok(accepted) =
            self.submit(order, &trade.idempotency_key, trade.recommendation_id, trade.evaluation_id).await
        else {
            return Ok(Placed::BrokerRejected(trade.ids()));
        };
        match self.broker.outcome(order, &accepted).await {
            Execution::Filled { price } => {
                self.fill(order, price, &accepted.broker_order_id);
                self.positions.fill(order, price).await?;
                Ok(Placed::Filled(trade.ids()))
            }
            Execution::Unfilled => {
                self.cancel(order.id, &order.ticker, &accepted).await;
                Ok(Placed::Cancelled(trade.ids()))
            }
        }
    }

    /// Asks the model. The event's type comes from its answer.
    #[audited(
        event  = |r| if r.suppressed { RECOMMENDATION_SUPPRESSED } else { RECOMMENDATION_GENERATED },
        entity = "recommendation", id = |r| r.recommendation_id,
        actor  = "recommendation_worker",
        skip(side), result = skip,
        fields(
            action = side,
            recommendation_id = |r| r.recommendation_id,
            evidence_count = |r| r.evidence_count,
            suppressed = |r| r.suppressed,
        ),
    )]
    fn recommend(&self, ticker: &str, side: Side, mode: Mode, confidence: f64) -> Recommendation {
        Recommendation {
            recommendation_id: Uuid::now_v7(),
            suppressed: confidence < LEAST_CONFIDENCE,
            evidence_count: ticker.len() as u32,
        }
    }

    /// Applies the risk rules.
    #[audited(
        event  = |v| if v.eligible { RISK_EVALUATED } else { RISK_REJECTED },
        entity = "risk_evaluation", id = evaluation_id,
        actor  = "risk_engine",
        only(recommendation_id, ticker), result = skip,
        fields(
            eligible = |v| v.eligible,
            allowed_mode = |v| v.allowed_mode,
            rejection_reasons = |v| &v.rejection_reasons,
            check_count = |v| v.check_count,
        ),
    )]
    fn evaluate(
        &self,
        evaluation_id: Uuid,
        recommendation_id: Uuid,
        ticker: &str,
        request: &Request,
        estimated_value: f64,
        held: f64,
    ) -> Verdict {
        risk::assess(request, estimated_value, held)
    }

    /// Asks an operator.
    #[audited(
        event = APPROVAL_REQUESTED, entity = "approval", actor = "broker_service", skip_all,
        fields(
            ticker = trade.order.ticker, side = trade.order.side, quantity = trade.order.quantity,
            estimated_value = trade.estimated_value, recommendation_id = trade.recommendation_id,
            order_id = trade.order.id, expires_at = None::<String>,
        ),
    )]
    fn request_approval(&self, approval_id: Uuid, trade: &Trade) {}

    /// Takes an operator's answer.
    #[audited(
        event = |approved| if *approved { APPROVAL_APPROVED } else { APPROVAL_REJECTED },
        entity = "approval", actor = review.reviewed_by, only(ticker), result = skip,
        fields(approved = review.approved, reviewed_by = review.reviewed_by, review_note = review.note),
    )]
    fn review(&self, approval_id: Uuid, ticker: &str, review: &Review) -> bool {
        review.approved
    }

    /// No operator answered in time.
    #[audited(event = APPROVAL_EXPIRED, entity = "approval", actor = "system", only(ticker))]
    fn expire(&self, approval_id: Uuid, ticker: &str) {}

    /// The same request came twice.
    #[audited(event = ORDER_DUPLICATE, entity = "order", actor = "broker_service", skip(order_id))]
    fn prevent_duplicate(&self, order_id: Uuid, ticker: &str, idempotency_key: &str, detected_via: &str) {}

    /// Hands an order to the broker, who may refuse it. That is an effect outside: what was meant
    /// is on record before.
    #[audited(
        event = ORDER_SUBMITTED, err = ORDER_REJECTED, entity = "order", id = order.id,
        actor = "broker_service", skip(order), intent,
        fields(ticker = order.ticker, side = order.side, quantity = order.quantity, order_type = order.order_type),
    )]
    async fn submit(
        &self,
        order: &Order,
        idempotency_key: &str,
        recommendation_id: Uuid,
        evaluation_id: Uuid,
    ) -> Result<Accepted, BrokerError> {
        let accepted = self.broker.send(order).await?;
        self.accept(order.id, &order.ticker, &accepted.broker_order_id);
        Ok(accepted)
    }

    /// The broker has it.
    #[audited(event = ORDER_ACCEPTED, entity = "order", actor = "broker_service", skip(order_id))]
    fn accept(&self, order_id: Uuid, ticker: &str, broker_order_id: &str) {}

    /// It was traded.
    #[audited(
        event = ORDER_FILLED, entity = "order", id = order.id, actor = "broker_service", only(fill_price, broker_order_id),
        fields(ticker = order.ticker, side = order.side, fill_quantity = order.quantity),
    )]
    fn fill(&self, order: &Order, fill_price: f64, broker_order_id: &str) {}

    /// The day is over.
    #[audited(
        event = ORDER_CANCELLED, entity = "order", actor = "broker_service", only(ticker),
        fields(broker_order_id = accepted.broker_order_id),
    )]
    async fn cancel(&self, order_id: Uuid, ticker: &str, accepted: &Accepted) {
        self.broker.withdraw(accepted).await;
    }

    /// Switches between paper and money.
    ///
    /// # Errors
    /// The change cannot be recorded, so it is not made.
    pub async fn switch(&self, mode: Mode) -> Result<(), DeskError> {
        let old = *locked(&self.mode);
        self.set_mode(self.config_id, old, mode).await
    }

    /// No audit, no change: the intent is on disk before it happens.
    #[audited(event = TRADING_MODE_CHANGED, entity = "risk_config", id = config_id, actor = "operator", skip(config_id), required)]
    async fn set_mode(&self, config_id: Uuid, old_mode: Mode, new_mode: Mode) -> Result<(), DeskError> {
        *locked(&self.mode) = new_mode;
        Ok(())
    }
}

impl Trade {
    fn ids(&self) -> Ids {
        Ids { order_id: self.order.id, recommendation_id: self.recommendation_id }
    }
}
