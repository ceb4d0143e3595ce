//! The `#[audited]` attribute. Depend on `audit-runtime`, which re-exports it.
//!
//! The way of an expansion: `args` parses the attribute, `function` the function, `check` the rules across both,
//! `expand` and `finish` write the code; after an error `fallback` leaves the function in place.

mod args;
mod captures;
mod check;
mod event;
mod expand;
#[cfg(test)]
mod expansions;
mod fallback;
mod fallible;
mod finish;
mod function;
mod guarantee;
mod habits;
mod output;
mod patterns;
mod personal;
mod secret;

use proc_macro::TokenStream;

#[doc = include_str!("audited.md")]
#[proc_macro_attribute]
pub fn audited(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    expand(args.into(), item.clone(), cfg!(feature = "axum"))
        .unwrap_or_else(|error| fallback::item_with_error(item, &error))
        .into()
}

/// Makes a struct an event: its fields are the data.
///
/// ```
/// use audit_runtime::{AuditEvent, testing::Probe};
/// use serde_json::json;
/// use uuid::Uuid;
///
/// #[derive(AuditEvent)]
/// #[audit(event = "order.cancelled", actor = "broker_service")]
/// struct OrderCancelled {
///     #[audit(skip)]
///     order_id: Uuid, // the event's entity is `order`, its id this field
///     ticker: String,
///     broker_order_id: Option<String>,
/// }
///
/// let probe = Probe::new();
/// probe.audit().record(OrderCancelled { order_id: Uuid::nil(), ticker: "AAPL".into(), broker_order_id: None })?;
/// let event = probe.only("order.cancelled");
/// assert_eq!((event.entity_type.as_str(), event.entity_id), ("order", Some(Uuid::nil())));
/// assert_eq!(event.actor, "broker_service");
/// assert_eq!(event.data, json!({"ticker": "AAPL", "broker_order_id": null}));
/// # Ok::<(), audit_runtime::RecordError>(())
/// ```
///
/// # On the struct
///
/// Expressions name the fields, as references.
///
/// | `#[audit(..)]` | form | meaning; default |
/// | --- | --- | --- |
/// | `event` | literal, constant or closure over `&Self` | the event type, `noun.verb`; required |
/// | `entity` | literal or expression | the entity's type; default: a literal `event` up to its first dot |
/// | `id` | expression | the entity's id, `impl IntoEntityId`; default: the field `<entity>_id`, else `id` |
/// | `actor` | expression, `impl Display` | default: the context's actor, else the handle's, else `system` |
/// | `crate` | path | where the runtime is; default `::audit_runtime` |
///
/// # On a field
///
/// | `#[audit(..)]` | meaning |
/// | --- | --- |
/// | `skip` | it is not recorded; nor is a field that serde skips |
/// | `redact` | recorded as `"[redacted]"` |
/// | `plain` | recorded although its name says secret; without one of these three, that is a compile error |
/// | `rename = "key"` | the key it is recorded under |
/// | `?`, `%` | recorded as its Debug or Display text; by default by serde |
///
/// Other attributes of serde's on the fields are not looked at: what is recorded has the names written here.
///
/// ```
/// use audit_runtime::{AuditEvent, testing::Probe};
/// use serde_json::json;
/// use uuid::Uuid;
///
/// #[derive(AuditEvent)]
/// #[audit(
///     event = |a| if a.approved { "approval.approved" } else { "approval.rejected" },
///     entity = "approval", id = approval_id, actor = reviewed_by,
/// )]
/// struct Reviewed<'a> {
///     #[audit(skip)]
///     approval_id: Uuid,
///     approved: bool,
///     reviewed_by: &'a str,
///     #[audit(rename = "review_note")]
///     note: &'a str,
///     #[audit(redact)]
///     pin: u16,
///     #[audit(?)]
///     took: std::time::Duration,
/// }
///
/// let probe = Probe::new();
/// let took = std::time::Duration::from_secs(5);
/// probe.audit().record(Reviewed { approval_id: Uuid::nil(), approved: false, reviewed_by: "ann", note: "", pin: 1, took })?;
/// let event = probe.only("approval.rejected");
/// assert_eq!(event.actor, "ann");
/// assert_eq!(
///     event.data,
///     json!({"approved": false, "reviewed_by": "ann", "review_note": "", "pin": "[redacted]", "took": "5s"}),
/// );
/// # Ok::<(), audit_runtime::RecordError>(())
/// ```
#[proc_macro_derive(AuditEvent, attributes(audit))]
pub fn derive_audit_event(input: TokenStream) -> TokenStream {
    let derived = syn::parse(input).and_then(|input| event::derive(&input));
    derived.unwrap_or_else(|error| error.to_compile_error()).into()
}

fn expand(
    args: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
    responses: bool,
) -> syn::Result<proc_macro2::TokenStream> {
    let function: function::Function = syn::parse2(item)?;
    let args: args::Args = syn::parse2(args)?;
    let plan = check::check(args, &function, responses)?;
    Ok(expand::expand(&plan, &function))
}
