//! A [`tower`](https://docs.rs/tower) layer, for axum, tonic and any other service of HTTP
//! requests. Each request's identity and user are on every event it causes. Feature `tower`.

use super::{Context, InContext, Scoped};
use crate::event::IntoTenant;
use http::request::Parts;
use http::{HeaderMap, Request};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::task::{self, Poll};
use tower_layer::Layer;
use tower_service::Service;
use uuid::Uuid;

/// The most bytes of a header that are kept, because the client chooses its length.
const MOST_BYTES: usize = 256;

type Actor = dyn Fn(&Parts) -> Option<String> + Send + Sync;
/// Adds to a context what the application knows of a request.
type Fact = dyn Fn(&Parts, Context) -> Context + Send + Sync;

/// A layer that puts a [`Context`] in force for each request.
///
/// The context is made of the request's headers and of the application's knowledge of its user.
///
/// | header | becomes |
/// | --- | --- |
/// | `traceparent` ([W3C Trace Context](https://www.w3.org/TR/trace-context/)) | attributes `trace_id` and `span_id`, and the correlation |
/// | `x-request-id` | attribute `request_id`, and the correlation if it is a UUID |
/// | `forwarded` ([RFC 7239](https://www.rfc-editor.org/rfc/rfc7239)) | attribute `forwarded` |
///
/// The text that [`actor`](Self::actor) returns is the actor of every event below that names none
/// itself. It is also the attribute `user` of all events below. A request with neither id has a
/// correlation of its own. The client chooses the headers, unless a proxy in front replaces them.
/// Of each header, 256 bytes are kept.
///
/// [`tenant`](Self::tenant) and [`attribute`](Self::attribute) add what else the application knows
/// of the request. The context keeps the values of such a function as they are.
///
/// ```
/// use audit_runtime::tower::ContextLayer;
/// use axum::{Router, routing::post};
///
/// #[derive(Clone)]
/// struct User(String); // put into the request by the layer that authenticates
///
/// let layer = ContextLayer::new()
///     .actor(|request| request.extensions.get::<User>().map(|user| format!("user:{}", user.0)))
///     .tenant(|request| request.uri.host().and_then(|host| host.split('.').next()).map(str::to_owned))
///     .attribute("route", |request| Some(request.uri.path().to_owned()));
/// let router: Router = Router::new().route("/orders", post(async || "placed")).layer(layer);
/// ```
#[derive(Clone, Default)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct ContextLayer {
    actor: Option<Arc<Actor>>,
    facts: Vec<Arc<Fact>>,
}

impl ContextLayer {
    /// Creates a layer that reads the headers, and sets no user.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the function that finds the user of a request.
    ///
    /// A layer that authenticates has to be around this one.
    pub fn actor(mut self, actor: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.actor = Some(Arc::new(actor));
        self
    }

    /// Sets the function that finds the tenant of a request: the column `tenant` of all events below.
    ///
    /// It returns a text, an integer or a `Uuid`, or an `Option` of one. `None` sets nothing. A layer
    /// that authenticates has to be around this one if the function uses its results. A tenant that
    /// only the client names is a claim.
    pub fn tenant<T: IntoTenant>(self, tenant: impl Fn(&Parts) -> T + Send + Sync + 'static) -> Self {
        self.fact(move |parts, context| context.tenant(tenant(parts)))
    }

    /// Adds a function that finds an attribute of a request: a key of the column `context` of all
    /// events below.
    ///
    /// `None` sets nothing. It takes the place of an attribute of this name that a header sets.
    pub fn attribute<T: Serialize>(
        self,
        name: impl Into<String>,
        value: impl Fn(&Parts) -> Option<T> + Send + Sync + 'static,
    ) -> Self {
        let name = name.into();
        self.fact(move |parts, context| match value(parts) {
            Some(value) => context.attribute(&*name, value),
            None => context,
        })
    }

    fn fact(mut self, fact: impl Fn(&Parts, Context) -> Context + Send + Sync + 'static) -> Self {
        self.facts.push(Arc::new(fact));
        self
    }

    fn context(&self, parts: &Parts) -> Context {
        let text = |name| header(&parts.headers, name);
        let mut context = Context::new();
        if let Some(actor) = self.actor.as_ref().and_then(|actor| actor(parts)) {
            // Events that name an actor of their own also name the request's user.
            context = context.attribute("user", &actor).actor(actor);
        }
        if let Some(id) = text("x-request-id") {
            if let Ok(id) = Uuid::try_parse(id) {
                context = context.correlation(id);
            }
            context = context.attribute("request_id", id);
        }
        if let Some(forwarded) = text("forwarded") {
            context = context.attribute("forwarded", forwarded);
        }
        if let Some(traceparent) = text("traceparent") {
            context = context.traceparent(traceparent);
        }
        self.facts.iter().fold(context, |context, fact| fact(parts, context)).correlated()
    }
}

/// A header as text, cut to [`MOST_BYTES`], or `None` if it is absent or contains other than
/// visible ASCII.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let text = headers.get(name)?.to_str().ok()?;
    Some(text.get(..MOST_BYTES).unwrap_or(text)).filter(|text| !text.is_empty())
}

impl fmt::Debug for ContextLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextLayer")
            .field("knows_actors", &self.actor.is_some())
            .field("facts", &self.facts.len())
            .finish()
    }
}

impl<S> Layer<S> for ContextLayer {
    type Service = InRequest<S>;

    fn layer(&self, inner: S) -> InRequest<S> {
        InRequest { inner, layer: self.clone() }
    }
}

/// A service that handles each request in its [`Context`]: see [`ContextLayer`].
#[derive(Debug, Clone)]
pub struct InRequest<S> {
    inner: S,
    layer: ContextLayer,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for InRequest<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Scoped<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let _inside = self.layer.context(&parts).enter();
        self.inner.call(Request::from_parts(parts, body)).in_context()
    }
}
