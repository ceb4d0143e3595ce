//! The distributed trace an event belongs to (W3C Trace Context,
//! <https://www.w3.org/TR/trace-context/>).

use crate::capture::json::Json;
use std::borrow::Cow;
use uuid::Uuid;

/// The attributes of a context that hold it.
pub(crate) const TRACE_ID: &str = "trace_id";
pub(crate) const SPAN_ID: &str = "span_id";

/// A span of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
}

impl Trace {
    /// The span that is current on this thread, if there is one and this library was built to look
    /// for it.
    #[cfg(feature = "opentelemetry")]
    pub(crate) fn current() -> Option<Self> {
        opentelemetry_span::current()
    }

    #[cfg(not(feature = "opentelemetry"))]
    pub(crate) const fn current() -> Option<Self> {
        None
    }

    /// The value of a `traceparent` header, or `None` if it is malformed, or of an unreadable
    /// version.
    pub(crate) fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.trim().split('-');
        let mut hex = |digits: usize| {
            let part = parts.next()?;
            let lower = part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            (part.len() == digits && lower).then(|| u128::from_str_radix(part, 16).ok()).flatten()
        };
        let (version, trace_id, span_id, _flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        // A later version may have more parts. The version ff is invalid.
        let whole = version != 0 || parts.next().is_none();
        let span_id = u64::try_from(span_id).ok()?;
        (version != 0xff && whole && trace_id != 0 && span_id != 0).then_some(Self { trace_id, span_id })
    }

    /// Returns the correlation of events that have no other one: the trace's id.
    pub(crate) fn correlation(span: Option<Self>) -> Option<Uuid> {
        span.map(|span| Uuid::from_u128(span.trace_id))
    }

    /// As texts of hexadecimal digits: the trace's id and the span's.
    pub(crate) fn texts(self) -> (String, String) {
        (format!("{:032x}", self.trace_id), format!("{:016x}", self.span_id))
    }

    /// A span beside the attributes of a context, as JSON. It takes the place of the span they
    /// name.
    #[inline]
    pub(crate) fn beside(span: Option<Self>, attributes: &str) -> Cow<'_, str> {
        match span {
            Some(span) => span.put_beside(attributes),
            None => Cow::Borrowed(attributes),
        }
    }

    fn put_beside(self, attributes: &str) -> Cow<'_, str> {
        let (trace_id, span_id) = self.texts();
        if attributes.contains(r#""trace_id":"#)
            && let Ok(Json::Object(mut fields)) = attributes.parse()
        {
            fields.insert(TRACE_ID.into(), trace_id.into());
            fields.insert(SPAN_ID.into(), span_id.into());
            return Cow::Owned(Json::from(fields).to_string());
        }
        let ids = format!(r#""{TRACE_ID}":"{trace_id}","{SPAN_ID}":"{span_id}"}}"#);
        Cow::Owned(match attributes.strip_suffix('}') {
            Some(open) => format!("{open},{ids}"),
            None => format!("{{{ids}"),
        })
    }
}

#[cfg(feature = "opentelemetry")]
mod opentelemetry_span {
    use super::Trace;
    use opentelemetry::trace::TraceContextExt;
    use std::cell::Cell;

    /// `opentelemetry` keeps its context in a thread local, and panics where that is gone: in a
    /// call made by the destructor of another one. Thread locals are destroyed in the reverse order
    /// of their first use. So one that was first used after that context notices in time.
    struct Alive;

    impl Drop for Alive {
        fn drop(&mut self) {
            IS_GONE.set(true);
        }
    }

    thread_local! {
        static ALIVE: Alive = const { Alive };
        static IS_GONE: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn current() -> Option<Trace> {
        if IS_GONE.get() {
            return None;
        }
        let found = opentelemetry::Context::map_current(|context| {
            let span = context.span();
            let span = span.span_context();
            span.is_valid().then(|| Trace {
                trace_id: u128::from_be_bytes(span.trace_id().to_bytes()),
                span_id: u64::from_be_bytes(span.span_id().to_bytes()),
            })
        });
        ALIVE.with(|_| {});
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_as_the_recommendation_has_it() {
        let trace = Trace { trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, span_id: 0x00f0_67aa_0ba9_02b7 };
        assert_eq!(Trace::parse(TRACEPARENT), Some(trace));
        // A later version, with a part more.
        assert_eq!(Trace::parse(&format!("cc{}-what", &TRACEPARENT[2..])), Some(trace));
        for bad in [
            "",
            "00",
            &TRACEPARENT.to_uppercase(),
            &TRACEPARENT[..TRACEPARENT.len() - 1],
            &format!("{TRACEPARENT}-what"),
            &format!("ff{}", &TRACEPARENT[2..]),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Trace::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_span_stands_beside_the_attributes_or_in_place_of_another() {
        let span = Trace::parse(TRACEPARENT);
        let beside = |attributes| serde_json::from_str::<Value>(&Trace::beside(span, attributes)).unwrap();
        let ids = json!({"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"});
        assert_eq!(beside(""), ids);
        assert_eq!(beside(r#"{"trace_id":"x","span_id":"y"}"#), ids);
        let mut with_tenant = ids;
        with_tenant["tenant"] = json!({"a": {}});
        assert_eq!(beside(r#"{"tenant":{"a":{}}}"#), with_tenant);
        assert_eq!(Trace::beside(None, "{}"), "{}");
    }
}
