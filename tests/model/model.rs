//! The model keeps its promises, and each of its rules has a reason: without it, one is broken.

use tests_model::rules::SyncOf;
use tests_model::{Bounds, Explored, Rules, World, explore};

const BOUNDS: Bounds = Bounds::of(3, 2, 1, 0);
const OVERLAP: &str = "two stored batches overlap";
const CONFLICT: &str = "a batch met another one in its place";
const TOO_EARLY: &str = "the journal has let go of a record that the database does not have on its disk";

fn explored(name: &str, bounds: Bounds, rules: Rules) -> Explored {
    let explored = explore(&World { bounds, rules });
    println!("{name}: states explored {}, steps {}", explored.states, explored.steps);
    explored
}

/// Explores every state, and finds no violation.
#[track_caller]
fn holds(name: &str, bounds: Bounds, rules: Rules) {
    let explored = explored(name, bounds, rules);
    if let Some(violation) = explored.violation {
        panic!("{}\n{}", violation.property, violation.trace);
    }
    assert!(explored.done > 0);
}

/// Finds that this property is violated.
#[track_caller]
fn fails(name: &str, bounds: Bounds, rules: Rules, property: &str) {
    let violation = explored(name, bounds, rules).violation.expect("a violation");
    assert_eq!(violation.property, property, "{}", violation.trace);
}

#[test]
fn nothing_is_lost_doubled_or_let_go_too_early_behind_a_relay() {
    holds("relay, two kills, a power failure", BOUNDS, Rules::RELAY);
}

#[test]
fn nothing_is_lost_doubled_or_let_go_too_early_when_the_server_crashes_too() {
    holds("relay, a kill, a power failure, a crash", Bounds::of(2, 1, 1, 1), Rules::RELAY);
}

#[test]
fn nothing_is_lost_doubled_or_let_go_too_early_without_a_relay() {
    holds("direct, two kills, a power failure", BOUNDS, Rules::DIRECT);
}

#[test]
fn a_guard_in_the_database_refuses_no_batch_of_these() {
    holds("relay with a guard", Bounds::of(3, 1, 1, 0), Rules { guard: true, ..Rules::RELAY });
}

#[test]
fn a_batch_that_leaves_before_the_disk_has_it_is_cut_otherwise_after_a_power_failure() {
    let rules = Rules { syncs_before_send: false, ..Rules::RELAY };
    fails("no sync before the send", BOUNDS, rules, CONFLICT);
    let reported = Rules { forbids_conflicts: false, ..rules };
    fails("no sync before the send, conflicts are reported", Bounds::of(3, 1, 1, 0), reported, OVERLAP);
}

#[test]
fn the_cut_log_of_the_last_batch_may_be_another_one() {
    fails("sync of the last log", BOUNDS, Rules { sync_of: SyncOf::LastCut, ..Rules::RELAY }, CONFLICT);
}

#[test]
fn a_cut_log_whose_name_is_not_synced_is_lost_with_its_entries() {
    fails("no sync of names", BOUNDS, Rules { syncs_names: false, ..Rules::RELAY }, CONFLICT);
}

#[test]
fn a_batch_that_leaves_though_the_full_disk_did_not_take_its_cut_is_cut_otherwise_after_a_kill() {
    let bounds = Bounds { full_disks: 1, ..Bounds::of(3, 1, 0, 0) };
    fails("no note before the send", bounds, Rules { notes_before_send: false, ..Rules::RELAY }, CONFLICT);
}

#[test]
fn an_adopter_that_does_not_sync_may_send_a_batch_that_the_next_one_does_not_find() {
    fails("no sync by the adopter", BOUNDS, Rules { adopter_syncs: false, ..Rules::RELAY }, CONFLICT);
}

#[test]
fn an_adopter_without_the_cut_log_cuts_other_batches_than_those_in_the_pipe() {
    let bounds = Bounds::of(3, 1, 0, 0);
    fails("no look at the cut log", bounds, Rules { reads_cuts: false, ..Rules::RELAY }, CONFLICT);
}

#[test]
fn an_adopter_that_does_not_wait_for_a_transaction_under_way_meets_its_batch() {
    fails("direct without a fence", BOUNDS, Rules { fences: false, ..Rules::DIRECT }, CONFLICT);
}

#[test]
fn a_journal_that_is_removed_before_the_servers_disk_has_it_may_be_lost() {
    let rules = Rules { asks_durable: false, ..Rules::RELAY };
    fails("no question for the server's disk", Bounds::of(1, 1, 0, 1), rules, TOO_EARLY);
}

#[test]
fn a_batch_that_the_pipe_has_lost_is_sent_again_or_never_stored() {
    let rules = Rules { resends: false, ..Rules::RELAY };
    fails("no second attempt", Bounds::of(1, 0, 0, 0), rules, "work is left that no step completes");
}

#[test]
fn the_acknowledgement_of_the_pipe_comes_before_the_commit() {
    let rules = Rules { releases_at_commit: false, ..Rules::RELAY };
    fails("release at the pipe's acknowledgement", BOUNDS, rules, TOO_EARLY);
}
