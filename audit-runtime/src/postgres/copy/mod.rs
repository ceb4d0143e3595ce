//! Rows in the binary format of COPY, both ways.

pub(crate) mod decode;
mod encode;
mod send;

pub(crate) use decode::Row;
pub(crate) use encode::{Columns, CopyRows, push_field};
#[cfg(any(fuzzing, test))]
pub(crate) use encode::{HEADER, TRAILER};
#[cfg(feature = "evidence")]
pub(crate) use send::push_row;
pub(crate) use send::{send, store_one};
