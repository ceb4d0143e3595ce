//! Stands for the policy of a trail where the feature is off: there is none.

use super::builder::Builder;
use crate::recorder::Recorder;
use std::io;
use std::sync::Arc;

/// A policy, of which there is none.
pub(super) enum ReadPolicy {}

impl Builder {
    pub(super) fn read_policy(&self) -> Result<Option<ReadPolicy>, String> {
        Ok(None)
    }
}

impl ReadPolicy {
    pub(super) fn applied(&self, _: Recorder) -> Recorder {
        match *self {}
    }

    pub(super) fn watched(self, _: &Arc<Recorder>) -> io::Result<()> {
        match self {}
    }
}
