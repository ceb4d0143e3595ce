//! Records what each request does, by whom and in which request, until Ctrl-C.
//!
//! cargo run -p examples --example axum
//! curl -H 'x-user: ada' -X POST localhost:3000/orders/0190a2b4-0000-7000-8000-000000000001/cancel

use audit_runtime::tower::ContextLayer;
use audit_runtime::{Audit, audited};
use axum::{Router, extract::Path, http::StatusCode, routing::post};
use std::time::Duration;
use uuid::Uuid;

#[audited(event = "order.cancelled")]
async fn cancel(Path(order_id): Path<Uuid>) -> StatusCode {
    if order_id.is_nil() { StatusCode::NOT_FOUND } else { StatusCode::NO_CONTENT }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let audit = Audit::builder().print().start()?;
    audit.install()?;

    // A real service takes the user from what its own layer has authenticated.
    let user =
        |request: &axum::http::request::Parts| Some(format!("user:{}", request.headers.get("x-user")?.to_str().ok()?));
    let app = Router::new().route("/orders/{order_id}/cancel", post(cancel)).layer(ContextLayer::new().actor(user));

    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".into());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on {}", listener.local_addr()?);
    let interrupted = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, app).with_graceful_shutdown(interrupted).await?;

    audit.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
