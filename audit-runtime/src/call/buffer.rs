//! Buffers in which events are encoded, kept by each thread for its next ones.

use super::kept::{self, Kept};
use std::cell::RefCell;

thread_local! {
    static BUFFERS: Kept<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn take() -> Vec<u8> {
    kept::take(&BUFFERS, || Vec::with_capacity(1024))
}

pub(crate) fn give(buffer: Vec<u8>) {
    let bytes = buffer.capacity();
    kept::give(&BUFFERS, buffer, bytes);
}
