//! Forms, validated by programs that nobody here wrote: CNCF's SDKs, OCSF's schema, a parser of CEF.

use crate::hostile::hostile_database;
use crate::{forward, stored};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tests::{Database, python};

const PACKAGES: [&str; 4] = ["cloudevents==2.2.0", "ocsf-json-schema==1.2.0", "jsonschema>=4.23,<5", "pycef==1.11"];

/// Runs a check of `check.py` on a file, with a Python that has the packages.
fn check(what: &str, file: &Path) -> Option<String> {
    // Of tests at once, one installs it.
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let imports = "import cloudevents, ocsf_json_schema, jsonschema, pycef";
    let python = PYTHON.get_or_init(|| python::with("python-forms", &PACKAGES, imports)).as_deref()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("export/check.py");
    let output = Command::new(python).arg(script).arg(what).arg(file).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{what}: {text}{}", String::from_utf8_lossy(&output.stderr));
    Some(text)
}

async fn sent(database: &Database, form: &str, more: &[&str]) -> PathBuf {
    let file = database.journals.path().join(form);
    let arguments = [&["--form", form][..], more].concat();
    let (code, text) = forward(database, file.to_str().unwrap(), &arguments);
    assert_eq!(code, 0, "{text}");
    file
}

#[tokio::test]
async fn cloud_events_are_read_by_cncfs_sdk_for_python() {
    let database = hostile_database().await;
    let file = sent(&database, "cloudevents", &[]).await;
    let count = stored(&database).await.len();
    if let Some(text) = check("cloudevents", &file) {
        assert_eq!(text.trim(), format!("{count} valid"));
    }
}

#[tokio::test]
async fn cloud_events_are_read_by_cncfs_sdk_for_javascript() {
    let database = hostile_database().await;
    let file = sent(&database, "cloudevents", &[]).await;
    if !Command::new("npm").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("LEFT OUT: there is no npm here, so CNCF's SDK for JavaScript reads nothing");
        return;
    }
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("node-forms");
    std::fs::create_dir_all(&target).unwrap();
    if !target.join("node_modules/cloudevents").exists() {
        let output = Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "cloudevents@10.0.0"])
            .current_dir(&target)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let script = "const { HTTP } = require('cloudevents'); const fs = require('fs'); let n = 0; \
         for (const line of fs.readFileSync(process.argv[1], 'utf8').split('\\n').filter(Boolean)) { \
         const event = HTTP.toEvent({ headers: { 'content-type': 'application/cloudevents+json' }, body: line }); event.validate(); n++; } \
         console.log(n + ' valid');";
    let output = Command::new("node").args(["-e", script]).arg(&file).current_dir(&target).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(text.trim(), format!("{} valid", stored(&database).await.len()));
}

#[tokio::test]
async fn ocsf_events_are_valid_by_the_schema_of_their_class() {
    let database = hostile_database().await;
    let mapping = database.journals.path().join("mapping.toml");
    let rules = "[[rule]]\nevent = \"session.opened\"\nclass = 3002\nactivity = 1\nseverity = 3\n[[rule]]\nevent = \"account.locked\"\nclass = 3001\nactivity = 9\n\
         [[rule]]\nevent = \"policy.*\"\nclass = 3004\n[[rule]]\nevent = \"service.started\"\nclass = 6002\nactivity = 3\n[[rule]]\nevent = \"log.cleared\"\nclass = 1008\nactivity = 1\n";
    std::fs::write(&mapping, rules).unwrap();
    let audit = database.audit().start().unwrap();
    for event in [
        "session.opened",
        "account.locked",
        "policy.changed",
        "service.started",
        "log.cleared",
        "order.created",
        "order.viewed",
    ] {
        audit.record(audit_runtime::Event::new(event).entity("thing", 42).actor("user:ada").tenant("acme")).unwrap();
    }
    audit.shutdown(crate::LONG).await.unwrap();
    let file = sent(&database, "ocsf", &["--mapping", mapping.to_str().unwrap()]).await;
    let Some(text) = check("ocsf", &file) else { return };
    let count = stored(&database).await.len();
    assert!(text.contains(&format!("{count} valid")), "{text}");
    for class in ["3002/1", "3001/9", "3004/3", "6002/3", "1008/1", "6003/1", "6003/2", "6003/99"] {
        assert!(text.contains(class), "{class}: {text}");
    }
}

#[tokio::test]
async fn cef_and_leef_are_parsed_back_by_others() {
    let database = hostile_database().await;
    let ids: Vec<String> = stored(&database).await.iter().map(ToString::to_string).collect();
    for form in ["cef", "leef"] {
        let file = sent(&database, form, &[]).await;
        let ndjson = sent(&database, "ndjson", &["--name", &format!("beside {form}")]).await;
        let beside = file.with_extension("ndjson");
        std::fs::rename(ndjson, &beside).unwrap();
        if let Some(text) = check(form, &file) {
            assert_eq!(text.trim(), format!("{} valid", ids.len()), "{form}");
        }
        std::fs::remove_file(beside).unwrap();
    }
}

