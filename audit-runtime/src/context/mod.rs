//! The actor, the request and the audited call that every event below inherits.

pub(crate) mod scope;
#[cfg(feature = "tower")]
pub mod tower;
mod travel;

pub(crate) use scope::{Ambient, CallFrame, Scope, ScopeChange, correlation, current_call, swap_call};
pub use scope::{Entered, InContext, Scoped, in_context};

use crate::capture::mask::{Mask, REDACTED, Role};
use crate::capture::nul::apart;
use crate::capture::personal::{self, Marking};
use crate::capture::{self, Json};
use crate::event::{IntoTenant, written};
use crate::record::Trace;
use crate::record::trace::{SPAN_ID, TRACE_ID};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use uuid::Uuid;

/// An actor and a request, which the events recorded inside belong to.
///
/// A value that the context does not set is inherited from the context around it.
///
/// [`actor`](Self::actor), [`tenant`](Self::tenant), [`correlation`](Self::correlation),
/// [`reason`](Self::reason) and [`attribute`](Self::attribute) set values. [`actor_name`](Self::actor_name),
/// [`tenant_name`](Self::tenant_name), [`correlation_id`](Self::correlation_id) and
/// [`attributes`](Self::attributes) return them.
///
/// ```
/// use audit_runtime::Context;
/// # async fn cancel_order() {}
/// # async fn handler() {
/// Context::new().actor("user:42").tenant("acme").scope(async {
///     cancel_order().await; // every event in here names user:42 and the tenant
/// }).await;
/// # }
/// ```
///
/// # To another task or process
///
/// A context is a value like any other. Through a channel it goes beside the job, as
/// [`Context::current`]. It implements `Serialize` and `Deserialize` for messages and stored jobs.
/// [`to_headers`](Self::to_headers) and [`from_headers`](Self::from_headers) carry it in the
/// headers of a broker's message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "travel::Written", into = "travel::Written")]
pub struct Context {
    actor: Option<String>,
    tenant: Option<String>,
    correlation: Option<Uuid>,
    attributes: BTreeMap<String, Json>,
    /// The attributes as JSON, or empty: made once, not at every event.
    json: String,
    /// Some attributes are marked as personal.
    is_personal: bool,
}

impl Context {
    /// Creates a context that changes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the actor of every event that names none itself.
    #[must_use]
    pub fn actor(mut self, actor: impl Display) -> Self {
        self.actor = Some(actor.to_string());
        self
    }

    /// Sets the tenant whose data events are about, unless an event names one itself: the column
    /// `tenant`.
    ///
    /// `None` sets nothing. Over 1,000 bytes, or with a NUL, the tenant is `sha256:` and its hash.
    #[must_use]
    pub fn tenant(mut self, tenant: impl IntoTenant) -> Self {
        tenant.tenant_ref(&mut |tenant| self.tenant = written(tenant));
        self
    }

    /// Sets the request or process that events belong to: their `correlation_id`.
    ///
    /// Without one, each outermost audited call begins its own.
    #[must_use]
    pub fn correlation(mut self, correlation: Uuid) -> Self {
        self.correlation = Some(correlation);
        self
    }

    /// Adds a fact about all events, a key of the column `context`.
    ///
    /// A value that cannot be serialised is kept as `{"$error": ".."}`. A value whose name is that
    /// of a secret is kept as `"[redacted]"`, and so are such keys inside of it.
    #[must_use]
    pub fn attribute<T: Serialize>(mut self, name: impl Into<String>, value: T) -> Self {
        self.put(&name.into(), &value);
        self.rendered()
    }

    /// Says why the events inside happen: the attribute `reason`.
    ///
    /// ```
    /// use audit_runtime::Context;
    /// let context = Context::new().actor("user:kim").reason("ticket 4711: the customer asked for it");
    /// ```
    #[must_use]
    pub fn reason(self, reason: impl Display) -> Self {
        self.attribute("reason", reason.to_string())
    }

    /// Sets an attribute, and leaves the JSON of all of them to [`rendered`](Self::rendered).
    fn put(&mut self, name: &str, value: &impl Serialize) {
        let value = match Mask::NONE.role(name) {
            Role::Secret => REDACTED.into(),
            _ => capture::to_json(value)
                .map_or_else(|error| [("$error", error)].into_iter().collect(), |json| Json::read(&json)),
        };
        self.attributes.insert(apart(name).into_owned(), value);
    }

