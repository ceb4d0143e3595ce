//! The broker: an interface, and one that answers by fixed rules.

use crate::orders::{OrderType, Side};
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// An order on its way to the market.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Order {
    /// Its id.
    pub id: Uuid,
    /// The instrument.
    pub ticker: String,
    /// Buy or sell.
    pub side: Side,
    /// How many.
    pub quantity: f64,
    /// Market or limit.
    pub order_type: OrderType,
    /// The limit, in dollars.
    pub limit_price: Option<f64>,
}

/// The broker has the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// The broker's name for it.
    pub broker_order_id: String,
}

/// The result of an order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Execution {
    /// All of it was traded.
    Filled {
        /// Dollars a share.
        price: f64,
    },
    /// The day ended before the limit was reached.
    Unfilled,
}

/// Why the broker refuses.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BrokerError {
    /// It does not trade the instrument.
    #[error("{0} is unknown here")]
    UnknownTicker(String),
    /// Nobody does at present.
    #[error("trading in {0} is halted")]
    Halted(String),
    /// The limit is too far away.
    #[error("the limit {limit:.2} is more than 20 % away from the market at {market:.2}")]
    LimitTooFar {
        /// The limit of the order.
        limit: f64,
        /// The price on the market.
        market: f64,
    },
}

/// Somebody who trades for the desk.
pub trait Broker: Send + Sync {
    /// Hands an order over.
    fn send(&self, order: &Order) -> impl Future<Output = Result<Accepted, BrokerError>> + Send;

    /// Waits for the end of the order.
    fn outcome(&self, order: &Order, accepted: &Accepted) -> impl Future<Output = Execution> + Send;

    /// Takes an order back.
    fn withdraw(&self, accepted: &Accepted) -> impl Future<Output = ()> + Send;
}

/// Dollars a share.
const MARKET: &[(&str, f64)] = &[
    ("AAPL", 228.5),
    ("MSFT", 415.2),
    ("GOOGL", 171.9),
    ("AMZN", 199.4),
    ("NVDA", 136.0),
    ("TSLA", 334.7),
    ("JPM", 247.3),
    ("XOM", 120.6),
    ("GME", 27.8),
    ("AMC", 4.4),
    ("HALT", 10.0),
];

/// The present price of a share. Unknown instruments are valued at zero.
pub fn market_price(ticker: &str) -> f64 {
    MARKET.iter().find(|(name, _)| *name == ticker).map_or(0.0, |(_, price)| *price)
}

/// Answers at once, by rules.
#[derive(Debug, Default)]
pub struct SimulatedBroker {
    orders: AtomicU64,
}

impl Broker for SimulatedBroker {
    async fn send(&self, order: &Order) -> Result<Accepted, BrokerError> {
        let market = market_price(&order.ticker);
        if market == 0.0 {
            return Err(BrokerError::UnknownTicker(order.ticker.clone()));
        }
        if order.ticker == "HALT" {
            return Err(BrokerError::Halted(order.ticker.clone()));
        }
        if let Some(limit) = order.limit_price.filter(|limit| (limit - market).abs() > 0.2 * market) {
            return Err(BrokerError::LimitTooFar { limit, market });
        }
        let number = self.orders.fetch_add(1, Ordering::Relaxed);
        Ok(Accepted { broker_order_id: format!("B-{number:06}") })
    }

    async fn outcome(&self, order: &Order, _accepted: &Accepted) -> Execution {
        let market = market_price(&order.ticker);
        let reached = match (order.limit_price, order.side) {
            (None, _) => true,
            (Some(limit), Side::Buy) => market <= limit,
            (Some(limit), Side::Sell) => market >= limit,
        };
        if reached { Execution::Filled { price: market } } else { Execution::Unfilled }
    }

    async fn withdraw(&self, _accepted: &Accepted) {}
}
