//! Payment flows: operations of many type parameters, gateways behind `dyn`, amounts with their
//! currency in the type, retries.

use crate::scene::{ID, error, ok, recorded};
use async_trait::async_trait;
use audit_runtime::{IntoEntityId, audited};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt::{Debug, Display};
use std::future::Future;
use std::marker::PhantomData;
use uuid::Uuid;

#[derive(Debug, thiserror::Error, PartialEq)]
enum PaymentError {
    #[error("the connector {0} is not configured")]
    NoConnector(&'static str),
    #[error("the amount has to be positive")]
    NoAmount,
    #[error("the gateway does not answer")]
    Unavailable,
    #[error("the signature does not match")]
    Forged,
    #[error("the event cannot be read")]
    Unreadable,
}

type PaymentResult<T> = Result<T, PaymentError>;

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(transparent)]
struct PaymentId(Uuid);

impl IntoEntityId for PaymentId {
    fn to_entity_id(&self) -> audit_runtime::EntityId {
        self.0.to_entity_id()
    }
}

/// A flow is a type, and so is what it asks for and what it answers.
#[derive(Debug)]
struct Authorize;
#[derive(Debug, Serialize)]
struct AuthorizeRequest {
    cents: i64,
    card_number: String,
}
#[derive(Debug, Serialize)]
struct Response {
    connector: String,
    status: &'static str,
}

#[async_trait]
trait Operation<F, Req, Res>: Send + Sync {
    async fn validate(&self, request: &Req) -> PaymentResult<&'static str>;
    async fn call(&self, connector: &str, flow: F, request: Req) -> PaymentResult<Res>;
}

struct Create {
    connectors: &'static [&'static str],
}

#[async_trait]
impl Operation<Authorize, AuthorizeRequest, Response> for Create {
    async fn validate(&self, request: &AuthorizeRequest) -> PaymentResult<&'static str> {
        match self.connectors.first() {
            _ if request.cents <= 0 => Err(PaymentError::NoAmount),
            Some(connector) => Ok(connector),
            None => Err(PaymentError::NoConnector("any")),
        }
    }

    // 45. A method of a generic trait, by a macro: 3.
    #[audited(event = "connector.called", id = none, only(connector, ?flow, request))]
    async fn call(&self, connector: &str, flow: Authorize, request: AuthorizeRequest) -> PaymentResult<Response> {
        Ok(Response {
            connector: connector.to_owned(),
            status: if request.cents < 1000 { "charged" } else { "pending" },
        })
    }
}

// 46. The core of a payment: 3.
#[audited(event = "payment.made", err = "payment.failed", only(payment_id, request))]
async fn payments_core<F, Req, Res, Op>(
    operation: &Op,
    flow: F,
    request: Req,
    payment_id: PaymentId,
) -> PaymentResult<Res>
where
    F: Debug + Send,
    Req: Debug + Serialize + Send + Sync,
    Res: Serialize,
    Op: Operation<F, Req, Res> + ?Sized,
{
    let connector = operation.validate(&request).await?;
    operation.call(connector, flow, request).await
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Money<C> {
    cents: u64,
    #[serde(skip)]
    currency: PhantomData<C>,
}

#[derive(Debug, Clone, Copy)]
struct Eur;

impl<C> Money<C> {
    fn of(cents: u64) -> Self {
        Self { cents, currency: PhantomData }
    }
}

#[derive(Debug, Serialize, PartialEq)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Charge {
    Captured { reference: u32 },
    Declined { code: String },
}

trait Gateway<C>: Send + Sync {
    fn charge(&self, amount: Money<C>) -> PaymentResult<Charge>;
}

struct Sandbox;

impl<C> Gateway<C> for Sandbox {
    fn charge(&self, amount: Money<C>) -> PaymentResult<Charge> {
        match amount.cents {
            0 => Err(PaymentError::Unavailable),
            cents if cents > 50_000 => Ok(Charge::Declined { code: "51".to_owned() }),
            _ => Ok(Charge::Captured { reference: 7 }),
        }
    }
}

// 47. A decline is an answer, and no success: 3.
#[audited(event = "payment.captured", skip(gateway), ok = |charge| matches!(charge, Charge::Captured { .. }))]
async fn capture<C: Send>(gateway: &dyn Gateway<C>, payment_id: PaymentId, amount: Money<C>) -> PaymentResult<Charge> {
    gateway.charge(amount)
}

// 48. Shares of a constant number: 3.
#[audited(event = "payment.split", only(cents, ?shares), result = |parts| parts.to_vec())]
fn split<const N: usize>(payment_id: PaymentId, cents: u64, shares: [u64; N]) -> PaymentResult<[u64; N]> {
    let whole: u64 = shares.iter().sum();
    if whole == 0 { Err(PaymentError::NoAmount) } else { Ok(shares.map(|share| cents * share / whole)) }
}

