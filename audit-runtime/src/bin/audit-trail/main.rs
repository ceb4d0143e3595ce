//! The command of the audit trail.

mod checkpoint;
mod events;
mod failure;
mod format;
mod journal;
mod personal;
mod prune;
mod quarantine;
mod select;
mod show;
mod status;
mod text;
mod time;
mod timeline;
mod verify;

use audit_runtime::{Duty, MasterKey, Trail};
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use events::print_trail;
use failure::Failure;
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use text::Steps;
use uuid::Uuid;

/// Reads an audit trail in PostgreSQL, and looks after it.
///
/// Ends with 0 if it did or found something, 1 if there was nothing or not all went well, 2 for a mistake on the command line, 3 if
/// the database cannot be reached.
#[derive(Debug, Parser)]
#[command(name = "audit-trail", version)]
struct Arguments {
    /// The database; what the URL leaves out is taken from the PG* variables
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL", global = true)]
    database_url: Option<String>,
    /// The file of the master key, or after a `|` a command that prints it: shows personal data, too; else the key itself is taken from
    /// AUDIT_MASTER_KEY, if that is set
    #[arg(long, value_name = "FILE|'|COMMAND'", global = true)]
    master_key: Option<String>,
    #[command(flatten)]
    style: show::Style,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes the tables, or brings them up to date, and makes monthly partitions ahead
    Migrate(Migrate),
    /// What happened to an order: its own events, and those of its recommendation
    Order {
        /// The order
        id: Uuid,
        /// The recommendation it comes from
        #[arg(long, value_name = "ID")]
        recommendation: Option<Uuid>,
    },
    /// What happened to an entity
    Entity {
        /// Its type, as in `order`
        #[arg(value_name = "TYPE")]
        entity_type: String,
        /// Its id
        id: Uuid,
    },
    /// All that belongs to an execution: an entity's events, and those of every entity that any event links to the recommendation
    Execution {
        /// The entity
        id: Uuid,
        /// The recommendation
        #[arg(long, value_name = "ID")]
        recommendation: Uuid,
    },
    /// The newest events, or those that match
    Events(events::Events),
    /// Every event that matches, oldest first, for other programs
    Export(events::Export),
    /// Who writes, how far behind; partitions, quarantine, seal
    Status,
    /// Signs what is stored: seals what came without a batch, and prints the checkpoint
    Checkpoint(checkpoint::Checkpoint),
    /// Verifies that the trail is what was recorded; 1 if it is not
    Verify(verify::Verify),
    /// Prints the proof that an event is in the trail, for `verify --proof`
    Proof(verify::Prove),
    /// Makes monthly partitions ahead, and for rows that lie in the default partition
    Partitions,
    /// Removes months that were kept for long enough, archives them if asked, and says so in the trail
    Prune(prune::Prune),
    /// Destroys the key of a subject: what is personal of it can be read by nobody any more, the rows stay
    Forget(personal::Forget),
    /// Makes a master key
    MasterKey(personal::NewMasterKey),
    /// Journals on this machine's disk
    #[command(subcommand)]
    Journal(journal::Command),
    /// Events that PostgreSQL refused
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// Prints completions for a shell
    Completions {
        /// Which one
        shell: Shell,
    },
    /// Prints the manual page, in roff
    Man {
        /// Writes it and those of every command to files in this directory instead
        #[arg(long)]
        directory: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Migrate {
    /// Grants this role what storing events needs; it may read none
    #[arg(long, value_name = "ROLE")]
    writer: Vec<String>,
    /// Grants this role what reading and verifying needs
    #[arg(long, value_name = "ROLE")]
    reader: Vec<String>,
    /// Grants this role what making checkpoints needs
    #[arg(long, value_name = "ROLE")]
    sealer: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::Io(error).told(),
    };
    let done = runtime.block_on(run(arguments));
    // A name lookup that hangs holds up nothing.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.told(),
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let style = arguments.style;
    match arguments.command {
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "audit-trail", &mut io::stdout().lock());
            return Ok(());
        }
        Command::Man { directory: None } => {
            return Ok(clap_mangen::Man::new(Arguments::command()).render(&mut io::stdout().lock())?);
        }
        Command::Man { directory: Some(directory) } => {
            return Ok(clap_mangen::generate_to(Arguments::command(), directory)?);
        }
        Command::Checkpoint(command) if command.is_local() => return command.make_key(),
        Command::MasterKey(command) => return command.run(),
        Command::Verify(command) if command.is_local() => return command.verify_proof(),
        Command::Journal(command) if command.is_local() => return command.run(&PgConnectOptions::new(), None).await,
        _ => {}
    }
    let master_key = personal::master_key(arguments.master_key.as_deref())?;
    let options = options(arguments.database_url.as_deref())?;
    // A pool would only say that it waited in vain.
    PgConnection::connect_with(&options).await.map_err(Failure::Unreachable)?.close().await?;
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(options.clone());
    let done = with_database(arguments.command, &pool, &options, master_key, &style).await;
    pool.close().await;
    done
}

