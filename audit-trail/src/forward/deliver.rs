//! Brings events to a target: again and again while it is away, and each alone where one is refused.
//!
//! A target that refuses every event of a portion may be set up wrongly, as by another form. One that has
//! never taken an event is waited for. One that has taken others is asked a few times more, and then the
//! events are at fault.

use super::form::Form;
use super::message::Message;
use super::target::{SendError, Target};
use audit_runtime::feed::SetAside;
use std::time::Duration;

/// The pause after the first failure. It doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// So many times a target that took other events is asked once more, after it refused all of a portion.
const DOUBTED: u32 = 3;
/// So many times one that took none is asked, before the portion is read anew: with events that arrived
/// meanwhile, of which it may take some.
const ASKED: u32 = 6;

/// The events that a target took, and those that it refused.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    pub(super) taken: u64,
    pub(super) refused: Vec<SetAside>,
}

/// The events of a portion, as they are brought to the target.
#[derive(Debug)]
pub(super) struct Delivery {
    messages: Vec<Message>,
    /// The ranges that are left, the next one last.
    left: Vec<(usize, usize)>,
    delivered: Delivered,
    failures: u32,
    /// Whether the target has ever taken an event.
    has_taken: bool,
    /// The times that it has refused all of this portion.
    refusals: u32,
}

/// The next step of a delivery.
#[derive(Debug)]
pub(super) enum Next {
    /// All events are taken or refused.
    Done(Delivered),
    /// The target is away, for this reason. It is asked again after this time.
    Wait(String, Duration),
    /// The target refuses the portion, for this reason. It is asked again after this time, and soon the
    /// events are set aside.
    Doubt(String, Duration),
    /// The target refuses the portion, for this reason. The portion is read anew after this time.
    Anew(String, Duration),
}

impl Delivery {
    /// Begins with events for a target that has taken others, or has not.
    pub(super) fn new(messages: Vec<Message>, has_taken: bool) -> Self {
        let mut new =
            Self { messages, left: Vec::new(), delivered: Delivered::default(), failures: 0, has_taken, refusals: 0 };
        new.begin();
        new
    }

    /// Has all events be sent, the first one first.
    fn begin(&mut self) {
        self.left = if self.messages.is_empty() { Vec::new() } else { vec![(0, self.messages.len())] };
        self.delivered = Delivered::default();
        self.refusals = 0;
    }

    /// Sends until all is done, or the target is away.
    pub(super) async fn advance(&mut self, target: &mut Target, name: &str, form: Form) -> Next {
        if self.refusals > 0 {
            // Each was refused alone. One of them asks for all, each time another one.
            let at = self.refusals as usize % self.messages.len();
            match target.send(name, form, &self.messages[at..=at]).await {
                Ok(()) => {
                    self.has_taken = true;
                    self.begin();
                }
                Err(SendError::Refused(why, _)) => return self.all_refused(&why),
                Err(SendError::Away(why, after)) => return self.wait(why, after),
            }
        }
        while let Some((begin, end)) = self.left.pop() {
            match target.send(name, form, &self.messages[begin..end]).await {
                Ok(()) => {
                    self.delivered.taken += (end - begin) as u64;
                    self.failures = 0;
                    self.has_taken = true;
                }
                Err(SendError::Refused(why, _)) if end - begin == 1 => {
                    let event = self.messages[begin].event();
                    self.delivered.refused.push(SetAside::new(event.id, event.created_at, why));
                }
                Err(SendError::Refused(_, which)) => self.split(begin, end, which),
                Err(SendError::Away(why, after)) => {
                    self.left.push((begin, end));
                    return self.wait(why, after);
                }
            }
        }
        match self.delivered.refused.last().map(|refused| refused.error.clone()) {
            Some(why) if self.delivered.taken == 0 => self.all_refused(&why),
            _ => self.done(),
        }
    }

    fn done(&mut self) -> Next {
        Next::Done(std::mem::take(&mut self.delivered))
    }

    /// Parts a range in which one event is refused: around it, if it is known, else into halves.
    fn split(&mut self, begin: usize, end: usize, which: Option<usize>) {
        match which.map(|number| begin + number).filter(|at| (begin..end).contains(at)) {
            Some(at) => {
                let parts = [(at + 1, end), (at, at + 1), (begin, at)];
                self.left.extend(parts.into_iter().filter(|(begin, end)| begin < end));
            }
            None => {
                let middle = begin + (end - begin) / 2;
                self.left.extend([(middle, end), (begin, middle)]);
            }
        }
    }

    /// Every event is refused: they are set aside if the target has taken others, and refuses them still.
    fn all_refused(&mut self, why: &str) -> Next {
        self.refusals += 1;
        match self.has_taken {
            true if self.refusals > DOUBTED => self.done(),
            true => Next::Doubt(format!("the target refuses every event for now: {why}"), self.pause()),
            false => {
                let why =
                    format!("the target refuses every event, so that none is set aside: {why}; check --form and --to");
                if self.refusals >= ASKED { Next::Anew(why, self.pause()) } else { self.wait(why, None) }
            }
        }
    }

    fn wait(&mut self, why: String, after: Option<Duration>) -> Next {
        Next::Wait(why, self.pause().max(after.unwrap_or_default()))
    }

    fn pause(&mut self) -> Duration {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures += 1;
        pause
    }
}