#[derive(Debug, Deserialize, Serialize)]
struct WebhookEvent {
    payment_id: Uuid,
    status: String,
}

/// A webhook has to be read before its subject is known.
type WebhookResult = PaymentResult<Option<WebhookEvent>>;

// 49. A webhook: 3.
#[audited(event = "webhook.received", id = |event| event.as_ref().map(|event| event.payment_id), skip_all)]
async fn receive<B: AsRef<[u8]>>(signature: &str, body: B) -> WebhookResult {
    if signature != "good" {
        return Err(PaymentError::Forged);
    }
    serde_json::from_slice(body.as_ref()).map_err(|_| PaymentError::Unreadable)
}

// 50. Retries of anything, by whichever error: 3.
#[audited(event = "call.retried", id = none, result = skip)]
async fn retried<T, E, F, Fut>(attempts: u32, mut call: F) -> Result<T, E>
where
    F: FnMut(u32) -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: Display,
{
    let mut attempt = 1;
    loop {
        match call(attempt).await {
            Err(_) if attempt < attempts => attempt += 1,
            done => return done,
        }
    }
}

fn message(text: &str) -> Value {
    json!({"message": text, "causes": []})
}

#[tokio::test]
async fn a_payment_of_many_type_parameters_records_its_request_without_the_card() {
    let request = |cents| AuthorizeRequest { cents, card_number: "4111 1111 1111 1111".to_owned() };
    let (create, unconfigured) = (Create { connectors: &["stripe"] }, Create { connectors: &[] });
    let id = PaymentId(ID);
    let ((), rows) = recorded(async {
        payments_core(&create, Authorize, request(500), id).await.unwrap();
        payments_core(&create, Authorize, request(0), id).await.unwrap_err();
        let operation: &dyn Operation<_, _, _> = &unconfigured;
        payments_core(operation, Authorize, request(1), id).await.unwrap_err();
    })
    .await;
    let request = |cents: u32| json!({"cents": cents, "card_number": "[redacted]"});
    let charged = || json!({"connector": "stripe", "status": "charged"});
    let paid = |cents: u32, key: &str, value: Value| json!({"payment_id": ID, "request": request(cents), key: value});
    let expected = [
        ok("payment.made", ID, paid(500, "result", charged())),
        ok(
            "connector.called",
            None,
            json!({"connector": "stripe", "request": request(500), "flow": "Authorize", "result": charged()}),
        ),
        error("payment.failed", ID, paid(0, "error", message("the amount has to be positive"))),
        error("payment.failed", ID, paid(1, "error", message("the connector any is not configured"))),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_decline_and_an_outage_are_both_errors() {
    let ((), rows) = recorded(async {
        for cents in [100, 60_000, 0] {
            let _ = capture(&Sandbox, PaymentId(ID), Money::<Eur>::of(cents)).await;
        }
        assert_eq!(split(PaymentId(ID), 100, [1, 3]).unwrap(), [25, 75]);
        split(PaymentId(ID), 100, []).unwrap_err();
    })
    .await;
    let charged =
        |cents: u32, key: &str, value: Value| json!({"payment_id": ID, "amount": {"cents": cents}, key: value});
    let expected = [
        ok("payment.captured", ID, charged(100, "result", json!({"status": "captured", "reference": 7}))),
        error("payment.captured", ID, charged(60_000, "result", json!({"status": "declined", "code": "51"}))),
        error("payment.captured", ID, charged(0, "error", message("the gateway does not answer"))),
        ok("payment.split", ID, json!({"cents": 100, "shares": "[1, 3]", "result": [25, 75]})),
        error(
            "payment.split",
            ID,
            json!({"cents": 100, "shares": "[]", "error": message("the amount has to be positive")}),
        ),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_webhook_and_its_retries_are_recorded_each() {
    let body = json!({"payment_id": ID, "status": "settled"}).to_string();
    let ((), rows) = recorded(async {
        receive("bad", &body).await.unwrap_err();
        receive("good", &body).await.unwrap();
        receive("good", "null").await.unwrap();
        let read = async |body: &str| receive("good", body.to_owned()).await;
        retried(2, |attempt| read(if attempt == 1 { "{" } else { "null" })).await.unwrap();
        retried(1, |_| read("{")).await.unwrap_err();
    })
    .await;
    let unreadable = || json!({"error": message("the event cannot be read")});
    let expected = [
        error("webhook.received", None, json!({"error": message("the signature does not match")})),
        ok("webhook.received", ID, json!({"result": {"payment_id": ID, "status": "settled"}})),
        ok("webhook.received", None, json!({"result": null})),
        ok("call.retried", None, json!({"attempts": 2})),
        error("webhook.received", None, unreadable()),
        ok("webhook.received", None, json!({"result": null})),
        error("call.retried", None, json!({"attempts": 1, "error": message("the event cannot be read")})),
        error("webhook.received", None, unreadable()),
    ];
    assert_eq!(rows, expected);
}
