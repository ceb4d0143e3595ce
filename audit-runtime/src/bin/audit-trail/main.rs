//! The command of the audit trail.

mod quarantine;

use clap::{Parser, Subcommand};
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use std::process::ExitCode;

/// Looks after an audit trail in PostgreSQL.
///
/// Ends with 0 if it did or found something, 1 if there was nothing, 2 for a mistake on the command line, 3 if the
/// database cannot be reached.
#[derive(Debug, Parser)]
#[command(name = "audit-trail", version)]
struct Arguments {
    /// The database; what the URL leaves out is taken from the PG* variables
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL", global = true)]
    database_url: Option<PgConnectOptions>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes the tables, or brings them up to date, and makes monthly partitions ahead
    Migrate,
    /// Events that PostgreSQL refused
    #[command(subcommand)]
    Quarantine(quarantine::Command),
}

const NOTHING: u8 = 1;
const UNREACHABLE: u8 = 3;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no runtime: {error}"), UNREACHABLE),
    };
    runtime.block_on(run(arguments))
}

fn failed(message: &str, code: u8) -> ExitCode {
    eprintln!("audit-trail: {message}");
    ExitCode::from(code)
}

async fn run(arguments: Arguments) -> ExitCode {
    let options = arguments.database_url.unwrap_or_default().application_name("audit-trail");
    // A pool would only say that it waited in vain.
    match PgConnection::connect_with(&options).await {
        Ok(connection) => drop(connection.close().await),
        Err(error) => return failed(&format!("cannot reach the database: {error}"), UNREACHABLE),
    }
    let pool: PgPool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
    let done = match arguments.command {
        Command::Migrate => audit_runtime::migrate(&pool).await.map(|()| true).map_err(|error| error.to_string()),
        Command::Quarantine(command) => command.run(pool.clone()).await.map_err(|error| error.to_string()),
    };
    pool.close().await;
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOTHING),
        Err(error) if error.contains("does not exist") => {
            failed(&format!("the audit schema is missing or too old: run audit-trail migrate ({error})"), NOTHING)
        }
        Err(error) => failed(&error, NOTHING),
    }
}
