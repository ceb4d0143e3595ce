//! `--output` is honoured or refused, and options are shown where they have an effect.

use crate::{Ran, command, morning, ran, run};
use audit_runtime::Event;
use serde_json::Value;
use std::process::Command;
use std::time::Duration;
use tests::examples::audit_trail;

fn local(arguments: &[&str]) -> Ran {
    let mut command = Command::new(audit_trail());
    command.args(arguments).env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing").env_remove("AUDIT_MASTER_KEY");
    ran(command)
}

#[test]
fn a_form_that_a_subcommand_lacks_is_refused_with_those_it_has() {
    let id = "00000000-0000-7000-8000-0000000000aa";
    for (arguments, form, text) in [
        (&["migrate"][..], "json", "audit-trail migrate prints text only"),
        (&["status"], "csv", "audit-trail status offers json and ndjson"),
        (&["checkpoint"], "json", "audit-trail checkpoint prints text only"),
        (&["verify"], "table", "audit-trail verify offers json and ndjson"),
        (&["proof", id], "timeline", "audit-trail proof offers json and ndjson"),
        (&["partitions"], "json", "audit-trail partitions prints text only"),
        (&["prune", "--before", "2019-01-01"], "json", "audit-trail prune prints text only"),
        (&["retain", "/nowhere"], "json", "audit-trail retain prints text only"),
        (&["restore", "/nowhere"], "json", "audit-trail restore prints text only"),
        (&["hold", "add", "customer:42", "--reason", "x"], "json", "audit-trail hold add prints text only"),
        (&["hold", "list"], "table", "audit-trail hold list offers json and ndjson"),
        (&["forget", "customer:42"], "json", "audit-trail forget prints text only"),
        (&["master-key", "/nowhere"], "json", "audit-trail master-key prints text only"),
        (&["journal", "status", "/tmp"], "csv", "audit-trail journal status offers json and ndjson"),
        (&["journal", "ship", "/tmp"], "json", "audit-trail journal ship prints text only"),
        (&["quarantine", "list"], "table", "audit-trail quarantine list offers json and ndjson"),
        (&["quarantine", "retry", "--all"], "json", "audit-trail quarantine retry prints text only"),
        (&["completions", "bash"], "json", "audit-trail completions prints text only"),
        (&["man"], "json", "audit-trail man prints text only"),
    ] {
        for arguments in [[arguments, &["--output", form]].concat(), [&["--output", form], arguments].concat()] {
            let ran = local(&arguments);
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}: {}", ran.stderr);
            assert!(ran.stderr.contains(text) && ran.stderr.contains(form), "{arguments:?}: {}", ran.stderr);
        }
    }
}

#[tokio::test]
async fn verify_prints_the_same_json_by_either_option() {
    let database = morning().await;
    let [one, two, three] = [&["--json"][..], &["--output", "json"], &["--output", "ndjson"]].map(|arguments| {
        let ran = run(&database, &[&["verify"], arguments].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments:?}");
        let mut lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let report = lines.last_mut().unwrap()["report"].as_object_mut().unwrap();
        assert_eq!(report["problems"], 0);
        // Each ends at another time.
        assert!(report.remove("finished_at").is_some_and(|at| at.is_string()));
        lines
    });
    assert_eq!((&one, &one), (&two, &three));
}

#[tokio::test]
async fn the_quarantine_is_listed_as_json() {
    let database = morning().await;
    let empty = run(&database, &["quarantine", "list", "--output", "json"]);
    assert_eq!((empty.code, empty.stdout.as_str()), (1, "[]\n"), "{}", empty.stderr);
    assert!(empty.stderr.contains("the quarantine is empty"), "{}", empty.stderr);
    let constraint = "ALTER TABLE audit_events ADD CONSTRAINT no_x CHECK (actor <> 'x') NOT VALID";
    sqlx::query(constraint).execute(&database.pool).await.unwrap();
    let audit = database.audit().start().unwrap();
    for _ in 0..2 {
        audit.record(Event::new("order.accepted").actor("x")).unwrap();
    }
    audit.shutdown(Duration::from_secs(30)).await.unwrap();
    let array = run(&database, &["quarantine", "list", "--output", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&array.stdout).unwrap();
    assert_eq!((array.code, rows.len()), (0, 2), "{}", array.stderr);
    let lines = run(&database, &["quarantine", "list", "--output", "ndjson"]);
    let lines: Vec<Value> = lines.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, rows);
    let (row, text) = (&rows[0], run(&database, &["quarantine", "list"]).stdout);
    assert_eq!((&row["sqlstate"], &row["event"]["actor"]), (&"23514".into(), &"x".into()), "{row}");
    assert!(row["error"].as_str().unwrap().contains("no_x"), "{row}");
    assert!(text.contains("23514") && text.contains("no_x"), "{text}");
    let again = run(&database, &["quarantine", "retry", "--all"]).stdout;
    for printed in [row.to_string(), text, again.clone()] {
        assert!(!printed.contains("at line") && !printed.contains("returned from database"), "{printed}");
    }
    assert!(again.contains("refused again: "), "{again}");
}

