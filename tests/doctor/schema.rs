//! Findings about the schema.

use crate::scene::{Provoked, Trail};
use tests::{Cluster, Database, before};

pub(crate) async fn no_tables() -> Provoked {
    let trail = Trail { database: Database::empty().await, ..Trail::empty().await };
    trail.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    without_options(trail)
}

pub(crate) async fn legacy_table() -> Provoked {
    let trail = Trail { database: Database::empty().await, ..Trail::empty().await };
    trail
        .sql(
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE TABLE audit_events (id uuid PRIMARY KEY, event_type text NOT NULL, \
             entity_type text NOT NULL, entity_id uuid, actor text NOT NULL DEFAULT 'system', data jsonb NOT NULL DEFAULT '{}', \
             created_at timestamptz NOT NULL DEFAULT now())",
        )
        .await;
    without_options(trail)
}

pub(crate) async fn schema_older() -> Provoked {
    let trail = Trail { database: before::version_5_in(Cluster::shared()).await, ..Trail::empty().await };
    without_options(trail)
}

/// The roles and files belong to another database.
fn without_options(trail: Trail) -> Provoked {
    Provoked { trail, arguments: Vec::new(), variables: Vec::new() }
}

pub(crate) async fn schema_newer() -> Provoked {
    let trail = Trail::healthy().await;
    trail.sql("COMMENT ON TABLE audit_events IS 'Audit schema version 99.'").await;
    trail.with([])
}

pub(crate) async fn schema_missing() -> Provoked {
    let trail = Trail::healthy().await;
    trail.sql("DROP TRIGGER audit_batches_append_only ON audit_batches").await;
    trail.with([])
}

pub(crate) async fn schema_differs() -> Provoked {
    let trail = Trail::healthy().await;
    trail
        .sql(
            "CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$; \
             ALTER FUNCTION audit_refuse_change() SET search_path = pg_catalog, pg_temp",
        )
        .await;
    trail.with([])
}

pub(crate) async fn trigger_disabled() -> Provoked {
    let trail = Trail::healthy().await;
    trail.sql("ALTER TABLE audit_tree DISABLE TRIGGER audit_tree_append_only").await;
    trail.with([])
}

pub(crate) async fn index_missing() -> Provoked {
    let trail = Trail::healthy().await;
    trail.sql("DROP INDEX audit_events_actor_bucket").await;
    trail.with([])
}

pub(crate) async fn index_invalid() -> Provoked {
    let trail = Trail::healthy().await;
    // Two rows are equal for it, so that its build fails and leaves it.
    trail.record(1).await;
    let build = "CREATE UNIQUE INDEX CONCURRENTLY audit_batches_one ON audit_batches ((1))";
    sqlx::raw_sql(build).execute(&trail.database.pool).await.unwrap_err();
    trail.with([])
}

pub(crate) async fn partitions_behind() -> Provoked {
    let trail = Trail::healthy().await;
    let last = "DO $$ BEGIN EXECUTE (SELECT format('DROP TABLE %s', max(inhrelid::regclass::text)) FROM pg_inherits \
                WHERE inhparent = 'audit_events'::regclass AND inhrelid::regclass::text ~ '[0-9]$'); END $$";
    trail.sql(last).await;
    trail.with([])
}

pub(crate) async fn default_partition() -> Provoked {
    let trail = Trail::healthy().await;
    let row = "INSERT INTO audit_events (id, event_type, entity_type, created_at) VALUES (gen_random_uuid(), 'a.b', 'a', '2024-02-29')";
    trail.sql(row).await;
    trail.with([])
}

pub(crate) async fn schema_open() -> Provoked {
    let trail = Trail::healthy().await;
    trail.sql("GRANT CREATE ON SCHEMA public TO PUBLIC").await;
    trail.with([])
}

/// Changes of one object each, and the words by which doctor names them.
const DIFFERENCES: [(&str, &str); 9] = [
    ("ALTER TABLE audit_catalogue DROP COLUMN origin", "column origin of audit_catalogue is missing"),
    ("ALTER TABLE audit_schema ALTER COLUMN version TYPE bigint", "has the type bigint in place of integer"),
    ("DROP FUNCTION audit_fence(uuid)", "function audit_fence is missing"),
    ("ALTER FUNCTION audit_forget(text, uuid, text, text) RESET search_path", "follows the search path of its caller"),
    ("ALTER FUNCTION audit_bind(uuid) SECURITY INVOKER", "runs with the rights of its caller"),
    ("GRANT EXECUTE ON FUNCTION audit_rewrite_keys() TO PUBLIC", "every role may call function audit_rewrite_keys()"),
    (
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; \
         CREATE TRIGGER swallow BEFORE INSERT ON audit_batches FOR EACH ROW EXECUTE FUNCTION swallow()",
        "trigger swallow of audit_batches is not of the audit trail",
    ),
    ("CREATE RULE swallow AS ON INSERT TO audit_late DO INSTEAD NOTHING", "rule swallow of audit_late"),
    (
        "DROP TRIGGER audit_keys_append_only ON audit_keys; CREATE TRIGGER audit_keys_append_only BEFORE DELETE ON audit_keys \
         FOR EACH ROW WHEN (OLD.subject = 'nobody') EXECUTE FUNCTION audit_refuse_change()",
        "trigger audit_keys_append_only of audit_keys differs",
    ),
];

#[tokio::test]
async fn each_object_is_compared_and_its_remedy_mends_it() {
    let trail = Trail::healthy().await;
    let provoked = trail.with([]);
    for (change, words) in DIFFERENCES {
        provoked.trail.sql(change).await;
        let ran = provoked.doctor();
        let findings: Vec<_> = ran.lines().into_iter().map(|line| line["finding"].clone()).collect();
        let about = |finding: &serde_json::Value| finding["about"].as_str().is_some_and(|about| about.contains(words));
        let finding =
            findings.iter().find(|finding| about(finding)).unwrap_or_else(|| panic!("{words}: {}", ran.stdout));
        assert!(provoked.apply(finding["remedy"].as_str().unwrap()).await, "{finding}");
        let left = provoked.doctor();
        // A function that is made anew has no grants.
        let left: Vec<String> = left.names().into_iter().filter(|name| name != "role-lacks-right").collect();
        assert_eq!(left, Vec::<String>::new(), "{change}");
    }
}
