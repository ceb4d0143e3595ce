//! A prune whose rows are in a lake: they are compared with it, and proven by it afterwards.

use crate::rewrite::{change, seal};
use crate::scene::{Lake, alone, problems, report, run, tables, verify};
use audit_runtime::Event;
use chrono::{Datelike, TimeDelta, Utc};
use std::time::Duration;
use uuid::Uuid;

/// A trail of half a year, in the lake or not.
async fn half_a_year(seed: u64) -> Lake {
    let lake = Lake::new(seed).await;
    let audit = lake.database().audit().batch_rows(50).start().unwrap();
    for days in 0..180_i64 {
        let time = Utc::now() - TimeDelta::days(days);
        audit.record_at(Event::new("a.thing").entity("a", days % 5), time).unwrap();
    }
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    let others = "INSERT INTO audit_events (id, event_type, entity_type, created_at, data) SELECT gen_random_uuid(), 'b.thing', 'b', \
         now() - n * interval '1 day', '{\"n\": 1e3}' FROM generate_series(1, 180) n";
    sqlx::query(others).execute(&lake.database().pool).await.unwrap();
    lake.checkpoint().await;
    lake
}

/// The first day of the last month.
fn limit() -> String {
    let last = Utc::now().date_naive().with_day(1).unwrap() - TimeDelta::days(1);
    last.with_day(1).unwrap().to_string()
}

