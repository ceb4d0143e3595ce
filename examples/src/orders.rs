//! Orders, and the file they come from.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Into the position.
    Buy,
    /// Out of it.
    Sell,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
        })
    }
}

/// At which price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderType {
    /// At any.
    Market,
    /// At the limit or better.
    Limit,
}

/// An order, as its sender wants it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Request {
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
    /// The same for a request that is sent again.
    pub idempotency_key: String,
    /// How sure the model is, from 0 to 1.
    pub confidence: f64,
    /// The sender.
    pub requested_by: String,
}

/// Why a request makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRequest {
    /// The line or body cannot be read.
    #[error("{0}")]
    Malformed(#[from] csv::Error),
    /// A number is out of range.
    #[error("{what} is {value}; it must be {expected}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// The value.
        value: f64,
        /// The values that are allowed.
        expected: &'static str,
    },
    /// A limit order needs its limit.
    #[error("a limit order has no limit_price")]
    NoLimit,
    /// Something is empty.
    #[error("{0} is empty")]
    Empty(&'static str),
}

impl Request {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// The mistake.
    pub fn check(self) -> Result<Self, InvalidRequest> {
        let out_of_range = |what, value, expected| Err(InvalidRequest::OutOfRange { what, value, expected });
        if self.ticker.is_empty() {
            return Err(InvalidRequest::Empty("ticker"));
        }
        if self.idempotency_key.is_empty() {
            return Err(InvalidRequest::Empty("idempotency_key"));
        }
        if !(self.quantity.is_finite() && self.quantity > 0.0) {
            return out_of_range("quantity", self.quantity, "above zero");
        }
        if !(0.0..=1.0).contains(&self.confidence) {
            return out_of_range("confidence", self.confidence, "from 0 to 1");
        }
        match self.limit_price {
            Some(price) if !(price.is_finite() && price > 0.0) => out_of_range("limit_price", price, "above zero"),
            None if self.order_type == OrderType::Limit => Err(InvalidRequest::NoLimit),
            _ => Ok(self),
        }
    }
}

/// The columns that every file of orders has. `limit_price` may be missing.
const COLUMNS: [&str; 7] =
    ["ticker", "side", "quantity", "order_type", "idempotency_key", "confidence", "requested_by"];

/// Returns why no line of a file can be an order, if its header says so.
pub fn header_problem(header: &csv::StringRecord) -> Option<String> {
    let missing: Vec<&str> = COLUMNS.into_iter().filter(|column| !header.iter().any(|name| name == *column)).collect();
    if header.iter().all(str::is_empty) {
        return Some(format!("the file is empty: its first line has to name the columns {}", COLUMNS.join(", ")));
    }
    let there: Vec<&str> = header.iter().collect();
    (!missing.is_empty())
        .then(|| format!("the columns {} are missing; the first line names {}", missing.join(", "), there.join(", ")))
}

/// Reads requests from CSV with a header line. Each comes with its line number.
///
/// # Errors
/// The header lacks columns that every order has, or cannot be read.
pub fn read(input: impl io::Read) -> Result<Vec<Line>, BadHeader> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(false).from_reader(input);
    let header = reader.headers().map_err(|error| BadHeader { problem: error.to_string(), lines: Vec::new() })?.clone();
    match header_problem(&header) {
        None => Ok(lines(reader, header).collect()),
        Some(problem) => {
            let lines = lines(reader, header).filter_map(|(line, request)| Some((line, request.err()?.to_string())));
            Err(BadHeader { problem, lines: lines.collect() })
        }
    }
}

/// A line by its number, and the request that it is.
pub type Line = (u64, Result<Request, InvalidRequest>);

/// Reports that no line of a file can be an order.
#[derive(Debug, thiserror::Error)]
#[error("no line is an order: {problem}")]
pub struct BadHeader {
    problem: String,
    /// The problem of each line, by its number.
    pub lines: Vec<(u64, String)>,
}

fn lines<R: io::Read>(mut reader: csv::Reader<R>, header: csv::StringRecord) -> impl Iterator<Item = Line> {
    let mut record = csv::StringRecord::new();
    let mut broken = false;
    std::iter::from_fn(move || {
        if broken {
            return None;
        }
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => None,
            Ok(true) => {
                let line = record.position().map_or(line, csv::Position::line);
                let request = record.deserialize::<Request>(Some(&header)).map_err(InvalidRequest::from);
                Some((line, request.and_then(Request::check)))
            }
            Err(error) => {
                // Reading ends after an input error. A malformed record affects only itself.
                broken = error.is_io_error();
                Some((error.position().map_or(line, csv::Position::line), Err(error.into())))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_lines_are_named_and_the_others_read() {
        let csv = "ticker,side,quantity,order_type,limit_price,idempotency_key,confidence,requested_by\n\
                   AAPL,buy,10,market,,k1,0.8,ann\n\
                   AAPL,hold,10,market,,k2,0.8,ann\n\
                   AAPL,buy,-1,market,,k3,0.8,ann\n\
                   AAPL,buy\n\
                   MSFT,sell,1.5,limit,410.5,k4,0.9,bob\n";
        let read = read(csv.as_bytes()).unwrap();
        let lines: Vec<_> = read.iter().map(|(line, request)| (*line, request.is_ok())).collect();
        assert_eq!(lines, [(2, true), (3, false), (4, false), (5, false), (6, true)]);
        let error = read[2].1.as_ref().map(|_| ()).map_err(ToString::to_string);
        assert_eq!(error, Err("quantity is -1; it must be above zero".into()));
    }

    #[test]
    fn columns_that_are_missing_are_named_with_the_lines() {
        for (csv, expected, lines) in [
            ("", "the file is empty", 0),
            ("ticker,side\nAAPL,buy\nMSFT,sell\n", "the columns quantity, order_type, idempotency_key", 2),
            ("Ticker;side;quantity\nAAPL;buy;1\n", "the first line names Ticker;side;quantity", 1),
        ] {
            let error = read(csv.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.lines.len(), lines);
        }
    }
}
