//! Stands for what the compilers of prost and tonic make of a service with two methods, one of them
//! a stream.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::codegen::{Body, BoxFuture, Service, StdError, http};
use tonic::{Request, Response, Status};

/// With `type_attribute(".desk.PlaceOrder", "#[derive(serde::Serialize)]")`.
#[derive(Clone, PartialEq, prost::Message, serde::Serialize)]
pub(crate) struct PlaceOrder {
    #[prost(string, tag = "1")]
    pub(crate) order_id: String,
    #[prost(string, tag = "2")]
    pub(crate) ticker: String,
    #[prost(uint32, tag = "3")]
    pub(crate) quantity: u32,
}

/// Without.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Placed {
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
}

#[tonic::async_trait]
pub(crate) trait Orders: Send + Sync + 'static {
    async fn place(&self, request: Request<PlaceOrder>) -> Result<Response<Placed>, Status>;

    type WatchStream: tonic::codegen::tokio_stream::Stream<Item = Result<Placed, Status>> + Send + 'static;

    async fn watch(&self, request: Request<Placed>) -> Result<Response<Self::WatchStream>, Status>;
}

#[derive(Debug)]
pub(crate) struct OrdersServer<T> {
    inner: Arc<T>,
}

impl<T> OrdersServer<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner: Arc::new(inner) }
    }
}

impl<T> Clone for OrdersServer<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<T> tonic::server::NamedService for OrdersServer<T> {
    const NAME: &'static str = "desk.Orders";
}

impl<T, B> Service<http::Request<B>> for OrdersServer<T>
where
    T: Orders,
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        match request.uri().path() {
            "/desk.Orders/Place" => Box::pin(async move {
                let mut grpc = tonic::server::Grpc::new(tonic_prost::ProstCodec::default());
                Ok(grpc.unary(Place(inner), request).await)
            }),
            "/desk.Orders/Watch" => Box::pin(async move {
                let mut grpc = tonic::server::Grpc::new(tonic_prost::ProstCodec::default());
                Ok(grpc.server_streaming(Watch(inner), request).await)
            }),
            _ => Box::pin(async { Ok(Status::unimplemented("").into_http()) }),
        }
    }
}

struct Place<T>(Arc<T>);

impl<T: Orders> tonic::server::UnaryService<PlaceOrder> for Place<T> {
    type Response = Placed;
    type Future = BoxFuture<Response<Placed>, Status>;

    fn call(&mut self, request: Request<PlaceOrder>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { T::place(&inner, request).await })
    }
}

struct Watch<T>(Arc<T>);

impl<T: Orders> tonic::server::ServerStreamingService<Placed> for Watch<T> {
    type Response = Placed;
    type ResponseStream = T::WatchStream;
    type Future = BoxFuture<Response<T::WatchStream>, Status>;

    fn call(&mut self, request: Request<Placed>) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { T::watch(&inner, request).await })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct OrdersClient {
    inner: tonic::client::Grpc<tonic::transport::Channel>,
}

impl OrdersClient {
    pub(crate) fn new(channel: tonic::transport::Channel) -> Self {
        Self { inner: tonic::client::Grpc::new(channel) }
    }

    pub(crate) async fn place(&mut self, request: Request<PlaceOrder>) -> Result<Response<Placed>, Status> {
        self.inner.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
        let path = http::uri::PathAndQuery::from_static("/desk.Orders/Place");
        self.inner.unary(request, path, tonic_prost::ProstCodec::default()).await
    }

    pub(crate) async fn watch(
        &mut self,
        request: Request<Placed>,
    ) -> Result<Response<tonic::Streaming<Placed>>, Status> {
        self.inner.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
        let path = http::uri::PathAndQuery::from_static("/desk.Orders/Watch");
        self.inner.server_streaming(request, path, tonic_prost::ProstCodec::default()).await
    }
}
