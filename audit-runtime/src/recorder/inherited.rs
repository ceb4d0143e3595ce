//! The part of an event that comes from the place where it is recorded.

use super::rule_name::RuleName;
use crate::record::Trace;
use std::borrow::Cow;
use uuid::Uuid;

/// The actor, the tenant, the causes and the attributes in force where an event is recorded by hand.
#[derive(Debug)]
pub(crate) struct Inherited<'a> {
    pub(crate) actor: Option<&'a str>,
    pub(crate) tenant: Option<&'a str>,
    pub(crate) correlation_id: Option<Uuid>,
    pub(crate) causation_id: Option<Uuid>,
    /// The rule by which the cause is not recorded.
    pub(crate) cause_left_out: Option<RuleName>,
    /// JSON, or empty.
    pub(crate) attributes: Cow<'a, str>,
    /// Some attributes are marked as personal.
    pub(crate) is_personal: bool,
}

impl Inherited<'_> {
    /// Outside of every context and call, but within the current trace.
    pub(crate) fn nothing() -> Self {
        let trace = Trace::current();
        Self {
            actor: None,
            tenant: None,
            correlation_id: Trace::correlation(trace),
            causation_id: None,
            cause_left_out: None,
            attributes: Trace::beside(trace, ""),
            is_personal: false,
        }
    }
}
