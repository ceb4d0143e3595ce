//! The catalogue: what services audit, as they stored it, with the rules that they reported last.

use super::answer::{Form, json, page};
use super::lists::Asked;
use super::pages::{self, Shown};
use super::refusal::Refusal;
use super::router::plain;
use crate::catalogue::{by_service, with_rules};
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;

/// `/catalogue`
pub(super) async fn catalogue((State(site), Extension(viewer), Extension(form), RawQuery(query)): Asked) -> Response {
    let answer = async {
        // Rules name tenants.
        viewer.sees_all("catalogues")?;
        let question = plain(query)?;
        let catalogues = site.trail.catalogues(None).await?;
        let functions = with_rules(&site.trail, &catalogues, false).await?;
        site.recorded.viewed(&viewer, "catalogue", "", functions.len()).await?;
        Ok::<_, Refusal>(match form {
            Form::Html => {
                let shown = Shown::new(&viewer, &question, "/catalogue");
                page(&pages::catalogue::page(&shown, &by_service(&catalogues, &functions)))
            }
            Form::Json => json(&functions),
        })
    };
    form.answer(answer.await)
}
