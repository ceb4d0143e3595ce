//! The roles that are named: each connects, and looks from where its service looks.

use super::finding::{Findings, ROLE_CANNOT_CONNECT, ROLE_READ_ONLY, ROLE_SEES_OTHER_TABLE, TENANT_WALL};
use super::{Doctor, Named};
use crate::failure::{Failure, plain};
use crate::server::{ANSWER, Server};
use audit_runtime::admin::{Admin, Role};
use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgPool};
use tokio::time::timeout;

/// The view of a session: the table's number, its database, and whether it may only read.
type Seen = (Option<i64>, String, bool);

const LOOK: &str = "SELECT to_regclass('audit_events')::oid::bigint, current_database()::text, current_setting('transaction_read_only') = 'on'";

/// A session that was not allowed to begin.
const REFUSED: [&str; 2] = ["28P01", "28000"];

/// Connects as each role.
pub(super) async fn check(
    roles: &[Named],
    server: &Server,
    pool: &PgPool,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let (table, database, _): Seen = sqlx::query_as(LOOK).persistent(false).fetch_one(pool).await?;
    for role in roles {
        let name = &role.name;
        let seen = match connect(role, server).await {
            Ok(seen) => seen,
            Err(error) => {
                refused(role, &error, findings);
                continue;
            }
        };
        if seen.2 && role.duty != Role::Reader {
            findings.push(
                &ROLE_READ_ONLY,
                format!("a session of role {name} may only read"),
                format!("connect to the primary, or: ALTER ROLE {name} RESET default_transaction_read_only;"),
            );
        }
        // An eraser calls functions only, and still finds them by their schema.
        if (seen.0, &seen.1) != (table, &database) {
            let what = if seen.0.is_none() { "finds no audit_events" } else { "finds another audit_events" };
            findings.push(
                &ROLE_SEES_OTHER_TABLE,
                format!("role {name} {what} in database {}", seen.1),
                format!("ALTER ROLE {name} SET search_path = SCHEMA OF THE TRAIL; -- and look for the other table in its path"),
            );
        }
    }
    Ok(())
}

/// Compares the login of each tenant.
pub(super) async fn tenants(doctor: &Doctor, pool: &PgPool, findings: &mut Findings) -> Result<(), Failure> {
    let admin = Admin::new(pool.clone());
    for (role, tenant) in &doctor.tenant {
        for problem in admin.inspect_tenant(role, tenant).await? {
            findings.push(&TENANT_WALL, problem.about, problem.remedy);
        }
    }
    Ok(())
}

async fn connect(role: &Named, server: &Server) -> Result<Seen, sqlx::Error> {
    let options = match &role.server {
        Some(own) => own.options().clone(),
        None => server.options().clone().username(&role.name),
    };
    let session = async {
        let mut connection = PgConnection::connect_with(&options).await?;
        let seen = sqlx::query_as(LOOK).persistent(false).fetch_one(&mut connection).await?;
        let _ = connection.close().await;
        Ok(seen)
    };
    timeout(ANSWER, session).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// A login that is refused. By a name alone, without its password, that tells nothing.
fn refused(role: &Named, error: &sqlx::Error, findings: &mut Findings) {
    let code = error.as_database_error().and_then(|error| error.code());
    let is_login = code.as_deref().is_some_and(|code| REFUSED.contains(&code));
    let name = &role.name;
    if role.server.is_none() && is_login {
        let why = format!("{}; give its URL to connect as that role", plain(error));
        return findings.not_checked(&format!("a session of role {name}"), why);
    }
    findings.push(
        &ROLE_CANNOT_CONNECT,
        format!("role {name} cannot connect: {}", plain(error)),
        format!(
            "check its password, pg_hba.conf and the limits of the role: SELECT * FROM pg_roles WHERE rolname = '{}';",
            name.replace('\'', "''")
        ),
    );
}
