//! Each change in a lake is found, and named.

use crate::rewrite::{change, header, manifest, seal, statement};
use crate::scene::{Lake, Ran, files, finds, one, put, verify};
use audit_runtime::evidence::SigningKey;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A copy of a lake, to be harmed.
fn copy(lake: &Lake) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lake");
    put(&path, &files(&lake.path()));
    (directory, path)
}

fn examine(lake: &Lake, path: &Path) -> Ran {
    verify(path.to_str().unwrap(), &lake.public(), &["--json"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_a_missing_file_and_a_strange_one_are_found_and_named() {
    let (lake, other) = (Lake::new(31).await, Lake::new(32).await);
    lake.sync(&[]).well();
    other.sync(&[]).well();
    for folder in ["events", "batches", "checkpoints"] {
        let (_directory, path) = copy(&lake);
        let name = one(&path, folder);
        let mut bytes = std::fs::read(path.join(&name)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        std::fs::write(path.join(&name), bytes).unwrap();
        finds(&examine(&lake, &path), "file_altered", &[&name, "SHA-256"]);

        let (_directory, path) = copy(&lake);
        std::fs::remove_file(path.join(&name)).unwrap();
        finds(&examine(&lake, &path), "file_missing", &[&name]);

        let (_directory, path) = copy(&lake);
        std::fs::copy(other.path().join(one(&other.path(), folder)), path.join(&name)).unwrap();
        finds(&examine(&lake, &path), "file_altered", &[&name, "of another lake"]);
    }
    let (_directory, path) = copy(&lake);
    let strange = one(&other.path(), "events");
    std::fs::create_dir_all(path.join(&strange).parent().unwrap()).unwrap();
    std::fs::copy(other.path().join(&strange), path.join(&strange)).unwrap();
    std::fs::write(path.join("events/notes.txt"), "x").unwrap();
    let ran = examine(&lake, &path);
    finds(&ran, "file_added", &[&strange]);
    finds(&ran, "file_added", &["events/notes.txt"]);
    // The lake of another log, as a whole.
    let ran = verify(
        &other.url(),
        &SigningKey::generate("audit.example.com/other").unwrap().public().to_string(),
        &["--json"],
    );
    finds(&ran, "signature", &[]);
    lake.verify(&[]).well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_changed_unsigned_or_signed_by_another_is_found() {
    let lake = Lake::new(33).await;
    lake.sync(&[]).well();
    let (_directory, path) = copy(&lake);
    let text = std::fs::read_to_string(manifest(&path)).unwrap();
    std::fs::write(manifest(&path), text.replacen("\"rows\":", "\"rows\":1", 1)).unwrap();
    finds(&examine(&lake, &path), "manifest", &["it was changed"]);
    // With a hash of its own, it lacks the signature.
    let (_directory, path) = copy(&lake);
    seal(&path, |_| None, |_| {});
    finds(&examine(&lake, &path), "manifest", &["not signed"]);
    let quiet = crate::scene::alone(&["verify", "--lake", path.to_str().unwrap()]);
    assert_eq!(quiet.code, 0, "without a key, signatures are not verified: {}", quiet.stdout);
    let thief = SigningKey::generate("audit.example.com/test").unwrap();
    let header = header(&lake.path());
    for (key, is_right) in [(&thief, false), (&lake.scene.key, true)] {
        let (_directory, path) = copy(&lake);
        seal(&path, |sha256| Some(key.sign_statement(&statement(&header, sha256)).unwrap()), |_| {});
        let ran = examine(&lake, &path);
        if is_right {
            assert_eq!(ran.code, 0, "{}", ran.stdout);
        } else {
            finds(&ran, "manifest", &["not signed by this key"]);
        }
    }
    // The signature of an older manifest.
    let (_directory, path) = copy(&lake);
    let seal_line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let note = seal_line["seal"]["note"].as_str().unwrap().to_owned();
    seal(
        &path,
        |_| Some(note),
        |line| {
            if let Some(log) = line.pointer_mut("/manifest/events") {
                *log = 0.into();
            }
        },
    );
    finds(&examine(&lake, &path), "manifest", &["that of another manifest"]);
    // A checkpoint is no signature of a manifest.
    let (_directory, path) = copy(&lake);
    let checkpoint = lake.scene.saved.last().unwrap().clone();
    seal(&path, |_| Some(checkpoint), |_| {});
    finds(&examine(&lake, &path), "manifest", &["that of another manifest"]);
    // The next sync with the key signs what was not signed.
    seal(&lake.path(), |_| None, |_| {});
    lake.verify(&[]).failed(&["not signed"]);
    lake.sync(&[]).well();
    lake.verify(&[]).well();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_changed_with_their_files_and_manifest_are_named() {
    let lake = Lake::new(34).await;
    lake.sync(&[]).well();
    let unsigned = |path: &Path| seal(path, |_| None, |_| {});
    for (column, value) in
        [("actor", "mallory"), ("data", "{\"forged\":1}"), ("event_type", "a.forged"), ("outcome", "ok.")]
    {
        let (_directory, path) = copy(&lake);
        let name = one(&path, "events");
        change(&path.join(&name), column, value);
        unsigned(&path);
        let found = finds(&examine(&lake, &path), "altered", &[&name, "not what was sealed"]);
        assert!(found[0]["event"].is_string() && found[0]["batch"].is_string(), "{found:#?}");
    }
    let (_directory, path) = copy(&lake);
    let name = one(&path, "events");
    change(&path.join(&name), "leaf", "0123456789abcdef0123456789abcdef");
    unsigned(&path);
    let ran = examine(&lake, &path);
    finds(&ran, "altered", &[&name]);
    finds(&ran, "batch_altered", &["not those of its root"]);
    let (_directory, path) = copy(&lake);
    change(&path.join(one(&path, "batches")), "origin", "mallory@host:1");
    unsigned(&path);
    finds(&examine(&lake, &path), "batch_altered", &["not what was put into the tree"]);
    let (_directory, path) = copy(&lake);
    change(&path.join(one(&path, "batches")), "leaf", "0123456789abcdef0123456789abcdef");
    unsigned(&path);
    finds(&examine(&lake, &path), "checkpoint", &["not those it was made of"]);
    let (_directory, path) = copy(&lake);
    let name = one(&path, "checkpoints");
    change(&path.join(&name), "note", &lake.scene.saved[0].replace("time 2", "time 3"));
    unsigned(&path);
    finds(&examine(&lake, &path), "signature", &[]);
    // A file under the name of another day is not where a search looks for it.
    let (_directory, path) = copy(&lake);
    let name = one(&path, "events");
    let moved = format!("events/year=2001/month=1/day=1/{}", name.rsplit('/').next().unwrap());
    std::fs::create_dir_all(path.join(&moved).parent().unwrap()).unwrap();
    std::fs::rename(path.join(&name), path.join(&moved)).unwrap();
    seal(
        &path,
        |_| None,
        |line| {
            if line.pointer("/file/path").is_some_and(|path| *path == name) {
                line["file"]["path"] = moved.clone().into();
            }
        },
    );
    finds(&examine(&lake, &path), "altered", &[&moved, "another day"]);
    // A segment that is left out of the manifest.
    let (_directory, path) = copy(&lake);
    seal(
        &path,
        |_| None,
        |line| {
            if line.pointer("/file/batches").is_some() {
                *line = Value::Null;
            }
        },
    );
    let text = std::fs::read_to_string(manifest(&path)).unwrap().replace("null\n", "");
    std::fs::write(manifest(&path), text).unwrap();
    finds(&examine(&lake, &path), "checkpoint", &["left"]);
    finds(&examine(&lake, &path), "manifest", &["run audit-trail lake sync"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_ends_before_a_saved_checkpoint_is_found() {
    let lake = Lake::new(35).await;
    lake.sync(&[]).well();
    let insert = "INSERT INTO audit_events (id, event_type, entity_type) VALUES (gen_random_uuid(), 'a.thing', 'a')";
    sqlx::query(insert).execute(&lake.database().pool).await.unwrap();
    let note = lake.database().admin().checkpoint(&lake.scene.key).await.unwrap().note;
    let saved = lake.directory.path().join("saved");
    std::fs::write(&saved, note).unwrap();
    let saved = saved.to_str().unwrap();
    finds(&lake.verify(&["--json", "--checkpoint", saved]), "checkpoint", &["does not contain"]);
    lake.sync(&[]).well();
    lake.verify(&["--checkpoint", saved]).well();
}
