//! Sessions that hold a lock for long.

use sqlx::postgres::{PgConnection, PgPool};

/// Has the server notice within 30 seconds that a client is gone without a word, where nobody has set
/// these times for the session.
const KEEPALIVE: &str = "SELECT set_config(s.name, k.value, false) FROM pg_settings s JOIN \
     (VALUES ('tcp_keepalives_idle', '10'), ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '4'), ('tcp_user_timeout', '30000')) \
     AS k (name, value) ON k.name = s.name WHERE s.source IN ('default', 'configuration file')";

/// Takes a session of its own from a pool. If its machine vanishes, its locks end soon, and not after
/// the two hours of the system.
pub(crate) async fn own(pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
    let mut connection = pool.acquire().await?.detach();
    sqlx::query(KEEPALIVE).execute(&mut connection).await?;
    Ok(connection)
}
