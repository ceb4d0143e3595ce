//! A log whose key was exchanged, once and again, in the eyes of whoever kept one public key.

use super::{LONG, NAME, key, record};
use audit_runtime::evidence::{EvidenceError, Finding, FindingKind, Proof, PublicKey, Report, SigningKey};
use audit_runtime::{Event, audited};
use std::time::Duration;
use tests::{Database, eventually};
use uuid::Uuid;

/// A log of two keys, with the checkpoints as they were saved.
pub(crate) struct Log {
    pub(crate) database: Database,
    pub(crate) old: SigningKey,
    pub(crate) new: SigningKey,
    /// One of the old key, the exchange, one of the new key.
    pub(crate) saved: [String; 3],
}

impl Log {
    pub(crate) async fn new() -> Self {
        let (database, old, new) = (Database::new().await, key(), key());
        let mut saved = Vec::new();
        record(&database, 3).await;
        saved.push(database.admin().checkpoint(&old).await.unwrap().note);
        record(&database, 3).await;
        saved.push(database.admin().rotate_key(&old, &new, &saved).await.unwrap().note);
        record(&database, 3).await;
        saved.push(database.admin().checkpoint(&new).await.unwrap().note);
        Self { database, old, new, saved: saved.try_into().unwrap() }
    }

    pub(crate) async fn verify(&self, keys: &[&PublicKey], saved: &[String]) -> (Vec<Finding>, Report) {
        verify(&self.database, keys, saved).await
    }
}

pub(crate) async fn verify(database: &Database, keys: &[&PublicKey], saved: &[String]) -> (Vec<Finding>, Report) {
    let mut verification = audit_runtime::evidence::Verification::new().threads(1);
    for key in keys {
        verification = verification.public_key((*key).clone());
    }
    for (number, note) in saved.iter().enumerate() {
        verification = verification.checkpoint(format!("saved {number}"), note);
    }
    let mut findings = Vec::new();
    let tell = |step: audit_runtime::admin::Progress<'_>| {
        if let audit_runtime::admin::Progress::Found(finding) = step {
            findings.push(finding);
        }
    };
    let report = database.admin().verify(&verification, tell).await.unwrap();
    (findings, report)
}

/// The first event of each batch, by time.
async fn events(database: &Database) -> Vec<Uuid> {
    let sql =
        "SELECT (array_agg(e.id ORDER BY e.id))[1] FROM audit_events e GROUP BY batch_id ORDER BY min(created_at)";
    sqlx::query_scalar(sql).fetch_all(&database.pool).await.unwrap()
}

#[tokio::test]
async fn either_public_key_verifies_what_both_keys_signed() {
    let log = Log::new().await;
    let unknown = key();
    for given in [vec![log.old.public()], vec![log.new.public()], vec![log.new.public(), log.old.public()]] {
        let (findings, report) = log.verify(&given, &log.saved).await;
        assert_eq!((report.problems, report.signatures, report.checkpoints), (0, 6, 6), "{findings:#?}");
        let exchanged: Vec<_> = findings.iter().filter(|finding| finding.kind == FindingKind::Rotated).collect();
        assert!(exchanged.len() == 1 && exchanged[0].text.contains(&log.new.public().to_string()), "{findings:#?}");
    }
    let (findings, report) = log.verify(&[unknown.public()], &[]).await;
    let refused = findings.iter().filter(|finding| finding.kind == FindingKind::Signature).count();
    assert_eq!((refused, report.checkpoints), (3, 0), "{findings:#?}");
    // Without a key, signatures say nothing, and neither does an exchange.
    let (findings, report) = log.verify(&[], &log.saved).await;
    assert!(report.problems == 0 && findings.is_empty(), "{findings:#?}");
}