#[test]
fn options_of_all_subcommands_are_shown_apart_and_only_where_they_have_an_effect() {
    let shown = |arguments: &[&str]| {
        let help = local(&[arguments, &["--help"]].concat());
        assert_eq!(help.code, 0, "{}", help.stderr);
        help.stdout
    };
    let options = ["--database-url", "--master-key ", "--output", "--wide"];
    for (arguments, visible) in [
        (&["events"][..], [true, true, true, true]),
        (&["status"], [true, false, true, false]),
        (&["export"], [true, true, false, false]),
        (&["prune"], [true, false, false, false]),
        (&["retain"], [true, false, false, false]),
        (&["restore"], [true, false, false, false]),
        (&["hold", "add"], [true, false, false, false]),
        (&["hold", "list"], [true, false, true, false]),
        (&["hold", "lift"], [true, false, false, false]),
        (&["journal", "ship"], [true, true, false, false]),
        (&["journal", "status"], [true, false, true, false]),
        (&["quarantine", "list"], [true, false, true, false]),
        (&["quarantine", "retry"], [true, false, false, false]),
        (&["completions"], [false; 4]),
        (&["man"], [false; 4]),
    ] {
        let help = shown(arguments);
        assert_eq!(options.map(|option| help.contains(option)), visible, "{arguments:?}: {help}");
        let apart = help.split_once("Global options:").map_or("", |(_, apart)| apart);
        assert_eq!(options.map(|option| apart.contains(option)), visible, "{arguments:?}: {help}");
    }
    for arguments in
        [&["status"][..], &["verify"], &["proof"], &["journal", "status"], &["quarantine", "list"], &["hold", "list"]]
    {
        let help = shown(arguments);
        assert!(help.contains("json or ndjson instead of text") && !help.contains("timeline"), "{help}");
    }
    assert!(shown(&["events"]).contains("Usage: audit-trail events [OPTIONS]\n"));
}

#[test]
fn a_usage_line_names_no_option_that_is_only_set_in_the_environment() {
    let mut command = Command::new(audit_trail());
    command
        .args(["verify", "--nothing"])
        .env("DATABASE_URL", "postgres://a/b")
        .env("USER", "me")
        .env("AUDIT_CHECKPOINT_PUBLIC_KEY", "x");
    let verify = ran(command);
    for ran in [verify, local(&["order"]), local(&["prune"]), local(&["forget"])] {
        let usage = ran.stderr.lines().find(|line| line.starts_with("Usage:")).unwrap_or_default().to_owned();
        assert!(ran.code == 2 && !usage.is_empty(), "{}", ran.stderr);
        for option in ["--database-url", "--actor", "--public-key"] {
            assert!(!usage.contains(option), "{usage}");
        }
    }
}

#[test]
fn manual_pages_are_written_to_a_directory_that_is_made() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("share/man1");
    let made = local(&["man", "--directory", directory.to_str().unwrap()]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(directory.join("audit-trail-verify.1").exists());
    std::fs::write(parent.path().join("file"), "").unwrap();
    let path = parent.path().join("file/man1");
    let failed = local(&["man", "--directory", path.to_str().unwrap()]);
    assert!(failed.code == 1 && failed.stderr.contains(path.to_str().unwrap()), "{}", failed.stderr);
}

#[tokio::test]
async fn an_empty_variable_is_unset_and_a_bad_master_key_stops_only_those_that_use_it() {
    let database = morning().await;
    let with = |arguments: &[&str], key: &str| {
        let mut command = command(&database, arguments);
        command.env("AUDIT_MASTER_KEY", key);
        ran(command)
    };
    for arguments in [&["events"][..], &["status"], &["verify"], &["migrate"], &["partitions"]] {
        let empty = with(arguments, "");
        assert_eq!(empty.code, 0, "{arguments:?}: {}", empty.stderr);
        let bad = with(arguments, "nothing");
        assert_eq!(bad.code, if arguments == ["events"] { 2 } else { 0 }, "{arguments:?}: {}", bad.stderr);
    }
    assert!(with(&["events"], "nothing").stderr.contains("AUDIT_MASTER_KEY: "));
    // An empty URL leaves the PG* variables.
    let mut empty = command(&database, &["events"]);
    empty.env("DATABASE_URL", "").env("PGHOST", "127.0.0.1").env("PGPORT", "1").env("PGUSER", "u");
    let ran = ran(empty);
    assert!(ran.code == 3 && ran.stderr.contains("127.0.0.1:1"), "{}", ran.stderr);
}
