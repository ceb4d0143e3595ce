//! The `#[audited]` attribute. Depend on `audit-runtime`, which re-exports it.
//!
//! Each expansion goes one way. `args` parses the attribute, and `function` the function. `check`
//! enforces the rules across both and makes a `plan`. `expand` writes the code. After an error,
//! `fallback` leaves the function in place. `block` gives each method of an `impl` its attribute. `derive` is the way of `#[derive(AuditEvent)]`.
//! `tests/architecture.rs` fails if an import leads back.

mod args;
mod block;
mod captures;
mod check;
mod derive;
mod derive_id;
mod diagnostics;
mod event_type;
mod expand;
#[cfg(test)]
mod expansions;
mod fallback;
mod fallible;
mod function;
mod guarantee;
mod habits;
mod output;
mod patterns;
mod personal;
mod plan;
mod secret;
mod syntax;
mod wrappers;

use proc_macro::TokenStream;

#[doc = include_str!("audited.md")]
#[proc_macro_attribute]
pub fn audited(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    if let Some(kind) = block::Kind::of(&item) {
        return block::expand(args.into(), kind, item).into();
    }
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
/// | `id` | expression or `none` | the entity's id, any key: `impl IntoEntityId`; default: the field `<entity>_id`, else `id` |
/// | `also(account = to)` | expressions | further entities by their types: `impl IntoTargets`, an id or a list of ids |
/// | `tenant` | expression, `impl IntoTenant` | whose data the event is about; default: the context's tenant |
/// | `actor` | expression, `impl Display` | default: the context's actor, else the handle's, else `system` |
/// | `crate` | path | the path of the runtime; default `::audit_runtime` |
///
/// # On a field
///
/// | `#[audit(..)]` | meaning |
/// | --- | --- |
/// | `skip` | not recorded, like a field that serde skips |
/// | `redact` | recorded as `"[redacted]"` |
/// | `plain` | recorded although its name denotes a secret; without one of these three, that is a compile error |
/// | `rename = "key"` | the key it is recorded under |
/// | `?`, `%` | recorded as its Debug or Display text; by default by serde |
///
/// Other attributes of serde on the fields are ignored, and events contain the names written here.
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
    let derived = syn::parse(input).and_then(|input| derive::derive(&input));
    derived.unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes a newtype an entity id: its field is one.
///
/// The field is whatever is `IntoEntityId`: a `Uuid`, an integer, a text, an `Option` or a tuple of these, another newtype.
/// `#[audit(crate = path)]` says where the runtime is; default `::audit_runtime`.
///
/// ```
/// use audit_runtime::{EntityId, audited, testing::record};
///
/// #[derive(EntityId, serde::Serialize)]
/// struct AccountId(i64);
///
/// #[audited(event = "account.closed")]
/// fn close(account_id: AccountId) {}
///
/// assert_eq!(record(|| close(AccountId(42))).entity_key.as_deref(), Some("42"));
/// ```
#[proc_macro_derive(EntityId, attributes(audit))]
pub fn derive_entity_id(input: TokenStream) -> TokenStream {
    let derived = syn::parse(input).and_then(|input| derive_id::derive(&input));
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
