//! The live tail.

use crate::scene::{accounts, key, record};
use crate::server::Page;
use audit_runtime::Event;
use reqwest::Response;
use tests::eventually;

/// Reads server-sent events until one contains a text.
pub async fn read_until(mut response: Response, text: &str) -> String {
    let mut read = String::new();
    let reading = async {
        while !read.contains(text) {
            read.push_str(&String::from_utf8_lossy(&response.chunk().await.unwrap().unwrap()));
            // Where a long name may be broken.
            read = read.replace("<wbr>", "");
        }
    };
    tokio::time::timeout(tests::wait::PATIENCE, reading).await.unwrap();
    read
}

#[tokio::test]
async fn a_tail_shows_what_arrives_and_matches_as_rows_of_the_list() {
    let database = accounts(3, &key()).await;
    let page = Page::start(&database, &[]);
    let response = page.request("/tail?tenant=acme").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let reading = tokio::spawn(read_until(response, "second.one"));
    let began = "SELECT count(*) FROM audit_events WHERE event_type = 'audit.viewed' AND data->>'state' = 'began'";
    eventually("the beginning is on record", async || database.count(began).await == 1).await;
    // A tail begins with what arrives after its first look, so one event after the other is sent.
    let sending = async {
        loop {
            record(&database, |audit| {
                drop(audit.record(Event::new("first.one").tenant("globex")).unwrap());
                drop(
                    audit
                        .record(Event::new("second.one").tenant("acme").data(&serde_json::json!({"x": "<b>"})))
                        .unwrap(),
                );
            })
            .await;
        }
    };
    let read = tokio::select! {
        read = reading => read.unwrap(),
        () = sending => unreachable!(),
    };
    assert!(read.contains("event: row\ndata: <tr class=\"event\""), "{read}");
    assert!(!read.contains("first.one") && !read.contains("account.credited") && !read.contains("<b>"), "{read}");
    let ended = "SELECT count(*) FROM audit_events WHERE event_type = 'audit.viewed' AND data->>'state' = 'ended' AND (data->>'rows')::int > 0";
    eventually("the end is on record", async || database.count(ended).await == 1).await;
}

#[tokio::test]
async fn tails_are_limited_and_end_with_the_server() {
    let database = accounts(1, &key()).await;
    let page = Page::start(&database, &[]);
    let mut tails = Vec::new();
    for _ in 0..20 {
        tails.push(page.request("/tail").send().await.unwrap());
    }
    let refused = page.answer("/tail").await;
    assert!(refused.status.as_u16() == 503 && refused.text.contains("20 viewers"), "{}", refused.text);
    let id = rustix::process::Pid::from_raw(i32::try_from(page.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    for tail in tails {
        tokio::time::timeout(tests::wait::PATIENCE, tail.bytes()).await.unwrap().unwrap();
    }
}
