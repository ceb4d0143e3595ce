//! The command of the audit trail, as a function: programs that bring their own PostgreSQL show
//! their trail with it.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "they panic at a closed pipe: say.rs")]

mod catalogue;
mod checkpoint;
mod cold;
mod command;
#[cfg(feature = "forward")]
mod copies;
mod detail;
mod doctor;
mod environment;
mod events;
mod exact;
mod failure;
mod find;
mod follow;
mod format;
#[cfg(feature = "forward")]
pub mod forward;
mod globals;
mod grid;
mod history;
mod hold;
mod journal;
mod keepalive;
mod keys;
#[cfg(feature = "lake")]
mod lake;
mod master_key;
#[cfg(any(feature = "forward", feature = "serve"))]
mod metrics;
mod migrate;
mod named;
mod pack;
#[cfg(any(feature = "forward", feature = "serve"))]
mod pem;
mod personal;
mod policy;
mod prune;
mod quarantine;
mod relations;
mod relay;
mod replay;
mod restore;
mod retain;
mod say;
mod select;
#[cfg(feature = "serve")]
mod serve;
mod server;
mod ship_packed;
mod show;
mod signals;
mod status;
mod summary;
mod table;
mod text;
mod time;
mod timeline;
#[cfg(feature = "timestamp")]
mod timestamp;
mod verify;
mod watch;

use audit_runtime::MasterKey;
use audit_runtime::trail::Trail;
use clap::{CommandFactory, FromArgMatches, Parser};
use clap_complete::{Generator, Shell};
use command::Command;
use events::{print_entity, print_trail};
use failure::Failure;
use server::{ANSWER, Server, watched};
use sqlx::postgres::PgPool;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Reads an audit trail in PostgreSQL, and looks after it.
///
/// Exit status: 0 success, 1 nothing found or partial failure, 2 usage error, 3 database
/// unreachable, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "audit-trail", version)]
struct Arguments {
    /// The database's URL; the PG* variables replace missing parts [env: DATABASE_URL]
    #[arg(long, value_name = "URL", global = true)]
    database_url: Option<String>,
    /// The file of the master key, or after a `|` a command that prints it. Shows personal data,
    /// too. By default, AUDIT_MASTER_KEY contains the key itself. While the key is exchanged, give the
    /// new one and then the old one
    #[arg(long, value_name = "FILE|'|COMMAND'", global = true)]
    master_key: Vec<String>,
    #[command(flatten)]
    style: show::Style,
    #[command(subcommand)]
    command: Command,
}

/// Runs the command with these arguments, the first of which is its name, and returns its exit
/// status.
///
/// It blocks the thread until the command has ended, and prints to the standard streams. An
/// interrupt during most subcommands ends the process.
pub fn run<A: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = A>) -> ExitCode {
    let matches = match command_line().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return printed(&error),
    };
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => return printed(&error),
    };
    let runtime = match arguments.command.runtime().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::Io(error).printed(),
    };
    let done = runtime.block_on(run_parsed(arguments));
    // A name lookup that hangs holds up nothing.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.printed(),
    }
}

fn command_line() -> clap::Command {
    globals::arranged(Arguments::command())
}

/// Prints a help text, or a mistake on the command line.
fn printed(error: &clap::Error) -> ExitCode {
    let printed = error.print().and_then(|()| io::stdout().flush());
    match printed {
        // The exit status stays that of a mistake even if its message cannot be written.
        Err(full) if full.kind() != io::ErrorKind::BrokenPipe && !error.use_stderr() => Failure::Io(full).printed(),
        _ => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1)),
    }
}

