//! Visits every state of a model, breadth first, so that the first violation has a shortest trace.
//!
//! States are known by 64 bits of a hash. Among a million states, the chance that two are taken for
//! one is below one in ten million.

use std::collections::VecDeque;
use std::collections::hash_map::{DefaultHasher, HashMap};
use std::fmt::{Debug, Write};
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// A system of states and steps.
pub trait Model {
    /// Everything that a step depends on.
    type State: Clone + Debug + Hash;
    /// The name of a step.
    type Step: Copy + Debug + PartialEq;

    /// The first state.
    fn start(&self) -> Self::State;

    /// Calls `then` with each step that is possible, and the state that it leads to.
    fn steps(&self, state: &Self::State, then: &mut dyn FnMut(Self::Step, Self::State));

    /// Whether the environment does this step, and may never do it.
    fn is_fault(&self, step: Self::Step) -> bool;

    /// A property that does not hold in this state.
    fn violation(&self, state: &Self::State) -> Option<String>;

    /// Whether all work is done. From each state one must be reached without a further fault.
    fn is_done(&self, state: &Self::State) -> bool;
}

/// The result of an exploration.
#[derive(Debug)]
pub struct Explored {
    /// The number of different states.
    pub states: usize,
    /// The number of steps between them.
    pub steps: usize,
    /// The number of states in which all work is done.
    pub done: usize,
    /// The first violation, with the steps that lead to it.
    pub violation: Option<Violation>,
}

/// A property that does not hold.
#[derive(Debug)]
pub struct Violation {
    /// The property.
    pub property: String,
    /// The steps from the start, one a line, and the state at their end.
    pub trace: String,
}

/// Passes on what is a hash already.
#[derive(Debug, Default)]
struct Passed(u64);

impl Hasher for Passed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a fingerprint is a number")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// A hash that is the same in each run.
pub fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Explores a model until a property is violated, or every state is visited.
pub fn explore<M: Model>(model: &M) -> Explored {
    let start = model.start();
    let mut known: HashMap<u64, u32, BuildHasherDefault<Passed>> = HashMap::default();
    known.insert(fingerprint(&start), 0);
    // Of each state: its fingerprint, and the state before it on a shortest way.
    let mut visited = vec![(fingerprint(&start), 0)];
    // Steps that are no faults: the state at the end, and that at the start.
    let mut way_back: Vec<(u32, u32)> = Vec::new();
    let (mut done, mut steps, mut queue) = (Vec::new(), 0, VecDeque::from([(0, start)]));
    let mut violation = None;
    while let Some((from, state)) = queue.pop_front() {
        if let Some(property) = model.violation(&state) {
            violation = Some((from, property));
            break;
        }
        if model.is_done(&state) {
            done.push(from);
        }
        model.steps(&state, &mut |step, next| {
            steps += 1;
            let (print, number) = (fingerprint(&next), visited.len() as u32);
            let to = *known.entry(print).or_insert(number);
            if to == number {
                visited.push((print, from));
                queue.push_back((number, next));
            }
            if !model.is_fault(step) {
                way_back.push((to, from));
            }
        });
    }
    if violation.is_none() {
        let property = "work is left that no step completes".to_owned();
        violation = without_end(visited.len(), way_back, &done).map(|at| (at, property));
    }
    let violation = violation.map(|(at, property)| Violation { property, trace: trace(model, &visited, at) });
    Explored { states: visited.len(), steps, done: done.len(), violation }
}

/// Returns the first state from which none is reached with all work done.
fn without_end(states: usize, mut way_back: Vec<(u32, u32)>, done: &[u32]) -> Option<u32> {
    way_back.sort_unstable();
    let (mut ends, mut left) = (vec![false; states], done.to_vec());
    while let Some(at) = left.pop() {
        if !std::mem::replace(&mut ends[at as usize], true) {
            let begin = way_back.partition_point(|(to, _)| *to < at);
            left.extend(way_back[begin..].iter().take_while(|(to, _)| *to == at).map(|(_, from)| from));
        }
    }
    ends.iter().position(|ends| !ends).map(|at| at as u32)
}

/// Goes the way to a state again, and tells of its steps.
fn trace<M: Model>(model: &M, visited: &[(u64, u32)], at: u32) -> String {
    let mut way = vec![at];
    while let Some(at) = way.last().copied().filter(|at| *at > 0) {
        way.push(visited[at as usize].1);
    }
    let (mut state, mut told) = (model.start(), String::new());
    for at in way.into_iter().rev().skip(1) {
        let mut taken = None;
        model.steps(&state, &mut |step, next| {
            if fingerprint(&next) == visited[at as usize].0 {
                taken = Some((step, next));
            }
        });
        if let Some((step, next)) = taken {
            let _ = writeln!(told, "{step:?}");
            state = next;
        }
    }
    let _ = write!(told, "{state:#?}");
    told
}
