//! A standby that lacks the last commits takes the place of its primary.

use super::steady::Steady;
use audit_runtime::admin::Replay;
use audit_runtime::evidence::{EvidenceError, FindingKind, SigningKey};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tests::examples::audit_trail;
use tests::{Cluster, Config, Database, Proxy, eventually};

const HOUR: Duration = Duration::from_secs(3_600);

/// `audit-trail journal replay`.
pub(crate) fn replay(database: &Database, arguments: &[&str]) -> Command {
    let mut command = Command::new(audit_trail());
    command
        .args(["journal", "replay"])
        .arg(database.journals.path())
        .args(arguments)
        .env("DATABASE_URL", &database.url);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// `audit-trail` with these arguments.
pub(crate) fn run(database: &Database, arguments: &[&str]) -> Output {
    Command::new(audit_trail()).args(arguments).env("DATABASE_URL", &database.url).output().unwrap()
}

/// Writes a text to a file in a directory, and returns its path.
pub(crate) fn file(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// How many of the batches were sent again, as a replay tells.
pub(crate) fn sent(output: &Output) -> u64 {
    let told = text(output);
    assert!(output.status.success(), "{told}");
    let (_, rest) = told.split_once("; ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_brings_back_what_a_promoted_standby_lacked() {
    let mut primary = Cluster::start(Config::default());
    let database = Database::migrated_in(&primary).await;
    let standby = primary.standby();
    let name = database.url.rsplit('/').next().unwrap().to_owned();
    let proxy = Proxy::start(primary.port());
    let builder = database.audit().postgres(proxy.url(&name).as_str()).batch_rows(20).keep_for(HOUR);
    let audit = builder.start().unwrap();
    let calls = Steady::begin(&audit);
    eventually("events are stored", || async { database.events().await > 100 }).await;
    let (old, new) =
        (SigningKey::generate("trail.example/1").unwrap(), SigningKey::generate("trail.example/2").unwrap());
    let first = database.admin().checkpoint(&old).await.unwrap();
    let there = sqlx::postgres::PgPool::connect(&standby.url(&name)).await.unwrap();
    eventually("the standby has the checkpoint", || async {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_checkpoints").fetch_one(&there).await.unwrap();
        count == 1
    })
    .await;
    there.close().await;
    standby.lag().await;
    let before = database.events().await;
    eventually("events are stored that it lacks", || async { database.events().await > before + 200 }).await;
    let last = database.admin().checkpoint(&old).await.unwrap();
    eventually("and more", || async { database.events().await > before + 400 }).await;
    let stored = audit.stats().stored;

    database.pool.close().await;
    primary.kill();
    standby.promote().await;
    proxy.target(standby.port());
    let database = database.moved_to(&standby);
    eventually("events are stored again", || async { audit.stats().stored > stored + 200 }).await;
    let saved = [first.note.clone(), last.note.clone()];
    let (findings, report) = database.verify(Some(old.public()), &saved).await;
    let missing = findings.iter().filter(|finding| finding.kind == FindingKind::BatchMissing).count();
    assert!(report.problems > 0 && missing > 0, "{findings:?}");
    let agrees = format!("both agree up to {} batches", first.batches);
    let told = findings.iter().find(|finding| finding.kind == FindingKind::Checkpoint).unwrap();
    assert!(told.text.contains("saved checkpoint 1") && told.text.contains(&agrees), "{told}");
    eventually("the status names the journal", || async {
        text(&run(&database, &["status"])).contains("gaps          journal")
    })
    .await;
    // One name stands for one log.
    let refused = database.admin().checkpoint_behind(&old, &saved).await.unwrap_err();
    assert!(matches!(refused, EvidenceError::WentBack { .. }), "{refused}");

    // Three at once, one of which is killed, while the service records.
    let (one, two) = (replay(&database, &[]).spawn().unwrap(), replay(&database, &[]).spawn().unwrap());
    let mut killed = replay(&database, &[]).spawn().unwrap();
    let lacking = database.events().await;
    eventually("batches come back", || async { database.events().await > lacking }).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    let (one, two) = (one.wait_with_output().unwrap(), two.wait_with_output().unwrap());
    assert!(sent(&one) + sent(&two) > 0);
    let made = calls.end(&audit).await;
    tests::calls::have_a_row_each(&made, &database).await;
    assert_eq!(sent(&replay(&database, &[]).output().unwrap()), 0);
    assert!(!text(&run(&database, &["status"])).contains("gaps          journal"));

    goes_on_under_another_name(&database, &old, &new, &saved).await;
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    assert!(database.journals.path().join("kept").exists());
}

/// The log goes on, by the command, and all of it verifies.
async fn goes_on_under_another_name(database: &Database, old: &SigningKey, new: &SigningKey, saved: &[String; 2]) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (key, last) = (tests::secret_file(path, "key", new.secret()), file(path, "last", &saved[1]));
    let (old_public, new_public) = (old.public().to_string(), new.public().to_string());
    let old_key = tests::secret_file(path, "old-key", old.secret());
    let refused = run(database, &["checkpoint", "--key", &old_key, "--to", &last]);
    assert!(
        refused.status.code() == Some(1) && text(&refused).contains("the database went back"),
        "{}",
        text(&refused)
    );
    assert_eq!(std::fs::read_to_string(&last).unwrap(), saved[1], "what was saved stays");
    let refused = run(database, &["checkpoint", "--key", &old_key, "--restored", &last]);
    assert!(text(&refused).contains("is the old name, and the key has it too"), "{}", text(&refused));
    let first = file(path, "first", &saved[0]);
    let made = run(database, &["checkpoint", "--key", &key, "--restored", &last, "--old-public-key", &old_public]);
    assert!(made.status.success() && text(&made).contains("both logs agree up to"), "{}", text(&made));
    let again = run(database, &["checkpoint", "--key", &key, "--restored", &last]);
    assert!(text(&again).contains("it has checkpoints of trail.example/2 already"), "{}", text(&again));
    assert!(run(database, &["checkpoint", "--key", &key]).status.success());

    let event = "SELECT data->'last_checkpoint'->>'root' FROM audit_events WHERE event_type = 'audit.restored'";
    let root: Vec<String> = sqlx::query_scalar(event).fetch_all(&database.pool).await.unwrap();
    assert_eq!(root.len(), 1);
    let both = [
        "verify",
        "--public-key",
        &old_public,
        "--public-key",
        &new_public,
        "--checkpoint",
        &first,
        "--checkpoint",
        &last,
    ];
    let verified = run(database, &both);
    let told = text(&verified);
    assert!(
        verified.status.success() && told.contains("note: restored: ") && told.contains("problems      0"),
        "{told}"
    );
    // The new name alone says nothing of the old one, and a key that is not given proves nothing.
    let one = run(database, &["verify", "--public-key", &new_public, "--checkpoint", &last]);
    assert!(
        one.status.code() == Some(1) && text(&one).contains("give the public key of that name, too"),
        "{}",
        text(&one)
    );
    let none = run(database, &["verify", "--checkpoint", &last]);
    assert_eq!(none.status.code(), Some(1), "{}", text(&none));
}

#[tokio::test]
async fn copies_go_when_their_time_is_over_and_one_that_cannot_be_written_costs_no_event() {
    let database = Database::new().await;
    let kept = database.journals.path().join("kept");
    let files = || std::fs::read_dir(&kept).map_or(0, |entries| entries.count());
    let audit = database.audit().keep_for(Duration::from_secs(1)).start().unwrap();
    audit.record(audit_runtime::Event::new("order.submitted")).unwrap().stored().await.unwrap();
    assert_eq!(files(), 1);
    eventually("the copy goes", || async { files() == 0 }).await;
    std::fs::remove_dir(&kept).unwrap();
    std::fs::write(&kept, "no directory").unwrap();
    audit.record(audit_runtime::Event::new("order.submitted")).unwrap().stored().await.unwrap();
    audit.shutdown(Duration::from_secs(10)).await.unwrap();
    assert_eq!(database.events().await, 2);
    let error = Replay::to_postgres(database.url.as_str()).unwrap().run(database.journals.path(), |_, _| {}).await;
    assert!(error.unwrap_err().to_string().contains("cannot read the batches that are kept"));
    std::fs::remove_file(&kept).unwrap();
    let none = replay(&database, &[]).output().unwrap();
    assert!(none.status.code() == Some(1) && text(&none).contains("Builder::keep_for"), "{}", text(&none));
}
