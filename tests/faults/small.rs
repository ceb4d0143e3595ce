//! Journals cost what they hold, leave the disk when it is stored, and go where a mapping would not
//! be safe.

use audit_runtime::{Audit, Context, Event, JournalError, RecordError, StartError, audited};
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::again::{again, is_again};
use tests::{Database, SmallDisk, eventually};

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn nowhere() -> audit_runtime::Builder {
    Audit::builder().postgres("postgres://postgres@127.0.0.1:1/x")
}

/// All files of a journal directory, with what they take of the disk.
fn files(directory: &Path) -> Vec<(std::path::PathBuf, u64)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => files.extend(self::files(&entry.path())),
            Ok(metadata) => files.push((entry.path(), metadata.blocks() * 512)),
            // Removed meanwhile.
            Err(_) => {}
        }
    }
    files
}

fn bytes(directory: &Path) -> u64 {
    files(directory).iter().map(|(_, bytes)| bytes).sum()
}

/// Whether any file holds this text.
fn holds(directory: &Path, text: &str) -> bool {
    let contains = |bytes: Vec<u8>| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    files(directory).iter().any(|(path, _)| std::fs::read(path).is_ok_and(contains))
}

fn noted(note: &str) -> Event {
    Event::new("order.accepted").data(&json!({ "note": note }))
}

#[audited(event = "mail.changed", entity = "customer", id = none, personal(mail), subject = customer)]
fn change(customer: &str, mail: &str) {
    let _ = (customer, mail);
}

#[tokio::test]
async fn a_process_that_records_one_event_leaves_little() {
    let journals = tempfile::tempdir().unwrap();
    let audit = nowhere().journal(journals.path()).start().unwrap();
    audit.record(Event::new("job.done")).unwrap().synced().await.unwrap();
    assert_eq!(audit.shutdown(Duration::ZERO).await.unwrap().left_in_journal, 1);
    assert!(bytes(journals.path()) <= 80 << 10, "{:?}", files(journals.path()));
}

#[tokio::test]
async fn an_idle_journal_lets_go_of_what_is_stored() {
    let database = Database::new().await;
    let audit = database.audit().segment_bytes(1 << 24).start().unwrap();
    for number in 0..10_000 {
        audit.record(noted(&format!("remember {number}"))).unwrap();
    }
    audit.flush().await.unwrap();
    eventually("nothing of it is left", || async { !holds(database.journals.path(), "remember") }).await;
    // And again, in the segment behind.
    audit.record(noted("remember more")).unwrap().stored().await.unwrap();
    eventually("nothing of that is left", || async { !holds(database.journals.path(), "remember") }).await;
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    assert_eq!(database.events().await, 10_001);
    database.is_unharmed().await;
}

