//! Questions that the database and a lake answer together: in one order, each event once.

use crate::scene::{Lake, run};
use crate::trail::as_superuser;
use audit_runtime::Event;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

/// A lake of some hundred events in segments, and its questions.
async fn asked() -> (Lake, Vec<Vec<String>>) {
    let lake = Lake::new(51).await;
    let audit = lake.database().audit().batch_rows(20).start().unwrap();
    let account = Uuid::now_v7();
    for number in 0..400_i64 {
        let time = chrono::Utc::now() - chrono::TimeDelta::minutes(number * 60);
        let mut event = Event::new(if number % 7 == 0 { "account.closed" } else { "account.changed" });
        event = event.entity("account", number % 9).actor(format!("user:{}", number % 5));
        event = event.data(&json!({"n": number, "price": 1.10, "tags": ["a", number % 3]}));
        if number % 10 == 0 {
            event = event.target("order", account).tenant("acme");
        }
        audit.record_at(event, time).unwrap();
    }
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    let old = "INSERT INTO audit_events (id, event_type, entity_type, data) VALUES (gen_random_uuid(), 'invoice.old', 'invoice', '{\"$entity_id\": \"INV-1\"}')";
    sqlx::query(old).execute(&lake.database().pool).await.unwrap();
    lake.checkpoint().await;
    lake.sync(&["--segment", "100"]).well();
    let any: Uuid =
        sqlx::query_scalar("SELECT id FROM audit_events WHERE tenant = 'acme' AND entity_type = 'account' LIMIT 1")
            .fetch_one(&lake.database().pool)
            .await
            .unwrap();
    let account = account.to_string();
    let questions = [
        "entity account 3",
        "entity invoice INV-1",
        &format!("entity order {account}"),
        &format!("event {any}"),
        "events --limit 10",
        "events --limit 5000",
        "events --event account.* --actor user:2 --limit 30",
        "events --event account.closed --limit 7",
        "events --entity account:4 --limit 3",
        &format!("events --target order:{account}"),
        "events --tenant acme --limit 12",
        "events --where price=1.1 --limit 9",
        "events --where n=77",
        "events --where tags=[2] --limit 4",
        "events --outcome started --limit 50",
        "events --since 2d --limit 20",
        "events --until 3d --limit 15",
    ];
    (lake, questions.iter().map(|question| question.split(' ').map(str::to_owned).collect()).collect())
}

fn ask(lake: &Lake, question: &[String], more: &[&str]) -> (i32, String) {
    let arguments: Vec<&str> =
        question.iter().map(String::as_str).chain(["--output", "ndjson"]).chain(more.iter().copied()).collect();
    let ran = run(lake.database(), &arguments);
    (ran.code, ran.stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn hot_and_cold_events_are_one_answer_wherever_each_event_is() {
    let (lake, questions) = asked().await;
    let url = lake.url();
    let expected: Vec<(i32, String)> = questions.iter().map(|question| ask(&lake, question, &[])).collect();
    for (question, expected) in questions.iter().zip(&expected) {
        assert_eq!(expected.0, 0, "{question:?}");
        assert_eq!(&ask(&lake, question, &["--lake", &url]), expected, "all in both: {question:?}");
    }
    // Half of the events leave the database, and then all do.
    for (gone, what) in [("created_at < now() - interval '4 days'", "old ones cold"), ("true", "all cold")] {
        as_superuser(&lake.database().pool, &format!("DELETE FROM audit_events WHERE {gone}")).await;
        for (question, expected) in questions.iter().zip(&expected) {
            assert_eq!(&ask(&lake, question, &["--lake", &url]), expected, "{what}: {question:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_across_both() {
    let (lake, _) = asked().await;
    let url = lake.url();
    let all = ask(&lake, &["events".into(), "--limit".into(), "5000".into()], &[]).1;
    as_superuser(&lake.database().pool, "DELETE FROM audit_events WHERE created_at < now() - interval '6 days'").await;
    let lines: Vec<serde_json::Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let cursor = |line: &serde_json::Value| {
        let time: chrono::DateTime<chrono::Utc> = line["created_at"].as_str().unwrap().parse().unwrap();
        let id: Uuid = line["id"].as_str().unwrap().parse().unwrap();
        format!("{}.{}", time.timestamp_micros(), id.simple())
    };
    for (at, flag) in [(100, "--after"), (300, "--before"), (lines.len() - 5, "--after")] {
        let arguments = ["events".to_owned(), "--limit".into(), "40".into(), flag.into(), cursor(&lines[at])];
        let page = ask(&lake, &arguments, &["--lake", &url]).1;
        let range = if flag == "--after" { at + 1..(at + 41).min(lines.len()) } else { at - 40..at };
        let expected: Vec<&str> = all.lines().collect::<Vec<_>>()[range].to_vec();
        assert_eq!(page.lines().collect::<Vec<_>>(), expected, "{flag} {at}");
    }
    let follow = run(lake.database(), &["events", "--follow", "--lake", &url]);
    assert!(follow.code == 2 && follow.stderr.contains("--lake"), "{}", follow.stderr);
    let none = run(lake.database(), &["entity", "account", "77", "--lake", &url]);
    assert_eq!(none.code, 1, "{}", none.stdout);
    let wrong = run(lake.database(), &["entity", "account", "7", "--lake", "/nowhere"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("/nowhere"), "{}", wrong.stderr);
}
