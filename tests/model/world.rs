//! The steps of actors and of their environment.

use crate::adopter::{Adopter, Stage};
use crate::batch::{one, range};
use crate::database::Begun;
use crate::disk::{Disk, SEGMENTS};
use crate::explorer::Model;
use crate::properties;
use crate::recorder::{Carried, Phase, Recorder};
use crate::rules::{Bounds, Rules};
use crate::state::{Process, State, Step};

/// The model.
#[derive(Debug, Clone, Copy)]
pub struct World {
    /// How much happens at most.
    pub bounds: Bounds,
    /// The rules that processes keep.
    pub rules: Rules,
}

impl Model for World {
    type State = State;
    type Step = Step;

    fn start(&self) -> State {
        let Bounds { segment, kills, power_failures, crashes, full_disks, records, .. } = self.bounds;
        assert!(records <= segment * SEGMENTS as u8, "so many records do not fit into the segments");
        State {
            disk: Disk { segment, ..Disk::default() },
            faults: [kills, power_failures, crashes, full_disks],
            ..State::default()
        }
    }

    fn is_fault(&self, step: Step) -> bool {
        use Step::{Crash, CutUnnoted, Kill, Lose, PowerFailure, Rollback};
        matches!(step, Crash | CutUnnoted | Kill | Lose | PowerFailure | Rollback(_))
    }

    fn violation(&self, state: &State) -> Option<String> {
        properties::violation(state).map(Into::into)
    }

    fn is_done(&self, state: &State) -> bool {
        properties::is_done(state)
    }

    fn steps(&self, state: &State, then: &mut dyn FnMut(Step, State)) {
        let rules = &self.rules;
        match &state.process {
            Process::Recorder(recorder) => self.record(state, recorder, then),
            Process::Adopter(adopter) => self.adopt(state, adopter, then),
            Process::None if state.disk.is_removed => {}
            Process::None => {
                let adopters = state.adopters + 1;
                let process = Process::Adopter(Adopter::open(adopters));
                then(Step::Adopt, State { process, adopters, ..state.clone() });
            }
        }
        self.deliver(state, then);
        fail(state, rules, then);
    }
}

/// A state with something changed.
fn changed(state: &State, change: impl FnOnce(&mut State)) -> State {
    let mut next = state.clone();
    change(&mut next);
    next
}

/// A state with something changed, its recorder too.
fn recorded(state: &State, recorder: &Recorder, change: impl FnOnce(&mut Recorder, &mut State)) -> State {
    let (mut recorder, mut next) = (recorder.clone(), state.clone());
    change(&mut recorder, &mut next);
    next.process = Process::Recorder(recorder);
    next
}

/// A state with something changed, its adopter too.
fn adopted(state: &State, adopter: &Adopter, change: impl FnOnce(&mut Adopter, &mut State)) -> State {
    let (mut adopter, mut next) = (adopter.clone(), state.clone());
    change(&mut adopter, &mut next);
    next.process = Process::Adopter(adopter);
    next
}

impl World {
    /// The steps of the recorder.
    fn record(&self, state: &State, recorder: &Recorder, then: &mut dyn FnMut(Step, State)) {
        let (bounds, rules) = (&self.bounds, &self.rules);
        if recorder.cursor < bounds.records {
            let append = |recorder: &mut Recorder, next: &mut State| {
                next.disk.written |= range(recorder.cursor, recorder.cursor + 1);
                recorder.cursor += 1;
            };
            then(Step::Append, recorded(state, recorder, append));
        }
        if recorder.read < recorder.cursor && recorder.lanes.len() < bounds.lanes {
            let cut = |recorder: &mut Recorder, next: &mut State| recorder.cut(&mut next.disk, bounds, true);
            then(Step::Cut, recorded(state, recorder, cut));
            if state.faults[3] > 0 && !rules.notes_before_send {
                let cut = |recorder: &mut Recorder, next: &mut State| {
                    next.faults[3] -= 1;
                    recorder.cut(&mut next.disk, bounds, false);
                };
                then(Step::CutUnnoted, recorded(state, recorder, cut));
            }
        }
        for (lane, carried) in recorder.lanes.iter().enumerate() {
            let must_sync = rules.syncs_before_send && carried.phase < Phase::MayLeave;
            if must_sync {
                let sync = |recorder: &mut Recorder, next: &mut State| {
                    recorder.keep_on_disk(lane, &mut next.disk, rules);
                };
                then(Step::Sync(lane), recorded(state, recorder, sync));
            } else if carried.phase != Phase::Sent || self.rules.resends && !state.has_sent(&carried.batch) {
                let send = |recorder: &mut Recorder, next: &mut State| {
                    recorder.lanes[lane].phase = Phase::Sent;
                    next.send(carried.batch, true);
                };
                then(Step::Send(lane), recorded(state, recorder, send));
            }
            let is_acknowledged = match rules.releases_at_commit {
                true => state.is_answered(&carried.batch),
                false => state.has_sent(&carried.batch),
            };
            if carried.phase == Phase::Sent && is_acknowledged {
                let release = |recorder: &mut Recorder, next: &mut State| {
                    next.answers.retain(|answer| !answer.is(&carried.batch));
                    next.released |= recorder.stored(lane, &mut next.disk);
                };
                then(Step::Release(lane), recorded(state, recorder, release));
            }
        }
    }

