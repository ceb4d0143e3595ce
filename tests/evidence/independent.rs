//! A verifier in Python, written from docs/evidence.md, agrees. It also verifies proofs.

use crate::scene::{Scene, as_superuser};
use audit_runtime::MasterKey;
use audit_runtime::evidence::{Proof, ProofError, SigningKey, Tree};
use audit_runtime::trail::{EventFilter, Trail};
use serde_json::Value;
use std::process::Output;
use tests::Database;
use tests::python::program;
use uuid::Uuid;

fn verifier(arguments: &[&str]) -> Option<Output> {
    Some(program("interop/verifier.py")?.args(arguments).output().unwrap())
}

pub fn trail(scene: &Scene) -> Option<Value> {
    let output = verifier(&["trail", &scene.database.url, &scene.key.public().to_string()])?;
    let errors = String::from_utf8_lossy(&output.stderr);
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_verifier_agrees_on_digests_roots_and_signatures() {
    for seed in 300..304 {
        let scene = Scene::new(seed).await;
        let (_, report) = scene.database.verify(Some(scene.key.public()), &[]).await;
        let Some(found) = trail(&scene) else {
            return;
        };
        assert_eq!(found["problems"], serde_json::json!([]), "{found:#}");
        assert_eq!(found["rows"], report.rows);
        assert_eq!(keys(&scene.database), Some(vec![]));
        let forms: Vec<i16> = sqlx::query_scalar("SELECT DISTINCT leaf_form FROM audit_batches ORDER BY 1")
            .fetch_all(&scene.database.pool)
            .await
            .unwrap();
        assert_eq!(forms, [1, 2], "batches of both forms");
        assert_eq!((&found["batches"], &found["checkpoints"]), (&report.batches.into(), &report.checkpoints.into()));
        let id: Uuid = sqlx::query_scalar("SELECT id FROM audit_events ORDER BY id LIMIT 1")
            .fetch_one(&scene.database.pool)
            .await
            .unwrap();
        for (change, problem) in [
            (format!("UPDATE audit_events SET actor = actor || '.' WHERE id = '{id}'"), "altered"),
            ("UPDATE audit_events SET tenant = 'globex' WHERE tenant = 'acme'".into(), "altered"),
            ("UPDATE audit_batches SET leaf_form = 3 - leaf_form".into(), "batch altered"),
            ("UPDATE audit_checkpoints SET note = replace(note, 'time 2', 'time 3')".into(), "signature"),
            (format!("DELETE FROM audit_events WHERE id = '{id}'"), "missing"),
        ] {
            as_superuser(&scene.database.pool, &change).await;
            let found = trail(&scene).unwrap();
            assert!(
                found["problems"].as_array().unwrap().iter().any(|found| found.as_str().unwrap().starts_with(problem)),
                "{problem}: {found:#}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_verifiers_follow_an_exchanged_key_from_either_side() {
    let mut scene = Scene::new(7).await;
    let (old, new) = (scene.key.clone(), SigningKey::generate("audit.example.com/test").unwrap());
    let admin = scene.database.admin();
    admin.rotate_key(&old, &new, &[]).await.unwrap();
    let insert = "INSERT INTO audit_events (id, event_type, entity_type) VALUES (gen_random_uuid(), 'a.thing', 'a') RETURNING id";
    let last: Uuid = sqlx::query_scalar(insert).fetch_one(&scene.database.pool).await.unwrap();
    admin.checkpoint(&new).await.unwrap();
    let proof = admin.prove(last).await.unwrap().to_json().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proof.json");
    std::fs::write(&path, &proof).unwrap();
    for key in [&old, &new] {
        scene.key = key.clone();
        let Some(found) = trail(&scene) else { return };
        assert_eq!(found["problems"], serde_json::json!([]), "{found:#}");
        let (_, report) = scene.database.verify(Some(key.public()), &[]).await;
        assert_eq!((report.problems, &found["checkpoints"]), (0, &report.checkpoints.into()));
        let proven = verifier(&["proof", path.to_str().unwrap(), &key.public().to_string()]).unwrap();
        assert_eq!(String::from_utf8_lossy(&proven.stdout).trim(), last.to_string());
    }
    // Without the statement, each key verifies its own checkpoints.
    as_superuser(&scene.database.pool, "DELETE FROM audit_checkpoints WHERE note LIKE '%rotated %'").await;
    let found = trail(&scene).unwrap();
    assert!(found["problems"].to_string().contains("signature: "), "{found:#}");
}

/// The events whose keys give other ids by the recipe of `uuid5`.
fn keys(database: &Database) -> Option<Vec<String>> {
    let output = verifier(&["keys", &database.url])?;
    let errors = String::from_utf8_lossy(&output.stderr);
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}")))
}

/// The decrypted values: event, name, value, and whether the nonce is right.
pub fn personal(database: &Database, master: &MasterKey) -> Option<Vec<(Uuid, String, Value, bool)>> {
    let output = verifier(&["personal", &database.url, master.secret()])?;
    let errors = String::from_utf8_lossy(&output.stderr);
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_has_a_proof_that_both_verify_and_none_that_was_changed() {
    let scene = Scene::new(42).await;
    let key = scene.key.public();
    let ids: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM audit_events").fetch_all(&scene.database.pool).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (number, id) in ids.iter().enumerate() {
        let json = scene.database.admin().prove(*id).await.unwrap().to_json().unwrap();
        let proven = Proof::from_json(&json).unwrap().verify(key).unwrap();
        assert_eq!((proven.event_id, proven.name.as_str()), (*id, "audit.example.com/test"));
        assert!(proven.by.is_some());
        let changes = [
            ("\"actor\": \"", "\"actor\": \"x"),
            ("\"number\": ", "\"number\": 1"),
            ("\"origin\": \"", "\"origin\": \"x"),
            ("number ", "number 1"),
            ("\"data\": {", "\"data\": {\"forged\":1,"),
        ];
        for (from, to) in changes {
            let forged = json.replacen(from, to, 1);
            assert_ne!(forged, json, "{from}: {json}");
            assert!(
                Proof::from_json(&forged).is_err() || Proof::from_json(&forged).unwrap().verify(key).is_err(),
                "{from}"
            );
        }
        let other = SigningKey::generate("audit.example.com/test").unwrap();
        assert!(matches!(Proof::from_json(&json).unwrap().verify(other.public()), Err(ProofError::Key(_))));
        if number < 8 {
            let path = directory.path().join("proof.json");
            std::fs::write(&path, &json).unwrap();
            let Some(output) = verifier(&["proof", path.to_str().unwrap(), &key.to_string()]) else {
                return;
            };
            assert_eq!(
                String::from_utf8_lossy(&output.stdout).trim(),
                id.to_string(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            std::fs::write(&path, json.replacen("\"actor\": \"", "\"actor\": \"x", 1)).unwrap();
            assert!(!verifier(&["proof", path.to_str().unwrap(), &key.to_string()]).unwrap().status.success());
        }
    }
    // Each row is found as it was sealed, too.
    let mut tree = Tree::new();
    scene.database.admin().extend_tree(&mut tree).await.unwrap();
    let events =
        Trail::new(scene.database.pool.clone()).events(&EventFilter::new().limit(10_000)).await.unwrap().events;
    let examined = scene.database.admin().examine(&events, &tree, Some(key)).await.unwrap();
    assert!(examined.len() == ids.len() && examined.iter().all(|examination| examination.is_proven()), "{examined:#?}");
    let error = scene.database.admin().prove(Uuid::nil()).await.unwrap_err();
    assert!(matches!(error, ProofError::NotFound(_)), "{error}");
    let insert = "INSERT INTO audit_events (id, event_type, entity_type) VALUES ($1, 'a.thing', 'a')";
    sqlx::query(insert).bind(Uuid::nil()).execute(&scene.database.pool).await.unwrap();
    let error = scene.database.admin().prove(Uuid::nil()).await.unwrap_err();
    assert!(matches!(error, ProofError::NotCovered(_)), "{error}");
}
