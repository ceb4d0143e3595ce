//! Exports: whole, streamed, and with a last line that proves it.

use crate::scene::{accounts, key};
use crate::server::{Page, sent};
use sha2::{Digest, Sha256};

#[tokio::test]
async fn an_export_has_every_row_and_a_last_line_with_its_hash() {
    let database = accounts(2_500, &key()).await;
    let page = Page::start(&database, &[]);
    for (form, rows_before) in [("ndjson", 0), ("csv", 1), ("cloudevents", 0)] {
        let text = page.page(&format!("/export.{form}")).await;
        let body = text.trim_end();
        let (before, last) = body.rsplit_once('\n').unwrap();
        let before = format!("{before}\n");
        assert_eq!(before.lines().count(), 2_500 + rows_before, "{form}");
        let hash = hex::encode(Sha256::digest(before.as_bytes()));
        assert!(last.contains("2500") && last.contains(&hash), "{form}: {last}");
    }
    let of_acme = page.page("/export.ndjson?tenant=acme").await;
    assert_eq!(of_acme.lines().count(), 1_251);
    // Oldest first, whichever order the list has.
    let first = page.page("/export.ndjson?order=newest").await;
    assert!(first.lines().next().unwrap().contains("\"cents\":0}"), "{first}");
}

#[tokio::test]
async fn an_export_that_breaks_off_has_no_last_line() {
    let database = accounts(4_500, &key()).await;
    let journal = tempfile::tempdir().unwrap();
    // The record is safe on disk, and reading fails.
    let page = Page::start(&database, &["--journal", journal.path().to_str().unwrap()]);
    sqlx::raw_sql("ALTER TABLE audit_events RENAME COLUMN origin TO origin_before")
        .execute(&database.pool)
        .await
        .unwrap();
    let request = page.request("/export.ndjson");
    let response = request.send().await.unwrap();
    assert!(response.bytes().await.is_err(), "the connection ends before the export does");
}

#[tokio::test]
async fn cells_are_no_formulas_and_lines_are_exact() {
    let database = crate::scene::morning().await;
    let sql = "INSERT INTO audit_events (id, event_type, entity_type, actor, data, created_at) VALUES \
               ('00000000-0000-7000-8000-000000000099', '=cmd|x', '@SUM(1)', '-1+1', '{\"n\": 1.10}', '2026-05-04 10:00:01Z')";
    sqlx::raw_sql(sql).execute(&database.pool).await.unwrap();
    let page = Page::start(&database, &[]);
    let csv = page.page("/export.csv").await;
    assert!(csv.contains(",'=cmd|x,'@SUM(1),,'-1+1,"), "{csv}");
    let ndjson = page.page("/export.ndjson").await;
    assert!(ndjson.contains("\"event_type\":\"=cmd|x\"") && ndjson.contains("{\"n\":1.10}"), "{ndjson}");
    let answer = sent(page.request("/export.csv")).await;
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"audit-events.csv\"");
    assert!(answer.header("content-type").starts_with("text/csv"));
}