fn prune(lake: &Lake, more: &[&str]) -> crate::scene::Ran {
    // A directory that is still to be made ends with a slash: other names are those of files.
    let (before, url) = (limit(), lake.url() + "/");
    let arguments = ["prune", "--before", &before, "--archive", &url, "--key", &lake.key];
    run(lake.database(), &[&arguments[..], more].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn pruned_rows_are_in_the_lake_where_they_verify_and_are_proven() {
    let lake = half_a_year(61).await;
    let old: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM audit_events WHERE created_at < date_trunc('month', now() - interval '2 months') ORDER BY created_at",
    )
    .fetch_all(&lake.database().pool)
    .await
    .unwrap();
    let before = lake.database().events().await;
    let entity = ["entity", "a", "3", "--output", "ndjson"];
    let whole = run(lake.database(), &entity).well().stdout;
    let dry = prune(&lake, &["--dry-run"]).well();
    assert!(dry.stdout.contains("would") && !lake.path().exists(), "{}", dry.stdout);
    let pruned = prune(&lake, &["--hold", "a:3"]).well();
    assert!(pruned.stdout.contains("are in the lake with their digests"), "{}", pruned.stdout);
    let left = lake.database().events().await;
    assert!(left < before - 100, "{left} of {before} are left");
    let report_of = report(&lake.verify(&["--json"]).well());
    assert_eq!(report_of["rows"], before);
    lake.database().is_unharmed().await;
    let archive: serde_json::Value =
        sqlx::query_scalar("SELECT data -> 'archive' FROM audit_events WHERE event_type = 'audit.pruned' LIMIT 1")
            .fetch_one(&lake.database().pool)
            .await
            .unwrap();
    assert_eq!(archive["lake"], lake.url());
    assert_eq!(archive["lake_id"].as_str().map(str::len), Some(36), "{archive}");
    assert_eq!(archive["sha256"].as_str().map(str::len), Some(64), "{archive}");
    let proof = alone(&["proof", &old[old.len() / 2].to_string(), "--lake", &lake.url()]).well();
    let file = lake.directory.path().join("proof.json");
    std::fs::write(&file, proof.stdout).unwrap();
    alone(&["verify", "--proof", file.to_str().unwrap(), "--public-key", &lake.public()]).well();
    let both = run(lake.database(), &[&entity[..], &["--lake", &lake.url()]].concat()).well();
    assert_eq!(both.stdout, whole);
    // The next checkpoint covers the events of the prune, and nothing is there twice.
    lake.checkpoint().await;
    lake.sync(&[]).well();
    lake.verify(&[]).well();
    // A lake that begins behind the prune has the leaves of what is gone.
    let second = lake.directory.path().join("second");
    let second = second.to_str().unwrap();
    run(lake.database(), &["lake", "sync", second, "--key", &lake.key]).well();
    let verified = verify(second, &lake.public(), &["--json"]).well();
    let found = report(&verified);
    assert!(found["pruned"].as_i64() >= Some(before - left), "{found:#}");
    assert!(verified.stdout.contains("which the lake never had"), "{}", verified.stdout);
    assert!(tables(std::path::Path::new(second)).keys().any(|name| name.starts_with("leaves/")));
    let kept: Uuid =
        sqlx::query_scalar("SELECT id FROM audit_events WHERE event_type = 'a.thing' ORDER BY created_at LIMIT 1")
            .fetch_one(&lake.database().pool)
            .await
            .unwrap();
    let here = alone(&["proof", &kept.to_string(), "--lake", second]).well();
    assert_eq!(here.stdout, run(lake.database(), &["proof", &kept.to_string()]).well().stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_refuses_what_the_lake_lacks_or_has_otherwise() {
    let lake = half_a_year(62).await;
    let before = lake.database().events().await;
    // No checkpoint covers this one, and so no lake contains it.
    let insert = "INSERT INTO audit_events (id, event_type, entity_type, created_at) \
                  VALUES (gen_random_uuid(), 'a.new', 'a', now() - interval '100 days') RETURNING id";
    let id: Uuid = sqlx::query_scalar(insert).fetch_one(&lake.database().pool).await.unwrap();
    prune(&lake, &[]).failed(&["is not in the lake", "nothing is pruned", "audit-trail checkpoint", &id.to_string()]);
    assert_eq!(lake.database().events().await, before + 1);
    lake.checkpoint().await;
    lake.sync(&[]).well();
    let old = Utc::now() - TimeDelta::days(100);
    let folder = format!("events/year={}/month={}/", old.year(), old.month());
    let name = tables(&lake.path()).into_keys().find(|name| name.starts_with(&folder)).unwrap();
    let file = lake.path().join(&name);
    let good = std::fs::read(&file).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    std::fs::write(&file, bad).unwrap();
    prune(&lake, &[]).failed(&[&name, "nothing is pruned"]);
    std::fs::write(&file, &good).unwrap();
    // A row that was changed with its file and manifest.
    change(&file, "actor", "mallory");
    seal(&lake.path(), |_| None, |_| {});
    prune(&lake, &[]).failed(&["the key did not sign it", "is not what was sealed", "nothing is written"]);
    assert_eq!(lake.database().events().await, before + 1);
    std::fs::write(&file, &good).unwrap();
    seal(&lake.path(), |_| None, |_| {});
    prune(&lake, &[]).well();
    assert!(lake.database().events().await < before);
    assert!(problems(&lake.verify(&["--json"])).iter().all(|finding| finding["kind"] == "manifest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_retention_moves_its_events_into_a_lake() {
    let lake = half_a_year(64).await;
    let file = lake.directory.path().join("retention.toml");
    let rule = format!("[[rule]]\nevent = \"a.thing\"\nkeep = \"60 days\"\narchive = \"{}/\"\n", lake.url());
    std::fs::write(&file, rule).unwrap();
    let retain = |more: &[&str]| {
        run(lake.database(), &[&["retain", file.to_str().unwrap(), "--key", &lake.key], more].concat()).well().stdout
    };
    let (all, things) = (lake.database().events().await, lake.database().events_of("a.thing").await);
    let old = "SELECT count(*) FROM audit_events WHERE event_type = 'a.thing' \
               AND created_at < date_trunc('day', now(), 'UTC') - interval '60 days'";
    let old = lake.database().count(old).await;
    let planned = retain(&[]);
    assert!(planned.contains(&format!("--apply removes {old} rows")) && !lake.path().exists(), "{planned}");
    assert_eq!(lake.database().events().await, all);
    let too_many = ["retain", file.to_str().unwrap(), "--key", &lake.key, "--apply", "--at-most", "1"];
    run(lake.database(), &too_many).failed(&["more than --at-most 1"]);
    let applied = retain(&["--apply"]);
    assert!(applied.contains("are in the lake") && applied.contains(&format!("{old} rows removed")), "{applied}");
    assert_eq!(lake.database().events_of("a.thing").await, things - old);
    assert_eq!(report(&lake.verify(&["--json"]).well())["rows"], all);
    assert!(retain(&["--apply"]).contains("nothing to remove"));
    lake.database().is_unharmed().await;
}
