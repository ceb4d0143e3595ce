//! Takes a file of orders through the desk, and shows what the audit trail has to say about them.

use anyhow::{Context, anyhow, bail};
use audit_runtime::Audit;
use audit_runtime::trail::Trail;
use clap::Parser;
use examples::broker::SimulatedBroker;
use examples::database::Database;
use examples::desk::{Desk, Ids, Mode, Placed, Review};
use examples::orders::{self, Line, Request};
use examples::positions::InMemory;
use examples::timeline::timeline;
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};
use uuid::Uuid;

/// Takes orders from a recommendation to a position, every step on record in PostgreSQL.
#[derive(Debug, Parser)]
struct Arguments {
    /// The orders, as CSV; `-` is standard input
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/data/orders.csv"))]
    orders: PathBuf,
    /// The server; without one, PostgreSQL runs inside this process
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// Where the journal is kept; by default in a temporary directory
    #[arg(long, value_name = "DIRECTORY")]
    journal: Option<PathBuf>,
    /// Takes the whole file through so many times, each time with other idempotency keys
    #[arg(long, value_name = "TIMES", default_value_t = 1)]
    repeat: usize,
    /// Shows the trail on the page for auditors, at this address, until it is interrupted
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:8080")]
    serve: Option<String>,
    /// Prints a line for each order once its calls have returned
    #[arg(long)]
    verbose: bool,
}

type SimulatedDesk = Desk<SimulatedBroker, InMemory>;

#[tokio::main]
async fn main() -> ExitCode {
    let (level, quieter) = reload::Layer::new(LevelFilter::WARN);
    tracing_subscriber::registry().with(level).with(fmt::layer().with_writer(std::io::stderr)).init();
    examples::ended(all(&quieter).await)
}

/// The level of the messages that are logged.
type Level = reload::Handle<LevelFilter, Registry>;

async fn all(level: &Level) -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let lines = read(&arguments.orders)?;
    if lines.iter().all(|(_, request)| request.is_err()) {
        let path = arguments.orders.display();
        report(&arguments.orders, lines.iter().filter_map(|(line, request)| Some((line, request.as_ref().err()?))));
        bail!("{path}: no line is an order, of {}", lines.len());
    }
    let database = Database::open(arguments.database_url.as_deref()).await?;
    let temporary = tempfile::tempdir()?;
    let journal = arguments.journal.as_deref().unwrap_or(temporary.path());
    let mut finished = run(&arguments, &lines, &database, journal).await;
    if let (Ok((_, requests)), Some(address)) = (&finished, &arguments.serve) {
        if database.connections == 1 {
            // The page has the one connection, so it is no failure that the writer has none.
            level.modify(|level| *level = LevelFilter::ERROR)?;
        }
        finished = serve(address, requests, &database, journal).await.map(|code| (code, Vec::new()));
    }
    database.close()?;
    finished.map(|(code, _)| code)
}

async fn run(
    arguments: &Arguments,
    lines: &[Line],
    database: &Database,
    journal: &Path,
) -> anyhow::Result<(ExitCode, Vec<Requested>)> {
    let requests: Vec<&Request> = lines.iter().filter_map(|(_, request)| request.as_ref().ok()).collect();
    // The cost of the orders without an audit trail, to show the trail's share. The second round is
    // the warm one.
    let plain = (0..2).map(|_| unaudited(&requests)).collect::<Vec<_>>();
    let mut plain_time = Duration::MAX;
    for round in plain {
        plain_time = round.await?;
    }

    let audit = Audit::builder()
        .postgres(database.options.clone())
        .connections(database.connections)
        .journal(journal)
        .service("order-flow")
        .start()?;
    audit.install()?;

    let bar = ProgressBar::new((lines.len() * arguments.repeat) as u64)
        .with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} orders, {elapsed} {msg}")?);
    let mut shown = Shown::default();
    let mut spent = Duration::ZERO;
    let begin = Instant::now();
    let mut interrupted = Box::pin(tokio::signal::ctrl_c());
    let mut was_interrupted = false;
    let desk = SimulatedDesk::new(SimulatedBroker::default(), InMemory::default());
    desk.switch(Mode::Live).await?;
    'rounds: for round in 0..arguments.repeat {
        for (line, request) in lines {
            bar.inc(1);
            let request = match request {
                Ok(request) if round == 0 => request.clone(),
                Ok(request) => {
                    Request { idempotency_key: format!("{}-{round}", request.idempotency_key), ..request.clone() }
                }
                Err(error) if round == 0 => {
                    bar.suspend(|| eprintln!("{}:{line}: skipped: {error}", arguments.orders.display()));
                    continue;
                }
                Err(_) => continue,
            };
            let started = Instant::now();
            let placed = tokio::select! {
                biased;
                _ = &mut interrupted => {
                    was_interrupted = true;
                    break 'rounds;
                }
                placed = one(&desk, &request) => placed?,
            };
            spent += started.elapsed();
            if arguments.verbose {
                let mut output = std::io::stdout().lock();
                let recorded = audit.stats().recorded;
                writeln!(
                    output,
                    "line {line}: {} {} {}: {placed}, {recorded} events recorded",
                    request.side, request.quantity, request.ticker
                )?;
            }
            shown.note(&placed);
        }
    }
    desk.switch(Mode::Paper).await?;
    bar.finish_and_clear();

    let report = tokio::select! {
        report = audit.shutdown(Duration::from_secs(30)) => report?,
        _ = tokio::signal::ctrl_c(), if was_interrupted => bail!("interrupted again; what is not stored is in the journal"),
    };
    let stored_after = begin.elapsed();
    if was_interrupted {
        eprintln!("interrupted: {} events stored, {} left in the journal", report.stored, report.left_in_journal);
        return Ok((ExitCode::from(130), Vec::new()));
    }
    let pool = database.pool();
    let printed = print_timelines(&Trail::new(pool.clone()), &shown).await;
    pool.close().await;
    let requested = printed?;

    let recorded = report.stored + report.left_in_journal + report.refused;
    let calls = recorded.max(1) as f64;
    let paid = spent.saturating_sub(plain_time * arguments.repeat as u32).as_nanos() as f64 / calls;
    println!(
        "{} of {} lines were orders, taken through {} time(s), on {}",
        requests.len(),
        lines.len(),
        arguments.repeat,
        database.name()
    );
    println!("{recorded} events recorded, {} stored, {} refused", report.stored, report.refused);
    println!("{:.0} events per second, from the first call to the last commit", calls / stored_after.as_secs_f64());
    println!(
        "{paid:.0} ns a call paid for its event{}",
        if cfg!(debug_assertions) { " (a debug build; --release for figures)" } else { "" }
    );
    let is_whole = report.left_in_journal == 0 && report.refused == 0;
    Ok((if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }, requested))
}

