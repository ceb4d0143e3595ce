use audit_runtime::audited;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::task::JoinHandle;
use uuid::Uuid;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

#[audited(event = "order.submitted")]
fn submit(order_id: Uuid) -> Boxed<Result<u8, String>> {
    Box::pin(ready(Ok(7)))
}

#[audited(event = "order.submitted")]
fn spawn(order_id: Uuid) -> JoinHandle<()> {
    tokio::spawn(async {})
}

struct Desk;

impl tower::Service<Uuid> for Desk {
    type Response = u8;
    type Error = String;
    type Future = Ready<Result<u8, String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        Poll::Ready(Ok(()))
    }

    #[audited(event = "order.submitted")]
    fn call(&mut self, order_id: Uuid) -> Self::Future {
        ready(Ok(7))
    }
}

fn main() {}
