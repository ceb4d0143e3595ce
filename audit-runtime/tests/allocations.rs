//! A call that is recorded allocates nothing, once its thread has made some.

use audit_runtime::{Audit, Context, audited};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;
use uuid::Uuid;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts what each thread asks for.
struct Counting;

// SAFETY: it is the system's allocator. Counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller has it.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller has it.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[derive(serde::Serialize)]
struct Order<'a> {
    ticker: &'a str,
    note: Option<&'a str>,
    legs: [(u8, f64); 2],
}

#[audited(event = "order.submitted")]
fn submit(order_id: Uuid, order: &Order<'_>, quantity: u64, limit_price: f64) -> Result<u64, std::fmt::Error> {
    if quantity == 0 { Err(std::fmt::Error) } else { Ok(quantity) }
}

/// One call inside of another.
#[audited(event = "order.checked", id = order_id, actor = "risk_engine", intent)]
fn check(order_id: Uuid, order: &Order<'_>) -> Result<u64, std::fmt::Error> {
    submit(order_id, order, 7, 187.25)
}

#[test]
fn a_recorded_call_allocates_nothing_in_the_long_run() {
    let journal = tempfile::tempdir().unwrap();
    let url = "postgres://postgres@127.0.0.1:1/x";
    let audit = Audit::builder().postgres(url).journal(journal.path()).start().unwrap();
    audit.install().unwrap();
    let _inside = Context::new().actor("user:42").attribute("tenant", "acme").enter();
    let order = Order { ticker: "AAPL", note: Some("a \"quoted\" text"), legs: [(1, 0.5), (2, 1.5)] };
    let calls = |count: u64| {
        for number in 0..count {
            submit(Uuid::from_u128(number.into()), &order, 1_200, 187.25).unwrap();
            check(Uuid::from_u128(number.into()), &order).unwrap();
        }
    };
    calls(10);
    let before = ALLOCATIONS.get();
    calls(1_000);
    let allocated = ALLOCATIONS.get() - before;
    assert_eq!(audit.stats().recorded, 4 * 1_010);
    audit.shutdown_blocking(Duration::ZERO).unwrap();
    assert_eq!(allocated, 0);
}
