//! The login form.

use super::layout;
use maud::{Markup, html};

/// The form, with the reason why it is shown again.
pub(crate) fn page(to: &str, problem: Option<&str>) -> Markup {
    layout::bare(
        "Log in",
        &html! {
            section.notice {
                h1 { "Log in" }
                @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
                form.login action="/login" method="post" {
                    input type="hidden" name="to" value=(to);
                    // Password managers keep a token under a name.
                    input type="text" name="username" autocomplete="username" value="audit-trail" readonly hidden;
                    label for="token" { "Your token" }
                    input #token type="password" name="token" autocomplete="current-password" required autofocus;
                    button.primary { "Log in" }
                }
                p.hint { "The operator of this server made the token for you. The session ends after twelve hours." }
            }
        },
    )
}
