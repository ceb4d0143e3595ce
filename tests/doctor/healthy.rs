//! Trails without a finding, and the ends of the command.

use crate::scene::{Trail, ran};
use audit_runtime::evidence::SigningKey;
use serde_json::json;
use tests::Database;

#[tokio::test]
async fn a_healthy_trail_has_no_finding_and_no_check_is_left_out() {
    let trail = Trail::healthy().await;
    let audit = trail.audit();
    let provoked = trail.with([]);
    let ran = provoked.doctor();
    assert_eq!((ran.code, ran.names()), (0, Vec::new()), "{}{}", ran.stdout, ran.stderr);
    let report = ran.report();
    assert_eq!((&report["findings"], &report["not_checked"]), (&json!(0), &json!([])));
    let text = provoked.text();
    assert!(text.code == 0 && text.stdout.starts_with("nothing found in "), "{}", text.stdout);
    audit.shutdown(std::time::Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn after_an_exchange_the_old_public_key_verifies_and_the_old_secret_key_is_named() {
    let trail = Trail::healthy().await;
    let new = SigningKey::generate("audit.example.com/doctor").unwrap();
    trail.database.admin().rotate_key(&trail.key, &new, &[]).await.unwrap();
    // At once, and once the new key has signed.
    for _ in 0..2 {
        let ran = ran(trail.command().args(["doctor", "--json"]).args(trail.options()));
        assert_eq!(ran.names(), ["key-mismatch"], "{}", ran.stdout);
        let finding = ran.finding("key-mismatch").unwrap();
        assert!(finding["about"].as_str().unwrap().starts_with("--signing-key: the key "), "{finding}");
        trail.database.admin().checkpoint(&new).await.unwrap();
    }
    trail.secret("signing.key", new.secret());
    trail.verify();
    let ran = ran(trail.command().args(["doctor", "--json"]).args(trail.options()));
    assert_eq!((ran.code, ran.names()), (0, Vec::new()), "{}{}", ran.stdout, ran.stderr);
}

#[tokio::test]
async fn people_read_a_finding_with_its_reason_and_its_remedy() {
    let trail = Trail::healthy().await;
    trail.sql("ALTER TABLE audit_tree DISABLE TRIGGER audit_tree_append_only").await;
    let ran = trail.with([]).text();
    let expected = "critical  trigger-disabled: trigger audit_tree_append_only of table audit_tree is disabled\n\
        \x20         why     PostgreSQL accepts changes that the trigger refuses\n\
        \x20         remedy  ALTER TABLE public.audit_tree ENABLE TRIGGER audit_tree_append_only;\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (1, expected));
    assert_eq!(ran.stderr, "audit-trail: 1 finding, 1 of them critical\n");
}

#[tokio::test]
async fn each_role_connects_by_its_own_url() {
    let trail = Trail::healthy().await;
    let urls = ["writer", "reader"].map(|kind| trail.url_of(&trail.role(kind)));
    let ran = ran(trail.command().args(["doctor", "--json", "--writer", &urls[0], "--reader", &urls[1]]));
    assert_eq!((ran.code, ran.names()), (0, Vec::new()), "{}{}", ran.stdout, ran.stderr);
    // Without the options, it reports the checks that it left out.
    let left_out = ran.report()["not_checked"].to_string();
    for check in ["journals", "the last verification", "the public key"] {
        assert!(left_out.contains(check), "{left_out}");
    }
}

#[tokio::test]
async fn a_reader_may_examine_the_trail() {
    let trail = Trail::healthy().await;
    let reader = trail.url_of(&trail.role("reader"));
    let ran = ran(trail.command().env("DATABASE_URL", reader).arg("doctor").args(trail.options()).arg("--json"));
    assert_eq!((ran.code, ran.names()), (0, Vec::new()), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.report()["not_checked"], json!([]));
}

#[tokio::test]
async fn a_role_with_several_duties_has_the_rights_of_all() {
    let trail = Trail::healthy().await;
    let writer = trail.role("writer");
    trail.database.admin().grant(audit_runtime::admin::Role::Reader, &writer).await.unwrap();
    let alone = ran(trail.command().args(["doctor", "--json", "--writer", &writer]));
    assert!(alone.finding("role-exceeds").is_some(), "{}", alone.stdout);
    let both = ran(trail.command().args(["doctor", "--json", "--writer", &writer, "--reader", &writer]));
    assert_eq!((both.code, both.names()), (0, Vec::new()), "{}", both.stdout);
}

#[tokio::test]
async fn a_server_out_of_reach_is_an_error_behind_the_findings_of_this_machine() {
    let trail = Trail::empty().await;
    trail.secret("signing.key", "no key");
    let mut command = trail.command();
    command.env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing");
    let ran = ran(command.args(["doctor", "--json", "--signing-key"]).arg(trail.path("signing.key")));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.finding("key-unreadable").is_some(), "{}", ran.stdout);
    assert!(ran.report()["not_checked"].to_string().contains("the database"), "{}", ran.stdout);
}

#[tokio::test]
async fn a_mistake_on_the_command_line_is_a_usage_error() {
    let database = Database::new().await;
    for arguments in [
        vec!["--journal-free", "much"],
        vec!["--writer", "postgres://u:secret@host:port/x"],
        vec!["--tenant", "acme"],
        vec!["--output", "csv"],
        vec!["extra"],
    ] {
        let mut command = std::process::Command::new(tests::examples::audit_trail());
        let ran = ran(command.arg("doctor").args(&arguments).env("DATABASE_URL", &database.url));
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
    }
}
