//! What the desk holds.

use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Shares held, and what they cost.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Position {
    /// Shares.
    pub quantity: f64,
    /// Dollars a share.
    pub average_entry: f64,
}

/// Where positions are kept.
pub trait Positions: Send + Sync {
    /// The position in an instrument; an empty one if there is none.
    fn get(&self, ticker: &str) -> Position;

    /// Replaces it.
    fn put(&self, ticker: &str, position: Position);
}

/// Positions in memory.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<HashMap<String, Position>>);

impl Positions for InMemory {
    fn get(&self, ticker: &str) -> Position {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(ticker).copied().unwrap_or_default()
    }

    fn put(&self, ticker: &str, position: Position) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(ticker.to_owned(), position);
    }
}
