//! Contexts that leave the process: in a message's body, or in its headers.

use super::Context;
use crate::capture::Json;
use crate::capture::personal::is_mark;
use crate::record::Trace;
use crate::record::trace::{SPAN_ID, TRACE_ID};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use uuid::Uuid;

/// The header of <https://www.w3.org/TR/trace-context/>.
const TRACEPARENT: &str = "traceparent";
/// The header of a context's other values.
const CONTEXT: &str = "audit-context";
/// The most bytes of a header's value, written or read.
const MOST_BYTES: usize = 8_192;
/// The bytes of an actor that are written where a header would be larger.
const MOST_OF_ACTOR: usize = 200;

/// A context as it is written.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<Uuid>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, Json>,
}

impl From<Context> for Written {
    fn from(context: Context) -> Self {
        let Context { actor, tenant, correlation, mut attributes, .. } = context;
        // `forget` cannot reach the copies that a broker keeps.
        attributes.retain(|_, value| !is_mark(value));
        Self { actor, tenant, correlation, attributes }
    }
}

impl From<Written> for Context {
    /// Makes the context as an application makes it: secrets are masked, and a tenant is bounded.
    fn from(written: Written) -> Self {
        let mut context = Self { actor: written.actor, correlation: written.correlation, ..Self::new() };
        if let Some(tenant) = written.tenant {
            context = context.tenant(tenant);
        }
        if written.attributes.is_empty() {
            return context;
        }
        for (name, value) in written.attributes.iter().filter(|(_, value)| !is_mark(value)) {
            context.put(name, value);
        }
        context.rendered()
    }
}

impl Context {
    /// Returns the headers that carry this context in a message of a broker.
    ///
    /// | header | value |
    /// | --- | --- |
    /// | `audit-context` | a JSON object of `actor`, `tenant`, `correlation` and `attributes`, in visible ASCII and spaces |
    /// | `traceparent` ([W3C Trace Context](https://www.w3.org/TR/trace-context/)) | the current span, else the attributes `trace_id` and `span_id`, with the flag `sampled` |
    ///
    /// Personal attributes stay in the process: no [`Admin::forget`](crate::admin::Admin) reaches a
    /// broker. A header that would be empty is left out. The name is the library's own, because `baggage`
    /// is passed on to every service that a request reaches, and an actor is nobody else's business.
    /// A value has at most 8,192 bytes. Where it would have more, the attributes are left out and
    /// `$left_out` is their number, and of the actor 200 bytes are kept.
    ///
    /// ```
    /// use audit_runtime::Context;
    ///
    /// let sent = Context::new().actor("user:42").tenant("acme");
    /// let headers = sent.to_headers();
    /// assert_eq!(headers, [("audit-context", r#"{"actor":"user:42","tenant":"acme"}"#.to_owned())]);
    /// assert_eq!(Context::from_headers(headers), sent);
    /// ```
    #[must_use]
    pub fn to_headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if *self != Self::new() {
            let whole = ascii(&Written::from(self.clone()));
            let value = if whole.len() <= MOST_BYTES { whole } else { ascii(&self.cut()) };
            headers.push((CONTEXT, value));
        }
        let text = |name| self.attributes.get(name).and_then(Json::as_str);
        let kept = || Trace::parse(&traceparent(text(TRACE_ID)?, text(SPAN_ID)?));
        if let Some((trace_id, span_id)) = Trace::current().or_else(kept).map(Trace::texts) {
            headers.push((TRACEPARENT, traceparent(&trace_id, &span_id)));
        }
        headers
    }

    /// Returns the context that the headers of a message carry, which is empty without any.
    ///
    /// It reads `audit-context` and `traceparent`, in any case, and the first header of each name.
    /// The header `traceparent` has precedence over the attributes `trace_id` and `span_id`, and
    /// sets the correlation if `audit-context` has none. A malformed header, or one of more than
    /// 8,192 bytes, changes nothing. The values are the sender's claims: use them only where every
    /// sender is trusted to name the actor.
    ///
    /// ```
    /// use audit_runtime::Context;
    ///
    /// let headers = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")];
    /// assert!(Context::from_headers(headers).correlation_id().is_some());
    /// ```
    #[must_use]
    pub fn from_headers<N: AsRef<str>, V: AsRef<[u8]>>(headers: impl IntoIterator<Item = (N, V)>) -> Self {
        let (mut written, mut trace) = (None, None);
        for (name, value) in headers {
            let (name, value) = (name.as_ref(), value.as_ref());
            let found = match name {
                name if name.eq_ignore_ascii_case(CONTEXT) => &mut written,
                name if name.eq_ignore_ascii_case(TRACEPARENT) => &mut trace,
                _ => continue,
            };
            if found.is_none() {
                *found = Some(if value.len() <= MOST_BYTES { value.to_vec() } else { Vec::new() });
            }
        }
        let written = written.and_then(|json| serde_json::from_slice::<Written>(&json).ok());
        let context = written.map_or_else(Self::new, Self::from);
        match trace.as_deref().map(str::from_utf8) {
            Some(Ok(traceparent)) => context.traceparent(traceparent),
            _ => context,
        }
    }

    /// Cut to the size that every header has room for.
    fn cut(&self) -> Written {
        let actor = self.actor.as_deref().map(|actor| &actor[..actor.floor_char_boundary(MOST_OF_ACTOR)]);
        let left_out = [("$left_out".to_owned(), self.attributes.len().into())];
        Written {
            actor: actor.map(str::to_owned),
            tenant: self.tenant.clone(),
            correlation: self.correlation,
            attributes: BTreeMap::from(left_out),
        }
    }
}

