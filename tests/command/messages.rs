//! Errors: what failed, why, and what to do about it.

use crate::{Ran, command, morning, ran, run, run_at};
use sqlx::AssertSqlSafe;
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use tests::Database;
use tests::examples::audit_trail;
use uuid::Uuid;

const ID: &str = "00000000-0000-7000-8000-0000000000aa";

/// A database, and a role that may do what these duties need.
async fn with_role(duties: &[&str]) -> (Database, String) {
    let database = morning().await;
    let role = format!("role_{}", Uuid::now_v7().simple());
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE ROLE {role} LOGIN"))).execute(&database.pool).await.unwrap();
    let grants: Vec<&str> = duties.iter().flat_map(|duty| [*duty, &role]).collect();
    assert_eq!(run(&database, &[&["migrate"], &*grants].concat()).code, 0);
    (database, role)
}

fn run_as(role: &str, database: &Database, arguments: &[&str]) -> Ran {
    let mut command = command(database, arguments);
    command.env("DATABASE_URL", database.url.replacen("postgres@", &format!("{role}@"), 1));
    ran(command)
}

#[tokio::test]
async fn a_lack_of_rights_is_reported_with_the_role_that_has_them() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key").to_str().unwrap().to_owned();
    let (database, nobody) = with_role(&[]).await;
    assert_eq!(run(&database, &["checkpoint", "--new-key", "audit.example.com/desk", "--key", &key]).code, 0);
    for arguments in [
        &["events"][..],
        &["order", ID],
        &["export"],
        &["status"],
        &["verify"],
        &["proof", ID],
        &["quarantine", "list"],
    ] {
        let refused = run_as(&nobody, &database, arguments);
        assert_eq!(refused.code, 1, "{arguments:?}: {}", refused.stderr);
        for text in ["failed: permission denied for table ", "audit-trail migrate --reader ROLE"] {
            assert!(refused.stderr.contains(text), "{arguments:?}: {}", refused.stderr);
        }
    }
    let (database, reader) = with_role(&["--reader"]).await;
    let owner = "connect as the owner of the audit tables";
    for (arguments, text) in [
        (&["forget", "customer:42"][..], "audit-trail migrate --eraser ROLE"),
        (&["prune", "--before", "2019-01-01"], owner),
        (&["partitions"], owner),
        (&["migrate", "--reader", &reader], owner),
        (&["quarantine", "retry", ID], owner),
        (&["checkpoint", "--key", &key], "audit-trail migrate --checkpointer ROLE"),
    ] {
        let refused = run_as(&reader, &database, arguments);
        assert_eq!(refused.code, 1, "{arguments:?}: {}", refused.stderr);
        let name = arguments[0];
        assert!(refused.stderr.starts_with(&format!("audit-trail: {name}")), "{arguments:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(text), "{arguments:?}: {}", refused.stderr);
        assert!(!refused.stderr.contains("may read"), "{arguments:?}: {}", refused.stderr);
        assert!(!refused.stderr.contains("at line"), "{arguments:?}: {}", refused.stderr);
    }
    // And a reader may do what readers do.
    for arguments in [&["events"][..], &["status"], &["verify"], &["export"]] {
        let ran = run_as(&reader, &database, arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn every_subcommand_reports_a_missing_schema_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key").to_str().unwrap().to_owned();
    let database = Database::empty().await;
    assert_eq!(run(&database, &["checkpoint", "--new-key", "audit.example.com/desk", "--key", &key]).code, 0);
    for arguments in [
        &["order", ID][..],
        &["entity", "order", ID],
        &["execution", ID, "--recommendation", ID],
        &["events"],
        &["export"],
        &["status"],
        &["checkpoint", "--key", &key],
        &["verify"],
        &["proof", ID],
        &["partitions"],
        &["prune", "--before", "2019-01-01"],
        &["prune", "--before", "2019-01-01", "--dry-run"],
        &["subject", "customer:42"],
        &["forget", "customer:42"],
        &["quarantine", "list"],
        &["quarantine", "retry", "--all"],
        &["quarantine", "retry", ID],
    ] {
        let ran = run(&database, arguments);
        assert_eq!(ran.code, 1, "{arguments:?}: {}", ran.stderr);
        for text in [" failed: the audit schema is missing or too old (", "; run audit-trail migrate\n"] {
            assert!(ran.stderr.contains(text), "{arguments:?}: {}", ran.stderr);
        }
        assert!(!ran.stderr.contains("at line"), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn a_url_of_another_database_is_refused_and_not_repeated() {
    for url in ["mysql://u:hunter2@a/b", "sqlite://hunter2", "hunter2"] {
        for ran in run_at(url) {
            assert_eq!(ran.code, 2, "{url}: {}", ran.stderr);
            assert!(ran.stderr.contains("write postgres://") && !ran.stderr.contains("hunter2"), "{}", ran.stderr);
        }
    }
}

#[tokio::test]
async fn a_login_that_is_refused_is_unreachable_with_the_reason() {
    let database = Database::new().await;
    let mut command = command(&database, &["events"]);
    command.env("DATABASE_URL", database.url.replacen("postgres@", "nobody_of_this_name@", 1));
    let ran = ran(command);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    for text in ["cannot reach the database at 127.0.0.1:", "nobody_of_this_name", "check the user, the password"] {
        assert!(ran.stderr.contains(text), "{}", ran.stderr);
    }
    assert!(!ran.stderr.contains("at line"), "{}", ran.stderr);
}

#[test]
fn a_journal_directory_of_another_user_is_no_mistake_on_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    // Root may read everything: then another user tries, from a place that everybody may enter.
    // Another process copies it: a child that this one starts meanwhile would have it open for writing.
    assert!(Command::new("cp").arg(audit_trail()).arg(path("audit-trail")).status().unwrap().success());
    std::fs::create_dir(path("journals")).unwrap();
    for (path, mode) in [(path("journals"), 0o000), (directory.path().to_owned(), 0o755)] {
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let mut command = Command::new(path("audit-trail"));
    command.args(["journal", "status"]).arg(path("journals")).env_remove("DATABASE_URL").current_dir("/");
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let ran = ran(command);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    for text in [path("journals").to_str().unwrap(), "Permission denied", "run this as the user of the service"] {
        assert!(ran.stderr.contains(text), "{text}: {}", ran.stderr);
    }
}