#[tokio::test]
async fn a_proof_crosses_the_exchange_in_both_directions() {
    let log = Log::new().await;
    let events = events(&log.database).await;
    assert!(events.len() >= 3);
    for event in [events[0], events[events.len() - 1]] {
        let proof = log.database.admin().prove(event).await.unwrap().to_json().unwrap();
        let proof = Proof::from_json(&proof).unwrap();
        for key in [&log.old, &log.new] {
            let proven = proof.verify(key.public()).unwrap();
            assert_eq!((proven.event_id, proven.name.as_str()), (event, NAME));
        }
        assert!(proof.verify(key().public()).is_err());
    }
    // Without the exchange, the proof is one of the key that signed its checkpoint.
    let proof = log.database.admin().prove(events[0]).await.unwrap().to_json().unwrap();
    let mut document: serde_json::Value = serde_json::from_str(&proof).unwrap();
    document.as_object_mut().unwrap().remove("rotations").unwrap();
    let proof = Proof::from_json(&document.to_string()).unwrap();
    assert!(proof.verify(log.old.public()).is_ok() && proof.verify(log.new.public()).is_err());
}

#[tokio::test]
async fn keys_are_exchanged_again_and_each_signs_in_its_time_only() {
    let Log { database, old, new, saved } = Log::new().await;
    let admin = database.admin();
    let third = key();
    let refused = |error: EvidenceError, part: &str| {
        let text = error.to_string();
        assert!(text.contains(part), "{text}");
    };
    refused(admin.checkpoint(&old).await.unwrap_err(), &format!("for {}, so nothing is signed", new.public()));
    refused(admin.rotate_key(&old, &third, &[]).await.unwrap_err(), "nothing is signed by the old one");
    refused(admin.rotate_key(&new, &old, &[]).await.unwrap_err(), "was exchanged before");
    refused(admin.rotate_key(&new, &new, &[]).await.unwrap_err(), "both keys are the same");
    let other = SigningKey::generate("another.example").unwrap();
    refused(admin.rotate_key(&new, &other, &[]).await.unwrap_err(), "the name another.example");
    refused(admin.rotate_key(&third, &key(), &[]).await.unwrap_err(), "audit-trail checkpoint --rotate");
    refused(admin.checkpoint(&third).await.unwrap_err(), "audit-trail checkpoint --rotate");
    assert_eq!(database.count("SELECT count(*) FROM audit_checkpoints").await, 3);

    // At once, without a checkpoint or an event in between.
    admin.rotate_key(&new, &third, &saved).await.unwrap();
    let fourth = key();
    admin.rotate_key(&third, &fourth, &[]).await.unwrap();
    refused(admin.checkpoint(&third).await.unwrap_err(), "nothing is signed by the old one");
    record(&database, 1).await;
    admin.checkpoint(&fourth).await.unwrap();
    for key in [&old, &new, &third, &fourth] {
        let (findings, report) = verify(&database, &[key.public()], &saved).await;
        assert_eq!((report.problems, report.signatures), (0, 9), "{findings:#?}");
    }
}

#[tokio::test]
async fn a_log_begins_with_an_exchange_if_it_must() {
    let (database, old, new) = (Database::new().await, key(), key());
    database.admin().rotate_key(&old, &new, &[]).await.unwrap();
    record(&database, 2).await;
    database.admin().checkpoint(&new).await.unwrap();
    for key in [&old, &new] {
        let (findings, report) = verify(&database, &[key.public()], &[]).await;
        assert_eq!((report.problems, report.signatures), (0, 2), "{findings:#?}");
    }
}

#[audited(event = "order.submitted", id = none)]
fn submit() {}

#[tokio::test]
async fn services_make_checkpoints_with_the_new_key() {
    let Log { database, old, new, .. } = Log::new().await;
    let every = Duration::from_millis(50);
    let audit = database.audit().checkpoint_every(every, new.clone()).start().unwrap();
    audit.scope(async { submit() }).await;
    let made = "SELECT count(*) FROM audit_checkpoints";
    eventually("the service makes two", async || database.count(made).await >= 5).await;
    audit.shutdown(LONG).await.unwrap();
    let before = database.count(made).await;
    // A service that still has the old key signs nothing, and stores its events.
    let audit = database.audit().checkpoint_every(every, old.clone()).start().unwrap();
    audit.record(Event::new("order.submitted")).unwrap().stored().await.unwrap();
    audit.shutdown(LONG).await.unwrap();
    assert_eq!(database.count(made).await, before);
    for key in [&old, &new] {
        let (findings, report) = verify(&database, &[key.public()], &[]).await;
        assert_eq!((report.problems, report.signatures), (0, before.cast_unsigned()), "{findings:#?}");
    }
}
