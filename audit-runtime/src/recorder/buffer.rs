//! Buffers in which events are encoded, kept by each thread for its next ones.

use super::thread_cache::{self, ThreadCache};
use std::cell::RefCell;

thread_local! {
    static BUFFERS: ThreadCache<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn take() -> Vec<u8> {
    thread_cache::take(&BUFFERS, || Vec::with_capacity(1024))
}

pub(crate) fn put(buffer: Vec<u8>) {
    let bytes = buffer.capacity();
    thread_cache::put(&BUFFERS, buffer, bytes);
}
