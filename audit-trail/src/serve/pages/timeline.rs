//! The timeline of one thing: an entity, an actor, a tenant, a correlation, a batch.

use super::list::{Badges, table};
use super::search::{nothing, tools};
use super::{Shown, layout, text};
use crate::serve::read::Listed;
use maud::{Markup, html};

/// The words of a timeline.
pub(crate) struct Subject<'a> {
    /// As in "Entity".
    pub(crate) kind: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
    /// One sentence of what the list contains.
    pub(crate) caption: &'a str,
    /// A link to the search that asks the same.
    pub(crate) search: Option<String>,
}

/// The page of a timeline, with what stands before the list.
pub(crate) fn page(
    shown: &Shown<'_>,
    subject: &Subject<'_>,
    before: &Markup,
    listed: &Listed,
    badges: &Badges,
) -> Markup {
    layout::page(
        &format!("{} {}", subject.kind, crate::text::harmless(subject.name)),
        shown,
        &html! {
            section.head {
                p.kind { (subject.kind) }
                h1 { (text(subject.name)) }
                @if let Some(search) = &subject.search { p { a href=(search) { "Search within these" } } }
            }
            (before)
            section.results {
                (table(listed, badges, shown, subject.caption))
                @if listed.is_empty() { (nothing(shown.question)) }
                (tools(shown))
            }
        },
    )
}
