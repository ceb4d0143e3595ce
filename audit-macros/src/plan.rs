//! A checked attribute: all that the expansion writes down.

use crate::args::{Also, Field, Shown, Value};
use crate::captures::Capture;
use crate::event_type::{EventType, Text};
use crate::fallible::Fallible;
use crate::guarantee::Guarantees;
use crate::personal::PersonalData;
use crate::syntax::mentions;
use syn::{Expr, ExprClosure, Ident, Path};

pub(crate) struct Plan {
    pub(crate) krate: Path,
    pub(crate) event: EventType,
    pub(crate) err: Option<EventType>,
    pub(crate) entity: Text,
    /// `None` for an event without an id.
    pub(crate) id: Option<Value>,
    /// The id of a call that fails, where `id` is late.
    pub(crate) err_id: Option<Value>,
    /// Further entities.
    pub(crate) also: Vec<Also>,
    pub(crate) tenant: Option<Expr>,
    pub(crate) actor: Option<Text>,
    pub(crate) captures: Vec<Capture>,
    /// Parameters in `skip`.
    pub(crate) skipped: Vec<Ident>,
    pub(crate) fields: Vec<Field>,
    /// Parameters and fields whose values are left out.
    pub(crate) redacted: Vec<Ident>,
    pub(crate) personal: PersonalData,
    pub(crate) result: Shown,
    pub(crate) error: Option<(Ident, Shown)>,
    pub(crate) ok: Option<ExprClosure>,
    pub(crate) when: Option<Value>,
    pub(crate) fallible: Fallible,
    pub(crate) recorder: Option<Expr>,
    pub(crate) guarantees: Guarantees,
    /// Whether the runtime knows HTTP responses.
    pub(crate) responses: bool,
}

impl Plan {
    /// Returns whether the attribute uses a parameter, so that the body need not.
    pub(crate) fn uses(&self, name: &Ident) -> bool {
        let text = |text: Option<&Text>| matches!(text, Some(Text::Expr(expr)) if mentions(expr, name));
        let early = |value: Option<&Value>| matches!(value, Some(Value::Early(expr)) if mentions(expr, name));
        self.captures.iter().any(|capture| capture.name == *name)
            || self.skipped.contains(name)
            || text(Some(&self.entity))
            || text(self.actor.as_ref())
            || early(self.id.as_ref())
            || early(self.err_id.as_ref())
            || early(self.when.as_ref())
            || early(self.personal.subject.as_ref())
            || self.personal.owners.iter().any(|(_, owner)| mentions(owner, name))
            || self.recorder.iter().chain(&self.tenant).any(|expr| mentions(expr, name))
            || self.fields.iter().any(|field| early(Some(&field.value)))
            || self.also.iter().any(|also| early(Some(&also.value)))
            || self.guarantees.concern(name)
    }
}
