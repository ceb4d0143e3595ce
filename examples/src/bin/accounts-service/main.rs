//! Accounts, invoices and transfers of several tenants, behind an HTTP API.
//!
//! ```text
//! POST /customers               {name, email}                -> the customer
//! GET  /customers/{id}          -> the customer; only if that look is on record
//! POST /customers/{id}/address  {email}
//! POST /login                   {email, password}
//! POST /accounts                {customer, limit_cents}      -> the account
//! POST /accounts/{id}/limit     {cents}
//! POST /invoices                {number, cents}
//! POST /transfers               {from, to, invoice, cents}
//! POST /webhooks/invoices       {number, status}             -> 202: a worker settles it
//! POST /jobs/close-dormant                                   -> how many accounts it has closed
//! ```
//!
//! The headers `x-tenant`, `x-user` and `x-reason` say for whom, by whom and why: a proxy that
//! authenticates sets them. They are on every event of the request, as is `traceparent`.

mod accounts;

use accounts::{Account, AccountId, AppResult, Customer, Settlement, Transfer};
use audit_runtime::admin::Admin;
use audit_runtime::sqlx::postgres::{PgPool, PgPoolOptions};
use audit_runtime::tower::ContextLayer;
use audit_runtime::{Audit, Context, MasterKey, audited};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;

/// Accounts behind an HTTP API, every step on record in PostgreSQL.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen; port 0 takes a free one, which is printed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The server that keeps the accounts and their trail
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: String,
    /// Where the journal is kept
    #[arg(long, value_name = "DIRECTORY")]
    journal: PathBuf,
    /// The file of the master key: `audit-trail master-key` makes one
    #[arg(long, value_name = "FILE")]
    master_key: PathBuf,
}

#[derive(Clone)]
struct App {
    db: PgPool,
    audit: Audit,
    jobs: mpsc::Sender<(Context, Settlement)>,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    examples::ended(serve().await.map(|()| ExitCode::SUCCESS))
}

fn header(request: &Parts, name: &str) -> Option<String> {
    request.headers.get(name)?.to_str().ok().filter(|text| !text.is_empty()).map(str::to_owned)
}

async fn serve() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let db = PgPoolOptions::new().max_connections(4).connect(&arguments.database_url).await?;
    Admin::new(db.clone()).migrate().await?;
    accounts::migrate(&db).await?;
    let audit = Audit::builder()
        .postgres(arguments.database_url.as_str())
        .journal(&arguments.journal)
        .service("accounts")
        .master_key(MasterKey::from_file(&arguments.master_key)?)
        .start()?;
    audit.install()?;

    let (jobs, waiting) = mpsc::channel(64);
    let worker = tokio::spawn(accounts::worker(db.clone(), waiting));
    let context = ContextLayer::new()
        .actor(|request| Some(format!("user:{}", header(request, "x-user")?)))
        .tenant(|request| header(request, "x-tenant"))
        .attribute("reason", |request| header(request, "x-reason"));
    let router = Router::new()
        .route("/customers", post(register))
        .route("/customers/{id}", get(view))
        .route("/customers/{id}/address", post(change_address))
        .route("/login", post(log_in))
        .route("/accounts", post(open))
        .route("/accounts/{id}/limit", post(change_limit))
        .route("/invoices", post(issue))
        .route("/transfers", post(transfer))
        .route("/webhooks/invoices", post(webhook))
        .route("/jobs/close-dormant", post(close_dormant))
        .layer(context)
        .with_state(App { db: db.clone(), audit: audit.clone(), jobs });

    examples::http::serve(arguments.listen, router).await?;
    // The router is gone, and with it the last sender: the worker ends when its queue is empty.
    worker.await?;
    db.close().await;
    let report = audit.shutdown(Duration::from_secs(10)).await?;
    println!("stored {}, left in the journal {}", report.stored, report.left_in_journal);
    Ok(())
}

#[derive(Deserialize)]
struct Person {
    name: String,
    email: String,
}

async fn register(State(app): State<App>, Json(person): Json<Person>) -> AppResult<Json<Customer>> {
    let mut tx = app.db.begin().await?;
    let customer = accounts::register(&mut tx, &person.name, &person.email).await?;
    tx.commit().await?;
    Ok(Json(customer))
}

async fn view(State(app): State<App>, Path(id): Path<i64>) -> AppResult<Json<Customer>> {
    Ok(Json(accounts::view(&app.db, id).await?))
}

#[derive(Deserialize)]
struct Address {
    email: String,
}

async fn change_address(State(app): State<App>, Path(id): Path<i64>, Json(to): Json<Address>) -> AppResult<StatusCode> {
    let mut tx = app.db.begin().await?;
    let mut customer = accounts::customer(&mut tx, id).await?;
    accounts::change_address(&mut tx, &mut customer, &to.email).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Login {
    email: String,
    password: String,
}

async fn log_in(State(app): State<App>, Json(login): Json<Login>) -> AppResult<Json<i64>> {
    Ok(Json(accounts::log_in(&app.db, &login.email, &login.password).await?.id))
}

#[derive(Deserialize)]
struct NewAccount {
    customer: i64,
    limit_cents: i64,
}

async fn open(State(app): State<App>, Json(new): Json<NewAccount>) -> AppResult<Json<Account>> {
    let mut tx = app.db.begin().await?;
    let account = accounts::open(&mut tx, new.customer, new.limit_cents).await?;
    tx.commit().await?;
    Ok(Json(account))
}

#[derive(Deserialize)]
struct Limit {
    cents: i64,
}

async fn change_limit(
    State(app): State<App>,
    Path(id): Path<AccountId>,
    Json(limit): Json<Limit>,
) -> AppResult<StatusCode> {
    let mut tx = app.db.begin().await?;
    let mut account = accounts::account(&mut tx, id).await?;
    accounts::change_limit(&mut tx, &mut account, limit.cents).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Invoice {
    number: String,
    cents: i64,
}

async fn issue(State(app): State<App>, Json(invoice): Json<Invoice>) -> AppResult<StatusCode> {
    let mut tx = app.db.begin().await?;
    accounts::issue(&mut tx, &invoice.number, invoice.cents).await?;
    tx.commit().await?;
    Ok(StatusCode::CREATED)
}

async fn transfer(State(app): State<App>, Json(transfer): Json<Transfer>) -> AppResult<StatusCode> {
    let mut tx = app.db.begin().await?;
    let from = accounts::account(&mut tx, transfer.from).await?;
    let to = accounts::account(&mut tx, transfer.to).await?;
    accounts::transfer(&mut tx, &from, &to, &transfer.invoice, transfer.cents).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[audited(event = "webhook.received", entity = "invoice", id = &news.number, only(news))]
async fn webhook(State(app): State<App>, Json(news): Json<Settlement>) -> StatusCode {
    match app.jobs.send((Context::current(), news)).await {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn close_dormant(State(app): State<App>) -> AppResult<Json<usize>> {
    Ok(Json(accounts::close_dormant(&app.db, &app.audit).await?))
}
