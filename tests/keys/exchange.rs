//! `audit-trail checkpoint --rotate`, and what crosses it: verify, proof, restored, the page.

use super::chain::{Log, verify};
use super::server::Page;
use super::{NAME, as_superuser, command, ended, record, run};
use audit_runtime::evidence::{FindingKind, SigningKey};
use tests::{Database, secret_file};
use uuid::Uuid;

/// The files of two keys in a directory, and their public keys.
struct Desk {
    database: Database,
    directory: tempfile::TempDir,
    public: [String; 2],
}

impl Desk {
    async fn new() -> Self {
        let (database, directory) = (Database::new().await, tempfile::tempdir().unwrap());
        let public = ["old", "new"].map(|name| {
            let path = directory.path().join(name);
            let made = run(&database, &["checkpoint", "--new-key", NAME, "--key", path.to_str().unwrap()]);
            assert_eq!(made.0, 0, "{}", made.1);
            made.1.lines().find(|line| line.starts_with(NAME)).unwrap().to_owned()
        });
        Self { database, directory, public }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn the_command_exchanges_the_key_and_both_public_keys_verify_all_of_it() {
    let desk = Desk::new().await;
    let [old, new, kept] = ["old", "new", "kept"].map(|name| desk.path(name));
    record(&desk.database, 2).await;
    assert_eq!(run(&desk.database, &["checkpoint", "--key", &old, "--to", &kept]).0, 0);
    let first = desk.path("first");
    std::fs::copy(&kept, &first).unwrap();
    // Both keys may come from commands.
    let (by_command, next) = (format!("|cat {old}"), format!("|cat {new}"));
    let exchanged = run(&desk.database, &["checkpoint", "--key", &by_command, "--rotate", &next, "--to", &kept]);
    assert!(exchanged.0 == 0 && exchanged.1.contains(&format!("the key {} signs", desk.public[1])), "{}", exchanged.1);
    assert!(
        std::fs::read_to_string(&kept).unwrap().contains(&format!("rotated {} {}\n", desk.public[0], desk.public[1]))
    );
    let refused = run(&desk.database, &["checkpoint", "--key", &old]);
    assert!(refused.0 == 1 && refused.1.contains("sign with the new key"), "{}", refused.1);
    record(&desk.database, 2).await;
    assert_eq!(run(&desk.database, &["checkpoint", "--key", &new]).0, 0);

    let newest = "SELECT id FROM audit_events ORDER BY created_at DESC LIMIT 1";
    let event: Uuid = sqlx::query_scalar(newest).fetch_one(&desk.database.pool).await.unwrap();
    let proof = command(&desk.database, &["proof", &event.to_string()]).output().unwrap();
    std::fs::write(desk.path("proof"), &proof.stdout).unwrap();
    for public in &desk.public {
        let saved = ["verify", "--public-key", public, "--checkpoint", &first, "--checkpoint", &kept];
        let verified = run(&desk.database, &saved);
        assert!(verified.0 == 0 && verified.1.contains("note: key exchanged: "), "{}", verified.1);
        let proven = run(&desk.database, &["verify", "--public-key", public, "--proof", &desk.path("proof")]);
        assert_eq!(proven.0, 0, "{}", proven.1);
    }
}

#[tokio::test]
async fn a_page_with_the_old_public_key_follows_an_exchange_while_it_runs() {
    let desk = Desk::new().await;
    let [old, new] = ["old", "new"].map(|name| desk.path(name));
    record(&desk.database, 1).await;
    assert_eq!(run(&desk.database, &["checkpoint", "--key", &old]).0, 0);
    let pages = desk.public.clone().map(|public| Page::start(&desk.database, &["--public-key", &public]));
    let first = "SELECT id FROM audit_events WHERE event_type = 'order.submitted'";
    let first: Uuid = sqlx::query_scalar(first).fetch_one(&desk.database.pool).await.unwrap();
    let verdict = async |page: &Page, event: Uuid| {
        page.json(&format!("/event/{event}.json")).await["evidence"]["verdict"].as_str().unwrap().to_owned()
    };
    // Only the exchange leads back from the new key.
    assert_eq!(verdict(&pages[0], first).await, "verified");
    assert_eq!(verdict(&pages[1], first).await, "ALTERED");
    assert_eq!(run(&desk.database, &["checkpoint", "--key", &old, "--rotate", &new]).0, 0);
    assert_eq!(verdict(&pages[1], first).await, "verified");
    record(&desk.database, 1).await;
    assert_eq!(run(&desk.database, &["checkpoint", "--key", &new]).0, 0);
    let all = "SELECT id FROM audit_events WHERE event_type = 'order.submitted' ORDER BY created_at";
    let events: Vec<Uuid> = sqlx::query_scalar(all).fetch_all(&desk.database.pool).await.unwrap();
    for page in &pages {
        for event in &events {
            assert_eq!(verdict(page, *event).await, "verified");
        }
        let checkpoints = page.json("/checkpoints.json").await.to_string();
        assert!(!checkpoints.contains("\"Err\"") && checkpoints.matches("\"Ok\"").count() == 3, "{checkpoints}");
    }
}

#[tokio::test]
async fn a_restored_log_goes_on_under_another_name_behind_an_exchange() {
    let Log { database, old, new, saved } = Log::new().await;
    // The database went back behind the exchange: the last checkpoint and its batches are gone.
    as_superuser(
        &database,
        "DELETE FROM audit_checkpoints WHERE id = 3; \
         DELETE FROM audit_events e USING audit_tree t WHERE t.batch_id = e.batch_id AND t.number >= (SELECT max(tree_size) FROM audit_checkpoints); \
         DELETE FROM audit_batches b USING audit_tree t WHERE t.batch_id = b.id AND t.number >= (SELECT max(tree_size) FROM audit_checkpoints); \
         DELETE FROM audit_tree WHERE number >= (SELECT max(tree_size) FROM audit_checkpoints)",
    )
    .await;
    let other = SigningKey::generate("audit.example.com/desk-2").unwrap();
    let unknown = super::key();
    assert!(database.admin().restore(&other, &saved[2], Some(unknown.public())).await.is_err());
    // By the command, with the public key that somebody kept from before the exchange.
    let directory = tempfile::tempdir().unwrap();
    let key = secret_file(directory.path(), "key", other.secret());
    let last = directory.path().join("last");
    std::fs::write(&last, &saved[2]).unwrap();
    let public = old.public().to_string();
    let restore = ["checkpoint", "--key", &key, "--restored", last.to_str().unwrap(), "--old-public-key", &public];
    let restored = ended(&command(&database, &restore).output().unwrap());
    assert!(restored.0 == 0 && restored.1.contains("both logs agree up to"), "{}", restored.1);
    for one in [&old, &new] {
        let (findings, report) = verify(&database, &[one.public(), other.public()], &saved).await;
        assert_eq!(report.problems, 0, "{findings:#?}");
        assert!(findings.iter().any(|finding| finding.kind == FindingKind::Restored), "{findings:#?}");
    }
}
