//! Connections to the database, for viewers.

use crate::keepalive;
use crate::server::Server;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::time::Duration;

/// Each session reads alone, and no statement of a viewer's takes longer. Compiling a statement would
/// take longer than most statements.
const SESSION: &str = "SET default_transaction_read_only = on; SET statement_timeout = '5s'; SET lock_timeout = '2s'; SET jit = off; \
     SET idle_in_transaction_session_timeout = '30s'";

/// Makes connections that read alone.
pub(super) fn reading(server: &Server, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .after_connect(|connection, _| {
            Box::pin(async move {
                keepalive::everywhere();
                sqlx::raw_sql(SESSION).execute(connection).await?;
                Ok(())
            })
        })
        .connect_lazy_with(server.options().clone())
}
