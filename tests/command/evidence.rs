//! `checkpoint`, `verify`, `proof`, and `migrate` for roles.

use super::{Ran, command, morning, ran, run};
use audit_runtime::{Event, MasterKey};
use serde_json::Value;
use sqlx::Executor;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tests::Database;
use uuid::Uuid;

/// A trail with a signing key.
pub(crate) struct Desk {
    pub(crate) database: Database,
    directory: tempfile::TempDir,
    public: String,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        let database = morning().await;
        let directory = tempfile::tempdir().unwrap();
        let made =
            run(&database, &["checkpoint", "--new-key", "audit.example.com/desk", "--key", &path(&directory, "key")]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        Self { database, directory, public: made.stdout.trim().to_owned() }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        path(&self.directory, name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    pub(crate) fn checkpoint(&self, arguments: &[&str]) -> Ran {
        let key = self.path("key");
        run(&self.database, &[&["checkpoint", "--key", key.as_str()], arguments].concat())
    }

    pub(crate) fn verify(&self, arguments: &[&str]) -> Ran {
        run(&self.database, &[&["verify", "--public-key", self.public.as_str()], arguments].concat())
    }
}

fn path(directory: &tempfile::TempDir, name: &str) -> String {
    directory.path().join(name).to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_is_made_once_and_is_for_its_owner_only() {
    let desk = Desk::new().await;
    assert!(desk.public.starts_with("audit.example.com/desk+"), "{}", desk.public);
    let mode = std::fs::metadata(desk.path("key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = desk.read("key");
    let again = run(&desk.database, &["checkpoint", "--new-key", "x", "--key", &desk.path("key")]);
    assert!(again.code == 1 && again.stderr.contains("never overwritten"), "{}", again.stderr);
    assert_eq!(desk.read("key"), before);
    let named = run(&desk.database, &["checkpoint", "--new-key", "two words", "--key", &desk.path("other")]);
    assert!(named.code == 2 && !Path::new(&desk.path("other")).exists(), "{}", named.stderr);
    let none = run(&desk.database, &["checkpoint"]);
    assert!(none.code == 2 && none.stderr.contains("--new-key"), "{}", none.stderr);
    std::fs::write(desk.path("key"), "nothing").unwrap();
    let wrong = desk.checkpoint(&[]);
    assert!(wrong.code == 2 && wrong.stderr.contains("invalid secret key"), "{}", wrong.stderr);
}

#[tokio::test]
async fn a_checkpoint_goes_to_files_and_commands_and_what_it_covers_is_verified_by_it() {
    let desk = Desk::new().await;
    let to = format!("|cat > {}", desk.path("sent"));
    let made = desk.checkpoint(&["--to", &desk.path("kept"), "--to", &to]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(made.stderr.contains("rows sealed late"), "{}", made.stderr);
    assert_eq!((desk.read("kept"), desk.read("sent")), (made.stdout.clone(), made.stdout.clone()));
    let undelivered = desk.checkpoint(&["--to", "/nowhere/at/all", "--to", "|false", "--to", &desk.path("kept")]);
    assert_eq!(undelivered.code, 1);
    for part in ["in the database", "/nowhere/at/all: ", "|false: exit status: 1"] {
        assert!(undelivered.stderr.contains(part), "{part}: {}", undelivered.stderr);
    }
    assert_eq!(desk.read("kept"), undelivered.stdout);

    let verified = desk.verify(&["--checkpoint", &desk.path("kept"), "--checkpoint", &desk.path("sent")]);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
    assert!(
        verified.stdout.contains("4, 4 signatures verified") && verified.stdout.contains("nothing was changed"),
        "{}",
        verified.stdout
    );
    let status = run(&desk.database, &["status"]).stdout;
    assert!(status.contains("last checkpoint") && status.contains("not sealed yet: 0 rows of others"), "{status}");

    let change = "SET session_replication_role TO replica; UPDATE audit_events SET actor = actor || '!' WHERE id = \
         (SELECT min(id::text)::uuid FROM audit_events); RESET session_replication_role";
    desk.database.pool.execute(sqlx::raw_sql(change)).await.unwrap();
    let found = desk.verify(&[]);
    assert!(found.code == 1 && found.stderr.contains("1 problems"), "{} {} {}", found.code, found.stdout, found.stderr);
    assert!(found.stdout.starts_with("altered: event "), "{}", found.stdout);
    let lines = desk.verify(&["--json"]).stdout;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["finding"]["kind"], &lines[1]["report"]["problems"]), (&"altered".into(), &1.into()));
}

#[tokio::test]
async fn a_proof_is_verified_without_a_database() {
    let desk = Desk::new().await;
    let id: Uuid =
        sqlx::query_scalar("SELECT id FROM audit_events LIMIT 1").fetch_one(&desk.database.pool).await.unwrap();
    let early = run(&desk.database, &["proof", &id.to_string()]);
    assert!(early.code == 1 && early.stderr.contains("no checkpoint covers"), "{}", early.stderr);
    desk.checkpoint(&[]);
    let proof = run(&desk.database, &["proof", &id.to_string()]);
    assert_eq!(proof.code, 0, "{}", proof.stderr);
    std::fs::write(desk.path("proof"), &proof.stdout).unwrap();
    std::fs::write(desk.path("public"), &desk.public).unwrap();
    let proof_path = desk.path("proof");
    let offline = |key: &str| {
        let mut command = command(&desk.database, &["verify", "--proof", &proof_path, "--public-key", key]);
        command.env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing");
        ran(command)
    };
    for key in [desk.public.clone(), desk.path("public")] {
        let verified = offline(&key);
        assert_eq!(verified.code, 0, "{}", verified.stderr);
        assert!(
            verified.stdout.starts_with(&format!("event {id} was in the trail of audit.example.com/desk by 20")),
            "{}",
            verified.stdout
        );
    }
    std::fs::write(desk.path("proof"), proof.stdout.replacen("\"actor\": \"", "\"actor\": \"x", 1)).unwrap();
    let forged = offline(&desk.public);
    assert!(forged.code == 1 && forged.stderr.contains("not one of its batch"), "{}", forged.stderr);
    std::fs::write(desk.path("proof"), "{}").unwrap();
    assert_eq!(offline(&desk.public).code, 2);
    assert_eq!(offline("nothing").code, 2);
    let unknown = run(&desk.database, &["proof", &Uuid::nil().to_string()]);
    assert!(unknown.code == 1 && unknown.stderr.contains("not found"), "{}", unknown.stderr);
}

#[tokio::test]
async fn the_events_of_an_entity_are_proven_by_its_key() {
    let desk = Desk::new().await;
    let audit = desk.database.audit().start().unwrap();
    let paid = || Event::new("invoice.paid").entity("invoice", "INV-7").target("account", 42);
    audit.record(paid()).unwrap();
    audit.record(Event::new("account.closed").entity("account", 42)).unwrap();
    audit.flush().await.unwrap();
    desk.checkpoint(&[]);
    let proofs = run(&desk.database, &["proof", "account:42"]);
    assert_eq!(proofs.code, 0, "{}", proofs.stderr);
    std::fs::write(desk.path("proofs"), &proofs.stdout).unwrap();
    let verified = run(&desk.database, &["verify", "--proof", &desk.path("proofs"), "--public-key", &desk.public]);
    assert_eq!((verified.code, verified.stdout.lines().count()), (0, 2), "{}", verified.stderr);
    // One of them was changed.
    let forged = proofs.stdout.replacen("account.closed", "account.opened", 1);
    std::fs::write(desk.path("proofs"), forged).unwrap();
    let forged = run(&desk.database, &["verify", "--proof", &desk.path("proofs"), "--public-key", &desk.public]);
    assert!(forged.code == 1 && forged.stderr.contains("not one of its batch"), "{}", forged.stderr);
    // One is not covered yet.
    audit.record(paid()).unwrap();
    audit.shutdown(std::time::Duration::from_secs(30)).await.unwrap();
    let some = run(&desk.database, &["proof", "invoice:INV-7"]);
    assert!(some.code == 1 && some.stderr.contains("1 of 2 events have no proof"), "{}", some.stderr);
    assert!(some.stderr.contains("no checkpoint covers event") && some.stdout.contains("INV-7"), "{}", some.stderr);
    for (of, code, said) in [("account:43", 1, "no event is about account 43"), ("account", 2, "as in account:42")] {
        let none = run(&desk.database, &["proof", of]);
        assert!(none.code == code && none.stderr.contains(said), "{}", none.stderr);
    }
}

#[tokio::test]
async fn rows_that_are_not_sealed_yet_are_a_note_and_no_problem() {
    let desk = Desk::new().await;
    let before = run(&desk.database, &["verify"]);
    assert_eq!(before.code, 0, "{}", before.stderr);
    assert!(
        before.stdout.starts_with("note: not sealed: event ") && before.stderr.contains("without --public-key"),
        "{}",
        before.stdout
    );
    // With a key, there should be checkpoints.
    let none = desk.verify(&[]);
    assert!(
        none.code == 1 && none.stdout.contains("no checkpoint was made yet, or all were removed"),
        "{}",
        none.stdout
    );
}

#[tokio::test]
async fn migrate_grants_roles_their_rights() {
    let database = Database::empty().await;
    let unknown = run(&database, &["migrate", "--reader", "nobody here"]);
    assert!(unknown.code == 1 && unknown.stderr.contains("CREATE ROLE"), "{}", unknown.stderr);
    let name: String = sqlx::query_scalar("SELECT current_database() || '_r'").fetch_one(&database.pool).await.unwrap();
    database.pool.execute(sqlx::AssertSqlSafe(format!("CREATE ROLE {name}"))).await.unwrap();
    let granted = run(&database, &["migrate", "--reader", &name, "--writer", &name, "--checkpointer", &name]);
    assert_eq!(granted.code, 0, "{}", granted.stderr);
    for duty in ["reader", "writer", "checkpointer"] {
        assert!(granted.stdout.contains(&format!("{name} is a {duty}")), "{}", granted.stdout);
    }
    let eraser = run(&database, &["migrate", "--eraser", &name]);
    assert!(eraser.stdout.contains(&format!("{name} is an eraser")), "{}{}", eraser.stdout, eraser.stderr);
    let by_its_old_name = run(&database, &["migrate", "--sealer", &name]);
    assert!(by_its_old_name.stdout.contains("is a checkpointer"), "{}", by_its_old_name.stderr);
}

#[tokio::test]
async fn a_forgotten_subject_is_erased_for_every_reader() {
    let desk = Desk::new().await;
    let (key, other) = (desk.path("master"), desk.path("other"));
    for path in [&key, &other] {
        assert_eq!(run(&desk.database, &["master-key", path]).code, 0);
    }
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let again = run(&desk.database, &["master-key", &key]);
    assert!(again.code == 1 && again.stderr.contains("never overwritten"), "{}", again.stderr);
    // Events that wait in a journal are encrypted when they are shipped.
    let journals = desk.database.journals.path().to_str().unwrap();
    let master = MasterKey::from_file(&key).unwrap();
    let nowhere = desk.database.audit().postgres("postgres://127.0.0.1:1/x").master_key(master).start().unwrap();
    let event = Event::new("account.opened").personal("customer:42", &serde_json::json!({"email": "ann@example.com"}));
    nowhere.record(event).unwrap();
    nowhere.shutdown(std::time::Duration::ZERO).await.unwrap();
    let without = run(&desk.database, &["journal", "ship", journals]);
    assert!(without.code == 2 && without.stderr.contains("give --master-key"), "{}", without.stderr);
    let shipped = run(&desk.database, &["journal", "ship", journals, "--master-key", &key]);
    assert!(shipped.stdout.starts_with("1 event of 1 journal shipped"), "{}{}", shipped.stdout, shipped.stderr);

    let emails = |arguments: &[&str]| {
        let ran =
            run(&desk.database, &[&["events", "--event", "account.opened", "--output", "json"], arguments].concat());
        let events: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr));
        events[0]["data"]["email"].as_str().unwrap().to_owned()
    };
    let printed = format!("|cat {key}");
    for arguments in [["--master-key", &key], ["--master-key", &printed]] {
        assert_eq!(emails(&arguments), "ann@example.com");
    }
    let mut by_variable = command(&desk.database, &["export", "--event", "account.opened"]);
    by_variable.env("AUDIT_MASTER_KEY", desk.read("master").trim());
    assert!(ran(by_variable).stdout.contains("ann@example.com"));
    assert_eq!((emails(&[]), emails(&["--master-key", &other])), ("[encrypted]".into(), "[encrypted]".into()));
    let wrong = run(&desk.database, &["events", "--master-key", "/nowhere"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("/nowhere"), "{}", wrong.stderr);

    let forgotten = run(&desk.database, &["forget", "customer:42", "--actor", "dpo"]);
    assert!(forgotten.code == 0 && forgotten.stdout.contains("customer:42 is forgotten: key "), "{}", forgotten.stderr);
    let again = run(&desk.database, &["forget", "customer:42"]);
    assert!(again.code == 1 && again.stderr.contains("found no key of customer:42"), "{}", again.stderr);
    assert_eq!((emails(&[]), emails(&["--master-key", &key])), ("[erased]".into(), "[erased]".into()));
    desk.checkpoint(&[]);
    let verified = desk.verify(&[]);
    assert_eq!(verified.code, 0, "{}", verified.stdout);
}

#[tokio::test]
async fn prune_says_what_it_would_do_does_it_and_who_did_is_in_the_trail() {
    let desk = Desk::new().await;
    let old = "INSERT INTO audit_events (id, event_type, entity_type, entity_id, created_at) VALUES \
         ('01900000-0000-7000-8000-000000000001', 'order.filled', 'order', '01900000-0000-7000-8000-00000000000a', '2020-05-04 03:02:01Z'), \
         ('01900000-0000-7000-8000-000000000002', 'order.filled', 'order', '01900000-0000-7000-8000-00000000000b', '2020-05-31 23:59:59.999999Z'), \
         ('01900000-0000-7000-8000-000000000003', 'order.filled', 'order', '01900000-0000-7000-8000-00000000000b', '2020-06-01 00:00:00Z')";
    desk.database.pool.execute(old).await.unwrap();
    desk.checkpoint(&[]);
    let prune = |arguments: &[&str]| run(&desk.database, &[&["prune", "--before"], arguments].concat());
    for (arguments, said) in [
        (&["soon"][..], "write 2020-01-01"),
        (&["2999-01-01"], "in the future"),
        (&["2020-06-01", "--hold", "order"], "write TYPE:KEY"),
    ] {
        let refused = prune(arguments);
        assert!(refused.code == 2 && refused.stderr.contains(said), "{arguments:?}: {}", refused.stderr);
    }
    let nothing = prune(&["2019-01-01"]);
    assert!(nothing.code == 0 && nothing.stdout.contains("nothing to prune"), "{}{}", nothing.stdout, nothing.stderr);
    run(&desk.database, &["partitions"]);
    let hold = "order:01900000-0000-7000-8000-00000000000b";
    let said = prune(&["2020-06-30", "--hold", hold, "--dry-run"]);
    assert_eq!(said.stdout, "2020-05-01 to 2020-06-01: 1 rows would be pruned, 1 kept\n", "{}", said.stderr);
    let archive = desk.path("old.ndjson");
    let pruned = prune(&["2020-06-30", "--hold", hold, "--archive", &archive, "--actor", "alice"]);
    assert!(
        pruned.stdout.ends_with("2020-05-01 to 2020-06-01: 1 rows pruned, 1 kept\n"),
        "{}{}",
        pruned.stdout,
        pruned.stderr
    );
    let again = prune(&["2020-06-30", "--archive", &archive]);
    assert!(again.code == 1 && again.stderr.contains("never overwritten"), "{}", again.stderr);
    let left = "SELECT count(*) FROM audit_events WHERE created_at < '2020-07-01'";
    assert_eq!(desk.database.count(left).await, 2);
    let verified = desk.verify(&[]);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
    assert!(
        verified
            .stdout
            .contains("1 rows of 2020-05-01T00:00:00.000000+00:00 to 2020-06-01T00:00:00.000000+00:00, by alice at"),
        "{}",
        verified.stdout
    );
    let gone = "01900000-0000-7000-8000-000000000001";
    assert_eq!(run(&desk.database, &["proof", gone]).code, 1);
    let proof = run(&desk.database, &["proof", gone, "--archive", &archive]);
    std::fs::write(desk.path("proof"), &proof.stdout).unwrap();
    let verified = desk.verify(&["--proof", &desk.path("proof")]);
    assert_eq!(verified.code, 0, "{}{}", proof.stderr, verified.stderr);
    let unknown = run(&desk.database, &["proof", &Uuid::nil().to_string(), "--archive", &archive]);
    assert!(unknown.code == 1 && unknown.stderr.contains("found no event"), "{}", unknown.stderr);
}
