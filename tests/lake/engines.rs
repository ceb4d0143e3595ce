//! DuckDB reads a lake as PostgreSQL reads the table, and an independent verifier proves an event.

use crate::scene::Lake;
use serde_json::{Value, json};
use std::process::{Command, Output};
use tests::python::with_duckdb;
use uuid::Uuid;

fn program(arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new(with_duckdb()?);
    command.arg(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/lake.py"));
    Some(command.args(arguments).output().unwrap())
}

/// The rows of a query, or `None` without Python.
pub fn duckdb(lake: &str, query: &str) -> Option<Value> {
    let output = program(&["sql", lake, query])?;
    let errors = String::from_utf8_lossy(&output.stderr);
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{query}: {error}: {errors}")))
}

/// Whether the independent verifier proves an event from Parquet alone, or `None` without Python.
pub fn proves(lake: &str, public: &str, id: Uuid) -> Option<bool> {
    let output = program(&["prove", lake, public, &id.to_string()])?;
    let proves = output.status.success() && String::from_utf8_lossy(&output.stdout).trim() == id.to_string();
    if !proves {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Some(proves)
}

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_counts_sums_and_follows_an_entity_as_postgresql_does() {
    let lake = Lake::new(81).await;
    let insert = "INSERT INTO audit_events (id, event_type, entity_type, entity_id, duration_us, data) SELECT gen_random_uuid(), 'b.thing', 'b', \
         uuid_in(md5((n % 7)::text)::cstring), n, jsonb_build_object('n', n, 'price', n * 1.10) FROM generate_series(1, 500) n";
    sqlx::query(insert).execute(&lake.database().pool).await.unwrap();
    lake.checkpoint().await;
    lake.sync(&["--segment", "200"]).well();
    let url = lake.url();
    let there = async |query: &'static str| -> Value {
        let query = format!("SELECT coalesce(json_agg(q), '[]') FROM ({query}) q");
        sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&lake.database().pool).await.unwrap()
    };
    for (postgres, duck) in [
        (
            "SELECT json_build_array(event_type, count(*), coalesce(sum(duration_us), 0)) AS a FROM audit_events GROUP BY event_type ORDER BY event_type COLLATE \"C\"",
            "SELECT event_type, count(*), coalesce(sum(duration_us), 0)::BIGINT FROM events GROUP BY ALL ORDER BY event_type",
        ),
        (
            "SELECT json_build_array(extract(year FROM d)::int, extract(month FROM d)::int, extract(day FROM d)::int, count(*)) AS a \
             FROM (SELECT (created_at AT TIME ZONE 'UTC')::date AS d FROM audit_events) x GROUP BY d ORDER BY d",
            "SELECT year, month, day, count(*) FROM events GROUP BY ALL ORDER BY year, month, day",
        ),
        (
            "SELECT json_build_array(sum((data ->> 'n')::int), sum((data ->> 'price')::numeric)::text) AS a FROM audit_events WHERE event_type = 'b.thing'",
            "SELECT sum((data ->> 'n')::INT)::BIGINT, sum((data ->> 'price')::DECIMAL(18, 2))::VARCHAR FROM events WHERE event_type = 'b.thing'",
        ),
        (
            "SELECT json_build_array(id, event_type, data ->> 'n') AS a FROM audit_events WHERE entity_id = uuid_in(md5('3')::cstring) ORDER BY created_at, id",
            "SELECT id, event_type, data ->> 'n' FROM events WHERE list_contains(entity_ids, 'eccbc87e-4b5c-e2fe-2830-8fd9f2a7baf3') ORDER BY created_at, id",
        ),
        (
            "SELECT json_build_array(id, entity_key, tenant, targets::text) AS a FROM audit_events WHERE tenant = 'acme' ORDER BY created_at, id",
            "SELECT id, entity_key, tenant, targets FROM events WHERE tenant = 'acme' ORDER BY created_at, id",
        ),
        (
            "SELECT json_build_array(count(*), sum(rows)) AS a FROM audit_batches WHERE id IN (SELECT batch_id FROM audit_tree)",
            "SELECT count(*), sum(rows)::BIGINT FROM batches",
        ),
        (
            "SELECT json_build_array(tree_size, note) AS a FROM audit_checkpoints ORDER BY id",
            "SELECT tree_size, note FROM checkpoints ORDER BY id",
        ),
    ] {
        let Some(here) = duckdb(&url, duck) else { return };
        let rows: Vec<Value> = there(postgres).await.as_array().unwrap().iter().map(|row| row["a"].clone()).collect();
        assert_eq!(here, json!(rows), "{duck}");
        assert!(!rows.is_empty(), "{postgres}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_verifier_proves_events_from_parquet_alone() {
    let lake = Lake::new(82).await;
    lake.sync(&["--segment", "60"]).well();
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "(SELECT id FROM audit_events WHERE batch_id IS NULL ORDER BY id LIMIT 3) UNION ALL (SELECT id FROM audit_events WHERE tenant IS NOT NULL ORDER BY id LIMIT 2) \
         UNION ALL (SELECT id FROM audit_events WHERE batch_id IS NOT NULL ORDER BY id LIMIT 4)",
    )
    .fetch_all(&lake.database().pool)
    .await
    .unwrap();
    for id in &ids {
        match proves(&lake.url(), &lake.public(), *id) {
            None => return,
            Some(is_proven) => assert!(is_proven, "{id}"),
        }
    }
    // It fails where something differs.
    let other = Lake::new(83).await;
    assert_eq!(proves(&lake.url(), &other.public(), ids[0]), Some(false));
    let file = crate::scene::tables(&lake.path()).into_keys().find(|name| name.starts_with("batches/")).unwrap();
    crate::rewrite::change(&lake.path().join(file), "leaf", "0123456789abcdef0123456789abcdef");
    assert_eq!(proves(&lake.url(), &lake.public(), ids[0]), Some(false));
}
