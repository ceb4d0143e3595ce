//! Connections to the database, for viewers.

use crate::server::Server;
use sqlx::postgres::PgPool;

/// Each session reads alone, and no statement of a viewer's takes longer. Compiling a statement would
/// take longer than most statements.
const SESSION: &str = "SET default_transaction_read_only = on; SET statement_timeout = '5s'; SET lock_timeout = '2s'; SET jit = off; \
     SET idle_in_transaction_session_timeout = '30s'";

/// Makes connections that read alone.
pub(super) fn reading(server: &Server, connections: u32) -> PgPool {
    server.reading(connections, SESSION)
}
