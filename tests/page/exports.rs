//! Exports: whole, streamed, and with a last line that proves it.

use crate::scene::{accounts, key};
use crate::server::{Page, sent};
use sha2::{Digest, Sha256};
use tests::Database;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

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
async fn an_export_that_cannot_be_read_is_refused_in_words() {
    let database = accounts(10, &key()).await;
    let journal = tempfile::tempdir().unwrap();
    // The record is safe on disk, and reading fails.
    let page = Page::start(&database, &["--journal", journal.path().to_str().unwrap()]);
    rename_a_column(&database).await;
    let answer = sent(page.request("/export.ndjson")).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.text.contains("origin"), "{}", answer.text);
}

#[tokio::test]
async fn an_export_that_breaks_off_has_no_last_line() {
    let database = accounts(10_000, &key()).await;
    let journal = tempfile::tempdir().unwrap();
    let page = Page::start(&database, &["--journal", journal.path().to_str().unwrap()]);
    // A reader that takes little at once holds the server up behind the first read of several.
    let address: std::net::SocketAddr = page.url.strip_prefix("http://").unwrap().parse().unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut reader = socket.connect(address).await.unwrap();
    reader.write_all(b"GET /export.ndjson HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut head = [0; 15];
    reader.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    rename_a_column(&database).await;
    let mut rest = Vec::new();
    let _ = reader.read_to_end(&mut rest).await;
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.matches("account.credited").count() >= 100, "{}", rest.len());
    assert!(!rest.contains("\"export\":{") && !rest.ends_with("\r\n0\r\n\r\n"), "{}", rest.len());
}

async fn rename_a_column(database: &Database) {
    let sql = "ALTER TABLE audit_events RENAME COLUMN origin TO origin_before";
    sqlx::raw_sql(sql).execute(&database.pool).await.unwrap();
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
