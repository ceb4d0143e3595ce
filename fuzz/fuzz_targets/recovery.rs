//! Any bytes as a segment of a dead process's journal: no panic, and no record but one whose
//! checksum holds in its place.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| audit_runtime::fuzz::recovery(bytes));
