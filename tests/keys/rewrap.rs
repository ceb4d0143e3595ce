//! The master key is exchanged, while services write and subjects are forgotten.

use super::{LONG, as_superuser, change, command, ended, run};
use audit_runtime::trail::{EventFilter, Trail};
use audit_runtime::{Audit, Builder, Event, MasterKey};
use futures_util::TryStreamExt;
use serde_json::json;
use sqlx::Connection;
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tests::{Database, RelayProcess, eventually, secret_file};

/// Keys of subjects: more than two pages.
const SUBJECTS: usize = 1_200;

struct Scene {
    database: Database,
    directory: tempfile::TempDir,
    old: MasterKey,
    new: MasterKey,
}

impl Scene {
    /// With this many subjects, of one event each.
    async fn new(subjects: usize) -> Self {
        let (database, directory) = (Database::new().await, tempfile::tempdir().unwrap());
        let (old, new) = (MasterKey::generate(), MasterKey::generate());
        let audit = database.audit().master_key(old.clone()).start().unwrap();
        for subject in 0..subjects {
            audit.record(about(subject)).unwrap();
        }
        audit.shutdown(LONG).await.unwrap();
        secret_file(directory.path(), "old", old.secret());
        secret_file(directory.path(), "new", new.secret());
        Self { database, directory, old, new }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn rotate(&self) -> std::process::Command {
        command(&self.database, &["master-key", "rotate", &self.path("new"), "--master-key", &self.path("old")])
    }

    fn both(&self) -> MasterKey {
        self.new.clone().with_older(self.old.clone())
    }

    /// How many keys name this master key.
    async fn wrapped_by(&self, key: &MasterKey) -> i64 {
        let sql = "SELECT count(*) FROM audit_keys WHERE encode(substr(wrapped, 1, 8), 'hex') = $1";
        sqlx::query_scalar(sql).bind(key.id()).fetch_one(&self.database.pool).await.unwrap()
    }

    /// The mails that a reader with this key sees.
    async fn mails(&self, key: &MasterKey) -> BTreeSet<String> {
        let trail = Trail::new(self.database.pool.clone()).master_key(key.clone());
        let mut events = pin!(trail.stream(EventFilter::new().event("customer.changed")));
        let mut mails = BTreeSet::new();
        while let Some(event) = events.try_next().await.unwrap() {
            mails.insert(event.data["mail"].as_str().unwrap_or_default().to_owned());
        }
        mails
    }
}

fn about(subject: usize) -> Event {
    let mail = json!({"mail": format!("{subject}@example.com")});
    Event::new("customer.changed").personal(format!("customer:{subject}"), &mail)
}

fn expected(subjects: usize) -> BTreeSet<String> {
    (0..subjects).map(|subject| format!("{subject}@example.com")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_that_is_killed_goes_on_and_two_at_once_do_no_harm_while_services_write() {
    let scene = Scene::new(SUBJECTS).await;
    let database = &scene.database;
    let service = database.audit().master_key(scene.both()).start().unwrap();
    let relay = RelayProcess::start(&database.url);
    let journals = tempfile::tempdir().unwrap();
    let behind = Audit::builder().relay(&relay.address()).journal(journals.path()).segment_bytes(1 << 20);
    let behind = behind.master_key(scene.both()).start().unwrap();
    // Of known subjects and of new ones, all the while.
    let (ends, made) = (AtomicBool::new(false), AtomicUsize::new(SUBJECTS));
    let writing = async {
        while !ends.load(Ordering::Relaxed) {
            for audit in [&service, &behind] {
                let subject = made.fetch_add(1, Ordering::Relaxed);
                audit.record(about(subject)).unwrap();
                audit.record(about(subject % SUBJECTS)).unwrap().stored().await.unwrap();
            }
        }
    };
    let exchanging = async {
        // One key is held, so the exchange cannot end before it is killed.
        let mut holder = sqlx::PgConnection::connect(&database.url).await.unwrap();
        let mut held = holder.begin().await.unwrap();
        let hold = "SELECT id FROM audit_keys WHERE subject = 'customer:700' FOR UPDATE";
        sqlx::query(hold).fetch_one(&mut *held).await.unwrap();
        let mut killed = scene.rotate().spawn().unwrap();
        eventually("some are wrapped anew", async || scene.wrapped_by(&scene.new).await > 600).await;
        killed.kill().unwrap();
        killed.wait().unwrap();
        assert!(scene.wrapped_by(&scene.old).await > 0);
        // Readers with both keys see everything at any time.
        let seen = scene.mails(&scene.both()).await;
        assert!(expected(SUBJECTS).is_subset(&seen) && !seen.contains("[encrypted]"));
        let twice = [scene.rotate(), scene.rotate()]
            .map(|mut command| command.stdout(std::process::Stdio::piped()).spawn().unwrap());
        eventually("all others are", async || scene.wrapped_by(&scene.old).await == 1).await;
        held.rollback().await.unwrap();
        for one in twice {
            let (code, said) = ended(&one.wait_with_output().unwrap());
            assert_eq!(code, 0, "{said}");
        }
        ends.store(true, Ordering::Relaxed);
    };
    tokio::join!(writing, exchanging);
    for audit in [&service, &behind] {
        assert_eq!(audit.shutdown(LONG).await.unwrap().left_in_journal, 0);
        assert_eq!(audit.stats().rekeyed, 0);
    }
    // Again, and nothing is left to do.
    let (code, said) = ended(&scene.rotate().output().unwrap());
    let made = made.load(Ordering::Relaxed);
    assert!(
        code == 0
            && said.contains(&format!(
                "0 keys of subjects are wrapped by master key {} now, {made} were so",
                scene.new.id()
            )),
        "{said}"
    );
    assert_eq!(scene.wrapped_by(&scene.new).await, made as i64);
    assert_eq!(scene.mails(&scene.new).await, expected(made));
    assert_eq!(scene.mails(&scene.old).await, BTreeSet::from(["[encrypted]".to_owned()]));
    assert_eq!(database.count("SELECT count(*) FROM audit_keys").await, made as i64, "no subject has a further key");
    database.is_unharmed().await;
}

#[tokio::test]
async fn a_subject_that_is_forgotten_meanwhile_stays_so() {
    let scene = Scene::new(3).await;
    let mut holder = sqlx::PgConnection::connect(&scene.database.url).await.unwrap();
    let mut forgetting = holder.begin().await.unwrap();
    let forget = "SELECT audit_forget('customer:1', gen_random_uuid(), 'ann', NULL)";
    sqlx::query(forget).fetch_one(&mut *forgetting).await.unwrap();
    let rotating = scene.rotate().stdout(std::process::Stdio::piped()).spawn().unwrap();
    eventually("the others are wrapped anew", async || scene.wrapped_by(&scene.new).await == 2).await;
    forgetting.commit().await.unwrap();
    let (code, said) = ended(&rotating.wait_with_output().unwrap());
    assert!(code == 0 && said.contains("2 keys of subjects are wrapped"), "{said}");
    let mails = scene.mails(&scene.new).await;
    assert_eq!(mails, BTreeSet::from(["0@example.com".into(), "2@example.com".into(), "[erased]".into()]));
}

#[tokio::test]
async fn a_service_with_one_key_alone_loses_no_value_and_the_next_run_wraps_its_keys() {
    let scene = Scene::new(2).await;
    let store = async |builder: Builder, key: &MasterKey, mail: &str| {
        let audit = builder.master_key(key.clone()).start().unwrap();
        audit.scope(async { change("customer:1", mail) }).await;
        audit.shutdown(LONG).await.unwrap();
        audit.stats().rekeyed
    };
    assert_eq!(store(scene.database.audit(), &scene.new, "early@example.com").await, 1);
    assert_eq!(ended(&scene.rotate().output().unwrap()).0, 0);
    assert_eq!(store(scene.database.audit(), &scene.old, "late@example.com").await, 1);
    assert_eq!(store(scene.database.audit(), &scene.both(), "both@example.com").await, 0);
    assert_eq!(ended(&scene.rotate().output().unwrap()).0, 0);
    let mut all = expected(2);
    all.extend(["early", "late", "both"].map(|name| format!("{name}@example.com")));
    assert_eq!(scene.mails(&scene.new).await, all);
    // All of them are forgotten at once.
    scene.database.admin().forget("customer:1").await.unwrap().unwrap();
    assert_eq!(scene.mails(&scene.new).await, BTreeSet::from(["0@example.com".into(), "[erased]".into()]));
}

#[tokio::test]
async fn the_command_reads_with_both_keys_however_they_are_given() {
    let scene = Scene::new(2).await;
    let (old, new) = (scene.path("old"), scene.path("new"));
    let both = secret_file(scene.directory.path(), "both", &format!("{}\n{}", scene.new.secret(), scene.old.secret()));
    for keys in [vec![new.clone(), old.clone()], vec![both.clone()], vec![format!("|cat {new} {old}")]] {
        let mut arguments = vec!["events", "--output", "ndjson"];
        keys.iter().for_each(|key| arguments.extend(["--master-key", key.as_str()]));
        let (code, said) = run(&scene.database, &arguments);
        assert!(code == 0 && said.contains("1@example.com") && !said.contains("[encrypted]"), "{said}");
    }
    let mut by_variable = command(&scene.database, &["events", "--output", "ndjson"]);
    by_variable.env("AUDIT_MASTER_KEY", format!("{} {}", scene.new.secret(), scene.old.secret()));
    assert!(ended(&by_variable.output().unwrap()).1.contains("1@example.com"));
    for (arguments, part) in [
        (&["master-key", "rotate", &new][..], "missing --master-key"),
        (&["master-key", "rotate", &new, "--master-key", &new], "both master keys are the same"),
        (&["master-key", "check"], "missing --master-key"),
    ] {
        let (code, said) = run(&scene.database, arguments);
        assert!(code == 2 && said.contains(part), "{said}");
    }
}

#[tokio::test]
async fn a_key_changes_in_no_other_way_and_a_schema_of_before_names_the_remedy() {
    let scene = Scene::new(2).await;
    for change in [
        "wrapped = wrapped",
        "wrapped = substr(wrapped, 1, 8) || sha256('a') || sha256('b')",
        "wrapped = ''",
        "wrapped = sha256('a') || sha256('b')",
        "wrapped = sha256('a') || sha256('b') || '12345678'::bytea, subject = subject || 'x'",
        "wrapped = sha256('a') || sha256('b') || '12345678'::bytea, id = gen_random_uuid()",
    ] {
        let update = sqlx::AssertSqlSafe(format!("UPDATE audit_keys SET {change}"));
        let error = sqlx::query(update).execute(&scene.database.pool).await.unwrap_err().to_string();
        assert!(error.contains("can only be destroyed, or wrapped by another master key"), "{change}: {error}");
    }
    as_superuser(&scene.database, "COMMENT ON TABLE audit_events IS 'Audit schema version 7.'").await;
    let (code, said) = ended(&scene.rotate().output().unwrap());
    assert!(code == 1 && said.contains("run audit-trail migrate"), "{said}");
    assert_eq!(scene.wrapped_by(&scene.old).await, 2);
    scene.database.admin().migrate().await.unwrap();
    assert_eq!(ended(&scene.rotate().output().unwrap()).0, 0);
}
