//! Services of tower, whose future is written out: the attribute does not see through
//! `Self::Future`.

use crate::scene::{ID, error, ok, recorded};
use audit_runtime::audited;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use futures_util::future::BoxFuture;
use serde_json::json;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower::{BoxError, Service, ServiceExt, service_fn};
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
enum QuoteError {
    #[error("no quote for {0}")]
    Unknown(Uuid),
}

type QuoteResult<T = u32> = Result<T, QuoteError>;

#[derive(Clone)]
struct Quotes;

impl Service<Uuid> for Quotes {
    type Response = u32;
    type Error = QuoteError;
    type Future = Pin<Box<dyn Future<Output = QuoteResult> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<QuoteResult<()>> {
        Poll::Ready(Ok(()))
    }

    // 25. A pinned box of an alias: 1.
    #[audited(event = "quote.given")]
    fn call(&mut self, quote_id: Uuid) -> Pin<Box<dyn Future<Output = QuoteResult> + Send>> {
        Box::pin(async move { if quote_id.is_nil() { Err(QuoteError::Unknown(quote_id)) } else { Ok(7) } })
    }
}

/// A middleware: what is inside may take any request, and fail by any error.
#[derive(Clone)]
struct Guard<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Guard<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    // 26. A `BoxFuture`, generic over what is inside: 3.
    #[audited(event = "request.guarded", id = none, fields(path = request.uri().path()))]
    fn call(&mut self, request: Request<B>) -> BoxFuture<'static, Result<S::Response, BoxError>> {
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            if request.headers().contains_key("x-forged") {
                return Err("forged".into());
            }
            inner.call(request).await.map_err(Into::into)
        })
    }
}

// 27. The function of a `service_fn`, which cannot fail but by its status: 2.
#[audited(event = "request.answered", id = none)]
async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let status = if request.uri().path() == "/" { StatusCode::OK } else { StatusCode::NOT_FOUND };
    Ok(Response::builder().status(status).body(Body::empty()).unwrap())
}

#[tokio::test]
async fn a_service_records_what_its_future_gives() {
    let ((), rows) = recorded(async {
        assert_eq!(Quotes.oneshot(ID).await.unwrap(), 7);
        Quotes.oneshot(Uuid::nil()).await.unwrap_err();
    })
    .await;
    let unknown = format!("no quote for {}", Uuid::nil());
    let expected = [
        ok("quote.given", ID, json!({"quote_id": ID, "result": 7})),
        error(
            "quote.given",
            Uuid::nil(),
            json!({"quote_id": Uuid::nil(), "error": {"message": unknown, "causes": []}}),
        ),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_middleware_and_what_it_guards_record_the_status() {
    let guard = Guard { inner: service_fn(answer) };
    let request = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let ((), rows) = recorded(async {
        for path in ["/", "/missing"] {
            guard.clone().oneshot(request(path)).await.unwrap();
        }
        let mut forged = request("/");
        forged.headers_mut().insert("x-forged", "1".parse().unwrap());
        guard.clone().oneshot(forged).await.unwrap_err();
    })
    .await;
    let expected = [
        ok("request.guarded", None, json!({"path": "/", "result": 200})),
        ok("request.answered", None, json!({"result": 200})),
        error("request.guarded", None, json!({"path": "/missing", "result": 404})),
        error("request.answered", None, json!({"result": 404})),
        error("request.guarded", None, json!({"path": "/", "error": {"message": "forged", "causes": []}})),
    ];
    assert_eq!(rows, expected);
}
