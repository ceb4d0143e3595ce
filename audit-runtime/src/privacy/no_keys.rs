//! Stands for the keys where the feature `personal` is off, so that personal values are redacted.

use super::key_keeper::{KeyKeeper, WrappedKey};
use crate::capture::json::Json;
use std::collections::BTreeSet;
use std::convert::Infallible;
use uuid::Uuid;

/// A master key, which nothing makes.
#[derive(Debug, Clone)]
pub(crate) enum MasterKey {}

/// A subject's key, which nothing makes.
#[derive(Debug)]
pub(crate) enum SubjectKey {}

/// The key of a file, which nothing makes.
#[derive(Debug)]
pub(crate) enum FileCipher {}

/// As with the feature: files of others have their lengths.
pub(crate) const CHUNK_TAG: u64 = 16;
pub(crate) const WRAPPED: usize = 72;

impl FileCipher {
    pub(crate) fn new(master: &MasterKey, _: Uuid) -> (Self, Vec<u8>) {
        match *master {}
    }

    pub(crate) fn unwrap(master: &MasterKey, _: Uuid, _: &[u8]) -> Option<Self> {
        match *master {}
    }

    pub(crate) fn encrypt(&self, _: u64, _: bool, _: &[u8]) -> Vec<u8> {
        match *self {}
    }

    pub(crate) fn decrypt(&self, _: u64, _: bool, _: &[u8]) -> Option<Vec<u8>> {
        match *self {}
    }
}

/// The keys of some subjects: none.
#[derive(Debug, Default)]
pub(crate) struct SubjectKeys(());

impl MasterKey {
    pub(super) fn unwrap(&self, _: Uuid, _: &[u8]) -> Option<Infallible> {
        match *self {}
    }
}

impl SubjectKey {
    pub(super) fn new(_: Uuid, key: Infallible) -> Self {
        match key {}
    }

    pub(super) fn encrypt(&self, _: Uuid, _: &str, _: &str) -> String {
        match *self {}
    }

    pub(super) fn decrypt(&self, _: Uuid, _: &str, _: &str) -> Option<Json> {
        match *self {}
    }
}

impl SubjectKeys {
    #[allow(clippy::unused_self, reason = "the keys of the feature have a number")]
    pub(crate) fn len(&self) -> usize {
        0
    }

    #[allow(clippy::unused_self, reason = "the keys of the feature have wrapped ones")]
    pub(crate) fn wrapped(&self) -> &[WrappedKey] {
        &[]
    }

    pub(crate) async fn take(
        _: &mut dyn KeyKeeper,
        master: &MasterKey,
        _: &BTreeSet<String>,
    ) -> Result<Self, sqlx::Error> {
        match *master {}
    }

    pub(crate) fn unwrapped(master: &MasterKey, _: Vec<WrappedKey>) -> Self {
        match *master {}
    }

    #[allow(clippy::unused_self, reason = "the keys of the feature have others")]
    pub(crate) fn extend(&mut self, _: Self) {}

    pub(crate) fn of(&self, _: &str) -> Option<&SubjectKey> {
        None
    }

    pub(crate) fn is_unreadable(&self, _: &str) -> bool {
        false
    }
}
