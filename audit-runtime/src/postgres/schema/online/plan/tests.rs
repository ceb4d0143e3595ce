use super::*;

fn migrated() -> State {
    State::after_migrations("audit")
}

fn sql(state: &State, choice: Choice) -> Vec<String> {
    plan(state, choice).into_iter().flat_map(|step| step.sql).collect()
}

fn existing(name: &str, index: Index) -> Existing {
    Existing {
        name: name.into(),
        definition: index.definition.into(),
        is_valid: true,
        is_unique: false,
        key: None,
        attached_to: None,
        bytes: 8192,
    }
}

#[test]
fn nothing_is_dropped_before_everything_new_is_there() {
    let steps = plan(&migrated(), Choice::default());
    let (last, before) = steps.split_last().unwrap();
    assert_eq!(last.kind, Kind::Exchange);
    assert!(before.iter().all(|step| step.kind == Kind::Statements), "{before:#?}");
    assert!(before.iter().flat_map(|step| &step.sql).all(|sql| !sql.starts_with("DROP")), "{before:#?}");
    let exchange = last.sql.join("; ");
    assert!(exchange.starts_with("LOCK TABLE audit.audit_events"), "{exchange}");
    for old in SUPERSEDED {
        assert!(exchange.contains(&format!("audit.audit_events_{}", old.name)), "{exchange}");
    }
}

#[test]
fn indexes_are_qualified_and_built_concurrently_on_partitions_alone() {
    for sql in sql(&migrated(), Choice::default()) {
        if sql.starts_with("CREATE") {
            let on_parent = sql.contains(" ON ONLY audit.audit_events ");
            assert_ne!(on_parent, sql.contains(" CONCURRENTLY "), "{sql}");
            assert_eq!(sql.contains("audit_bucket"), sql.contains("audit.audit_bucket(created_at)"), "{sql}");
        }
    }
}

#[test]
fn an_index_that_was_interrupted_is_dropped_and_built_again() {
    let mut state = migrated();
    let interrupted = Existing { is_valid: false, ..existing("audit_events_default_entity_bucket", EVERYWHERE[0]) };
    state.partitions[0].indexes.push(interrupted);
    let steps = plan(&state, Choice::default());
    let step = steps.iter().find(|step| step.about == "index audit_events_default_entity_bucket").unwrap();
    assert_eq!(step.sql[0], "DROP INDEX CONCURRENTLY audit.audit_events_default_entity_bucket");
    assert!(step.sql[1].starts_with("CREATE INDEX CONCURRENTLY audit_events_default_entity_bucket "), "{step:?}");
    assert_eq!(
        step.sql[2],
        "ALTER INDEX audit.audit_events_entity_bucket ATTACH PARTITION audit.audit_events_default_entity_bucket"
    );
}

#[test]
fn an_index_that_is_built_is_only_attached() {
    let mut state = migrated();
    state.partitions[0].indexes.push(existing("by_hand", EVERYWHERE[0]));
    let attached = plan(&state, Choice::default());
    let attached = attached.iter().find(|step| step.about.contains("by_hand")).unwrap();
    assert_eq!(attached.sql, ["ALTER INDEX audit.audit_events_entity_bucket ATTACH PARTITION audit.by_hand"]);
}

#[test]
fn hash_indexes_are_kept_on_request_and_then_for_good() {
    let request = Choice { execution: true, ..Choice::default() };
    let kept = sql(&migrated(), request).join("; ");
    assert!(kept.contains("ALTER INDEX audit.audit_events_order RENAME TO audit_events_execution_order"), "{kept}");
    let dropped = kept.split("DROP INDEX").nth(1).unwrap();
    assert!(!dropped.contains("audit_events_order") && dropped.contains("audit_events_time"), "{dropped}");
    // Renamed: later migrations leave it.
    let mut state = migrated();
    for index in EXECUTION {
        let position = state.parent.indexes.iter().position(|old| old.definition == index.definition).unwrap();
        let name = on_parent(index);
        for old in state.partitions[0].indexes.iter_mut().filter(|old| old.definition == index.definition) {
            old.attached_to = Some(name.clone());
        }
        state.parent.indexes[position].name = name;
    }
    let later = sql(&state, Choice::default()).join("; ");
    assert!(!later.contains("execution") && !later.contains("hash"), "{later}");
}

#[test]
fn a_month_that_is_over_needs_no_index_of_intents() {
    let mut state = migrated();
    state.partitions[0].is_over = true;
    assert!(!sql(&state, Choice::default()).join(";").contains("'started'"));
    // The one of the parent cannot be dropped alone; one of its own can.
    assert!(superfluous(&state).is_empty());
    state.partitions[0].indexes.push(existing("x", OF_WRITTEN));
    assert_eq!(superfluous(&state).len(), 1);
    state.partitions[0].is_over = false;
    assert!(superfluous(&state).is_empty());
}

#[test]
fn the_index_of_batches_is_left_out_on_request_and_mended() {
    let names = |state: &State, without_follow| {
        sql(state, Choice { without_follow, ..Choice::default() })
            .into_iter()
            .filter(|sql| sql.contains(FOLLOW))
            .count()
    };
    let mut state = migrated();
    assert_eq!((names(&state, false), names(&state, true)), (1, 0));
    state.follow = Follow::Invalid;
    assert_eq!(names(&state, false), 2);
    state.follow = Follow::Made;
    assert_eq!(names(&state, false), 0);
}

#[test]
fn names_are_quoted_and_fit() {
    assert_eq!(["audit_x", "Audit", "a\"b", "1a"].map(quoted), ["audit_x", "\"Audit\"", "\"a\"\"b\"", "\"1a\""]);
    let long = joined(&"ä".repeat(40), "time_key");
    assert!(long.len() <= 63 && long.ends_with("_time_key"), "{long}");
}
