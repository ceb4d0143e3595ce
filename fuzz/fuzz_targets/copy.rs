//! Any event through the COPY encoder: a reader of the documented format finds its fourteen fields.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| audit_runtime::fuzz::copy(bytes));