fn traceparent(trace_id: &str, span_id: &str) -> String {
    format!("00-{trace_id}-{span_id}-01")
}

/// Returns JSON in visible ASCII and spaces. Other characters are within its texts alone.
fn ascii(written: &Written) -> String {
    // Texts and values that are JSON already: nothing in them fails.
    let json = serde_json::to_string(written).unwrap_or_default();
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, ' '..='~') {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn full() -> Context {
        Context::new()
            .actor("user:Ærø \u{1f980}")
            .tenant("acme")
            .correlation(Uuid::from_u128(7))
            .reason("ticket 4711")
            .attribute("amount", Json::read("12345678901234567890.10"))
            .traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    }

    #[test]
    fn a_context_reads_back_from_json_and_from_headers_with_every_digit() {
        let context = full();
        let json = serde_json::to_string(&context).unwrap();
        assert!(json.contains("12345678901234567890.10"), "{json}");
        let read: Context = serde_json::from_str(&json).unwrap();
        assert_eq!(read, context);
        assert_eq!(read.attributes_json(), context.attributes_json());
        let headers = context.to_headers();
        assert!(headers.iter().all(|(_, value)| value.bytes().all(|byte| matches!(byte, b' '..=b'~'))), "{headers:?}");
        assert_eq!(headers[1], ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()));
        assert_eq!(Context::from_headers(headers), context);
        assert_eq!(Context::new().to_headers(), []);
    }

    #[test]
    fn a_context_that_is_too_large_keeps_its_tenant_and_says_what_it_lost() {
        let context = Context::new()
            .actor("\u{1}".repeat(9_000))
            .tenant("\u{1}".repeat(1_000))
            .attribute("note", "x".repeat(9_000))
            .attribute("other", 1);
        let headers = context.to_headers();
        assert!(headers[0].1.len() <= MOST_BYTES);
        let read = Context::from_headers(headers);
        assert_eq!(read.tenant_name(), context.tenant_name());
        assert_eq!(read.actor_name().map(str::len), Some(MOST_OF_ACTOR));
        assert_eq!(read.attributes_json(), r#"{"$left_out":2}"#);
    }

    #[test]
    fn hostile_headers_are_bounded_and_masked() {
        let large = format!(r#"{{"actor":"{}"}}"#, "a".repeat(MOST_BYTES));
        assert_eq!(Context::from_headers([(CONTEXT, &large)]), Context::new());
        let deep = format!(r#"{{"actor":"eve","attributes":{{"deep":{}1{}}}}}"#, "[".repeat(4_000), "]".repeat(4_000));
        let _bounded_by_the_stack_too = Context::from_headers([(CONTEXT, &deep)]);
        for malformed in ["", "null", "[]", "{", r#"{"actor":7}"#, r#"{"correlation":"x"}"#, "\u{ff}"] {
            assert_eq!(Context::from_headers([(CONTEXT, malformed)]), Context::new(), "{malformed}");
        }
        assert_eq!(Context::from_headers([(CONTEXT, [0xff, 0xfe])]), Context::new());
        let secrets = json!({"attributes": {"password": "p-1", "request": {"api_key": "k-2"}}}).to_string();
        let context = Context::from_headers([("Audit-Context", secrets)]);
        assert!(!context.attributes_json().contains("p-1") && !context.attributes_json().contains("k-2"));
        let twice = [(CONTEXT, r#"{"actor":"first"}"#), (CONTEXT, r#"{"actor":"second"}"#)];
        assert_eq!(Context::from_headers(twice).actor_name(), Some("first"));
        let long = Context::from_headers([(CONTEXT, format!(r#"{{"tenant":"{}"}}"#, "t".repeat(2_000)))]);
        assert!(long.tenant_name().is_some_and(|tenant| tenant.starts_with("sha256:")));
    }

    #[test]
    fn the_newer_span_of_a_broker_takes_the_place_of_the_senders() {
        let mut headers = full().to_headers();
        headers[1].1 = "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01".into();
        let context = Context::from_headers(headers);
        assert_eq!(context.attributes()["span_id"], "1111111111111111");
        assert_eq!(context.correlation_id(), Some(Uuid::from_u128(7)));
    }

    #[test]
    fn personal_attributes_stay_in_the_process() {
        let context = full().personal("ip", "customer:42", "192.0.2.7");
        let headers = context.to_headers();
        assert!(headers.iter().all(|(_, value)| !value.contains("192.0.2.7") && !value.contains("customer:42")));
        assert!(!serde_json::to_string(&context).unwrap().contains("192.0.2.7"));
        // Nor does a message make one.
        let mark = format!(r#"{{"attributes":{{"ip":{}}}}}"#, context.attributes()["ip"]);
        assert!(Context::from_headers([("audit-context", mark)]).attributes().is_empty());
    }

    proptest! {
        #[test]
        fn any_context_reads_back(actor in ".{0,40}", tenant in "[^\0]{1,40}", name in "[a-z]{1,8}", text in any::<String>()) {
            let context = Context::new().actor(actor).tenant(tenant).attribute(name, text);
            prop_assert_eq!(Context::from_headers(context.to_headers()), context);
        }

        #[test]
        fn no_header_panics(name in "(audit-context|traceparent)", value in any::<Vec<u8>>()) {
            let _ = Context::from_headers([(name, value)]);
        }
    }
}
