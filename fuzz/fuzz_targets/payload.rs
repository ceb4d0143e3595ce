//! Any bytes as a record's payload: no panic, and what decodes encodes to what decodes to the same.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| audit_runtime::fuzz::payload(bytes));
