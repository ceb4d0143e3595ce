//! Values that are compared before and after the body.

use super::Call;
use crate::capture::{self, diagnostics::Capture};

impl Call {
    /// Notes a value that the body may change.
    pub fn before<T: Capture + ?Sized>(&mut self, name: &'static str, value: &T) {
        if let Some(active) = &mut *self.active {
            let value = capture::comparable(&active.recorder.rules().mask, value);
            active.changes.before.push((name, value));
        }
    }

    /// Compares the value with the one noted before the body ran.
    pub fn after<T: Capture + ?Sized>(&mut self, name: &'static str, value: &T) {
        let Some(active) = &mut *self.active else {
            return;
        };
        let before = &mut active.changes.before;
        let Some(at) = before.iter().position(|(noted, _)| *noted == name) else {
            return;
        };
        let before = before.swap_remove(at).1;
        let after = capture::comparable(&active.recorder.rules().mask, value);
        active.changes.compared.insert(name, before.and_then(|before| Ok((before, after?))));
    }
}
