//! The search, its pages, and the pages of one thing.

use crate::scene::{accounts, ids, key, morning, record};
use crate::server::Page;
use audit_runtime::Event;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// The times of a list in JSON.
fn times(list: &Value) -> Vec<String> {
    list["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["event"]["created_at"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn pages_in_both_directions_show_each_event_once_in_one_order() {
    let database = accounts(250, &key()).await;
    let page = Page::start(&database, &[]);
    for order in ["newest", "oldest"] {
        let (mut seen, mut path) = (Vec::new(), format!("/events.json?order={order}"));
        let (forward, back) = if order == "newest" { ("older", "newer") } else { ("newer", "older") };
        let mut pages = Vec::new();
        loop {
            let list = page.json(&path).await;
            seen.extend(times(&list));
            pages.push(times(&list));
            match list[forward].as_str() {
                Some(next) => path = next.to_owned(),
                None => {
                    // And back to the page before.
                    let before = page.json(list[back].as_str().unwrap()).await;
                    assert_eq!(&times(&before), &pages[pages.len() - 2]);
                    break;
                }
            }
        }
        let mut sorted = seen.clone();
        sorted.sort();
        sorted.dedup();
        if order == "newest" {
            sorted.reverse();
        }
        assert_eq!((pages.len(), seen.len()), (3, 250));
        assert_eq!(seen, sorted);
    }
}

#[tokio::test]
async fn every_filter_of_the_form_narrows_the_list() {
    let database = accounts(60, &key()).await;
    let page = Page::start(&database, &[]);
    for (query, expected) in [
        ("", 60),
        ("event=account.*", 60),
        ("event=account.debited", 0),
        ("event=account.debited&event=account.credited", 60),
        ("entity=account%3A3", 6),
        ("entity_type=account", 60),
        ("target=invoice%3AINV-7", 1),
        ("tenant=acme", 30),
        ("tenant=acme&actor=user%3A1", 10),
        ("outcome=ok", 60),
        ("outcome=error", 0),
        ("where=cents%3D17", 1),
        ("since=2026-05-04T09%3A00%3A50Z", 10),
        ("until=2026-05-04T09%3A00%3A05Z", 5),
        ("origin=test%40*", 60),
        ("find=INV-17", 1),
        ("tenant=acme&find=INV-17", 0),
        ("tenant=globex&find=inv-1", 6),
    ] {
        let list = page.json(&format!("/events.json?{query}")).await;
        assert_eq!(list["events"].as_array().unwrap().len(), expected, "{query}");
    }
    for (path, expected) in [
        ("/entity/account/3.json", 6),
        ("/entity/invoice/INV-7.json", 1),
        ("/actor/user:1.json", 20),
        ("/tenant/acme.json?actor=user%3A1", 10),
        ("/entity/account/3.json?tenant=acme", 0),
    ] {
        let list = page.json(path).await;
        assert_eq!(list["events"].as_array().unwrap().len(), expected, "{path}");
    }
}

#[tokio::test]
async fn a_text_that_is_a_key_is_found_at_once_and_in_values_on_request() {
    // One event has the text as the key of its invoice, and another as a value.
    let database = accounts(30, &key()).await;
    record(&database, |audit| {
        audit.record(Event::new("note.left").data(&json!({"text": "about INV-17"}))).unwrap();
    })
    .await;
    let page = Page::start(&database, &[]);
    let shown = page.page("/?find=INV-17").await;
    let link = "href=\"/?find=INV-17&amp;in=values\"";
    assert!(shown.contains("1 event has the text as a key") && shown.contains(link), "{shown}");
    let shown = page.page("/?find=INV-17&in=values").await;
    assert!(shown.contains("1 event has the text in a value") && !shown.contains(link), "{shown}");
    // The condition goes with its part of events.
    assert!(shown.contains("href=\"/?\" aria-label=\"Remove the condition find\""), "{shown}");
    let list = page.json("/events.json?find=INV-17").await;
    assert_eq!((&list["values"], &list["older"]), (&json!("/events.json?find=INV-17&in=values"), &Value::Null));
    // Where no key is the text, values are looked at.
    assert!(page.page("/?find=about+INV-17").await.contains("1 event has the text in a value"));
    let list = page.json("/events.json?find=about+INV-17").await;
    assert_eq!((list["events"].as_array().unwrap().len(), &list["values"]), (1, &Value::Null));
    for (query, named) in [
        ("find=INV-17&newer=1764000000123456.000000000000700080000000000000cc", "newer: events that contain"),
        ("find=INV-17&older=1764000000123456.000000000000700080000000000000cc", "older: with find, write in="),
        ("in=values", "in: it states where"),
    ] {
        let answer = page.answer(&format!("/events.json?{query}")).await;
        assert!(answer.status == StatusCode::BAD_REQUEST && answer.text.contains(named), "{query}: {}", answer.text);
    }
}

#[tokio::test]
async fn relative_times_and_empty_fields_become_a_url_that_lasts() {
    let database = morning().await;
    let page = Page::start(&database, &[]);
    let answer = page.answer("/?event=&actor=user%3Akim&since=2h").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let to = answer.header("location").to_owned();
    assert!(to.starts_with("/?actor=user%3Akim&since=20") && to.ends_with('Z'), "{to}");
    assert_eq!(page.answer(&to).await.status, StatusCode::OK);
    // A time of day is one of the zone that is asked for.
    let answer = page.answer("/?since=2026-05-04+11%3A00&tz=Europe%2FBerlin").await;
    assert_eq!(answer.header("location"), "/?since=2026-05-04T09%3A00%3A00Z&tz=Europe%2FBerlin");
    let shown = page.page("/?since=2026-05-04T09%3A00%3A00Z&tz=Europe%2FBerlin").await;
    assert!(shown.contains("2026-05-04 <span class=\"clock\">11:30:00.000000 +02:00</span>"), "{shown}");
}

#[tokio::test]
async fn a_value_that_a_program_leaves_empty_is_refused() {
    let database = morning().await;
    let page = Page::start(&database, &[]);
    for path in ["/events.json?tenant=", "/actor/user:kim.json?event=+", "/export.csv?tenant=", "/status.json?tz="] {
        let answer = page.answer(path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {}", answer.text);
        assert!(answer.text.contains("the value is empty") && answer.header("content-type") == "application/json");
    }
    let accepting = page.request("/?tenant=").header("accept", "application/json");
    assert_eq!(crate::server::sent(accepting).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_not_there_and_what_cannot_be_read_is_said_in_words() {
    let database = morning().await;
    let page = Page::start(&database, &[]);
    for (path, status, words) in [
        ("/event/00000000-0000-7000-8000-00000000ffff", 404, "is not in the trail"),
        ("/event/x", 404, "is not an event's id"),
        ("/nothing", 404, "no such page"),
        ("/?evnet=x", 400, "is not a parameter"),
        ("/?since=2026-05-05&until=2026-05-04", 400, "interval is empty"),
        ("/?where=x", 400, "write key=value"),
        ("/batch/00000000-0000-7000-8000-00000000ffff", 404, "there is no batch"),
        ("/checkpoint/7", 404, "there is no checkpoint"),
        ("/actor/%FF", 400, "has to be UTF-8"),
    ] {
        let answer = page.answer(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text);
        let text = answer.text.to_lowercase();
        assert!(text.contains(&words.to_lowercase()), "{path}: {text}");
        let json = page.request(path).header("accept", "application/json");
        let json = crate::server::sent(json).await;
        let json: Value = serde_json::from_str(&json.text).unwrap();
        assert_eq!(json["status"], status, "{path}");
    }
    assert_eq!(page.form("/", "").send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
}

/// A page without what changes from run to run.
pub fn settled(page: &str) -> String {
    let settings = [("/assets/page-", "/assets/page-HASH"), ("/assets/icon-", "/assets/icon-HASH")];
    let mut settled = page.replace("><", ">\n<");
    for (begin, with) in settings {
        let mut rest = settled.as_str();
        let mut text = String::new();
        while let Some(at) = rest.find(begin) {
            text.push_str(&rest[..at]);
            text.push_str(with);
            rest = &rest[at + begin.len() + 12..];
        }
        settled = text + rest;
    }
    settled
}

#[tokio::test]
async fn the_list_and_an_event_look_like_this() {
    let database = morning().await;
    let page = Page::start(&database, &[]);
    let list = page.page("/?count=1&since=2026-05-04T09%3A00%3A00Z&until=2026-05-04T11%3A00%3A00Z&order=oldest").await;
    insta::assert_snapshot!("list", settled(&list));
    let changed = page.page("/event/00000000-0000-7000-8000-000000000004").await;
    insta::assert_snapshot!("event_with_changes", settled(&changed));
    let failed = page.page("/event/00000000-0000-7000-8000-000000000005").await;
    assert!(failed.contains("the account is closed") && failed.contains("because 404"), "{failed}");
}

#[tokio::test]
async fn counts_narrow_and_the_histogram_has_a_table() {
    let database = accounts(60, &key()).await;
    let page = Page::start(&database, &[]);
    let shown = page.page("/?tenant=acme&count=1&since=2026-05-04T09%3A00%3A00Z&until=2026-05-04T09%3A01%3A00Z").await;
    let facet = "tenant=acme&amp;actor=user%3A1&amp;since=2026-05-04T09%3A00%3A00Z&amp;until=2026-05-04T09%3A01%3A00Z\"><span class=\"value\">user:<wbr>1<wbr></span> <span class=\"count\">10</span>";
    assert!(shown.contains(facet), "{shown}");
    assert!(shown.contains("<strong>30</strong> events by the time at which they began"), "{shown}");
    let all = page.page("/?count=1").await;
    assert!(all.contains("events as they arrived"), "{all}");
}

#[tokio::test]
async fn a_correlation_is_a_tree_of_causes() {
    let database = morning().await;
    let page = Page::start(&database, &[]);
    let shown = page.page("/correlation/00000000-0000-7000-8000-0000000000cc").await;
    // The intent contains the call, which contains what the broker answered.
    let at = |id: u32| shown.find(&format!("class=\"type\" href=\"/event/00000000-0000-7000-8000-{id:012}\"")).unwrap();
    assert!(at(1) < at(2) && at(2) < at(3), "{shown}");
    let ids = ids(&database).await;
    let event = page.page(&format!("/event/{}", ids[2])).await;
    assert!(event.contains("order.accepted (this event)"), "{event}");
}

#[tokio::test]
async fn batches_checkpoints_and_the_status_are_pages_and_json() {
    let key = key();
    let database = accounts(30, &key).await;
    let page = Page::start(&database, &["--public-key", &key.public().to_string()]);
    let batches = page.json("/batches.json").await;
    let batch = &batches["rows"][0];
    assert_eq!((&batch["rows"], &batch["checkpoint"]), (&30.into(), &1.into()));
    let events = page.json(&format!("/batch/{}.json", batch["id"].as_str().unwrap())).await;
    assert_eq!(events["events"].as_array().unwrap().len(), 30);
    let checkpoints = page.json("/checkpoints.json").await;
    assert_eq!(checkpoints[0]["signature"]["Ok"], "audit.example.com/desk");
    let status = page.json("/status.json").await;
    // The events began long before they were stored.
    let problems = status["problems"].as_array().unwrap();
    assert!(problems.len() == 1 && problems[0].as_str().unwrap().contains("more than a minute late"), "{status}");
    for path in ["/batches", "/checkpoints", "/checkpoint/1", "/status"] {
        assert!(page.page(path).await.contains("</html>"), "{path}");
    }
}
