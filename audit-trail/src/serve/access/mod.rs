//! The access of viewers: tokens, a header that a proxy sets, and nobody in particular on loopback.

mod file;
mod limiter;
mod login;
mod session;
mod walls;

pub(crate) use file::{AccessFile, new_token};
pub(crate) use limiter::Limiter;
pub(crate) use login::{form, log_in, log_out};
pub(crate) use session::{COOKIE, Sessions};
pub(crate) use walls::Walls;

use super::listen::Peer;
use super::refusal::Refusal;
use super::state::Site;
use crate::environment;
use audit_runtime::trail::EventFilter;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE as COOKIES, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;

/// The actions that a viewer may do beyond looking at lists and events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Looks at pages.
    View,
    /// Exports what is shown.
    Export,
    /// Sees personal values, for a reason that is recorded.
    Reveal,
}

/// The part of the trail that a viewer sees, added to every query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Scope {
    pub(crate) tenants: Option<Vec<String>>,
    pub(crate) entity_types: Option<Vec<String>>,
}

impl Scope {
    /// Returns whether the viewer sees the whole trail.
    pub(crate) fn is_of_all(&self) -> bool {
        self.tenants.is_none() && self.entity_types.is_none()
    }

    /// Narrows a filter to it.
    pub(crate) fn narrow(&self, mut filter: EventFilter) -> EventFilter {
        if let Some(tenants) = &self.tenants {
            filter = filter.tenant_any(tenants.iter().cloned());
        }
        if let Some(types) = &self.entity_types {
            filter = filter.entity_type_any(types.iter().cloned());
        }
        filter
    }
}

/// The person or program that looks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Viewer {
    pub(crate) name: String,
    pub(crate) roles: Vec<Role>,
    pub(crate) scope: Scope,
    pub(crate) peer: Peer,
    /// Whether the viewer came by the login form, and may log out.
    pub(crate) is_logged_in: bool,
}

impl Viewer {
    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Requires that the viewer sees the whole trail.
    pub(crate) fn sees_all(&self, what: &str) -> Result<(), Refusal> {
        if self.scope.is_of_all() {
            return Ok(());
        }
        let text =
            format!("{what} show the whole trail, and your access is limited to a part of it; ask for wider access");
        Err(Refusal::forbidden(text))
    }
}

/// Decides who looks, before any page is made.
pub(crate) async fn authenticate(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    let is_json = super::answer::wants_json(&request);
    let peer = request.extensions().get::<Peer>().cloned().unwrap_or(Peer::Socket);
    if is_within_another_site(request.headers()) {
        let text = "another site asked for this within a page of its own; open the page itself";
        return super::answer::refused(&Refusal::forbidden(text), is_json);
    }
    match viewer(&site, request.headers(), &peer) {
        Ok(viewer) => {
            if !site.limiter.takes(&viewer.name) {
                return too_many(is_json);
            }
            if !viewer.has(Role::View) {
                let text = "your access includes no page; ask for the role view";
                return super::answer::refused(&Refusal::forbidden(text), is_json);
            }
            request.extensions_mut().insert(viewer);
            next.run(request).await
        }
        Err(refusal) => {
            if !site.limiter.takes(&peer.to_string()) {
                return too_many(is_json);
            }
            let accepts_html =
                request.headers().get("accept").is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"));
            if refusal.status == StatusCode::UNAUTHORIZED
                && accepts_html
                && site.access.as_ref().is_some_and(AccessFile::has_tokens)
            {
                let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
                return login::to_login(target);
            }
            super::answer::refused(&refusal, is_json)
        }
    }
}

/// Returns whether a page of another site asks in the background, as a picture, a frame or a script.
///
/// Such a request would be on record as the viewer's own. A link that the viewer follows is the
/// viewer's own.
fn is_within_another_site(headers: &HeaderMap) -> bool {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|given| given == value);
    let is_elsewhere = is("sec-fetch-site", "cross-site") || is("sec-fetch-site", "same-site");
    is_elsewhere && !(is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document"))
}

fn too_many(is_json: bool) -> Response {
    let text = "too many requests in a short time; wait a second and try again";
    super::answer::refused(&Refusal::new(StatusCode::TOO_MANY_REQUESTS, text), is_json)
}

fn viewer(site: &Site, headers: &HeaderMap, peer: &Peer) -> Result<Viewer, Refusal> {
    let Some(access) = &site.access else {
        return local(headers, peer);
    };
    if let Some(token) = bearer(headers) {
        let found = access.by_token(token);
        return found.map(|user| user.viewer(peer, false)).ok_or_else(|| unauthorized("the token is unknown"));
    }
    if let Some(session) = cookie(headers).and_then(|cookie| site.sessions.name(cookie)) {
        // A user who was taken out of the file since is none any more.
        let user = access.by_name(&session).ok_or_else(|| unauthorized("the session has ended; log in again"))?;
        return Ok(user.viewer(peer, true));
    }
    if let Some(user) = access.by_header(headers, peer)? {
        return Ok(user.viewer(peer, false));
    }
    Err(unauthorized("log in, or send a token as Authorization: Bearer TOKEN"))
}

fn unauthorized(text: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, text)
}

/// The viewer without an access file: whoever uses this machine.
///
/// Another site's script could reach a server on loopback by a name that it resolves itself. So the
/// name has to be one of loopback.
fn local(headers: &HeaderMap, peer: &Peer) -> Result<Viewer, Refusal> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let is_local = matches!(name, "localhost" | "127.0.0.1" | "[::1]" | "::1") || *peer == Peer::Socket;
    if !is_local {
        let text =
            format!("the host {host:?} is not this machine; open http://localhost, or give the server an access file");
        return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, text));
    }
    let name = environment::user().unwrap_or_else(|| "someone".into());
    Ok(Viewer {
        name: format!("{name} (on this machine)"),
        roles: vec![Role::View, Role::Export, Role::Reveal],
        scope: Scope::default(),
        peer: peer.clone(),
        is_logged_in: false,
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The session in a request's cookies.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIES).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|value| value.split(';')).find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}
