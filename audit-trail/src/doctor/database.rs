//! The database: its server and clocks, the schema, and the rights of roles.

use super::Named;
use super::finding::{
    CLOCK_DIFFERS, DEFAULT_PARTITION, Findings, INDEX_INVALID, INDEX_MISSING, Kind, LEGACY_TABLE, NO_TABLES,
    PARTITIONS_BEHIND, ROLE_EXCEEDS, ROLE_LACKS_RIGHT, ROLE_MAY_CHANGE, ROLE_UNKNOWN, ROLE_UNLIMITED, SCHEMA_DIFFERS,
    SCHEMA_MISSING, SCHEMA_NEWER, SCHEMA_OLDER, SCHEMA_OPEN, SERVER_TOO_OLD, SERVER_UNTESTED, TRIGGER_DISABLED,
    WRITER_CLOCK_AHEAD, WRITER_LATE,
};
use crate::failure::{Failure, plain};
use crate::status::{self, LAG, time};
use crate::text::harmless;
use audit_runtime::admin::{Admin, RightsProblemKind, Role, SchemaProblem, SchemaProblemKind};
use sqlx::postgres::PgPool;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Clocks that NTP keeps differ by less, in seconds.
const TOLERANCE: f64 = 1.0;
/// A writer that stored nothing for so many seconds is not late now.
const RECENT: f64 = 3_600.0;

/// Compares the schema, and returns whether the tables can be asked for more.
pub(super) async fn schema(pool: &PgPool, findings: &mut Findings) -> Result<bool, Failure> {
    let problems = Admin::new(pool.clone()).inspect_schema().await?;
    let has_tables = !problems
        .iter()
        .any(|problem| matches!(problem.kind, SchemaProblemKind::NoTables | SchemaProblemKind::LegacyTable));
    for SchemaProblem { kind, about, remedy, .. } in problems {
        findings.push(of_schema(kind), about, remedy);
    }
    Ok(has_tables)
}

fn of_schema(kind: SchemaProblemKind) -> &'static Kind {
    match kind {
        SchemaProblemKind::ServerTooOld => &SERVER_TOO_OLD,
        SchemaProblemKind::ServerUntested => &SERVER_UNTESTED,
        SchemaProblemKind::NoTables => &NO_TABLES,
        SchemaProblemKind::LegacyTable => &LEGACY_TABLE,
        SchemaProblemKind::OlderSchema => &SCHEMA_OLDER,
        SchemaProblemKind::NewerSchema => &SCHEMA_NEWER,
        SchemaProblemKind::Missing => &SCHEMA_MISSING,
        SchemaProblemKind::DisabledTrigger => &TRIGGER_DISABLED,
        SchemaProblemKind::Index => &INDEX_MISSING,
        SchemaProblemKind::InvalidIndex => &INDEX_INVALID,
        SchemaProblemKind::Partitions => &PARTITIONS_BEHIND,
        SchemaProblemKind::DefaultPartition => &DEFAULT_PARTITION,
        SchemaProblemKind::OpenSchema => &SCHEMA_OPEN,
        // Objects that differ, and kinds that a later library adds.
        _ => &SCHEMA_DIFFERS,
    }
}

/// Compares the rights of the roles that are named.
pub(super) async fn rights(roles: &[Named], pool: &PgPool, findings: &mut Findings) -> Result<(), Failure> {
    let named: Vec<(Role, &str)> = roles.iter().map(|role| (role.duty, role.name.as_str())).collect();
    if named.is_empty() {
        findings
            .not_checked("rights of roles", "give --writer ROLE, --reader ROLE, --checkpointer ROLE and --eraser ROLE");
    }
    for problem in Admin::new(pool.clone()).inspect_rights(&named).await? {
        let kind = match problem.kind {
            RightsProblemKind::NoRole => &ROLE_UNKNOWN,
            RightsProblemKind::Unlimited => &ROLE_UNLIMITED,
            RightsProblemKind::Lacks => &ROLE_LACKS_RIGHT,
            RightsProblemKind::MayChange => &ROLE_MAY_CHANGE,
            _ => &ROLE_EXCEEDS,
        };
        findings.push(kind, problem.about, problem.remedy);
    }
    Ok(())
}

/// Compares this machine's clock with the server's.
pub(super) async fn clock(pool: &PgPool, findings: &mut Findings) -> Result<(), sqlx::Error> {
    // The first query may connect, and takes longer.
    sqlx::query("SELECT 1").persistent(false).execute(pool).await?;
    let (before, begin) = (SystemTime::now(), Instant::now());
    let sql = "SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8";
    let server: f64 = sqlx::query_scalar(sql).persistent(false).fetch_one(pool).await?;
    let way = begin.elapsed().as_secs_f64();
    let here = before.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() + way / 2.0;
    let ahead = here - server;
    if ahead.abs() > TOLERANCE + way {
        let side = if ahead > 0.0 { "ahead of" } else { "behind" };
        findings.push(
            &CLOCK_DIFFERS,
            format!("this machine's clock is {} {side} the server's", time(Some(ahead.abs()))),
            "let NTP keep both clocks: timedatectl timesync-status on both machines",
        );
    }
    Ok(())
}

/// Compares the times of writers' last events with the server's times of their batches.
pub(super) async fn writers(pool: &PgPool, findings: &mut Findings) {
    let writers = match status::writers(pool).await {
        Ok(writers) => writers,
        Err(error) => return findings.not_checked("clocks of writers", plain(&error)),
    };
    for writer in writers {
        let origin = harmless(&writer.origin);
        match writer.lag_seconds {
            Some(lag) if lag < -TOLERANCE => findings.push(
                &WRITER_CLOCK_AHEAD,
                format!("the last event of {origin} is {} younger than its batch", time(Some(-lag))),
                "let NTP keep the clock of that machine: timedatectl timesync-status",
            ),
            Some(lag) if lag > LAG && writer.last_batch_age_seconds.is_some_and(|age| age < RECENT) => findings.push(
                &WRITER_LATE,
                format!("the last batch of {origin} was stored {} after its last event", time(Some(lag))),
                "read the log and stats().last_error of that process, and the alert AuditEventsNotStored in docs/operations.md",
            ),
            _ => {}
        }
    }
}
