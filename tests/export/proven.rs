//! The events of another system are proven, or found altered.

use crate::{call, forward, record, run, submit};
use audit_runtime::evidence::SigningKey;
use serde_json::{Value, json};
use std::path::Path;
use tests::Database;

async fn checkpoint(database: &Database, key: &SigningKey, name: &str) -> String {
    let note = database.admin().checkpoint(key).await.unwrap().note;
    let path = database.journals.path().join(name);
    std::fs::write(&path, note).unwrap();
    path.to_str().unwrap().to_owned()
}

fn rewrite(path: &Path, change: impl Fn(&str) -> String) -> String {
    let changed = path.with_extension("changed");
    std::fs::write(&changed, change(&std::fs::read_to_string(path).unwrap())).unwrap();
    changed.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_export_of_each_form_is_proven_by_a_checkpoint_that_was_kept() {
    let database = Database::new().await;
    call(&database, || {
        let _ = submit(7, 199.399_999_999_999_98);
        let _ = submit(8, 2_000.0);
    })
    .await;
    let raw = "INSERT INTO audit_events (id, event_type, entity_type, actor, data, created_at) VALUES \
         (gen_random_uuid(), 'raw.row', '', 'x', '{\"a\": 1.10, \"b\": \"é\"}', '0044-03-15 12:00Z BC')";
    sqlx::raw_sql(raw).execute(&database.pool).await.unwrap();
    let key = SigningKey::generate("audit.example.com/desk").unwrap();
    let kept = checkpoint(&database, &key, "kept").await;
    let public = key.public().to_string();
    let verify =
        |file: &str| run(&database, &["verify", "--feed", file, "--checkpoint", &kept, "--public-key", &public]);
    for form in ["ndjson", "cloudevents", "ocsf", "ecs"] {
        let file = database.journals.path().join(form);
        assert_eq!(forward(&database, file.to_str().unwrap(), &["--form", form]).0, 0);
        let (code, text) = verify(file.to_str().unwrap());
        assert_eq!(
            (code, text.lines().next().unwrap()),
            (0, "3 events proven, 0 stated by their digest alone, 0 not covered by the checkpoint, 0 altered"),
            "{form}"
        );
        // One digit of one number, and one letter of an actor.
        for (from, to) in [("199.39999999999998", "199.39999999999997"), ("user:ada", "user:eve")] {
            let changed = rewrite(&file, |text| text.replacen(from, to, 1000));
            let (code, text) = verify(&changed);
            assert_eq!(code, 1, "{form} {from}: {text}");
            assert!(text.contains("the copy is not what was sealed"), "{form} {from}: {text}");
        }
    }
}

#[tokio::test]
async fn what_is_not_covered_or_invented_is_told_apart() {
    let database = Database::new().await;
    record(&database, 3).await;
    let key = SigningKey::generate("audit.example.com/desk").unwrap();
    let kept = checkpoint(&database, &key, "kept").await;
    record(&database, 2).await;
    let _ = checkpoint(&database, &key, "later").await;
    let file = database.journals.path().join("all");
    assert_eq!(forward(&database, file.to_str().unwrap(), &[]).0, 0);
    let public = key.public().to_string();
    let (code, text) =
        run(&database, &["verify", "--feed", file.to_str().unwrap(), "--checkpoint", &kept, "--public-key", &public]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("3 events proven, 0 stated by their digest alone, 2 not covered"), "{text}");
    let (_, text) = run(&database, &["verify", "--feed", file.to_str().unwrap(), "--public-key", &public]);
    assert!(text.contains("5 events proven"), "{text}");
    // A line that nobody sent, one without evidence, and one that is no JSON.
    let changed = rewrite(&file, |text| {
        let first = text.lines().next().unwrap();
        let id = &first[7..43];
        format!("{}\n{{\"id\":1}}\nnothing\n", first.replace(id, "00000000-0000-4000-8000-000000000000"))
    });
    let (code, text) = run(&database, &["verify", "--feed", &changed, "--public-key", &public, "--json"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("\"line\":1") && text.contains("sealed without it"), "{text}");
    assert!(text.contains("\"line\":2") && text.contains("\"line\":3") && text.contains("\"altered\":3"), "{text}");
    // A checkpoint of another key proves nothing.
    let other = SigningKey::generate("audit.example.com/desk").unwrap().public().to_string();
    let (code, _) =
        run(&database, &["verify", "--feed", file.to_str().unwrap(), "--checkpoint", &kept, "--public-key", &other]);
    assert_eq!(code, 2);
}

#[tokio::test]
async fn a_copy_outlives_what_becomes_of_the_database() {
    let database = Database::new().await;
    record(&database, 4).await;
    let key = SigningKey::generate("audit.example.com/desk").unwrap();
    let kept = checkpoint(&database, &key, "kept").await;
    let file = database.journals.path().join("all");
    assert_eq!(forward(&database, file.to_str().unwrap(), &[]).0, 0);
    let public = key.public().to_string();
    let verify = || {
        run(&database, &["verify", "--feed", file.to_str().unwrap(), "--checkpoint", &kept, "--public-key", &public])
    };
    // Rows are gone: the copy proves them all the same.
    let delete = "SET session_replication_role TO replica; DELETE FROM audit_events; RESET session_replication_role";
    sqlx::raw_sql(delete).execute(&database.pool).await.unwrap();
    assert_eq!(verify().0, 0);
    // Seals are changed to those of other rows: the checkpoint tells.
    let forge = "SET session_replication_role TO replica; UPDATE audit_batches SET leaves = overlay(leaves PLACING '\\x00' FROM 20); RESET session_replication_role";
    sqlx::raw_sql(forge).execute(&database.pool).await.unwrap();
    let (code, text) = verify();
    assert!(code == 1 && text.contains("altered"), "{text}");
}

#[tokio::test]
async fn metadata_states_its_digest_and_personal_values_stay_encrypted() {
    let database = Database::new().await;
    let audit =
        database.audit().master_key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".parse().unwrap()).start().unwrap();
    audit
        .record(
            audit_runtime::Event::new("customer.changed")
                .personal("customer:1", &serde_json::json!({"mail": "ada@example.com"})),
        )
        .unwrap();
    audit.shutdown(crate::LONG).await.unwrap();
    let key = SigningKey::generate("audit.example.com/desk").unwrap();
    let kept = checkpoint(&database, &key, "kept").await;
    let public = key.public().to_string();
    for (level, expected) in
        [("full", "1 event proven"), ("metadata", "0 events proven, 1 stated by their digest alone")]
    {
        let file = database.journals.path().join(level);
        assert_eq!(forward(&database, file.to_str().unwrap(), &["--level", level]).0, 0);
        assert!(!std::fs::read_to_string(&file).unwrap().contains("ada@example.com"));
        let arguments = ["verify", "--feed", file.to_str().unwrap(), "--checkpoint", &kept, "--public-key", &public];
        let (code, text) = run(&database, &[&arguments[..], &["--level", level]].concat());
        assert!(code == 0 && text.contains(expected), "{text}");
    }
}

/// The line in its form, with these members of the event and of its evidence in place of others.
fn forged(form: &str, line: &str, event: &[(&str, Value)], evidence: &[(&str, Value)]) -> String {
    let mut whole: Value = serde_json::from_str(line).unwrap();
    let mut set = |pointer: &str, pairs: &[(&str, Value)]| {
        let object = whole.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
        for (name, value) in pairs {
            match value {
                Value::Null => object.remove(*name),
                value => object.insert((*name).to_owned(), value.clone()),
            };
        }
    };
    let (events, proofs) = match form {
        "ocsf" => ("/unmapped/event", "/unmapped/audit"),
        "ecs" => ("/audit_trail/event", "/audit_trail"),
        "cloudevents" => ("", ""),
        _ => ("", "/audit"),
    };
    set(events, event);
    set(proofs, evidence);
    whole.to_string()
}

#[tokio::test]
async fn a_copy_cannot_say_of_itself_that_its_digest_is_not_to_be_computed() {
    let database = Database::new().await;
    call(&database, || {
        let _ = submit(7, 10.0);
    })
    .await;
    let key = SigningKey::generate("audit.example.com/desk").unwrap();
    let kept = checkpoint(&database, &key, "kept").await;
    let public = key.public().to_string();
    let written = database.journals.path().join("forged");
    let verify = |text: &str, level: &[&str]| {
        std::fs::write(&written, text).unwrap();
        let arguments = ["verify", "--feed", written.to_str().unwrap(), "--checkpoint", &kept, "--public-key", &public];
        run(&database, &[&arguments[..], level].concat())
    };
    let metadata = &["--level", "metadata"][..];
    let level = ("level", Value::from("metadata"));
    for form in ["ndjson", "cloudevents", "ocsf", "ecs"] {
        let sent = |level: &str| {
            let file = database.journals.path().join(format!("{form}.{level}"));
            assert_eq!(forward(&database, file.to_str().unwrap(), &["--form", form, "--level", level]).0, 0);
            std::fs::read_to_string(file).unwrap()
        };
        let (full, bare) = (sent("full"), sent("metadata"));
        let data = || ("data", json!({"price": 1}));
        let forgeries = [
            forged(form, &full, &[("actor", "user:eve".into()), data()], std::slice::from_ref(&level)),
            forged(form, &full, &[("actor", "user:eve".into()), data()], &[("level", true.into())]),
            forged(form, &full, &[("actor", "user:eve".into()), ("data", json!({}))], std::slice::from_ref(&level)),
        ];
        for forgery in &forgeries {
            let wrapped = [
                forgery.clone(),
                json!({"_source": serde_json::from_str::<Value>(forgery).unwrap()}).to_string(),
                json!({"result": {"_raw": forgery}}).to_string(),
            ];
            for text in wrapped {
                let (code, said) = verify(&text, &[]);
                assert!(code == 1 && said.contains("1 altered") && said.contains("--level metadata"), "{form}: {said}");
            }
        }
        assert_eq!(verify(&bare, &[]).0, 1, "{form}: nobody said that the data is left out");
        // Who says so gets what was sent, with its digest, and nothing besides.
        let (code, said) = verify(&bare, metadata);
        assert!(code == 0 && said.contains("1 stated by their digest alone"), "{form}: {said}");
        let (code, said) = verify(&full, metadata);
        assert!(code == 0 && said.contains("1 event proven"), "{form}: {said}");
        let context = if form == "cloudevents" { json!("{\"ip\":\"10.0.0.7\"}") } else { json!({"ip": "10.0.0.7"}) };
        for (text, part) in [
            (forged(form, &bare, &[data()], &[]), "it has data or a context"),
            (forged(form, &bare, &[("context", context)], &[]), "it has data or a context"),
            (forged(form, &bare, &[], &[("leaf", Value::Null)]), "it states no digest"),
            (forged(form, &bare, &[], &[("leaf", "00".into())]), "not the one that was sealed"),
            (forged(form, &bare, &[], &[("level", Value::Null)]), "the copy is not what was sealed"),
        ] {
            let (code, said) = verify(&text, metadata);
            assert!(code == 1 && said.contains(part), "{form}: {part}: {said}");
        }
    }
}
