//! The annotated functions of this program, which the linker collects.
//!
//! Each static of [`Site`] is an element of one section of the binary. No code runs for that, neither
//! at the start nor in a call. Where the linker is not known to do so, the catalogue is empty.

// The file `sites.rs` is that of all other systems.
#[cfg_attr(
    all(
        any(
            target_os = "android",
            target_os = "freebsd",
            target_os = "illumos",
            target_os = "ios",
            target_os = "linux",
            target_os = "macos",
            target_os = "openbsd",
            target_os = "windows"
        ),
        not(miri)
    ),
    path = "linked.rs"
)]
pub mod sites;

use super::site::Site;
use crate::catalogue::{About, AuditedFunction, Guarantee};

/// Lists the annotated functions of this program, and of the libraries in it, by their paths.
///
/// No function has to be called for that. Functions that `#[cfg]` excludes are not in the list. A
/// generic function is in it once.
///
/// The list is empty on systems whose linkers do not collect it: on all but Linux, macOS, Windows,
/// Android, iOS, FreeBSD, OpenBSD and illumos.
///
/// ```standalone_crate
/// use audit_runtime::audited;
///
/// #[audited(event = "order.cancelled", id = none, redact(reason))]
/// fn cancel(reason: &str) {}
///
/// # if cfg!(target_os = "linux") {
/// let functions = audit_runtime::catalogue();
/// let cancel = functions.iter().find(|function| function.function.ends_with("cancel")).unwrap();
/// assert_eq!(cancel.events, ["order.cancelled"]);
/// assert_eq!(cancel.fields[0].to_string(), "reason (redacted)");
/// # }
/// ```
#[must_use]
pub fn catalogue() -> Vec<AuditedFunction> {
    let mut functions: Vec<AuditedFunction> = sites::all().iter().map(described).collect();
    functions
        .sort_by(|one, other| (&one.function, &one.file, one.line).cmp(&(&other.function, &other.file, other.line)));
    functions
}

/// Returns what a site knows of its function.
fn described(site: &Site) -> AuditedFunction {
    let about = About::of(site.about);
    let text = |text: &str| Some(text).filter(|text| !text.is_empty()).map(str::to_owned);
    let guarantee = match (about.has('r'), about.has('i')) {
        (true, _) => Guarantee::Required,
        (false, true) => Guarantee::Intent,
        (false, false) => Guarantee::Journal,
    };
    AuditedFunction {
        function: site.function.to_owned(),
        file: about.file.replace('\\', "/"),
        line: about.line,
        events: [site.event, site.error_event].into_iter().filter_map(text).collect(),
        has_late_events: about.has('l'),
        entity_type: text(site.entity),
        has_id: !about.has('n'),
        has_tenant: about.has('t'),
        actor: text(site.actor),
        has_actor: about.has('u'),
        guarantee,
        is_in_transaction: about.has('x'),
        is_async: about.has('a'),
        is_conditional: about.has('c'),
        also: about.also,
        fields: about.fields,
    }
}
