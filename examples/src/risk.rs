//! The risk rules.

use crate::orders::{Request, Side};

/// Above this, in dollars, an operator is asked.
const APPROVAL_ABOVE: f64 = 50_000.0;
/// Above this, in dollars, nobody trades.
const LIMIT: f64 = 250_000.0;
const RESTRICTED: &[&str] = &["GME", "AMC"];

/// The verdict of the rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Whether the trade may go on.
    pub eligible: bool,
    /// Whether an operator has to agree.
    pub needs_approval: bool,
    /// `live`, or `none`.
    pub allowed_mode: &'static str,
    /// Why not.
    pub rejection_reasons: Vec<String>,
    /// How many rules there are.
    pub check_count: u32,
}

/// Applies every rule.
pub fn assess(request: &Request, estimated_value: f64, held: f64) -> Verdict {
    let checks = [
        (estimated_value > LIMIT, format!("value {estimated_value:.2} is above the limit {LIMIT:.2}")),
        (RESTRICTED.contains(&request.ticker.as_str()), format!("{} is restricted", request.ticker)),
        (
            request.side == Side::Sell && request.quantity > held,
            format!("selling {} of {held} held would be short", request.quantity),
        ),
    ];
    let check_count = checks.len() as u32;
    let rejection_reasons: Vec<String> =
        checks.into_iter().filter(|(violated, _)| *violated).map(|(_, reason)| reason).collect();
    let eligible = rejection_reasons.is_empty();
    Verdict {
        eligible,
        needs_approval: eligible && estimated_value > APPROVAL_ABOVE,
        allowed_mode: if eligible { "live" } else { "none" },
        rejection_reasons,
        check_count,
    }
}