/// "ArcSight Common Event Format (CEF) Implementation Standard": `src` is an IPv4 address, `c6a2` the IPv6
/// address of the source.
#[tokio::test]
async fn cef_has_an_address_of_each_kind_where_the_standard_has_it() {
    let database = Database::new().await;
    let audit = database.audit().start().unwrap();
    for ip in ["10.0.0.7", "2001:db8::7", "::ffff:10.0.0.8"] {
        let _inside = audit_runtime::Context::new().attribute("ip", ip).enter();
        audit.record(audit_runtime::Event::new("order.made")).unwrap();
    }
    audit.shutdown(crate::LONG).await.unwrap();
    let text = std::fs::read_to_string(sent(&database, "cef", &[]).await).unwrap();
    for part in [" src=10.0.0.7 ", " src=10.0.0.8 ", " c6a2=2001:db8::7 ", " c6a2Label=Source IPv6 Address"] {
        assert_eq!(text.matches(part).count(), 1, "{part}: {text}");
    }
    assert_eq!(text.matches(" src=").count(), 2, "{text}");
    assert_eq!((text.matches("|rt=").count(), text.matches("deviceReceiptTime").count()), (3, 0), "{text}");
}

#[tokio::test]
async fn every_field_is_in_every_form() {
    let database = hostile_database().await;
    for form in ["ndjson", "cloudevents", "ocsf", "ecs", "cef", "leef", "csv"] {
        let file = sent(&database, form, &[]).await;
        let text = std::fs::read_to_string(&file).unwrap();
        let whole = text.lines().find(|line| line.contains("whole.event")).unwrap();
        for part in [
            "whole.event",
            "the actor",
            "the tenant",
            "INV-2026-0007",
            "199.39999999999998",
            "error",
            "42424242",
            "the context",
            "other-key",
            "11111111-1111-4111-8111-111111111111",
            "22222222-2222-4222-8222-222222222222",
            "desk@host:77",
            "2026-01-02T03:04:05.000006",
        ] {
            assert!(whole.contains(part), "{form} lacks {part}: {whole}");
        }
        // Its evidence, too.
        let leaf: String = sqlx::query_scalar(
            "SELECT encode(substr(b.leaves, position(uuid_send(e.id) IN b.leaves) + 16, 32), 'hex') FROM audit_batches b JOIN audit_late l ON l.batch_id = b.id \
             JOIN audit_events e ON e.id = l.event_id WHERE e.event_type = 'whole.event'",
        )
        .fetch_one(&database.pool)
        .await
        .unwrap();
        assert!(whole.contains(&leaf), "{form} lacks its leaf");
    }
}

/// <https://www.elastic.co/docs/reference/ecs/ecs-allowed-values-event-type> and its neighbours.
#[tokio::test]
async fn fields_of_ecs_are_where_the_schema_has_them_with_values_that_it_allows() {
    let database = hostile_database().await;
    let text = std::fs::read_to_string(sent(&database, "ecs", &[]).await).unwrap();
    // One has a number that no f64 is.
    let lines: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(lines.len() + 2 > text.lines().count());
    for line in &lines {
        let event = &line["event"];
        assert!(["success", "failure", "unknown"].iter().any(|outcome| event["outcome"] == *outcome), "{event}");
        let types = ["access", "change", "creation", "deletion", "info"];
        assert!(types.iter().any(|kind| event["type"][0] == *kind), "{event}");
        assert!(event["kind"] == "event" && event["category"][0] == "api", "{event}");
    }
    let whole = lines.iter().find(|line| line["event"]["action"] == "whole.event").unwrap();
    assert_eq!(
        (&whole["event"]["outcome"], &whole["event"]["duration"]),
        (&"failure".into(), &42_424_242_000_u64.into())
    );
    assert_eq!((&whole["user"]["id"], &whole["organization"]["id"]), (&"the actor".into(), &"the tenant".into()));
    assert_eq!((&whole["service"]["name"], &whole["host"]["name"]), (&"desk".into(), &"host".into()));
    assert_eq!(whole["process"]["pid"], 77);
}

#[tokio::test]
async fn cells_of_csv_are_no_formulas_unless_they_are_to_be() {
    let database = hostile_database().await;
    let file = sent(&database, "csv", &[]).await;
    let cells: Vec<String> = csv::Reader::from_path(&file)
        .unwrap()
        .records()
        .flat_map(|record| record.unwrap().iter().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let records = std::fs::read_to_string(&file).unwrap().lines().count() - 1;
    assert_eq!(records, crate::stored(&database).await.len(), "a record is one line");
    let begins = |cell: &&String| cell.starts_with(['=', '+', '@', '\t', '\r']);
    assert_eq!(cells.iter().filter(begins).collect::<Vec<_>>(), Vec::<&String>::new());
    let raw = database.journals.path().join("raw.csv");
    assert_eq!(forward(&database, raw.to_str().unwrap(), &["--form", "csv", "--raw"]).0, 0);
    assert!(std::fs::read_to_string(raw).unwrap().contains("\n\"=") || cells.iter().any(|cell| cell.starts_with("'=")));
}

#[tokio::test]
async fn metadata_alone_is_sent_where_that_is_wanted() {
    let database = hostile_database().await;
    for form in ["ndjson", "cloudevents", "ocsf", "ecs", "cef", "leef", "csv"] {
        let file = database.journals.path().join(format!("metadata.{form}"));
        let (code, text) = forward(&database, file.to_str().unwrap(), &["--form", form, "--level", "metadata"]);
        assert_eq!(code, 0, "{text}");
        let text = std::fs::read_to_string(file).unwrap();
        assert!(!text.contains("199.39999999999998") && !text.contains("the context"), "{form}: {text}");
        assert!(text.contains("the actor"), "{form}");
    }
}
