//! A service of tonic, served and called over the loopback interface. Its client records its side
//! of each call.

mod generated;

use crate::scene::{ID, Row, error, ok, recorded};
use audit_runtime::tower::ContextLayer;
use audit_runtime::{Context, audited};
use futures_util::{Stream, StreamExt};
use generated::{Orders, OrdersClient, OrdersServer, PlaceOrder, Placed};
use serde_json::{Value, json};
use std::pin::Pin;
use tokio::net::TcpListener;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
use uuid::Uuid;

#[derive(Debug, Default)]
struct Desk {
    closed: bool,
}

type RpcResult<T> = Result<Response<T>, Status>;

// The block of 21 and 22.
#[audited(entity = "order")]
#[tonic::async_trait]
impl Orders for Desk {
    // 21. A method: 3.
    #[audited(event = "order.placed", id = request.get_ref().order_id, result = |placed| placed.get_ref().number)]
    async fn place(&self, request: Request<PlaceOrder>) -> Result<Response<Placed>, Status> {
        let order = request.into_inner();
        if order.quantity == 0 {
            return Err(Status::invalid_argument("no quantity"));
        }
        Ok(Response::new(Placed { number: order.quantity.into() }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<Placed, Status>> + Send>>;

    // 22. A stream, and an alias: 3.
    #[audited(event = "orders.watched", fields(since = request.get_ref().number), result = skip)]
    async fn watch(&self, request: Request<Placed>) -> RpcResult<Self::WatchStream> {
        if self.closed {
            return Err(Status::unavailable("closed"));
        }
        let since = request.into_inner().number;
        let numbers = (since..since + 3).map(|number| Ok(Placed { number }));
        Ok(Response::new(futures_util::stream::iter(numbers).boxed()))
    }
}

// 23. An interceptor: 2.
#[audited(event = "request.admitted", id = none)]
fn authenticate(mut request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata().get("authorization") {
        Some(header) if header == "Bearer good" => {
            request.extensions_mut().insert(ID);
            Ok(request)
        }
        _ => Err(Status::unauthenticated("no valid header")),
    }
}

// 24. A client: 3.
#[audited(event = "order.sent", skip(client, bearer), result = |placed| placed.number)]
async fn send(
    client: &mut OrdersClient,
    bearer: &'static str,
    order_id: Uuid,
    quantity: u32,
) -> Result<Placed, Status> {
    let order = PlaceOrder { order_id: order_id.to_string(), ticker: "AAPL".to_owned(), quantity };
    Ok(client.place(with_headers(order, bearer)).await?.into_inner())
}

/// Tells the server which request of ours this is part of.
fn with_headers<T>(message: T, bearer: &'static str) -> Request<T> {
    let mut request = Request::new(message);
    let id = Context::current().correlation_id().unwrap();
    request.metadata_mut().insert("x-request-id", id.to_string().parse().unwrap());
    request.metadata_mut().insert("authorization", bearer.parse().unwrap());
    request
}

async fn serve(desk: Desk) -> OrdersClient {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = InterceptedService::new(OrdersServer::new(desk), authenticate);
    let server = Server::builder().layer(ContextLayer::new()).add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    OrdersClient::new(Channel::from_shared(url).unwrap().connect().await.unwrap())
}

fn message(text: &str) -> Value {
    json!({"message": text, "causes": []})
}

fn admitted() -> Row {
    ok("request.admitted", None, json!({}))
}

#[tokio::test]
async fn a_method_that_is_called_over_the_network_records_its_answer_or_its_status() {
    let mut client = serve(Desk::default()).await;
    let ((), rows) = recorded(async {
        send(&mut client, "Bearer good", ID, 3).await.unwrap();
        send(&mut client, "Bearer good", ID, 0).await.unwrap_err();
        send(&mut client, "Bearer bad", ID, 3).await.unwrap_err();
    })
    .await;
    let sent = |quantity: u32, key: &str, value: Value| json!({"order_id": ID, "quantity": quantity, key: value});
    let order = |quantity: u32| json!({"order_id": ID, "ticker": "AAPL", "quantity": quantity});
    let refused = "code: 'Client specified an invalid argument', message: \"no quantity\"";
    let unauthenticated =
        "code: 'The request does not have valid authentication credentials', message: \"no valid header\"";
    let expected = [
        ok("order.sent", ID, sent(3, "result", json!(3))),
        admitted(),
        ok("order.placed", ID, json!({"request": order(3), "result": 3})),
        error("order.sent", ID, sent(0, "error", message(refused))),
        admitted(),
        error("order.placed", ID, json!({"request": order(0), "error": message(refused)})),
        error("order.sent", ID, sent(3, "error", message(unauthenticated))),
        error("request.admitted", None, json!({"error": message(unauthenticated)})),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_stream_is_recorded_when_it_begins() {
    for closed in [false, true] {
        let mut client = serve(Desk { closed }).await;
        let (numbers, rows) = recorded(async {
            let watched = client.watch(with_headers(Placed { number: 5 }, "Bearer good")).await.ok()?;
            Some(watched.into_inner().map(|placed| placed.unwrap().number).collect::<Vec<_>>().await)
        })
        .await;
        let unavailable = "code: 'The service is currently unavailable', message: \"closed\"";
        let watched = if closed {
            error("orders.watched", None, json!({"since": 5, "error": message(unavailable)}))
        } else {
            ok("orders.watched", None, json!({"since": 5}))
        };
        assert_eq!((numbers, rows), ((!closed).then(|| vec![5, 6, 7]), vec![admitted(), watched]));
    }
}
