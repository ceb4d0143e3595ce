//! The command of the audit trail, as a function: programs that bring their own PostgreSQL show
//! their trail with it.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "they panic at a closed pipe: say.rs")]

mod catalogue;
mod checkpoint;
mod detail;
mod doctor;
mod environment;
mod events;
mod failure;
mod find;
mod format;
mod globals;
mod grid;
mod history;
mod journal;
mod keepalive;
mod migrate;
mod named;
mod pack;
mod personal;
mod policy;
mod prune;
mod quarantine;
mod relations;
mod relay;
mod replay;
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
mod verify;
mod watch;

use audit_runtime::MasterKey;
use audit_runtime::trail::Trail;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::{Generator, Shell};
use events::{print_entity, print_trail};
use failure::{Failure, Role, Task};
use server::{ANSWER, Server, watched};
use show::Output;
use sqlx::postgres::PgPool;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use uuid::Uuid;

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
    /// too. By default, AUDIT_MASTER_KEY contains the key itself
    #[arg(long, value_name = "FILE|'|COMMAND'", global = true)]
    master_key: Option<String>,
    #[command(flatten)]
    style: show::Style,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Creates or updates the tables, and creates monthly partitions ahead
    Migrate(migrate::Migrate),
    /// Shows the events of an order, and those of the recommendations that it names
    Order {
        /// The order's id, or its own key, as in 4711
        #[arg(allow_hyphen_values = true)]
        key: String,
        /// The one recommendation whose events are shown, in place of those that the order names
        #[arg(long, value_name = "ID", value_parser = select::id)]
        recommendation: Option<Uuid>,
    },
    /// Shows the events of an entity, and those that have it as a further one
    Entity {
        #[command(flatten)]
        entity: named::Named,
    },
    /// Shows how the fields of an entity changed, by whom and why, or its state as of a moment
    History(history::History),
    /// Finds a text: as a key, an id, an actor and the like, then in all values, newest first
    Find(find::Find),
    /// Shows the events of an execution: those of an entity, and of every entity that an event
    /// links to the recommendation
    Execution {
        /// The entity
        #[arg(value_parser = select::id)]
        id: Uuid,
        /// The recommendation
        #[arg(long, value_name = "ID", value_parser = select::id)]
        recommendation: Uuid,
    },
    /// Shows one event by its id, with all that it has, its causes and effects, and its evidence
    Event {
        /// The event
        #[arg(value_parser = select::id)]
        id: Uuid,
    },
    /// Shows the newest events, or those that match
    Events(events::Events),
    /// Exports every event that matches, oldest first, for other programs
    Export(events::Export),
    /// Shows what services audit, where in their code, and what of it is personal
    Catalogue(catalogue::Catalogue),
    /// Shows writers and their lag, partitions, quarantine and seal
    Status,
    /// Examines grants, schema, partitions, seals, clocks, journals and keys; exits with 1 if it finds
    /// something
    Doctor(Box<doctor::Doctor>),
    /// Seals rows that came without a batch, signs the trail and prints the checkpoint
    Checkpoint(checkpoint::Checkpoint),
    /// Verifies that the trail is unchanged since it was recorded; exits with 1 if it was changed
    Verify(verify::Verify),
    /// Prints the proof that an event is in the trail, for `verify --proof`
    Proof(verify::Prove),
    /// Creates monthly partitions ahead, and for rows of the default partition
    Partitions(migrate::Partitions),
    /// Removes months that are older than a date, archives them on request, and records that in the
    /// trail
    Prune(prune::Prune),
    /// Shows all that is on record about a person, oldest first, for a subject access request
    Subject(personal::Subject),
    /// Destroys the keys of subjects: their personal data can never be read again, the rows stay
    Forget(personal::Forget),
    /// Makes a master key
    MasterKey(personal::NewMasterKey),
    /// Lists, ships or packs the journals on this machine's disk
    #[command(subcommand)]
    Journal(journal::Command),
    /// Takes events from services that have no way to the database, and stores them
    Relay(relay::Command),
    /// Lists or retries the events that PostgreSQL refused
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// Explains the file of a policy, and what it would have kept
    #[command(subcommand)]
    Policy(policy::Command),
    /// Serves the page for auditors
    #[cfg(feature = "serve")]
    Serve(Box<serve::Serve>),
    /// Prints completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Prints the manual page, in roff
    Man {
        /// Writes the pages of all subcommands to files in this directory instead
        #[arg(long)]
        directory: Option<PathBuf>,
    },
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
    let Arguments { database_url, master_key, style, command } = arguments;
    command.check_output(&style)?;
    let url = server::url(database_url);
    let server = match &command {
        Command::Completions { shell } => return print_completions(*shell),
        Command::Man { directory: None } => return print_manual(),
        Command::Man { directory: Some(directory) } => return write_manual(directory),
        Command::MasterKey(command) => return command.run(),
        Command::Checkpoint(command) if command.is_local() => return command.make_key(),
        Command::Doctor(command) if command.is_local() => return command.print_list(&style),
        Command::Policy(command) if command.is_local() => return command.explain().map(drop),
        Command::Verify(command) if command.is_local() => return command.verify_proof(&style),
        #[cfg(feature = "serve")]
        Command::Serve(command) if command.is_local() => return command.make_token(),
        Command::Journal(journal::Command::Pack(pack)) => {
            return pack.run(personal::master_key(master_key.as_deref())?);
        }
        Command::Journal(journal::Command::Status { directory }) => {
            let server = url.as_deref().map(|url| Server::new(Some(url))).transpose()?;
            let status = journal::status(directory, &style, server.as_ref());
            return watched(None, command.interrupted(), status).await;
        }
        _ => Server::new(url.as_deref())?,
    };
    let task = command.task();
    let given_key = master_key.clone();
    let master_key = if command.shows_personal() { personal::master_key(master_key.as_deref())? } else { None };
    let interrupted = command.interrupted();
    let done = match command {
        // It outlasts lost connections, and ends well when it is interrupted or terminated.
        Command::Relay(command) => command.run(&server).await,
        Command::Doctor(command) => {
            let examining = command.run(&server, given_key.as_deref(), &style);
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
            events.run(&trail(&pool, master_key), &style).await
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

async fn with_database(
    command: Command,
    pool: &PgPool,
    master_key: Option<MasterKey>,
    style: &show::Style,
) -> Result<(), Failure> {
    let trail = trail(pool, master_key);
    match command {
        Command::Migrate(command) => command.run(pool).await,
        Command::Order { key, recommendation } => events::print_order(&trail, style, &key, recommendation).await,
        Command::Entity { entity } => {
            let (kind, key) = entity.of("entity")?;
            print_entity(&trail, style, &kind, &key).await
        }
        Command::History(command) => command.run(&trail, style).await,
        Command::Find(command) => command.run(&trail, style).await,
        Command::Execution { id, recommendation } => {
            print_trail(&trail, style, "execution", id, trail.execution(id, recommendation).await?).await
        }
        Command::Event { id } => events::print_event(&trail, pool, style, id).await,
        Command::Events(command) => command.run(&trail, style).await,
        Command::Export(command) => command.run(&trail, style).await,
        Command::Catalogue(command) => command.run(&trail, style).await,
        Command::Status => status::run(pool, style).await,
        Command::Partitions(command) => command.run(pool).await,
        Command::Prune(command) => command.run(pool).await,
        Command::Checkpoint(command) => command.run(pool).await,
        Command::Verify(command) => command.run(pool, style).await,
        Command::Proof(command) => command.run(pool).await,
        Command::Subject(command) => command.run(&trail, style).await,
        Command::Forget(command) => command.run(pool).await,
        Command::Quarantine(command) => command.run(pool, style).await,
        Command::Policy(command) => command.run(pool).await,
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

impl Command {
    /// The runtime: of one thread, unless requests of others are served.
    fn runtime(&self) -> tokio::runtime::Builder {
        #[cfg(feature = "serve")]
        if matches!(self, Self::Serve(_)) {
            return tokio::runtime::Builder::new_multi_thread();
        }
        if matches!(self, Self::Relay(_)) {
            return tokio::runtime::Builder::new_multi_thread();
        }
        tokio::runtime::Builder::new_current_thread()
    }

    /// The name, and the role that it needs.
    fn task(&self) -> Task {
        let (name, role) = match self {
            Self::Migrate(_) => ("migrate", Role::Migrator),
            Self::Order { .. } => ("order", Role::Reader),
            Self::Entity { .. } => ("entity", Role::Reader),
            Self::Execution { .. } => ("execution", Role::Reader),
            Self::Event { .. } => ("event", Role::Reader),
            Self::History(_) => ("history", Role::Reader),
            Self::Find(_) => ("find", Role::Reader),
            Self::Events(_) => ("events", Role::Reader),
            Self::Export(_) => ("export", Role::Reader),
            Self::Catalogue(_) => ("catalogue", Role::Reader),
            Self::Status => ("status", Role::Reader),
            Self::Doctor(_) => ("doctor", Role::Reader),
            Self::Checkpoint(_) => ("checkpoint", Role::Checkpointer),
            Self::Verify(_) => ("verify", Role::Reader),
            Self::Proof(_) => ("proof", Role::Reader),
            Self::Partitions(_) => ("partitions", Role::Owner),
            Self::Prune(_) => ("prune", Role::Owner),
            Self::Forget(_) => ("forget", Role::Eraser),
            Self::Subject(_) => ("subject", Role::Reader),
            Self::MasterKey(_) => ("master-key", Role::Reader),
            Self::Journal(journal::Command::Status { .. }) => ("journal status", Role::Reader),
            Self::Journal(journal::Command::Ship(_)) => ("journal ship", Role::Reader),
            Self::Journal(journal::Command::Pack(_)) => ("journal pack", Role::Reader),
            Self::Journal(journal::Command::Replay(_)) => ("journal replay", Role::Reader),
            Self::Quarantine(quarantine::Command::List) => ("quarantine list", Role::Reader),
            Self::Quarantine(quarantine::Command::Retry(_)) => ("quarantine retry", Role::Owner),
            Self::Policy(_) => ("policy check", Role::Reader),
            Self::Relay(_) => ("relay", Role::Reader),
            #[cfg(feature = "serve")]
            Self::Serve(_) => ("serve", Role::Reader),
            Self::Completions { .. } => ("completions", Role::Reader),
            Self::Man { .. } => ("man", Role::Reader),
        };
        Task { name, role }
    }

    /// Whether a master key changes its result. A bad one stops no other.
    fn shows_personal(&self) -> bool {
        #[cfg(feature = "serve")]
        if matches!(self, Self::Serve(_)) {
            return true;
        }
        matches!(
            self,
            Self::Order { .. }
                | Self::Entity { .. }
                | Self::Execution { .. }
                | Self::Event { .. }
                | Self::History(_)
                | Self::Find(_)
                | Self::Events(_)
                | Self::Export(_)
                | Self::Subject(_)
                | Self::Journal(journal::Command::Ship(_))
        )
    }

    /// Refuses a form of output that the subcommand lacks.
    fn check_output(&self, style: &show::Style) -> Result<(), Failure> {
        const JSON: &[Output] = &[Output::Json, Output::Ndjson];
        let offered = match self {
            Self::Order { .. }
            | Self::Entity { .. }
            | Self::Execution { .. }
            | Self::Event { .. }
            | Self::History(_)
            | Self::Find(_)
            | Self::Events(_)
            | Self::Subject(_) => return Ok(()),
            // They refuse them themselves, for they have forms of their own.
            Self::Export(_) | Self::Catalogue(_) => return Ok(()),
            Self::Status
            | Self::Doctor(_)
            | Self::Verify(_)
            | Self::Proof(_)
            | Self::Journal(journal::Command::Status { .. })
            | Self::Quarantine(quarantine::Command::List) => JSON,
            _ => &[],
        };
        if !style.is_given() || offered.contains(&style.output()) {
            return Ok(());
        }
        let form = style.output().to_possible_value().map_or_else(String::new, |form| form.get_name().to_owned());
        let name = self.task().name;
        Err(Failure::Usage(match offered {
            [] => format!("--output {form}: audit-trail {name} prints text only; leave the option out"),
            _ => format!("--output {form}: audit-trail {name} offers json and ndjson"),
        }))
    }

    /// Returns the notice of an interrupt.
    fn interrupted(&self) -> String {
        let name = self.task().name;
        match self {
            Self::Verify(_) => "interrupted: the trail is not verified".into(),
            Self::Prune(_) => "interrupted: months that were reported are pruned, all others are unchanged".into(),
            Self::Export(_) | Self::Subject(_) => "interrupted: the export is incomplete".into(),
            Self::Find(_) => "interrupted: the search is incomplete; what it found is printed".into(),
            Self::Migrate(_) | Self::Partitions(_) => format!("interrupted: run audit-trail {name} again to finish"),
            Self::Journal(journal::Command::Ship(_)) => {
                "interrupted: journals that are not shipped stay on the disk".into()
            }
            Self::Journal(journal::Command::Replay(_)) => {
                "interrupted: run audit-trail journal replay again, it leaves what was sent".into()
            }
            _ => format!("interrupted: {name} did not finish"),
        }
    }
}