    /// The steps of an adopter.
    fn adopt(&self, state: &State, adopter: &Adopter, then: &mut dyn FnMut(Step, State)) {
        let (bounds, rules) = (&self.bounds, &self.rules);
        match (adopter.stage, adopter.carried) {
            (Stage::Opened, _) if rules.fences && !state.database.open.is_empty() => {}
            (Stage::Opened, _) => {
                let claim = |adopter: &mut Adopter, next: &mut State| {
                    adopter.claimed(&next.database.stored, &next.disk);
                };
                then(Step::Claim, adopted(state, adopter, claim));
            }
            (Stage::Claimed, _) => {
                let sync = |adopter: &mut Adopter, next: &mut State| {
                    adopter.stage = Stage::Ships;
                    if rules.adopter_syncs {
                        next.disk.sync_all();
                    }
                };
                then(Step::SyncAll, adopted(state, adopter, sync));
            }
            (Stage::Ships, None) => {
                let make = |adopter: &mut Adopter, next: &mut State| {
                    next.has_conflict |= adopter.next(&mut next.disk, bounds, rules).is_err();
                };
                then(Step::Next, adopted(state, adopter, make));
            }
            (Stage::Ships, Some(carried)) => self.ship(state, adopter, carried, then),
            (Stage::Shipped, _) => then(Step::Durable, self.ask_durable(state, adopter)),
            (Stage::Durable, _) => {
                let remove = |next: &mut State| {
                    next.released |= next.disk.records();
                    next.disk.is_removed = true;
                    next.end_process(rules);
                };
                then(Step::Remove, changed(state, remove));
            }
        }
    }

    /// The steps of an adopter with a batch.
    fn ship(&self, state: &State, adopter: &Adopter, carried: Carried, then: &mut dyn FnMut(Step, State)) {
        if carried.phase < Phase::MayLeave && self.rules.syncs_before_send {
            let sync = |adopter: &mut Adopter, next: &mut State| adopter.sync_log(&mut next.disk, &self.rules);
            then(Step::SyncLog, adopted(state, adopter, sync));
        } else if carried.phase != Phase::Sent || self.rules.resends && !state.has_sent(&carried.batch) {
            let send = |adopter: &mut Adopter, next: &mut State| {
                adopter.carried = Some(Carried { phase: Phase::Sent, ..carried });
                next.send(carried.batch, false);
            };
            then(Step::Ship, adopted(state, adopter, send));
        }
        if carried.phase == Phase::Sent && state.is_answered(&carried.batch) {
            let stored = |adopter: &mut Adopter, next: &mut State| {
                next.answers.clear();
                adopter.stored();
            };
            then(Step::Shipped, adopted(state, adopter, stored));
        }
    }

    /// Has the server write, and asks which batches it has: `Adoption::remove_stored`.
    fn ask_durable(&self, state: &State, adopter: &Adopter) -> State {
        if !self.rules.asks_durable {
            return adopted(state, adopter, |adopter, _| adopter.stage = Stage::Durable);
        }
        let mut next = adopted(state, adopter, |adopter, next| {
            adopter.stage = Stage::Durable;
            next.database.flush();
        });
        let firsts = next.database.on_disk().iter().fold(0, |firsts, batch| firsts | one(batch.cut.first));
        if adopter.firsts & !firsts != 0 {
            // The server has lost some, and they are sent again.
            next.end_process(&self.rules);
        }
        next
    }

    /// The steps of pipe and relays.
    fn deliver(&self, state: &State, then: &mut dyn FnMut(Step, State)) {
        for (number, message) in state.pipe.iter().enumerate() {
            let mut next = state.clone();
            match next.database.begin(*message, self.bounds.relays, self.rules.guard) {
                Begun::Open => {}
                Begun::Stored => next.answer(message.batch),
                Begun::Waits => continue,
                Begun::Conflict => {
                    next.has_conflict |= self.rules.forbids_conflicts;
                    next.refuse(&message.batch, &self.rules);
                }
            }
            then(Step::Arrive(number), next);
        }
        for number in 0..state.database.open.len() {
            let commit = |next: &mut State| {
                let batch = next.database.commit(number);
                next.answer(batch);
            };
            then(Step::Commit(number), changed(state, commit));
            then(
                Step::Rollback(number),
                changed(state, |next| {
                    next.database.open.remove(number);
                }),
            );
        }
        if !state.pipe.is_empty() {
            let lose = |next: &mut State| {
                next.pipe.clear();
                next.answers.clear();
            };
            then(Step::Lose, changed(state, lose));
        }
    }
}

/// The faults of machines and processes.
fn fail(state: &State, rules: &Rules, then: &mut dyn FnMut(Step, State)) {
    let less = |fault: usize| {
        let mut faults = state.faults;
        faults[fault] -= 1;
        State { faults, ..state.clone() }
    };
    if state.faults[0] > 0 && state.process != Process::None {
        then(Step::Kill, changed(&less(0), |next| next.end_process(rules)));
    }
    if state.faults[1] > 0 {
        for disk in state.disk.after_power_failure() {
            let mut next = less(1);
            next.has_lost |= disk.written != state.disk.written;
            next.disk = disk;
            next.end_process(rules);
            then(Step::PowerFailure, next);
        }
    }
    if state.faults[2] > 0 {
        for database in state.database.after_crash() {
            then(Step::Crash, State { database, ..less(2) });
        }
    }
}
