//! An event's marked values, in whichever of its parts they are.

use super::payload::{self, EventRef};
#[cfg(feature = "postgres")]
use crate::capture::personal::Mark;
use crate::capture::personal::{self, Marked};

impl<'a> EventRef<'a> {
    fn parts(&self) -> Marked<&'a str> {
        Marked { data: self.data, context: self.context, actor: self.actor }
    }

    /// Returns the parts with the result of `replace` in place of each mark.
    #[cfg(feature = "postgres")]
    pub(crate) fn replaced(&self, replace: &mut dyn FnMut(Mark<'_>) -> String) -> Marked<String> {
        personal::replaced(self.parts(), replace)
    }

    /// Returns the event with other parts.
    pub(crate) fn with<'b>(&self, parts: &'b Marked<String>, is_personal: bool) -> EventRef<'b>
    where
        'a: 'b,
    {
        EventRef { data: &parts.data, context: &parts.context, actor: &parts.actor, is_personal, ..*self }
    }

    /// Encodes the event without its personal values.
    pub(crate) fn encode_redacted(&self, bytes: &mut Vec<u8>) {
        payload::encode(bytes, &self.with(&personal::redacted(self.parts()), false));
    }

    /// Encodes the event without the personal values that belong to nobody.
    pub(crate) fn encode_without_unowned(&self, bytes: &mut Vec<u8>) {
        let (parts, is_personal) = personal::without_unowned(self.parts());
        payload::encode(bytes, &self.with(&parts, is_personal));
    }
}
