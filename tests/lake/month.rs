//! A month: synced to S3, pruned, verified from the lake, a proof checked by the independent verifier
//! from Parquet alone, and damage found. `scripts/lake.sh` runs it with millions of rows.

use crate::engines::proves;
use crate::s3::Server;
use crate::scene::{Lake, problems, report, tables};
use crate::trail::Scene;
use chrono::{Datelike, TimeDelta, Utc};
use sqlx::AssertSqlSafe;
use std::time::Instant;
use uuid::Uuid;

/// Rows of the month of orders, some months ago.
async fn fill(scene: &Scene, rows: u64) {
    for begin in (0..rows).step_by(1_000_000) {
        let end = (begin + 1_000_000).min(rows);
        let insert = format!(
            "INSERT INTO audit_events (id, event_type, entity_type, entity_id, actor, data, created_at, duration_us, correlation_id, context, origin) \
             SELECT (lpad(to_hex((extract(epoch FROM t) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid, \
             (ARRAY['order.submitted', 'order.accepted', 'order.filled', 'risk.evaluated', 'position.updated'])[1 + n % 5], 'order', \
             md5((n / 10)::text)::uuid, CASE n % 5 WHEN 0 THEN 'desk' ELSE 'user:' || n % 9973 END, \
             jsonb_build_object('ticker', 'T' || n % 500, 'quantity', n % 1000, 'number', n, 'price', round((n % 100000) * 0.01, 2), \
             'recommendation_id', md5((n / 10 + 1)::text)::uuid, 'side', 'buy', 'order_type', 'limit'), t, 100 + n % 1000, \
             md5((n / 10 + 2)::text)::uuid, '{{\"ip\": \"10.1.2.3\", \"app\": \"desk\"}}', 'desk@host:' || n % 4 \
             FROM generate_series({begin}, {end} - 1) n, \
             LATERAL (SELECT date_trunc('month', now() - interval '3 months') + interval '28 days' * (n / {rows}.0) AS t) times"
        );
        sqlx::query(AssertSqlSafe(insert)).execute(&scene.database.pool).await.unwrap();
    }
}

async fn month(rows: u64, shows: bool) {
    let scene = Scene::new(91).await;
    scene.database.admin().make_partitions(|_| {}).await.unwrap();
    fill(&scene, rows).await;
    scene.database.admin().make_partitions(|_| {}).await.unwrap();
    scene.database.admin().checkpoint(&scene.key).await.unwrap();
    let (lake, server) = (Lake::of(scene), Server::start().await);
    let url = Some(lake.database().url.as_str());
    let bucket = "s3://trail/lake";
    let millions = rows as f64 / 1e6;
    let told = |what: &str, seconds: f64, bytes: u64| {
        if shows {
            let (per, mb) = (seconds / millions, bytes as f64 / 1e6 / millions);
            println!("{what:<28} {per:>8.1} s and {mb:>8.1} MB a million rows");
        }
    };
    if shows {
        let size = lake.database().count("SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c WHERE relname LIKE 'audit\\_events%' AND relkind = 'r'").await;
        told("table and its indexes", 0.0, size.unsigned_abs());
        let heap = lake.database().count("SELECT sum(pg_table_size(c.oid))::bigint FROM pg_class c WHERE relname LIKE 'audit\\_events%' AND relkind = 'r'").await;
        told("table", 0.0, heap.unsigned_abs());
        let begin = Instant::now();
        let lines: String = lake.directory.path().join("all.ndjson").to_str().unwrap().to_owned();
        let output =
            crate::scene::command(url, &["export"]).stdout(std::fs::File::create(&lines).unwrap()).status().unwrap();
        assert!(output.success());
        told("ndjson (export)", begin.elapsed().as_secs_f64(), std::fs::metadata(&lines).unwrap().len());
        std::fs::remove_file(lines).unwrap();
    }
    let begin = Instant::now();
    server.run(url, &["lake", "sync", bucket, "--key", &lake.key]).await.well();
    let path = server.path("lake");
    let bytes = tables(&path).values().map(|bytes| bytes.len() as u64).sum();
    told("lake sync to S3", begin.elapsed().as_secs_f64(), bytes);
    let id: Uuid = sqlx::query_scalar(
        "SELECT id FROM audit_events WHERE event_type = 'order.filled' ORDER BY created_at, id LIMIT 1",
    )
    .fetch_one(&lake.database().pool)
    .await
    .unwrap();
    let before = lake.database().events().await;
    let limit = (Utc::now().date_naive().with_day(1).unwrap() - TimeDelta::days(1)).with_day(1).unwrap().to_string();
    let begin = Instant::now();
    let pruned = server.run(url, &["prune", "--before", &limit, "--archive", bucket, "--key", &lake.key]).await.well();
    told("prune, rows compared", begin.elapsed().as_secs_f64(), 0);
    assert!(lake.database().events().await < before - rows.cast_signed() + 10, "{}", pruned.stdout);
    let public = lake.public();
    let verify = ["verify", "--lake", bucket, "--public-key", &public, "--json"];
    let begin = Instant::now();
    let verified = server.run(None, &verify).await.well();
    let took = begin.elapsed().as_secs_f64();
    told("verify --lake", took, 0);
    if shows {
        println!("verify --lake                {:>8.0} rows/s", before as f64 / took);
    }
    assert_eq!(report(&verified)["rows"], before);
    let proof = server.run(None, &["proof", &id.to_string(), "--lake", bucket]).await.well();
    assert!(proof.stdout.contains(&id.to_string()));
    if let Some(is_proven) = proves(path.to_str().unwrap(), &public, id) {
        assert!(is_proven);
    }
    // One flipped bit, one missing file, one file of another lake.
    let other = Lake::new(92).await;
    other.sync(&[]).well();
    let events = |path: &std::path::Path| {
        let names = tables(path).into_iter().filter(|(name, _)| name.starts_with("events/"));
        names.max_by_key(|(_, bytes)| bytes.len()).unwrap()
    };
    let ((name, good), (_, strange)) = (events(&path), events(&other.path()));
    let mut flipped = good.clone();
    flipped[good.len() / 3] ^= 16;
    for (content, kind, words) in [
        (Some(flipped), "file_altered", "SHA-256"),
        (None, "file_missing", "gone"),
        (Some(strange), "file_altered", "of another lake"),
    ] {
        match content {
            Some(content) => std::fs::write(path.join(&name), content).unwrap(),
            None => std::fs::remove_file(path.join(&name)).unwrap(),
        }
        let found = server.run(None, &verify).await;
        let problems = problems(&found);
        let is_named = problems.iter().any(|finding| {
            finding["kind"] == kind && finding["file"] == name && finding["text"].as_str().unwrap().contains(words)
        });
        assert!(found.code == 1 && is_named, "{kind} {words}: {problems:#?}");
        assert!(problems.len() < 500, "{} problems of one file", problems.len());
    }
    std::fs::write(path.join(&name), good).unwrap();
    server.run(None, &verify).await.well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_synced_to_s3_pruned_verified_and_proven_from_the_lake() {
    month(30_000, false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/lake.sh runs it"]
async fn a_month_of_millions() {
    let millions: f64 = std::env::var("LAKE_MILLIONS").unwrap().parse().unwrap();
    month((millions * 1e6) as u64, true).await;
}
