//! Buffers in which calls collect their events, kept by each thread for its next calls.

use std::cell::RefCell;

/// How many are kept, and the largest that is worth keeping.
const KEPT_BUFFERS: usize = 8;
const KEPT_BYTES: usize = 128 * 1024;

thread_local! {
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn take() -> Vec<u8> {
    BUFFERS.try_with(|buffers| buffers.borrow_mut().pop()).ok().flatten().unwrap_or_else(|| Vec::with_capacity(1024))
}

pub(crate) fn give(buffer: Vec<u8>) {
    let _ = BUFFERS.try_with(|buffers| {
        let mut buffers = buffers.borrow_mut();
        if buffers.len() < KEPT_BUFFERS && buffer.capacity() <= KEPT_BYTES {
            buffers.push(buffer);
        }
    });
}
