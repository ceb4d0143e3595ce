//! Pruned rows come back from their archive, and nothing else does.

use crate::scene::{Scene, as_superuser, last_month, middle, viewed};
use audit_runtime::admin::{Prune, PruneFilter, ReimportError, ReimportReport};
use audit_runtime::evidence::FindingKind;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tests::python::program;

async fn reimport(scene: &Scene, path: &Path) -> (ReimportReport, Vec<String>) {
    let mut steps = Vec::new();
    let admin = scene.database.admin().actor("restorer");
    let report = admin.reimport(path, false, |step| steps.push(step.to_string())).await.unwrap();
    (report, steps)
}

/// All rows but those of the trail itself, as text.
async fn rows(scene: &Scene) -> Vec<String> {
    sqlx::query_scalar("SELECT e::text FROM audit_events e WHERE entity_type <> 'audit' ORDER BY created_at, id")
        .fetch_all(&scene.database.pool)
        .await
        .unwrap()
}

fn archive() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("old.ndjson");
    (directory, path)
}

/// The independent verifier agrees.
fn independent(scene: &Scene) {
    let Some(mut verifier) = program("interop/verifier.py") else { return };
    let output = verifier.args(["trail", &scene.database.url, &scene.key.public().to_string()]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("\"problems\": []"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pruned_comes_back_as_it_was_and_may_be_pruned_again() {
    let scene = Scene::new().await;
    let before = rows(&scene).await;
    for prune in [
        Prune::new(last_month()),
        Prune::new(middle()).only(viewed().tenant("acme")),
        Prune::new(middle()).only(PruneFilter::new().event("order.*")),
    ] {
        let (_directory, path) = archive();
        let pruned = scene.prune(&prune.clone().archive(&path)).await;
        assert!(pruned.rows > 50);
        let dry = scene.database.admin().reimport(&path, true, |_| {}).await.unwrap();
        assert_eq!(
            (dry.rows, dry.events.len(), scene.count("true").await),
            (pruned.rows, 0, before.len() as u64 - pruned.rows)
        );
        let (report, steps) = reimport(&scene, &path).await;
        assert_eq!((report.rows, report.present, report.refused), (pruned.rows, 0, 0), "{steps:#?}");
        assert_eq!(rows(&scene).await, before);
        // Months whose partitions went have partitions again.
        assert_eq!(scene.database.count("SELECT count(*) FROM audit_events_default").await, 0);
        let (again, _) = reimport(&scene, &path).await;
        assert_eq!((again.rows, again.present, again.events.len()), (0, pruned.rows, 0));
        scene.database.admin().checkpoint(&scene.key).await.unwrap();
        scene.is_unharmed().await;
        let told = scene.of_kind(FindingKind::Reimported).await;
        let told = told.iter().find(|finding| finding.event == Some(report.events[0])).unwrap();
        let text = format!("{} pruned rows came back, by restorer at ", pruned.rows);
        assert!(told.text.starts_with(&text) && !told.is_problem(), "{told}");
        independent(&scene);
        // Twice pruned, with two accounts of the same rows.
        assert_eq!(scene.prune(&prune).await.rows, pruned.rows);
        scene.is_unharmed().await;
        independent(&scene);
        reimport(&scene, &path).await;
    }
    assert_eq!(rows(&scene).await, before);
    scene.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_not_what_was_sealed_is_refused_by_its_number() {
    let scene = Scene::new().await;
    let (_directory, path) = archive();
    let pruned = scene.prune(&Prune::new(middle()).only(viewed()).archive(&path)).await;
    let there: String = sqlx::query_scalar(
        "SELECT row_to_json(e)::text FROM audit_events e WHERE event_type = 'order.submitted' LIMIT 1",
    )
    .fetch_one(&scene.database.pool)
    .await
    .unwrap();
    let mut lines: Vec<String> = std::fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    let late = lines.iter().position(|line| line.contains("\"batch_id\":null")).unwrap();
    let batched: Vec<usize> = (0..lines.len()).filter(|at| !lines[*at].contains("\"batch_id\":null")).collect();
    let batch = |line: &str| line.split("\"batch_id\":\"").nth(1).unwrap()[..36].to_owned();
    let other = batched.iter().find(|at| batch(&lines[**at]) != batch(&lines[batched[0]])).unwrap();
    let other = batch(&lines[*other]);
    let changed = [
        (batched[0], lines[batched[0]].replace("ann", "eve"), "it is not what was sealed"),
        (batched[1], lines[batched[1]].replace(&batch(&lines[batched[1]]), &other), "its batch was sealed without it"),
        (
            batched[2],
            lines[batched[2]].replace(&batch(&lines[batched[2]]), "00000000-0000-7000-8000-000000000000"),
            "its batch does not exist",
        ),
        (batched[3], "{}".to_owned(), "it is not a row of an archive"),
        (batched[4], "\u{fffd}".to_owned(), "it is not a row of an archive"),
        (batched[5], there, "no prune removed it"),
        (late, lines[late].replace("\"n\":", "\"m\":").replace("\"n\": ", "\"m\": "), "it is not what was sealed"),
    ];
    for (at, line, _) in &changed {
        lines[*at].clone_from(line);
    }
    std::fs::write(&path, lines.join("\n")).unwrap();
    let (report, steps) = reimport(&scene, &path).await;
    for (at, _, reason) in &changed {
        let said = format!("line {} is refused: {reason}", at + 1);
        assert!(steps.contains(&said), "{said}: {steps:#?}");
    }
    assert_eq!((report.refused, report.rows), (changed.len() as u64, pruned.rows - changed.len() as u64));
    scene.is_unharmed().await;
    // Bytes that are no text, and no file at all.
    std::fs::write(&path, b"\xff\xfe\n\n{").unwrap();
    let (report, _) = reimport(&scene, &path).await;
    assert_eq!((report.refused, report.rows, report.events.len()), (3, 0, 0));
    let error = scene.database.admin().reimport("/nowhere", false, |_| {}).await.unwrap_err();
    assert!(matches!(error, ReimportError::Archive { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_removed_does_not_come_back_in_silence() {
    let scene = Scene::new().await;
    let (_directory, path) = archive();
    let line: String = sqlx::query_scalar(
        "SELECT row_to_json(e)::text FROM audit_events e WHERE event_type = 'order.submitted' LIMIT 1",
    )
    .fetch_one(&scene.database.pool)
    .await
    .unwrap();
    std::fs::write(&path, &line).unwrap();
    let id = &line.split("\"id\":\"").nth(1).unwrap()[..36];
    as_superuser(&scene.database.pool, &format!("DELETE FROM audit_events WHERE id = '{id}'")).await;
    let (report, steps) = reimport(&scene, &path).await;
    assert_eq!((report.rows, steps), (0, vec!["line 1 is refused: no prune removed it".to_owned()]));
    assert!(scene.problems().await[0].starts_with("missing: "));
    // Neither does a row of a batch that was changed since.
    let (_directory, path) = archive();
    let scene = Scene::new().await;
    scene.prune(&Prune::new(middle()).only(viewed()).archive(&path)).await;
    as_superuser(&scene.database.pool, "UPDATE audit_batches SET leaves = overlay(leaves PLACING '\\x00' FROM 20)")
        .await;
    let (report, steps) = reimport(&scene, &path).await;
    assert!(report.rows == 0 && steps[0].contains("its batch is not what was sealed"), "{steps:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_that_lied_about_its_filter_is_found_by_the_rows_that_come_back() {
    let scene = Scene::new().await;
    let (_directory, path) = archive();
    // The pruner removes orders, and its event says views. The event is not sealed yet.
    let pruned = scene
        .prune(&Prune::new(last_month()).only(PruneFilter::new().event("order.*").actor("desk")).archive(&path))
        .await;
    let lie = format!(
        "UPDATE audit_events SET data = jsonb_set(data, '{{filter,events}}', '[\"customer.viewed\"]') WHERE id = '{}'; \
         DELETE FROM audit_tree; DELETE FROM audit_checkpoints",
        pruned.events[0]
    );
    // Sealed anew, as by somebody with the signing key.
    let late = format!("DELETE FROM audit_late WHERE event_id = '{}'", pruned.events[0]);
    let batch: uuid::Uuid = sqlx::query_scalar("SELECT batch_id FROM audit_late WHERE event_id = $1")
        .bind(pruned.events[0])
        .fetch_one(&scene.database.pool)
        .await
        .unwrap();
    let others =
        format!("DELETE FROM audit_late WHERE batch_id = '{batch}'; DELETE FROM audit_batches WHERE id = '{batch}'");
    as_superuser(&scene.database.pool, &format!("{lie}; {late}; {others}")).await;
    scene.database.admin().checkpoint(&scene.key).await.unwrap();
    scene.is_unharmed().await;
    let (report, steps) = reimport(&scene, &path).await;
    assert_eq!(report.contradicted, [pruned.events[0]], "{steps:#?}");
    assert!(report.rows > 0, "the rows are true");
    let problems = scene.problems().await;
    let named = format!("not pruned: event {}: rows that came back are none of those", pruned.events[0]);
    assert!(problems.len() == 1 && problems[0].starts_with(&named), "{problems:#?}");
}