impl Migrate {
    async fn run(self, pool: &PgPool) -> Result<(), Failure> {
        let mut steps = Steps::default();
        audit_runtime::migrate_telling(pool, |step| steps.tell(step)).await?;
        steps.or("the audit schema is up to date");
        for (duty, roles) in [(Duty::Writer, self.writer), (Duty::Reader, self.reader), (Duty::Sealer, self.sealer)] {
            for role in roles {
                audit_runtime::grant(pool, duty, &role).await?;
                println!("{} is a {duty}", text::harmless(&role));
            }
        }
        Ok(())
    }
}

fn options(url: Option<&str>) -> Result<PgConnectOptions, Failure> {
    let options = match url {
        // Neither the URL nor a part of it is said: it may hold a password.
        Some(url) => url.parse().map_err(|_| {
            Failure::Usage(
                "the database's URL cannot be read; write postgres://user:password@host:port/database".into(),
            )
        })?,
        None => PgConnectOptions::new(),
    };
    Ok(options.application_name("audit-trail"))
}

async fn with_database(
    command: Command,
    pool: &PgPool,
    options: &PgConnectOptions,
    master_key: Option<MasterKey>,
    style: &show::Style,
) -> Result<(), Failure> {
    let trail = master_key.clone().into_iter().fold(Trail::new(pool.clone()), Trail::master_key);
    match command {
        Command::Migrate(command) => command.run(pool).await,
        Command::Order { id, recommendation } => {
            print_trail(&trail, style, "order", id, trail.order(id, recommendation).await?).await
        }
        Command::Entity { entity_type, id } => {
            print_trail(&trail, style, &entity_type, id, trail.entity(&entity_type, id).await?).await
        }
        Command::Execution { id, recommendation } => {
            print_trail(&trail, style, "execution", id, trail.execution(id, recommendation).await?).await
        }
        Command::Events(command) => command.run(&trail, style).await,
        Command::Export(command) => command.run(&trail, style).await,
        Command::Status => status::run(pool).await,
        Command::Partitions => {
            let mut steps = Steps::default();
            audit_runtime::make_partitions(pool, |step| steps.tell(step)).await?;
            steps.or("there is nothing to do");
            Ok(())
        }
        Command::Prune(command) => command.run(pool).await,
        Command::Checkpoint(command) => command.run(pool).await,
        Command::Verify(command) => command.run(pool).await,
        Command::Proof(command) => command.run(pool).await,
        Command::Forget(command) => command.run(pool).await,
        Command::Journal(command) => command.run(options, master_key).await,
        Command::Quarantine(command) => command.run(pool.clone()).await,
        Command::Completions { .. } | Command::Man { .. } | Command::MasterKey(_) => Ok(()),
    }
}
