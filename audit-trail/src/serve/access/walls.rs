//! The tenant wall: users whose events are read by a login of their tenant.

use super::{AccessFile, Viewer};
use crate::failure::Failure;
use crate::serve::connections::reading;
use crate::server::{ANSWER, Server};
use audit_runtime::trail::Trail;
use sqlx::postgres::PgPool;
use std::collections::HashMap;

/// The login of each user that the access file gives one.
#[derive(Debug, Default)]
pub(crate) struct Walls(HashMap<String, PgPool>);

impl Walls {
    /// Opens the logins, and makes sure that each sees the events of its tenant and of no other.
    pub(crate) async fn open(access: Option<&AccessFile>, connections: u32) -> Result<Self, Failure> {
        let (mut by_url, mut by_name) = (HashMap::<&str, PgPool>::new(), HashMap::new());
        for (name, tenant, url) in access.into_iter().flat_map(AccessFile::logins) {
            let login = match by_url.get(url) {
                Some(login) => login.clone(),
                None => {
                    let server = Server::new(Some(url))?;
                    server.greet(ANSWER).await?;
                    by_url.entry(url).or_insert(reading(&server, connections)).clone()
                }
            };
            check(&login, name, tenant).await?;
            by_name.insert(name.to_owned(), login);
        }
        Ok(Self(by_name))
    }

    /// Returns a trail as a viewer's login sees it. Without a login, the viewer's filter narrows it.
    pub(crate) fn before(&self, trail: &Trail, viewer: &Viewer) -> Trail {
        match self.0.get(&viewer.name) {
            Some(login) => trail.clone().tenant_login(login.clone()),
            None => trail.clone(),
        }
    }

    /// Returns whether a login of its own reads for a viewer.
    pub(crate) fn is_before(&self, viewer: &Viewer) -> bool {
        self.0.contains_key(&viewer.name)
    }
}

/// Refuses a login that is no wall, or one of another tenant.
async fn check(login: &PgPool, name: &str, tenant: &str) -> Result<(), Failure> {
    let sees_all: bool =
        sqlx::query_scalar("SELECT has_any_column_privilege('audit_events', 'SELECT')").fetch_one(login).await?;
    if sees_all {
        return Err(Failure::Usage(format!(
            "the login of {name} may read audit_events, the events of every tenant; give a login of its own, made by audit-trail migrate --tenant ROLE={tenant}"
        )));
    }
    let sees: Option<String> =
        sqlx::query_scalar("SELECT tenant FROM audit_tenant_events LIMIT 1").fetch_optional(login).await?;
    match sees {
        Some(other) if other != tenant => Err(Failure::Usage(format!(
            "the login of {name} sees the events of tenant {other:?}, and tenants names {tenant:?}; correct the access file"
        ))),
        _ => Ok(()),
    }
}
