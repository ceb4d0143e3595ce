//! The desk behind an HTTP API.
//!
//! ```text
//! POST /orders            a request as JSON      -> what became of it; 202 if an operator has to agree
//! POST /approvals/{id}    {approved, reviewed_by, note}
//! POST /mode              {"mode": "live"}       -> trades with money from now on; only if that is on record
//! GET  /orders/{id}/trail ?recommendation=ID     -> the order's trail
//! GET  /metrics                                  -> the audit trail's counts, sizes and times, for Prometheus
//! GET  /healthz                                  -> 200 while the process answers: for a liveness probe
//! GET  /readyz                                   -> 503 while the trail refuses events: for a readiness probe
//! ```
//!
//! The header `x-operator` names the operator: a proxy that authenticates sets it. It is on every
//! event of the request, as are `traceparent` and `x-request-id`.

use anyhow::Context;
use audit_runtime::admin::Admin;
use audit_runtime::tower::ContextLayer;
use audit_runtime::trail::{Trail, TrailEvent};
use audit_runtime::{Audit, Builder, LastResort};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser;
use examples::broker::SimulatedBroker;
use examples::desk::{Desk, DeskError, Mode, Placed, Review};
use examples::orders::{InvalidRequest, Request};
use examples::positions::Stored;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// A trading desk behind an HTTP API, every step on record in PostgreSQL.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one, which is printed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The server that keeps the audit trail
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: String,
    /// Where the journal is kept
    #[arg(long, value_name = "DIRECTORY")]
    journal: PathBuf,
    /// The most bytes of the journal
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    journal_limit: usize,
    /// Where the journal goes if PostgreSQL is away at the end: a new file, or a directory
    #[arg(long, value_name = "PATH")]
    last_resort: Option<PathBuf>,
}

#[derive(Clone)]
struct Service {
    desk: Arc<Desk<SimulatedBroker, Stored>>,
    trail: Trail,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    examples::ended(serve().await)
}

async fn serve() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    // Before the trail starts, because the code that reports metrics asks for the existing
    // recorder.
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let builder = Audit::builder()
        .postgres(arguments.database_url.as_str())
        .journal(&arguments.journal)
        .segment_bytes(1 << 20)
        .journal_limit(arguments.journal_limit)
        .service("broker-service");
    let builder = arguments.last_resort.map(LastResort::file).into_iter().fold(builder, Builder::last_resort);
    let audit = builder.start()?;
    audit.install()?;

    // The pool is for reading. It connects when it is first used, so that the service starts
    // without PostgreSQL.
    let pool = PgPoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy(&arguments.database_url)
        .context("DATABASE_URL is no PostgreSQL URL")?;
    let positions = Stored::new(pool.clone());
    if let Err(error) = migrate(&pool, &positions).await {
        tracing::warn!("the tables cannot be made now, events wait in the journal: {error}");
    }
    let desk = Desk::new(SimulatedBroker::default(), positions);
    desk.switch(Mode::Live).await?;
    let service = Service { desk: Arc::new(desk), trail: Trail::new(pool.clone()) };
    let router = Router::new()
        .route("/orders", post(place))
        .route("/approvals/{id}", post(answer))
        .route("/mode", post(switch))
        .route("/orders/{id}/trail", get(trail))
        .layer(ContextLayer::new().actor(|request| {
            request.headers.get("x-operator").and_then(|operator| operator.to_str().ok()).map(str::to_owned)
        }))
        .with_state(service.clone())
        .route("/metrics", get(async move || metrics.render()))
        .route("/healthz", get(async || "alive"))
        .route("/readyz", get(ready).with_state(audit.clone()));

    examples::http::serve(arguments.listen, router).await?;
    service.desk.switch(Mode::Paper).await?;
    pool.close().await;
    let report = audit.shutdown(Duration::from_secs(10)).await?;
    println!("stored {}, left in the journal {}", report.stored, report.left_in_journal);
    // 75 if PostgreSQL does not have all events.
    Ok(report.exit_code())
}

/// The service may get requests as long as the trail takes events, with or without PostgreSQL.
async fn ready(State(audit): State<Audit>) -> (StatusCode, String) {
    let health = audit.health();
    let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, health.to_string())
}

async fn migrate(pool: &PgPool, positions: &Stored) -> anyhow::Result<()> {
    Admin::new(pool.clone()).migrate().await?;
    Ok(positions.migrate().await?)
}

async fn place(State(service): State<Service>, Json(request): Json<Request>) -> Result<Response, Failure> {
    let placed = service.desk.place(&request.check()?).await?;
    Ok(answered(&placed))
}

async fn answer(
    State(service): State<Service>,
    Path(approval_id): Path<Uuid>,
    Json(review): Json<ReviewBody>,
) -> Result<Response, Failure> {
    let review = Review { approved: review.approved, reviewed_by: review.reviewed_by, note: review.note };
    Ok(answered(&service.desk.answer(approval_id, review).await?))
}

async fn switch(State(service): State<Service>, Json(body): Json<ModeBody>) -> Result<StatusCode, Failure> {
    service.desk.switch(body.mode).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn trail(
    State(service): State<Service>,
    Path(order_id): Path<Uuid>,
    Query(query): Query<TrailQuery>,
) -> Result<Json<Vec<TrailEvent>>, Failure> {
    Ok(Json(service.trail.order(order_id, query.recommendation).await?))
}

#[derive(Debug, Deserialize)]
struct ReviewBody {
    approved: bool,
    #[serde(default = "operator")]
    reviewed_by: String,
    #[serde(default)]
    note: String,
}

#[derive(Debug, Deserialize)]
struct ModeBody {
    mode: Mode,
}

fn operator() -> String {
    "operator".into()
}

#[derive(Debug, Deserialize)]
struct TrailQuery {
    recommendation: Option<Uuid>,
}

fn answered(placed: &Placed) -> Response {
    let mut body = json!({"status": placed.to_string()});
    let status = match placed {
        Placed::NeedsApproval(_, approval_id) => {
            body["approval_id"] = json!(approval_id);
            StatusCode::ACCEPTED
        }
        Placed::Duplicate => StatusCode::CONFLICT,
        _ => StatusCode::OK,
    };
    if let Some(ids) = placed.ids() {
        body["order_id"] = json!(ids.order_id);
        body["recommendation_id"] = json!(ids.recommendation_id);
    }
    (status, Json(body)).into_response()
}

/// The error, and whose fault it is.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    #[error(transparent)]
    Desk(#[from] DeskError),
    #[error("the trail cannot be read now")]
    Trail(#[from] audit_runtime::DatabaseError),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Desk(DeskError::NoApproval(_)) => StatusCode::NOT_FOUND,
            Self::Desk(DeskError::Oversold { .. }) => StatusCode::CONFLICT,
            Self::Desk(error @ (DeskError::Unrecorded(_) | DeskError::Books(_))) => {
                tracing::error!(cause = error.source(), "{error}");
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Trail(error) => {
                tracing::error!("{error}");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        let body: Value = json!({"error": self.to_string()});
        (status, Json(body)).into_response()
    }
}
