//! A sync writes what is new, once, whatever interrupts it and whoever works beside it.

use crate::scene::{Lake, command, files, problems, report, run, tables};
use crate::trail::as_superuser;
use audit_runtime::Event;
use rand::RngExt;
use std::process::Stdio;
use std::time::{Duration, Instant};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_with_everything_verifies_in_the_lake_as_in_the_database() {
    for seed in [300, 301, 7] {
        let lake = Lake::new(seed).await;
        let synced = lake.sync(&[]).well();
        assert!(synced.stdout.contains("complete up to the checkpoint of"), "{}", synced.stdout);
        let (_, there) = lake.database().verify(Some(lake.scene.key.public()), &lake.scene.saved).await;
        let saved = lake.directory.path().join("saved");
        std::fs::write(&saved, lake.scene.saved.last().unwrap()).unwrap();
        let verified = lake.verify(&["--json", "--checkpoint", saved.to_str().unwrap()]).well();
        let here = report(&verified);
        for (name, expected) in [
            ("rows", there.rows),
            ("sealed_late", there.sealed_late),
            ("quarantined", there.quarantined),
            ("batches", there.batches),
            ("problems", 0),
        ] {
            assert_eq!(here[name], expected, "{name}: {here:#} {there:#?}");
        }
        assert!(here["signatures"].as_u64() >= Some(2), "{here:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sync_does_nothing_and_a_late_event_gets_a_further_file() {
    let lake = Lake::new(11).await;
    lake.sync(&[]).well();
    let first = files(&lake.path());
    let again = lake.sync(&[]).well();
    assert!(again.stdout.contains("nothing is new"), "{}", again.stdout);
    assert_eq!(files(&lake.path()), first);
    // An event of a day that the lake has.
    let insert = "INSERT INTO audit_events (id, event_type, entity_type, created_at) \
                  SELECT gen_random_uuid(), 'a.late', 'a', max(created_at) FROM audit_events RETURNING id";
    let id: Uuid = sqlx::query_scalar(insert).fetch_one(&lake.database().pool).await.unwrap();
    assert!(lake.sync(&[]).well().stdout.contains("nothing is new"), "no checkpoint covers it");
    lake.checkpoint().await;
    lake.sync(&[]).well();
    let (before, after) = (first.into_iter().filter(|(name, _)| !name.starts_with("manifest/")), tables(&lake.path()));
    for (name, bytes) in before {
        assert_eq!(after.get(&name), Some(&bytes), "{name}");
    }
    lake.verify(&[]).well();
    let proof = crate::scene::alone(&["proof", &id.to_string(), "--lake", &lake.url()]).well();
    assert!(proof.stdout.contains("a.late"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_checkpoint_a_lake_says_so_and_only_its_own_trail_goes_on_with_it() {
    let database = tests::Database::new().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lake");
    let path = path.to_str().unwrap();
    run(&database, &["lake", "sync", path]).failed(&["audit-trail checkpoint"]);
    let (one, other) = (Lake::new(1).await, Lake::new(2).await);
    one.sync(&[]).well();
    let before = files(&one.path());
    let foreign = run(other.database(), &["lake", "sync", &one.url(), "--key", &other.key]);
    foreign.failed(&["is of another trail", "nothing is written"]);
    assert_eq!(files(&one.path()), before);
    // A key that did not sign the checkpoint, and a place that is no lake.
    run(one.database(), &["lake", "sync", &one.url(), "--key", &other.key]).failed(&["--key", "last checkpoint"]);
    let full = directory.path().join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("notes.txt"), "mine").unwrap();
    let into = ["lake", "sync", full.to_str().unwrap(), "--key", &one.key];
    run(one.database(), &into).failed(&["is no lake", "notes.txt"]);
    for url in ["ftp://host/x", "s3://key:secret@bucket/x"] {
        let refused = run(one.database(), &["lake", "sync", url]);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(!refused.stderr.contains("secret@"), "{}", refused.stderr);
    }
    let locked = run(one.database(), &["lake", "sync", &one.url(), "--lock-days", "7"]);
    locked.failed(&["only S3 has Object Lock"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_not_what_was_sealed_does_not_get_into_the_lake() {
    let lake = Lake::new(5).await;
    let id: Uuid =
        sqlx::query_scalar("SELECT id FROM audit_events LIMIT 1").fetch_one(&lake.database().pool).await.unwrap();
    as_superuser(&lake.database().pool, &format!("UPDATE audit_events SET actor = 'x' WHERE id = '{id}'")).await;
    lake.sync(&[]).failed(&["is not what was sealed", &id.to_string(), "audit-trail verify"]);
    as_superuser(&lake.database().pool, &format!("DELETE FROM audit_events WHERE id = '{id}'")).await;
    lake.sync(&[]).failed(&["is gone", &id.to_string()]);
    assert!(files(&lake.path()).keys().all(|name| !name.starts_with("manifest/")));
}

/// A trail of some thousand events in small batches.
async fn long(seed: u64) -> Lake {
    let lake = Lake::new(seed).await;
    let audit = lake.database().audit().batch_rows(50).start().unwrap();
    for number in 0..4_000 {
        let time = chrono::Utc::now() - chrono::TimeDelta::minutes(number * 5);
        audit.record_at(Event::new("a.thing").entity("a", number), time).unwrap();
    }
    audit.shutdown(Duration::from_secs(60)).await.unwrap();
    lake.checkpoint().await;
    lake
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_killed_at_any_point_is_continued_and_leaves_nothing_behind() {
    let lake = long(21).await;
    let url = lake.url();
    let arguments = ["lake", "sync", url.as_str(), "--key", &lake.key, "--segment", "200"];
    let begin = Instant::now();
    let whole = tempfile::tempdir().unwrap();
    let mut other = arguments;
    other[2] = whole.path().to_str().unwrap();
    run(lake.database(), &other).well();
    let took = begin.elapsed();
    let mut orphans = 0;
    for _ in 0..8 {
        let mut sync = command(Some(&lake.database().url), &arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + took.mul_f64(rand::rng().random_range(0.2..0.9));
        while Instant::now() < until && sync.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let _ = sync.kill();
        sync.wait().unwrap();
        let verified = lake.verify(&["--json"]);
        if verified.stdout.contains("report") {
            let found = problems(&verified);
            orphans += found.iter().filter(|finding| finding["kind"] == "file_added").count();
            // What is there is what was recorded, and says that it is not all.
            let kinds = ["file_added", "manifest", "checkpoint"];
            assert!(found.iter().all(|finding| kinds.iter().any(|kind| finding["kind"] == *kind)), "{found:#?}");
        }
    }
    // The server ends the session of a killed client when it notices.
    tests::eventually("the lock is free", async || lake.sync(&["--segment", "200"]).code == 0).await;
    let verified = lake.verify(&["--json"]).well();
    assert_eq!(report(&verified)["rows"], lake.database().events().await);
    println!("{orphans} files without a manifest were seen");
    let manifests = files(&lake.path()).keys().filter(|name| name.starts_with("manifest/")).count();
    assert!(manifests <= 4, "{manifests} manifests");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_sync_wrote_in_part_is_deleted_and_files_of_others_stay() {
    let lake = Lake::new(23).await;
    lake.sync(&[]).well();
    let whole = files(&lake.path());
    // The store writes `name#1` first. A power cut leaves it, and so does a kill.
    for name in whole.keys() {
        for number in [1, 27] {
            std::fs::write(lake.path().join(format!("{name}#{number}")), "PAR1 in pa").unwrap();
        }
    }
    let kept = ["notes.txt#1", "manifest/0000000001.ndjson#", "manifest/0000000001.ndjson#1a", "manifest/notes#1"];
    for name in kept {
        std::fs::write(lake.path().join(name), "mine").unwrap();
    }
    let again = lake.sync(&[]).well();
    assert!(again.stdout.contains("nothing is new, complete up to the checkpoint of "), "{}", again.stdout);
    assert!(again.stdout.contains(&format!("cleared {} files", 2 * whole.len())), "{}", again.stdout);
    let mut left = files(&lake.path());
    for name in kept {
        assert_eq!(left.remove(name).as_deref(), Some(&b"mine"[..]), "{name}");
    }
    assert_eq!(left, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_syncs_at_once_one_does_the_work_and_the_other_says_so() {
    let lake = long(22).await;
    let url = lake.url();
    let arguments = ["lake", "sync", url.as_str(), "--key", &lake.key, "--segment", "300"];
    let start = || {
        let mut command = command(Some(&lake.database().url), &arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let all: Vec<_> = [start(), start(), start()].into_iter().map(|sync| sync.wait_with_output().unwrap()).collect();
    let (mut worked, mut told) = (0, 0);
    for output in all {
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(0) => worked += u32::from(!said.contains("nothing is new")),
            _ => {
                assert!(said.contains("another sync of the lake"), "{said}");
                told += 1;
            }
        }
    }
    assert!(worked == 1 && told >= 1, "{worked} worked, {told} told");
    lake.verify(&[]).well();
    assert!(lake.sync(&[]).well().stdout.contains("nothing is new"));
}