async fn run_parsed(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { database_url, master_key, mut style, command } = arguments;
    command.check_output(&style)?;
    if let Command::Retain(retain) = &command {
        retain.check()?;
    }
    let url = server::url(database_url);
    let server = match &command {
        Command::Completions { shell } => return print_completions(*shell),
        Command::Man { directory: None } => return print_manual(),
        Command::Man { directory: Some(directory) } => return write_manual(directory),
        Command::MasterKey(command) if command.is_local() => return command.make(),
        Command::Checkpoint(command) if command.is_local() => return command.make_key(),
        Command::Doctor(command) if command.is_local() => return command.print_list(&style),
        Command::Policy(command) if command.is_local() => return command.explain().map(drop),
        Command::Verify(command) if command.is_local() => return command.verify_proof(&style),
        #[cfg(feature = "lake")]
        Command::Verify(_) | Command::Proof(_) if command.reads_lake_alone() => {
            let (task, interrupted) = (command.task(), command.interrupted());
            let done = watched(None, interrupted, with_lake(command, &style)).await;
            return done.map_err(|failure| failure.of(task, None));
        }
        #[cfg(feature = "serve")]
        Command::Serve(command) if command.is_local() => return command.make_token(),
        Command::Journal(journal::Command::Pack(pack)) => {
            return pack.run(keys::master_key(&master_key)?);
        }
        Command::Journal(journal::Command::Status { directory }) => {
            let server = url.as_deref().map(|url| Server::new(Some(url))).transpose()?;
            let status = journal::status(directory, &style, server.as_ref());
            return watched(None, command.interrupted(), status).await;
        }
        _ => Server::new(url.as_deref())?,
    };
    let task = command.task();
    let given_keys = master_key.clone();
    let master_key = if command.shows_personal() { keys::master_key(&master_key)? } else { None };
    style.reveals(master_key.is_some());
    let interrupted = command.interrupted();
    let done = match command {
        // It outlasts lost connections, and ends well when it is interrupted or terminated.
        Command::Relay(command) => command.run(&server).await,
        #[cfg(feature = "forward")]
        Command::Forward(command) => command.run(&server).await,
        Command::Doctor(command) => {
            let examining = command.run(&server, &given_keys, &style);
            watched(Some(&server), interrupted, examining).await
        }
        // It ends well when it is interrupted or terminated.
        Command::Journal(journal::Command::Ship(ship)) if ship.path().is_file() => {
            ship_packed::ship(&ship, &server, master_key).await
        }
        // It has a limit of its own.
        Command::Journal(journal::Command::Ship(ship)) if ship.watches() => ship.watch(&server, master_key).await,
        Command::Journal(journal::Command::Ship(ship)) => {
            let shipping = async {
                if !ship.has_relay() {
                    server.greet(ANSWER.min(ship.timeout())).await?;
                }
                journal::ship(&ship, &server, master_key).await
            };
            watched(None, interrupted, shipping).await
        }
        Command::Journal(journal::Command::Replay(replay)) => {
            let replaying = async {
                if !replay.has_relay() {
                    server.greet(ANSWER).await?;
                }
                replay.run(&server).await
            };
            watched(None, interrupted, replaying).await
        }
        // It outlasts lost connections, and ends well when it is interrupted or terminated.
        #[cfg(feature = "serve")]
        Command::Serve(command) => command.run(&server, master_key).await,
        // It outlasts lost connections, and ends well when it is interrupted.
        Command::Events(events) if events.follows() => {
            server.greet(ANSWER).await?;
            let pool = server.pool();
            events.run(&trail(&pool, master_key), &pool, &style).await
        }
        command => {
            let asking = async {
                server.greet(ANSWER).await?;
                let pool = server.pool();
                let done = with_database(command, &pool, master_key, &style).await;
                // A goodbye is polite, but not worth waiting for.
                let _ = tokio::time::timeout(Duration::from_secs(1), pool.close()).await;
                done
            };
            watched(Some(&server), interrupted, asking).await
        }
    };
    done.map_err(|failure| failure.of(task, Some(&server)))
}

fn print_completions(shell: Shell) -> Result<(), Failure> {
    let mut command = command_line();
    command.set_bin_name("audit-trail");
    command.build();
    let mut text = Vec::new();
    shell.try_generate(&command, &mut text)?;
    say::bytes(&text)
}

fn print_manual() -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command_line()).render(&mut text)?;
    say::bytes(&text)
}

fn write_manual(directory: &Path) -> Result<(), Failure> {
    let written = std::fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(command_line(), directory));
    written
        .map_err(|error| Failure::Other(format!("cannot write the manual pages to {}: {error}", directory.display())))
}

fn trail(pool: &PgPool, master_key: Option<MasterKey>) -> Trail {
    master_key.into_iter().fold(Trail::new(pool.clone()), Trail::master_key)
}

/// Runs a command that needs a lake, and no database.
#[cfg(feature = "lake")]
async fn with_lake(command: Command, style: &show::Style) -> Result<(), Failure> {
    match command {
        Command::Verify(command) => command.run_on_lake(style).await,
        Command::Proof(command) => command.run_on_lake().await,
        _ => Ok(()),
    }
}

async fn with_database(
    command: Command,
    pool: &PgPool,
    master_key: Option<MasterKey>,
    style: &show::Style,
) -> Result<(), Failure> {
    if let Command::MasterKey(command) = command {
        return command.run(pool, master_key).await;
    }
    let trail = trail(pool, master_key);
    match command {
        Command::Migrate(command) => command.run(pool).await,
        Command::Order { key, recommendation } => events::print_order(&trail, style, &key, recommendation).await,
        Command::Entity { entity, cold } => {
            let (kind, key) = entity.of("entity")?;
            print_entity(&trail, &cold, style, &kind, &key).await
        }
        Command::History(command) => command.run(&trail, style).await,
        Command::Find(command) => command.run(&trail, style).await,
        Command::Execution { id, recommendation } => {
            print_trail(&trail, style, "execution", id, trail.execution(id, recommendation).await?).await
        }
        Command::Event { id, cold } => events::print_event(&trail, pool, &cold, style, id).await,
        Command::Events(command) => command.run(&trail, pool, style).await,
        Command::Export(command) => command.run(&trail, style).await,
        Command::Catalogue(command) => command.run(&trail, style).await,
        Command::Status => status::run(pool, style).await,
        Command::Partitions(command) => command.run(pool).await,
        Command::Prune(command) => command.run(pool).await,
        Command::Hold(command) => command.run(pool, style).await,
        Command::Retain(command) => command.run(pool).await,
        Command::Restore(command) => command.run(pool).await,
        Command::Checkpoint(command) => command.run(pool).await,
        Command::Verify(command) => command.run(pool, style).await,
        Command::Proof(command) => command.run(pool).await,
        #[cfg(feature = "lake")]
        Command::Lake(lake::Command::Sync(command)) => command.run(pool).await,
        Command::Subject(command) => command.run(&trail, style).await,
        Command::Forget(command) => command.run(pool).await,
        Command::Quarantine(command) => command.run(pool, style).await,
        Command::Policy(command) => command.run(pool).await,
        #[cfg(feature = "forward")]
        Command::Feed(command) => command.run(pool, style).await,
        #[cfg(feature = "forward")]
        Command::Forward(_) => Ok(()),
        // They run without a pool.
        Command::Doctor(_)
        | Command::Journal(_)
        | Command::Relay(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::MasterKey(_) => Ok(()),
        #[cfg(feature = "serve")]
        Command::Serve(_) => Ok(()),
    }
}
