//! Brings events to a target: again and again while it is away, and each alone where one is refused.

use super::form::Form;
use super::message::Message;
use super::target::{SendError, Target};
use audit_runtime::feed::SetAside;
use std::time::Duration;

/// The pause after the first failure. It doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// So many events in a row that are refused, with none that is taken, are no fault of theirs.
const ALL_REFUSED: usize = 20;

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
}

/// The next step of a delivery.
#[derive(Debug)]
pub(super) enum Next {
    /// All events are taken or refused.
    Done(Delivered),
    /// The target is away, for this reason. It is asked again after this time.
    Wait(String, Duration),
}

impl Delivery {
    pub(super) fn new(messages: Vec<Message>) -> Self {
        let left = if messages.is_empty() { Vec::new() } else { vec![(0, messages.len())] };
        Self { messages, left, delivered: Delivered::default(), failures: 0 }
    }

    /// Sends until all is done, or the target is away.
    pub(super) async fn advance(&mut self, target: &mut Target, name: &str, form: Form) -> Next {
        while let Some((begin, end)) = self.left.pop() {
            match target.send(name, form, &self.messages[begin..end]).await {
                Ok(()) => {
                    self.delivered.taken += (end - begin) as u64;
                    self.failures = 0;
                }
                Err(SendError::Refused(why, _)) if end - begin == 1 => {
                    let event = self.messages[begin].event();
                    self.delivered.refused.push(SetAside::new(event.id, event.created_at, why.clone()));
                    if self.delivered.taken == 0 && self.delivered.refused.len() >= ALL_REFUSED {
                        return self.all_refused(&why);
                    }
                }
                Err(SendError::Refused(_, which)) => self.split(begin, end, which),
                Err(SendError::Away(why, after)) => {
                    self.left.push((begin, end));
                    return self.wait(why, after);
                }
            }
        }
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

    /// Begins anew with all events: the target refuses every one.
    fn all_refused(&mut self, why: &str) -> Next {
        self.left = vec![(0, self.messages.len())];
        self.delivered = Delivered::default();
        self.wait(
            format!("the target refuses every event, so that none is set aside: {why}; check --form and --to"),
            None,
        )
    }

    fn wait(&mut self, why: String, after: Option<Duration>) -> Next {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures += 1;
        Next::Wait(why, pause.max(after.unwrap_or_default()))
    }
}
