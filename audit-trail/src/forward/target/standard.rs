//! Standard output.

use super::{SendError, lines};
use crate::forward::form::Form;
use crate::forward::message::Message;
use std::io::{self, Write};

#[derive(Debug, Default)]
pub(super) struct StandardOutput {
    has_header: bool,
}

impl StandardOutput {
    /// Prints the events. A reader that is gone takes none.
    pub(super) fn send(&mut self, form: Form, messages: &[Message]) -> Result<(), SendError> {
        let mut lines = lines(form, messages);
        if self.has_header
            && let Some(header) = form.header()
        {
            lines.drain(..=header.len());
        }
        let mut output = io::stdout().lock();
        output.write_all(&lines).and_then(|()| output.flush()).map_err(SendError::away)?;
        self.has_header = true;
        Ok(())
    }
}