/// Shows the trail in a browser, by the command that operators use.
///
/// The embedded server has one connection, which is the page's: who looked stays in the journal until
/// the page ends, and is stored then.
async fn serve(
    address: &str,
    requested: &[Requested],
    database: &Database,
    journal: &Path,
) -> anyhow::Result<ExitCode> {
    println!("\nthe page for auditors shows these orders; press Ctrl-C to end it");
    // A free port is known once the page states it.
    let site = if address.ends_with(":0") { String::new() } else { format!("http://{address}") };
    for (kind, correlation) in requested {
        println!("{kind:<33} {site}/correlation/{correlation}");
    }
    let url = database.url()?;
    let journal = journal.display().to_string();
    let connections = database.connections.to_string();
    let arguments = [
        "audit-trail",
        "serve",
        "--database-url",
        &url,
        "--listen",
        address,
        "--journal",
        &journal,
        "--connections",
        &connections,
    ];
    let arguments = arguments.map(str::to_owned);
    Ok(tokio::task::spawn_blocking(move || audit_trail::run(arguments)).await?)
}

/// Takes every order through a desk of its own while no audit trail is installed.
async fn unaudited(requests: &[&Request]) -> anyhow::Result<Duration> {
    let silent = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default());
    let desk = SimulatedDesk::new(SimulatedBroker::default(), InMemory::default());
    let begin = Instant::now();
    for request in requests {
        one(&desk, &Request::clone(request)).await?;
    }
    drop(silent);
    Ok(begin.elapsed())
}

/// One order, and the answer of the operator on duty.
async fn one(desk: &SimulatedDesk, request: &Request) -> anyhow::Result<Placed> {
    let placed = desk.place(request).await?;
    let Placed::NeedsApproval(_, approval_id) = placed else {
        return Ok(placed);
    };
    if request.requested_by == "night_desk" {
        // Nobody is there at night.
        return Ok(desk.give_up(approval_id).await?);
    }
    let approved = request.confidence >= 0.6;
    let note = if approved { "fine" } else { "not sure enough for this size" };
    let review = Review { approved, reviewed_by: "operator:kim".into(), note: note.into() };
    Ok(desk.answer(approval_id, review).await?)
}

fn read(path: &Path) -> anyhow::Result<Vec<Line>> {
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(File::open(path).with_context(|| format!("cannot open {}", path.display()))?)
    };
    orders::read(input).map_err(|error| {
        report(path, error.lines.iter().map(|(line, problem)| (line, problem)));
        anyhow!("{}: {error}", path.display())
    })
}

/// Prints what is wrong with lines of a file: of many, the first.
fn report<'a, E: std::fmt::Display + 'a>(path: &Path, lines: impl Iterator<Item = (&'a u64, &'a E)>) {
    const MOST: usize = 20;
    let lines: Vec<_> = lines.collect();
    for (line, problem) in lines.iter().take(MOST) {
        eprintln!("{}:{line}: {problem}", path.display());
    }
    if lines.len() > MOST {
        eprintln!("{}: and {} lines more", path.display(), lines.len() - MOST);
    }
}

/// The first order of each kind that is shown at the end.
#[derive(Debug, Default)]
struct Shown {
    filled: Option<Ids>,
    risk_rejected: Option<Ids>,
    broker_rejected: Option<Ids>,
}

impl Shown {
    fn note(&mut self, placed: &Placed) {
        let (kind, ids) = match placed {
            Placed::Filled(ids) => (&mut self.filled, ids),
            Placed::RiskRejected(ids) => (&mut self.risk_rejected, ids),
            Placed::BrokerRejected(ids) => (&mut self.broker_rejected, ids),
            _ => return,
        };
        kind.get_or_insert(*ids);
    }
}

/// An order that is shown, and the request that its events belong to.
type Requested = (&'static str, Uuid);

async fn print_timelines(trail: &Trail, shown: &Shown) -> anyhow::Result<Vec<Requested>> {
    let kinds = [
        ("A filled order", shown.filled),
        ("An order the risk rules rejected", shown.risk_rejected),
        ("An order the broker rejected", shown.broker_rejected),
    ];
    let mut requested = Vec::new();
    for (kind, ids) in kinds {
        let Some(ids) = ids else {
            println!("{kind}: there was none\n");
            continue;
        };
        let events = trail.order(ids.order_id, Some(ids.recommendation_id)).await?;
        println!("{}", timeline(&format!("{kind}, {}", ids.order_id), &events));
        requested.extend(events.iter().find_map(|event| event.correlation_id).map(|correlation| (kind, correlation)));
    }
    Ok(requested)
}
