//! The frame of every page.

use super::text;
use crate::serve::access::Viewer;
use crate::serve::assets::{ICON, SCRIPT, STYLE};
use crate::serve::links;
use crate::serve::question::{Order, Question};
use crate::time::Zone;
use maud::{DOCTYPE, Markup, html};

/// The viewer of a page, and the form in which it is shown.
#[derive(Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) viewer: &'a Viewer,
    /// The question of the page, or what applies to every page.
    pub(crate) question: &'a Question,
    /// The path of the page, for links to another form of it.
    pub(crate) path: &'a str,
    pub(crate) zone: Zone,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(viewer: &'a Viewer, question: &'a Question, path: &'a str) -> Self {
        Self { viewer, question, path, zone: question.zone() }
    }

    /// The words for the order of time, which is one on every page.
    pub(crate) fn order(&self) -> (&'static str, &'static str) {
        match self.question.order {
            Order::Newest => ("newest first", "oldest first"),
            Order::Oldest => ("oldest first", "newest first"),
        }
    }
}

/// A document around a page's content.
fn document(title: &str, header: &Markup, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " \u{b7} audit trail" }
                link rel="stylesheet" href=(STYLE.path);
                link rel="icon" type="image/svg+xml" href=(ICON.path);
                script src=(SCRIPT.path) defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (header)
                main #main tabindex="-1" { (main) }
            }
        }
    }
}

/// A page for a viewer.
pub(crate) fn page(title: &str, shown: &Shown<'_>, main: &Markup) -> Markup {
    let plain = shown.question.plain();
    let entries = [
        ("/", "Search"),
        ("/catalogue", "Catalogue"),
        ("/batches", "Batches"),
        ("/checkpoints", "Checkpoints"),
        ("/status", "Status"),
    ];
    let header = html! {
        header.top {
            a.brand href=(links::search(&plain)) { (mark()) span { "Audit trail" } }
            nav aria-label="Pages" {
                @for (path, name) in entries {
                    @if shown.viewer.scope.is_of_all() || path == "/" {
                        a href=(links::with_query(path, &plain)) aria-current=[(shown.path == path).then_some("page")] { (name) }
                    }
                }
            }
            div.viewer {
                span.name title="Your name, by which each view is recorded" { (text(&shown.viewer.name)) }
                span.zone title="Times are of this zone: ?tz=Europe/Berlin" { (text(shown.zone.name())) }
                @if shown.viewer.is_logged_in {
                    form action="/logout" method="post" { button.quiet { "Log out" } }
                }
            }
        }
    };
    let main = html! {
        (main)
        footer {
            p {
                "Each view of this page is recorded in the trail, with your name. "
                a href=(links::search(&plain.with(|question| question.selection.event = vec!["audit.viewed".into()]))) { "Who looked" }
                ". Keys: " kbd { "/" } " search, " kbd { "j" } " " kbd { "k" } " next and previous, " kbd { "o" } " open, " kbd { "?" } " help."
            }
        }
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { "Keys" }
            dl {
                @for (key, does) in [
                    ("/", "to the search form"), ("j", "next event"), ("k", "previous event"), ("o", "open the event"),
                    ("Escape", "close this"),
                ] {
                    div { dt { kbd { (key) } } dd { (does) } }
                }
            }
            form method="dialog" { button { "Close" } }
        }
    };
    document(title, &header, &main)
}

/// A page for somebody who is not known.
pub(crate) fn bare(title: &str, main: &Markup) -> Markup {
    let header = html! { header.top { a.brand href="/" { (mark()) span { "Audit trail" } } } };
    document(title, &header, main)
}

/// The sign of the page, as in the icon.
fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" width="24" height="24" aria-hidden="true" {
            path.seal d="M16 2 28 7v9c0 7-5 12-12 14C9 28 4 23 4 16V7z" {}
            path.tick d="m10 16 4.2 4.2L22 12" {}
        }
    }
}