#[tokio::test]
async fn a_busy_journal_lets_go_of_what_is_personal_and_stored() {
    let database = Database::new().await;
    let audit = database.audit().segment_bytes(1 << 24).master_key(KEY.parse().unwrap()).start().unwrap();
    let _entered = audit.enter();
    for round in 0..3 {
        let mail = format!("ada.{round}@example.org");
        change("customer:42", &mail);
        assert!(holds(database.journals.path(), &mail));
        eventually("the mail is gone, though events come all the time", || async {
            audit.record(Event::new("price.read")).unwrap();
            !holds(database.journals.path(), &mail)
        })
        .await;
    }
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    database.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_journal_holds_nothing_of_a_forgotten_person_a_second_later() {
    let database = Database::new().await;
    let audit = database.audit().segment_bytes(1 << 24).master_key(KEY.parse().unwrap()).start().unwrap();
    let _entered = audit.enter();
    // A service of old, with events that nobody has to forget, which records nothing from now on.
    for number in 0..1_000 {
        audit.record(noted(&format!("remember {number}"))).unwrap();
    }
    let mut longest = Duration::ZERO;
    for round in 0..3 {
        let (mail, place) = (format!("ada.{round}@example.org"), format!("192.0.2.{round}"));
        {
            let _request = Context::new().personal("ip", "customer:42", &place).enter();
            change("customer:42", &mail);
        }
        assert!(holds(database.journals.path(), &mail) && holds(database.journals.path(), &place));
        audit.flush().await.unwrap();
        let begin = Instant::now();
        database.admin().forget("customer:42").await.unwrap().unwrap();
        eventually("nothing of the person is left", || async {
            !holds(database.journals.path(), &mail) && !holds(database.journals.path(), &place)
        })
        .await;
        longest = longest.max(begin.elapsed());
    }
    // It is asked for after 400 ms, and done at the next turn of the journal's thread.
    let most = Duration::from_secs(if std::env::var_os("CI").is_some() { 5 } else { 2 });
    assert!(longest < most, "{longest:?}");
    assert_eq!(database.journal_directories(), 1);
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    database.is_unharmed().await;
}

const EXITS: &str = "small::a_program_that_exits_without_a_shutdown_waits_for_its_events_if_it_is_told_to";

#[tokio::test]
async fn a_program_that_exits_without_a_shutdown_waits_for_its_events_if_it_is_told_to() {
    if is_again(EXITS) {
        let builder = Audit::builder().postgres(&*std::env::var("AUDIT_TEST_URL").unwrap());
        let builder = builder.journal(std::env::var("AUDIT_TEST_JOURNALS").unwrap());
        let audit = builder.on_exit(Duration::from_secs(60)).start().unwrap();
        audit.record(Event::new("job.done")).unwrap();
        if std::env::var_os("AUDIT_TEST_DROPS").is_some() {
            drop(audit);
        }
        std::process::exit(0);
    }
    let database = Database::new().await;
    for drops in [false, true] {
        let mut command = again(EXITS);
        command.env("AUDIT_TEST_URL", &database.url).env("AUDIT_TEST_JOURNALS", database.journals.path());
        if drops {
            command.env("AUDIT_TEST_DROPS", "1");
        }
        assert!(command.output().unwrap().status.success());
        assert_eq!(database.events().await, 1 + i64::from(drops));
        assert_eq!(database.journal_directories(), 0);
    }
}

const LIMIT: &str = "small::a_program_that_exits_waits_no_longer_than_it_was_told_to";

#[test]
fn a_program_that_exits_waits_no_longer_than_it_was_told_to() {
    const AT_MOST: Duration = Duration::from_millis(300);
    if is_again(LIMIT) {
        let directory = std::env::var("AUDIT_TEST_JOURNALS").unwrap();
        let audit = nowhere().journal(directory).on_exit(AT_MOST).start().unwrap();
        audit.record(Event::new("job.done")).unwrap();
        std::process::exit(0);
    }
    let journals = tempfile::tempdir().unwrap();
    let mut program = again(LIMIT).env("AUDIT_TEST_JOURNALS", journals.path()).spawn().unwrap();
    let begin = Instant::now();
    let ended = loop {
        match program.try_wait().unwrap() {
            None if begin.elapsed() < tests::wait::PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            ended => break ended,
        }
    };
    if ended.is_none() {
        program.kill().unwrap();
        program.wait().unwrap();
    }
    assert!(ended.is_some_and(|ended| ended.success()), "{ended:?}");
    assert!(begin.elapsed() >= AT_MOST, "it waits for its event: {:?}", begin.elapsed());
    let left = audit_runtime::admin::journals(journals.path()).unwrap();
    assert_eq!(left.len(), 1, "another program ships the event");
}

const ONE_SHOT: &str = "small::programs_that_record_one_event_and_end_are_shipped_by_one_that_lives_beside_them";

/// Half of the programs wait for their event, and half end at once. The first half of them run
/// without PostgreSQL. (`AUDIT_TEST_PROGRAMS=200` runs as many.)
#[tokio::test]
async fn programs_that_record_one_event_and_end_are_shipped_by_one_that_lives_beside_them() {
    if is_again(ONE_SHOT) {
        let builder = Audit::builder().postgres(&*std::env::var("AUDIT_TEST_URL").unwrap());
        let builder = builder.journal(std::env::var("AUDIT_TEST_JOURNALS").unwrap());
        let waits = std::env::var_os("AUDIT_TEST_WAITS").is_some();
        let audit = if waits { builder.on_exit(Duration::from_millis(300)) } else { builder }.start().unwrap();
        audit.record(Event::new("job.done")).unwrap();
        std::process::exit(0);
    }
    let programs: usize = std::env::var("AUDIT_TEST_PROGRAMS").map_or(40, |programs| programs.parse().unwrap());
    let (mut cluster, mut database) = Database::out_of_reach().await;
    let living = database.audit().adopt_every(Duration::from_millis(200)).start().unwrap();
    let mut most = 0;
    for group in 0..programs / 4 {
        if group == programs / 8 {
            cluster.up();
            database.reconnect();
        }
        let children: Vec<_> = (0..4)
            .map(|number| {
                let mut command = again(ONE_SHOT);
                command.env("AUDIT_TEST_URL", &database.url).env("AUDIT_TEST_JOURNALS", database.journals.path());
                if number % 2 == 0 {
                    command.env("AUDIT_TEST_WAITS", "1");
                }
                command.stdout(std::process::Stdio::null()).spawn().unwrap()
            })
            .collect();
        children.into_iter().for_each(|mut child| assert!(child.wait().unwrap().success()));
        most = most.max(bytes(database.journals.path()));
    }
    let jobs = async || database.count("SELECT count(*) FROM audit_events WHERE event_type = 'job.done'").await;
    eventually("each has its row", || async { jobs().await == programs as i64 }).await;
    eventually("no journal is left", || async { database.journal_directories() == 1 }).await;
    assert!(most <= (programs as u64 + 1) * (80 << 10), "{most} bytes of {programs} programs");
    println!("{programs} programs, {most} bytes at most");
    living.shutdown(Duration::from_secs(30)).await.unwrap();
    database.is_unharmed().await;
}

const FILLED: &str = "small::on_a_full_btrfs_an_event_is_refused_and_the_process_lives";

#[tokio::test]
async fn on_a_full_btrfs_an_event_is_refused_and_the_process_lives() {
    if is_again(FILLED) {
        let directory = std::path::PathBuf::from(std::env::var("AUDIT_TEST_JOURNALS").unwrap());
        let audit = nowhere().journal(&directory).journal_by_write().start().unwrap();
        let event = || noted(&"x".repeat(1_000));
        (0..100).for_each(|_| drop(audit.record(event()).unwrap()));
        // Somebody else fills the disk.
        let mut filler = File::create(directory.join("filler")).unwrap();
        while filler.write_all(&[7; 1 << 16]).is_ok() && filler.sync_data().is_ok() {}
        let (mut taken, mut refused) = (100_u64, 0_u64);
        while refused < 10_000 {
            match audit.record(event()) {
                Ok(_) => taken += 1,
                Err(RecordError::Disk) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        drop(filler);
        std::fs::remove_file(directory.join("filler")).unwrap();
        tests::wait::until("there is room again", || audit.record(event()).ok());
        let report = audit.shutdown(Duration::ZERO).await.unwrap();
        // Beside them, that events were refused is recorded.
        assert!(report.left_in_journal > taken, "{report:?}");
        println!("taken {}", taken + 1);
        return;
    }
    let Some(disk) = SmallDisk::btrfs(120 << 20) else { return };
    let Err(StartError::Journal(error @ JournalError::FileSystem { .. })) = nowhere().journal(disk.path()).start()
    else {
        panic!("a mapping is not safe there");
    };
    assert!(error.to_string().contains("btrfs") && error.to_string().contains("journal_by_write"), "{error}");
    let output = again(FILLED).env("AUDIT_TEST_JOURNALS", disk.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    let taken = told.split("taken ").nth(1).and_then(|rest| rest.lines().next()).unwrap().parse::<i64>().unwrap();
    // Each event that was taken is in the files, and is shipped by the next process.
    let database = Database::new().await;
    let audit = Audit::builder().postgres(&*database.url).journal(disk.path()).journal_by_write().start().unwrap();
    eventually("all are shipped", || async {
        database.count("SELECT count(*) FROM audit_events WHERE event_type = 'order.accepted'").await == taken
    })
    .await;
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    database.is_unharmed().await;
}

#[audited(event = "mode.switched", id = none, required)]
fn switch() -> Result<(), RecordError> {
    Ok(())
}

#[test]
fn a_directory_that_is_made_read_only_under_a_process_is_noticed() {
    let journals = tempfile::tempdir().unwrap();
    let audit = nowhere().journal(journals.path()).start().unwrap();
    let _entered = audit.enter();
    switch().unwrap();
    let journal =
        std::fs::read_dir(journals.path()).unwrap().flatten().map(|entry| entry.path()).find(|path| path.is_dir());
    let journal = journal.unwrap();
    let mount = |arguments: &[&str]| {
        let mounted = std::process::Command::new("mount").args(arguments).arg(&journal).status();
        mounted.is_ok_and(|status| status.success())
    };
    if !mount(&["--bind", journal.to_str().unwrap()]) || !mount(&["-o", "remount,bind,ro"]) {
        eprintln!("left out: nothing can be mounted here, which takes root");
        return;
    }
    let error = switch().unwrap_err();
    let unmounted = std::process::Command::new("umount").arg("-l").arg(&journal).status().unwrap();
    assert!(matches!(error, RecordError::NotSynced) && unmounted.success(), "{error:?}");
    tests::wait::until("it may be written to again", || switch().ok());
    audit.shutdown_blocking(Duration::ZERO).unwrap();
}
