//! Findings about roles.

use crate::scene::{Provoked, Trail};

pub(crate) async fn role_unknown() -> Provoked {
    Trail::healthy().await.instead("--eraser", "nobody of that name")
}

pub(crate) async fn role_unlimited() -> Provoked {
    let trail = Trail::healthy().await;
    let (writer, owner) = (trail.role("writer"), trail.role("owner"));
    trail
        .sql(&format!("CREATE ROLE {owner}; ALTER TABLE audit_events OWNER TO {owner}; GRANT {owner} TO {writer}"))
        .await;
    trail.with([])
}

pub(crate) async fn role_lacks_right() -> Provoked {
    let trail = Trail::healthy().await;
    trail.sql(&format!("REVOKE INSERT ON audit_events FROM {}", trail.role("writer"))).await;
    trail.with([])
}

pub(crate) async fn role_exceeds() -> Provoked {
    let trail = Trail::healthy().await;
    trail.sql(&format!("GRANT SELECT (subject) ON audit_keys TO {}", trail.role("reader"))).await;
    trail.with([])
}

pub(crate) async fn role_may_change() -> Provoked {
    let trail = Trail::healthy().await;
    trail.sql(&format!("GRANT DELETE ON audit_events TO {}", trail.role("writer"))).await;
    trail.with([])
}

pub(crate) async fn role_cannot_connect() -> Provoked {
    let trail = Trail::healthy().await;
    let writer = trail.role("writer");
    trail.sql(&format!("ALTER ROLE {writer} NOLOGIN")).await;
    let url = trail.url_of(&writer);
    trail.instead("--writer", &url)
}

pub(crate) async fn role_read_only() -> Provoked {
    let trail = Trail::healthy().await;
    trail.sql(&format!("ALTER ROLE {} SET default_transaction_read_only = on", trail.role("writer"))).await;
    trail.with([])
}

pub(crate) async fn role_sees_other_table() -> Provoked {
    let trail = Trail::healthy().await;
    let writer = trail.role("writer");
    // The default path begins with a schema of the role's name.
    trail.sql(&format!("CREATE SCHEMA AUTHORIZATION {writer}; CREATE TABLE {writer}.audit_events (id uuid)")).await;
    trail.with([])
}

pub(crate) async fn tenant_wall() -> Provoked {
    let trail = Trail::healthy().await;
    trail.sql(&format!("GRANT {} TO {}", trail.role("reader"), trail.role("tenant"))).await;
    trail.with([])
}

#[tokio::test]
async fn rights_by_a_membership_by_everybody_and_of_roles_without_a_duty_are_found() {
    let trail = Trail::healthy().await;
    let (writer, group, other) = (trail.role("writer"), trail.role("group"), trail.role("other"));
    trail
        .sql(&format!(
            "CREATE ROLE {group}; CREATE ROLE {other}; GRANT UPDATE ON audit_tree TO {group}; GRANT {group} TO {writer}; \
             GRANT TRUNCATE ON audit_late TO {other}; GRANT UPDATE (actor) ON audit_events TO PUBLIC; GRANT pg_read_all_data TO {writer}"
        ))
        .await;
    let provoked = trail.with([]);
    let ran = provoked.doctor();
    let found: Vec<_> = ran.lines().into_iter().map(|line| line["finding"].clone()).collect();
    for (name, about, remedy) in [
        (
            "role-may-change",
            format!("role {writer} has UPDATE ON audit_tree, which its duties do not need, as a member of {group}"),
            format!("REVOKE UPDATE ON audit_tree FROM {group};"),
        ),
        (
            "role-may-change",
            format!("role {other} has TRUNCATE ON audit_late"),
            format!("REVOKE TRUNCATE ON audit_late FROM {other};"),
        ),
        (
            "role-may-change",
            "role PUBLIC has UPDATE ON audit_events".into(),
            "REVOKE UPDATE ON audit_events FROM PUBLIC;".into(),
        ),
        (
            "role-exceeds",
            format!("role {writer} has SELECT ON audit_events, which its duties do not need"),
            format!("REVOKE pg_read_all_data FROM {writer};"),
        ),
    ] {
        let is = |finding: &&serde_json::Value| {
            finding["name"] == name && finding["about"] == about.as_str() && finding["remedy"] == remedy.as_str()
        };
        assert!(found.iter().any(|finding| is(&finding)), "{about}: {}", ran.stdout);
        provoked.apply(&remedy).await;
    }
    let ran = provoked.doctor();
    assert_eq!((ran.code, ran.names()), (0, Vec::new()), "{}", ran.stdout);
}

#[tokio::test]
async fn a_role_whose_password_is_not_given_is_compared_without_a_session() {
    let trail = Trail::healthy().await;
    let writer = trail.role("writer");
    trail.sql(&format!("ALTER ROLE {writer} NOLOGIN")).await;
    let ran = trail.with([]).doctor();
    assert_eq!((ran.code, ran.names()), (0, Vec::new()), "{}", ran.stdout);
    assert!(ran.report()["not_checked"].to_string().contains(&format!("a session of role {writer}")), "{}", ran.stdout);
}
