//! Attacks on an exchange: it is forged, removed, contradicted; the old key is stolen.

use super::chain::{Log, verify};
use super::{as_superuser, key, record};
use audit_runtime::evidence::{FindingKind, SigningKey};
use tests::Database;

/// Takes the log back to so many checkpoints.
async fn back_to(database: &Database, checkpoints: i64) {
    as_superuser(
        database,
        &format!(
            "DELETE FROM audit_checkpoints WHERE id NOT IN (SELECT id FROM audit_checkpoints ORDER BY id LIMIT {checkpoints}); \
             DELETE FROM audit_tree WHERE number >= (SELECT coalesce(max(tree_size), 0) FROM audit_checkpoints)"
        ),
    )
    .await;
}

/// The signatures that are refused, with everything that is a problem.
async fn problems(log: &Log, key: &SigningKey, saved: &[String]) -> (usize, Vec<String>) {
    let (findings, report) = log.verify(&[key.public()], saved).await;
    let problems: Vec<_> = findings.iter().filter(|finding| finding.is_problem()).collect();
    assert_eq!(report.problems, problems.len() as u64);
    let signatures = problems.iter().filter(|finding| finding.kind == FindingKind::Signature).count();
    (signatures, problems.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn an_exchange_that_was_changed_or_lacks_a_signature_leads_nowhere() {
    let log = Log::new().await;
    let unknown = key();
    let exchange = "UPDATE audit_checkpoints SET note = $NEW WHERE id = 2";
    let signature = |key: &SigningKey| {
        let line = log.saved[1].lines().find(|line| line.starts_with('\u{2014}') && is_of(line, key)).unwrap();
        format!("{line}\n")
    };
    for (forged, old, new) in [
        // For a key of the attacker's.
        (log.saved[1].replace(&log.new.public().to_string(), &unknown.public().to_string()), 2, 2),
        // Only the new key has signed it.
        (log.saved[1].replace(&signature(&log.old), ""), 2, 1),
        // Only the old key has.
        (log.saved[1].replace(&signature(&log.new), ""), 1, 2),
    ] {
        assert_ne!(forged, log.saved[1]);
        as_superuser(&log.database, &exchange.replace("$NEW", &format!("E'{}'", forged.replace('\n', "\\n")))).await;
        let (found, problems_of_old) = problems(&log, &log.old, &[]).await;
        assert_eq!(found, old, "{problems_of_old:#?}");
        let (found, problems_of_new) = problems(&log, &log.new, &[]).await;
        assert_eq!(found, new, "{problems_of_new:#?}");
    }
}

/// Whether a signature begins with the id of this key.
fn is_of(line: &str, key: &SigningKey) -> bool {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(line.rsplit(' ').next().unwrap()).unwrap();
    key.public().to_string().split('+').nth(1).unwrap() == hex::encode(&bytes[..4])
}

#[tokio::test]
async fn an_exchange_that_was_removed_is_missed_by_both_keys() {
    let log = Log::new().await;
    as_superuser(&log.database, "DELETE FROM audit_checkpoints WHERE id = 2").await;
    let (signatures, found) = problems(&log, &log.old, &[]).await;
    assert_eq!(signatures, 1, "{found:#?}");
    let (signatures, found) = problems(&log, &log.new, &[]).await;
    assert_eq!(signatures, 1, "{found:#?}");
    let (findings, _) = log.verify(&[log.old.public(), log.new.public()], &[]).await;
    let said = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(said.contains("no checkpoint states that one of the keys"), "{said}");
    // Where it was saved, it leads from one key to the other, and its place is empty.
    let (signatures, found) = problems(&log, &log.old, &log.saved[1..2]).await;
    assert_eq!(signatures, 0, "{found:#?}");
    assert!(found.len() == 1 && found[0].contains("not in its place"), "{found:#?}");
}

#[tokio::test]
async fn a_checkpoint_of_the_old_key_behind_the_exchange_is_refused_wherever_it_is() {
    let (database, old, new) = (Database::new().await, key(), key());
    let admin = database.admin();
    record(&database, 2).await;
    admin.checkpoint(&old).await.unwrap();
    record(&database, 2).await;
    // The old key signs on, in a copy of the log, beside the exchange.
    let mut strays = Vec::new();
    for _ in 0..2 {
        strays.push(admin.checkpoint(&old).await.unwrap().note);
        record(&database, 1).await;
    }
    back_to(&database, 1).await;
    admin.rotate_key(&old, &new, &[]).await.unwrap();
    admin.checkpoint(&new).await.unwrap();
    for stray in &strays {
        for key in [&old, &new] {
            let (findings, _) = verify(&database, &[key.public()], std::slice::from_ref(stray)).await;
            let said = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            assert!(
                said.contains("signature: saved 0: the checkpoint is signed by a key that another one had replaced"),
                "{said}"
            );
        }
    }
    let note = strays[1].replace('\n', "\\n");
    let insert = format!(
        "INSERT INTO audit_checkpoints (tree_size, note, frontier) SELECT tree_size, E'{note}', frontier FROM audit_checkpoints ORDER BY id DESC LIMIT 1"
    );
    as_superuser(&database, &insert).await;
    for key in [&old, &new] {
        let (findings, _) = verify(&database, &[key.public()], &[]).await;
        assert!(findings.iter().any(|finding| finding.kind == FindingKind::Signature), "{findings:#?}");
    }
    // Nobody goes on from there.
    for key in [&old, &new] {
        assert!(admin.checkpoint(key).await.is_err());
    }
}

#[tokio::test]
async fn an_old_key_that_is_stolen_later_deceives_nobody_who_has_the_new_key_or_a_checkpoint() {
    let log = Log::new().await;
    let thief = key();
    // The exchange and all behind it is removed, and the log handed over to the thief.
    back_to(&log.database, 1).await;
    log.database.admin().rotate_key(&log.old, &thief, &[]).await.unwrap();
    log.database.admin().checkpoint(&thief).await.unwrap();
    let (signatures, found) = problems(&log, &log.new, &[]).await;
    assert_eq!(signatures, 3, "{found:#?}");
    for saved in [1, 2] {
        let (signatures, found) = problems(&log, &log.old, &log.saved[saved..=saved]).await;
        assert!(signatures > 0, "{saved}: {found:#?}");
    }
    // As before any exchange: the stolen key and nothing else to hold against it.
    let (_, found) = problems(&log, &log.old, &[]).await;
    assert!(found.is_empty(), "{found:#?}");
}
