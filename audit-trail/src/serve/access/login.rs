//! The login form, for tokens in a browser: the only request that is a POST, with the logout.

use super::cookie;
use super::session::COOKIE;
use crate::serve::answer::{page, refused};
use crate::serve::listen::Peer;
use crate::serve::pages;
use crate::serve::refusal::Refusal;
use crate::serve::state::Site;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{HOST, LOCATION, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use form_urlencoded::Serializer;
use std::sync::Arc;

/// Sends a browser to the form, and after it back to where it wanted to go.
pub(super) fn to_login(target: &str) -> Response {
    let query = Serializer::new(String::new()).append_pair("to", target).finish();
    see_other(&format!("/login?{query}"), None)
}

/// Shows the form.
pub(crate) async fn form(RawQuery(query): RawQuery) -> Response {
    page(&pages::login::page(&target(&query.unwrap_or_default()), None))
}

/// Begins a session, if the token is that of a user.
pub(crate) async fn log_in(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(refusal) = same_origin(&headers) {
        return refused(&refusal, false);
    }
    if !site.limiter.takes(&peer.to_string()) {
        return super::too_many(false);
    }
    let body = String::from_utf8_lossy(&body);
    let token =
        form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "token").map(|(_, token)| token.into_owned());
    let user = site.access.as_ref().zip(token).and_then(|(access, token)| access.by_token(token.trim()));
    let to = target(&body);
    match user {
        Some(user) => see_other(&to, Some(&site.sessions.begin(user.name()))),
        None => {
            let page = page(&pages::login::page(&to, Some("This token is unknown. Check that all of it was copied.")));
            (StatusCode::UNAUTHORIZED, page).into_response()
        }
    }
}

/// Ends the session.
pub(crate) async fn log_out(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    if let Err(refusal) = same_origin(&headers) {
        return refused(&refusal, false);
    }
    if let Some(session) = cookie(&headers) {
        site.sessions.end(session);
    }
    see_other("/login", Some(""))
}

/// Refuses a form that another site has sent.
fn same_origin(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let origin = text(ORIGIN).unwrap_or_default();
    // A page without referrers sends forms without an origin, and a browser then states the site.
    let is_own = match origin.split_once("://") {
        Some((_, authority)) => text(HOST) == Some(authority),
        None => origin == "null" && text(HeaderName::from_static("sec-fetch-site")) == Some("same-origin"),
    };
    match is_own {
        true => Ok(()),
        false => {
            Err(Refusal::forbidden("the form comes from another site; open the login page and use the form there"))
        }
    }
}

/// Where a form leads: a path of this site, and never another one.
fn target(form: &str) -> String {
    let to = form_urlencoded::parse(form.as_bytes()).find(|(name, _)| name == "to").map(|(_, to)| to.into_owned());
    let is_own = |to: &String| {
        to.starts_with('/') && !to.starts_with("//") && !to.contains('\\') && to.bytes().all(|b| b.is_ascii_graphic())
    };
    to.filter(is_own).unwrap_or_else(|| "/".into())
}

/// Redirects, and sets or clears the cookie.
fn see_other(to: &str, session: Option<&str>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, location);
    if let Some(session) = session {
        let ends = if session.is_empty() { "; Max-Age=0" } else { "" };
        let cookie = format!("{COOKIE}={session}; Path=/; Secure; HttpOnly; SameSite=Strict{ends}");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_to_this_site_alone() {
        for (form, to) in [
            ("to=%2Fevent%2F1%3Ftz%3DUTC", "/event/1?tz=UTC"),
            ("to=%2F%2Fevil.example", "/"),
            ("to=https%3A%2F%2Fevil.example", "/"),
            ("to=%2F%5Cevil.example", "/"),
            ("to=%2Fa%0d%0aSet-Cookie%3A+x", "/"),
            ("", "/"),
        ] {
            assert_eq!(target(form), to, "{form}");
        }
    }
}