    /// Adds a personal fact about all events, a key of the column `context`.
    ///
    /// It is encrypted by the key of `subject`, whose data it is, and can be read until
    /// [`Admin::forget`](crate::admin::Admin) destroys that key. It is otherwise as an
    /// [`attribute`](Self::attribute). A service without a master key records `"[redacted]"`.
    ///
    /// ```
    /// # use audit_runtime::Context;
    /// let context = Context::new().actor("user:42").personal("ip", "customer:42", "192.0.2.7");
    /// ```
    #[must_use]
    pub fn personal<T: Serialize>(mut self, name: impl Into<String>, subject: impl Display, value: T) -> Self {
        let name = name.into();
        self.put(&name, &value);
        if let Some(value) = self.attributes.get_mut(&*apart(&name))
            && *value != REDACTED
        {
            *value = Marking::Of(subject.to_string()).mark(std::mem::take(value));
        }
        self.rendered()
    }

    /// Renders the JSON of all attributes.
    fn rendered(mut self) -> Self {
        self.json = Json::from(self.attributes.clone()).to_string();
        self.is_personal = self.attributes.values().any(personal::is_mark);
        self
    }

    /// With a correlation of its own, unless it has one.
    #[cfg(feature = "tower")]
    pub(crate) fn correlated(mut self) -> Self {
        self.correlation.get_or_insert_with(Uuid::now_v7);
        self
    }

    /// Sets the span that events belong to, from a `traceparent` header of W3C Trace Context.
    ///
    /// It sets the attributes `trace_id` and `span_id`. Unless the context has a correlation, the
    /// trace's id becomes the correlation. An invalid header changes nothing.
    ///
    /// ```
    /// use audit_runtime::Context;
    /// let context = Context::new().traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    /// ```
    #[must_use]
    pub fn traceparent(self, header: &str) -> Self {
        let Some(trace) = Trace::parse(header) else {
            return self;
        };
        let (trace_id, span_id) = trace.texts();
        let mut context = self.attribute(TRACE_ID, trace_id).attribute(SPAN_ID, span_id);
        context.correlation = context.correlation.or(Some(Uuid::from_u128(trace.trace_id)));
        context
    }

    /// Takes from the context around it whatever it does not set itself.
    fn within(mut self, outer: &Self) -> Self {
        self.actor = self.actor.or_else(|| outer.actor.clone());
        self.tenant = self.tenant.or_else(|| outer.tenant.clone());
        self.correlation = self.correlation.or(outer.correlation);
        if self.attributes.is_empty() {
            self.json.clone_from(&outer.json);
            self.is_personal = outer.is_personal;
            self.attributes.clone_from(&outer.attributes);
        } else if !outer.attributes.is_empty() {
            let mut attributes = outer.attributes.clone();
            attributes.append(&mut self.attributes);
            self.attributes = attributes;
            return self.rendered();
        }
        self
    }

    /// Returns the actor, if the context has one.
    #[must_use]
    pub fn actor_name(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// Returns the tenant, if the context has one.
    #[must_use]
    pub fn tenant_name(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Returns the attributes by their names.
    #[must_use]
    pub fn attributes(&self) -> &BTreeMap<String, Json> {
        &self.attributes
    }

    /// Returns the correlation, if the context has one.
    #[must_use]
    pub fn correlation_id(&self) -> Option<Uuid> {
        self.correlation
    }

    pub(crate) fn attributes_json(&self) -> &str {
        &self.json
    }

    /// Returns whether some attributes are marked as personal.
    pub(crate) fn is_personal(&self) -> bool {
        self.is_personal
    }

    /// Returns the attributes as JSON, with or without the personal ones.
    pub(crate) fn attributes_kept(&self, keeps_personal: bool) -> Cow<'_, str> {
        if self.is_personal && !keeps_personal {
            return Cow::Owned(personal::redacted_attributes(&self.json));
        }
        Cow::Borrowed(&self.json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn attributes_hold_no_secrets_and_no_failure() {
        let context = Context::new()
            .attribute("tenant", json!({"name": "acme", "api_key": "k-17"}))
            .attribute("session_token", "t-18")
            .attribute("odd", std::collections::BTreeMap::from([(vec![1], 2)]));
        let attributes: Value = serde_json::from_str(context.attributes_json()).unwrap();
        assert_eq!(
            attributes,
            json!({"tenant": {"name": "acme", "api_key": "[redacted]"}, "session_token": "[redacted]",
                   "odd": {"$error": "key must be a string"}})
        );
    }
}
