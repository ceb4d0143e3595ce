//! A service of an older revision, which `scripts/old-revision.sh` compiles against that revision.
//! It leaves a journal, or starts where a newer one has left its own.

use audit_runtime::{Audit, Event, audited};
use std::time::Duration;
use uuid::Uuid;

const MASTER_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[audited(event = "order.submitted", id = order_id)]
fn submit(order_id: Uuid, quantity: u32, price: f64) -> Result<f64, String> {
    if quantity == 0 { Err("nothing to submit".into()) } else { Ok(f64::from(quantity) * price) }
}

#[audited(event = "mail.changed", entity = "customer", id = None::<Uuid>, personal(mail), subject = customer)]
fn change(customer: &str, mail: &str) {
    let _ = (customer, mail);
}

#[audited(event = "batch.run", id = None::<Uuid>, intent)]
fn run() {
    // Its end is never recorded.
    std::process::abort();
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (task, url, journals) = (arguments.next(), arguments.next(), arguments.next());
    let builder = Audit::builder().postgres(url.as_deref().unwrap()).journal(journals.unwrap()).segment_bytes(1 << 16);
    let audit = builder.data_limit(1 << 14).service("old").master_key(MASTER_KEY.parse().unwrap()).start().unwrap();
    audit.install().unwrap();
    match task.as_deref() {
        Some("leave") => {
            for number in 0..20_u32 {
                let _ = submit(Uuid::from_u128(u128::from(number)), number % 5, 199.39999999999998);
            }
            change("customer:42", "ada@example.org");
            audit.record(Event::new("cache.cleared")).unwrap();
            run();
        }
        Some("start") => {
            audit.record(Event::new("old.started")).unwrap();
            audit.flush_blocking().unwrap();
            // As long as it takes to look at a dead journal.
            std::thread::sleep(Duration::from_secs(2));
            println!("{:?}", audit.shutdown_blocking(Duration::from_secs(30)).unwrap());
        }
        other => panic!("leave or start, not {other:?}"),
    }
}
