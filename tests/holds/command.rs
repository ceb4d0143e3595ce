//! `audit-trail hold`, `prune` with conditions, `retain` and `restore`.

use crate::scene::{Scene, last_month, middle};
use std::process::{Command, Output};
use tests::examples::audit_trail;

pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

pub fn run(scene: &Scene, arguments: &[&str]) -> Ran {
    run_at(&scene.database.url, arguments)
}

fn run_at(url: &str, arguments: &[&str]) -> Ran {
    let mut command = Command::new(audit_trail());
    command.args(arguments).env("DATABASE_URL", url).env("TZ", "UTC").env("USER", "tester");
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_are_added_listed_and_lifted() {
    let scene = Scene::new().await;
    let none = run(&scene, &["hold", "list"]);
    assert_eq!((none.code, none.stdout.as_str()), (1, ""));
    let add = ["hold", "add", "customer:100", "--event", "customer.*", "--reason", "case 17"];
    let added = run(&scene, &add);
    assert_eq!(added.code, 0, "{}", added.stderr);
    let (id, rest) = added.stdout.trim().split_once("  ").unwrap();
    assert_eq!(rest, "customer:100, events customer.*  held  2 events");
    let again = run(&scene, &add);
    assert_eq!(again.code, 0);
    assert!(
        again.stdout.starts_with(id) && again.stdout.contains("held already, nothing is added"),
        "{}",
        again.stdout
    );
    let nothing =
        run(&scene, &["hold", "add", "--tenant", "nobody", "--actor", "x", "--by", "legal", "--reason", "case 18"]);
    assert!(nothing.code == 0 && nothing.stderr.contains("keeps nothing yet"), "{}", nothing.stderr);
    let listed = run(&scene, &["hold", "list"]).stdout;
    assert_eq!(listed.lines().count(), 2);
    assert!(
        listed.lines().next().unwrap().contains("  2 events  since 20") && listed.contains(" by tester: case 17"),
        "{listed}"
    );
    assert!(listed.contains("tenant nobody, actor x  0 events") && listed.contains("by legal: case 18"), "{listed}");
    let lifted = run(&scene, &["hold", "lift", id, "--reason", "closed"]);
    assert_eq!((lifted.code, lifted.stdout), (0, format!("{id}  lifted\n")));
    let twice = run(&scene, &["hold", "lift", id, "--reason", "closed"]);
    assert!(twice.code == 1 && twice.stderr.contains("was lifted already"), "{}", twice.stderr);
    assert_eq!(run(&scene, &["hold", "list"]).stdout.lines().count(), 1);
    let all = run(&scene, &["hold", "list", "--all", "--output", "json"]).stdout;
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(
        (&all[0]["lifted"]["by"], &all[0]["events"], &all[1]["lifted"]),
        (&"tester".into(), &2.into(), &serde_json::Value::Null)
    );
    for (arguments, code, said) in [
        (vec!["hold", "add", "--reason", "x"], 2, "has no condition"),
        (vec!["hold", "add", "customer", "--reason", "x"], 2, "TYPE:KEY"),
        (vec!["hold", "add", "customer:1"], 2, "--reason"),
        (vec!["hold", "add", "customer:1", "--reason", " "], 2, "reason is empty"),
        (vec!["hold", "lift", "x", "--reason", "x"], 2, "expected a UUID"),
        (vec!["hold", "lift", "00000000-0000-0000-0000-000000000000", "--reason", "x"], 1, "does not exist"),
    ] {
        let ran = run(&scene, &arguments);
        assert!(ran.code == code && ran.stderr.contains(said), "{arguments:?}: {}: {}", ran.code, ran.stderr);
    }
    let verified = run(&scene, &["verify"]);
    assert_eq!(verified.code, 0, "{}", verified.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_with_conditions_says_what_it_keeps_and_restore_brings_it_back() {
    let scene = Scene::new().await;
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("old.ndjson");
    let archive = archive.to_str().unwrap();
    let before = middle().date_naive().to_string();
    let prune =
        ["prune", "--event", "customer.viewed", "--tenant", "acme", "--entity-type", "customer", "--before", &before];
    let hold = run(&scene, &["hold", "add", "customer:100", "--reason", "case 17"]);
    let id = hold.stdout.split_whitespace().next().unwrap().to_owned();
    let all = scene.count("true").await;
    let dry = run(&scene, &[&prune[..], &["--dry-run"]].concat());
    assert!(dry.code == 0 && dry.stdout.contains(&format!("hold {id} keeps 1 rows")), "{}", dry.stdout);
    assert_eq!(scene.count("true").await, all);
    let pruned = run(&scene, &[&prune[..], &["--archive", archive]].concat());
    assert!(pruned.code == 0 && pruned.stdout.contains(" rows pruned, 1 kept"), "{}{}", pruned.stdout, pruned.stderr);
    let gone = all - scene.count("true").await;
    assert!(gone > 30);
    let again = run(&scene, &prune);
    let nothing = "events customer.viewed, tenant acme, entities of type customer: no event before";
    assert!(again.code == 0 && again.stdout.starts_with(nothing), "{}", again.stdout);
    let dry = run(&scene, &["restore", archive, "--dry-run"]);
    assert_eq!((dry.code, dry.stdout), (0, format!("{gone} rows would come back, 0 there already, 0 refused\n")));
    let restored = run(&scene, &["restore", archive]);
    assert!(
        restored.stdout.contains(&format!("{gone} rows came back, 0 there already, 0 refused")),
        "{}",
        restored.stdout
    );
    assert!(restored.code == 0 && restored.stderr.contains("unless a hold keeps them"), "{}", restored.stderr);
    assert_eq!(scene.count("true").await, all);
    let verified = run(&scene, &["verify"]);
    let note = "note: reimported: ";
    assert!(verified.code == 0 && verified.stdout.contains(note), "{}", verified.stdout);
    std::fs::write(archive, "x\n").unwrap();
    let refused = run(&scene, &["restore", archive]);
    assert!(refused.code == 1 && refused.stdout.contains("line 1 is refused"), "{}{}", refused.stdout, refused.stderr);
    assert_eq!(run(&scene, &["restore", "/nowhere"]).code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_under_a_hold_stops_no_other_subject() {
    let scene = Scene::new().await;
    let master = audit_runtime::MasterKey::generate();
    let audit = scene.database.audit().master_key(master).start().unwrap();
    for subject in ["customer:1", "customer:2"] {
        let event = audit_runtime::Event::new("a.thing").personal(subject, &serde_json::json!({"email": "x"}));
        audit.record(event).unwrap();
    }
    audit.shutdown(std::time::Duration::from_secs(60)).await.unwrap();
    let id = scene.hold(audit_runtime::admin::Hold::new().entity("customer", 1)).await;
    let ran = run(&scene, &["forget", "customer:1", "customer:2"]);
    assert!(ran.code == 1 && ran.stdout.contains("customer:2 is forgotten"), "{}{}", ran.stdout, ran.stderr);
    let said = format!(
        "customer:1: hold {id} keeps personal data of this subject; hint: audit-trail hold lift {id} --reason .. ends it"
    );
    assert!(ran.stderr.contains(&said), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_rules_is_planned_then_applied_and_a_second_run_does_nothing() {
    let scene = Scene::new().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("retention.toml");
    let archive = directory.path().join("%Y-%m.ndjson");
    let days = (chrono::Utc::now() - last_month()).num_days();
    let rules = format!(
        "[[rule]]\nname = \"orders\"\nevent = \"order.*\"\nkeep = \"forever\"\n\n\
         [[rule]]\nevent = \"customer.viewed\"\ntenant = \"acme\"\nkeep = \"{days} days\"\narchive = \"{}\"\n\n\
         [[rule]]\nkeep = \"12 weeks\"\n",
        archive.display()
    );
    std::fs::write(&file, &rules).unwrap();
    let file = file.to_str().unwrap();
    let id = scene.hold(audit_runtime::admin::Hold::new().event("b.thing")).await;
    let all = scene.count("true").await;
    let orders = scene.count("event_type LIKE 'order.%'").await;
    let views = "event_type = 'customer.viewed' AND coalesce(tenant, '') = 'acme'";
    let old_views = scene.count(&format!("{views} AND created_at < '{}'", last_month().to_rfc3339())).await;
    let rest = format!(
        "event_type NOT LIKE 'order.%' AND NOT ({views}) AND event_type <> 'b.thing' AND created_at < date_trunc('day', now()) - interval '84 days'"
    );
    let rest = scene.count(&rest).await;
    assert!(old_views > 0 && rest > 0);
    let plan = run(&scene, &["retain", file]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert!(plan.stdout.contains("rule 2: events customer.viewed, tenant acme before "), "{}", plan.stdout);
    assert!(
        plan.stdout.contains(&format!("hold {id} keeps ")) && !plan.stdout.contains("rule orders"),
        "{}",
        plan.stdout
    );
    let sum = old_views + rest;
    assert!(
        plan.stdout.ends_with(&format!("dry run: nothing is removed; --apply removes {sum} rows\n")),
        "{}",
        plan.stdout
    );
    let too_many = run(&scene, &["retain", file, "--apply", "--at-most", "1"]);
    assert!(
        too_many.code == 1 && too_many.stderr.contains(&format!("the plan removes {sum} rows, more than --at-most 1")),
        "{}",
        too_many.stderr
    );
    assert_eq!(scene.count("true").await, all);
    // A timer on two machines.
    let (file_2, url) = (file.to_owned(), scene.database.url.clone());
    let at_once = std::thread::spawn(move || run_at(&url, &["retain", &file_2, "--apply"]));
    let applied = run(&scene, &["retain", file, "--apply"]);
    let other = at_once.join().unwrap();
    assert_eq!((applied.code, other.code), (0, 0), "{}{}", applied.stderr, other.stderr);
    assert_eq!(scene.count("true").await, all - sum, "{}{}", applied.stdout, other.stdout);
    assert_eq!(scene.count("event_type LIKE 'order.%'").await, orders);
    let archived: usize = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "ndjson"))
        .map(|path| std::fs::read_to_string(path).unwrap().lines().count())
        .sum();
    assert!(archived as u64 >= old_views);
    let events = scene.database.events().await;
    let again = run(&scene, &["retain", file, "--apply"]);
    assert!(again.code == 0 && again.stdout.ends_with("nothing to remove\n"), "{}", again.stdout);
    assert_eq!(scene.database.events().await, events);
    assert_eq!(run(&scene, &["verify"]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_looks_like_a_pattern_is_refused_unless_it_is_meant() {
    let scene = Scene::new().await;
    let all = scene.count("true").await;
    for arguments in [
        &["prune", "--before", "2020-01-01", "--tenant", "acme*"][..],
        &["prune", "--before", "2020-01-01", "--entity-type", "ord?r"],
        &["prune", "--before", "2020-01-01", "--entity", "order:*"],
        &["prune", "--before", "2020-01-01", "--hold", "order:4*"],
        &["prune", "--before", "2020-01-01", "--event", "order.?"],
        &["hold", "add", "order:*", "--reason", "case 17"],
        &["hold", "add", "*:4", "--reason", "case 17"],
        &["hold", "add", "--actor", "legal:*", "--reason", "case 17"],
        &["hold", "add", "--tenant", "acme-?", "--reason", "case 17"],
        &["hold", "add", "--event", "order.?", "--reason", "case 17"],
    ] {
        let ran = run(&scene, arguments);
        assert!(
            ran.code == 2 && ran.stderr.contains("and --literal if"),
            "{arguments:?}: {}{}",
            ran.stdout,
            ran.stderr
        );
    }
    assert!(scene.holds().await.is_empty());
    let audit = scene.database.audit().start().unwrap();
    for key in ["a*b", "aXb"] {
        audit.record(audit_runtime::Event::new("part.made").entity("part", key)).unwrap();
    }
    audit.shutdown(std::time::Duration::from_secs(60)).await.unwrap();
    let added = run(&scene, &["hold", "add", "part:a*b", "--literal", "--reason", "case 17"]);
    assert!(added.code == 0 && added.stdout.contains("part:a*b  held  1 event"), "{}{}", added.stdout, added.stderr);
    let none = run(&scene, &["prune", "--before", "2020-01-01", "--entity", "part:a*b", "--literal"]);
    assert_eq!(none.code, 0, "{}", none.stderr);
    assert_eq!(scene.count("true").await, all + 2);
}

#[test]
fn a_mistake_in_a_file_of_rules_is_named_without_a_database() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("retention.toml");
    let path = file.to_str().unwrap();
    for (text, said) in [
        ("[[rule]]\nkeep = \"1 day\"\nevnt = \"x\"", "line 3: unknown field `evnt`"),
        ("[[rule]]\nevent = \"x\"\nkeep = \"90\"", "line 3: invalid period \"90\""),
        ("", "line 1: it has no rule"),
        (
            "[[rule]]\nkeep = \"forever\"\nactor = \"legal:*\"",
            "line 3: actor \"legal:*\" is compared as a whole, and only event has `*`",
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let ran = run_at("postgres://127.0.0.1:1/x", &["retain", path, "--apply"]);
        assert!(ran.code == 2 && ran.stderr.contains(&format!("{path}, {said}")), "{}: {}", ran.code, ran.stderr);
    }
    let ran = run_at("postgres://127.0.0.1:1/x", &["retain", "/nowhere"]);
    assert!(ran.code == 2 && ran.stderr.contains("cannot read /nowhere"), "{}", ran.stderr);
    let both = run_at("postgres://127.0.0.1:1/x", &["retain", path, "--apply", "--dry-run"]);
    assert_eq!(both.code, 2);
}
