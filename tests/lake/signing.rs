//! A key signs only a lake for which it can answer, and a manifest states only what its files have.

use crate::rewrite::{change, header, manifest, seal, statement};
use crate::scene::{Lake, alone, files, finds, one, put, run};
use serde_json::{Value, json};
use std::path::Path;
use tests::Database;

fn unsigned(path: &Path) {
    seal(path, |_| None, |_| {});
}

/// Makes a manifest that the lake's own key signs, as if that were stolen.
fn signed(lake: &Lake, change: impl Fn(&mut Value)) {
    let header = header(&lake.path());
    let sign = |sha256: &str| lake.scene.key.sign_statement(&statement(&header, sha256)).unwrap();
    seal(&lake.path(), |sha256| Some(sign(sha256)), change);
}

/// A lake in a directory, with a file of each kind.
async fn synced(seed: u64) -> Lake {
    let lake = Lake::new(seed).await;
    let insert = "INSERT INTO audit_catalogue (service, version, digest, functions, origin) VALUES ('desk', '1', sha256('desk'), '[]', 'desk@host:1')";
    sqlx::query(insert).execute(&lake.database().pool).await.unwrap();
    lake.sync(&[]).well();
    lake
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_signs_no_lake_that_somebody_changed() {
    let lake = synced(71).await;
    let good = files(&lake.path());
    let events = one(&lake.path(), "events/");
    type Attack = fn(&Path, &str);
    let attacks: [(Attack, &str); 4] = [
        (|lake, name| change(&lake.join(name), "actor", "mallory"), "not what was sealed"),
        (|lake, name| std::fs::remove_file(lake.join(name)).unwrap(), "is gone"),
        (|lake, _| std::fs::remove_file(lake.join(one(lake, "catalogue/"))).unwrap(), "is gone"),
        (|lake, name| std::fs::write(lake.join(name), "PAR1").unwrap(), "cannot be read"),
    ];
    for (attack, words) in attacks {
        attack(&lake.path(), &events);
        unsigned(&lake.path());
        let before = files(&lake.path());
        lake.sync(&[]).failed(&["the key did not sign it", words, "nothing is written", "verify --lake"]);
        assert_eq!(files(&lake.path()), before, "{words}");
        std::fs::remove_dir_all(lake.path()).unwrap();
        put(&lake.path(), &good);
    }
    // A manifest whose note was removed, or is another key's, is signed once the lake verifies.
    let thief = audit_runtime::evidence::SigningKey::generate("audit.example.com/test").unwrap();
    for note in [None, Some(thief.sign_statement("x\n").unwrap())] {
        seal(&lake.path(), |_| note, |_| {});
        assert_ne!(lake.verify(&[]).code, 0);
        let synced = lake.sync(&[]).well();
        assert!(
            format!("{}{}", synced.stdout, synced.stderr).contains("verifying the lake before"),
            "{}",
            synced.stdout
        );
        lake.verify(&[]).well();
    }
    // Without a key, a sync goes on, and signs nothing.
    let url = lake.url();
    run(lake.database(), &["lake", "sync", &url]).well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_states_what_its_files_have_and_each_file_is_read() {
    let lake = synced(72).await;
    let good = std::fs::read(manifest(&lake.path())).unwrap();
    let (events, catalogue) = (one(&lake.path(), "events/"), one(&lake.path(), "catalogue/"));
    let of = |line: &Value, name: &str| line.pointer("/file/path").is_some_and(|path| *path == name);
    let examine = |name: &str, field: &str, value: Value, words: &[&str]| {
        signed(&lake, |line| {
            if of(line, name) {
                line["file"][field] = value.clone();
            }
        });
        finds(&lake.verify(&["--json"]), "manifest", words);
        std::fs::write(manifest(&lake.path()), &good).unwrap();
    };
    let past = json!(["2001-01-01T00:00:00.000000+00:00", "2001-01-02T00:00:00.000000+00:00"]);
    examine(&events, "times", past, &[&events, "times and ids"]);
    examine(&events, "times", Value::Null, &[&events, "times and ids"]);
    let ids = json!(["00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001"]);
    examine(&events, "ids", ids, &[&events, "times and ids"]);
    examine(&events, "rows", json!(1_000_000), &[&events, "rows"]);
    examine(&events, "batches", Value::Null, &[&events, "no segment"]);
    examine(&events, "batches", json!([5, 5]), &[&events, "no segment"]);
    examine(&one(&lake.path(), "batches/"), "batches", json!([9, 3]), &["no segment"]);
    signed(&lake, |line| {
        if let Some(events) = line.pointer_mut("/manifest/events") {
            *events = json!(3);
        }
    });
    finds(&lake.verify(&["--json"]), "manifest", &["states 3 events"]);
    std::fs::write(manifest(&lake.path()), &good).unwrap();
    let bytes = std::fs::read(lake.path().join(&catalogue)).unwrap();
    std::fs::write(lake.path().join(&catalogue), "PAR1").unwrap();
    finds(&lake.verify(&["--json"]), "file_altered", &[&catalogue]);
    std::fs::remove_file(lake.path().join(&catalogue)).unwrap();
    finds(&lake.verify(&["--json"]), "file_missing", &[&catalogue]);
    std::fs::write(lake.path().join(&catalogue), bytes).unwrap();
    lake.verify(&[]).well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_under_another_number_is_reported_and_stops_nobody() {
    let lake = Lake::new(73).await;
    lake.sync(&[]).well();
    let newest = manifest(&lake.path());
    for number in [9_999_999_999_u64, u64::MAX] {
        std::fs::copy(&newest, newest.with_file_name(format!("{number:010}.ndjson"))).unwrap();
        finds(&lake.verify(&["--json"]), "file_added", &[&number.to_string()]);
        alone(&["verify", "--lake", &lake.url()]).failed(&["does not name it"]);
        let id: uuid::Uuid =
            sqlx::query_scalar("SELECT id FROM audit_events LIMIT 1").fetch_one(&lake.database().pool).await.unwrap();
        alone(&["proof", &id.to_string(), "--lake", &lake.url()]).well();
        lake.sync(&[]).well();
        lake.verify(&[]).well();
    }
}

/// Holds the lock of a sync of this name.
async fn locked(database: &Database, name: &str) -> sqlx::pool::PoolConnection<sqlx::Postgres> {
    let mut connection = database.pool.acquire().await.unwrap();
    let lock = "SELECT pg_advisory_lock(hashtextextended('audit-trail lake ' || $1, 0))";
    sqlx::query(lock).bind(name).execute(&mut *connection).await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_has_one_lock_whatever_its_name() {
    let lake = Lake::new(74).await;
    lake.sync(&[]).well();
    let path = lake.path().canonicalize().unwrap();
    let link = lake.directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let names = [
        path.display().to_string(),
        format!("{}/", path.display()),
        format!("{}/../lake", path.display()),
        format!("file://{}", path.display()),
        link.display().to_string(),
    ];
    for lock in [names[0].clone(), header(&path)["lake"].as_str().unwrap().to_owned()] {
        let held = locked(lake.database(), &lock).await;
        for name in &names {
            let arguments = ["lake", "sync", name, "--key", &lake.key];
            run(lake.database(), &arguments).failed(&["another sync of the lake"]);
        }
        sqlx::Connection::close(held.detach()).await.unwrap();
    }
    let free = async || lake.sync(&[]).code == 0;
    tests::eventually("the locks are free", free).await;
}
