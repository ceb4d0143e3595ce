//! The subcommands: their arguments, their roles, and what of them is special.

use crate::cold::Cold;
use crate::failure::{Failure, Role, Task};
#[cfg(feature = "forward")]
use crate::forward;
#[cfg(feature = "lake")]
use crate::lake;
#[cfg(feature = "serve")]
use crate::serve;
use crate::show::{self, Output};
use crate::{
    catalogue, checkpoint, doctor, events, find, history, hold, journal, master_key, migrate, named, personal, policy,
    prune, quarantine, relay, restore, retain, select, verify,
};
use clap::{Subcommand, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
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
        #[command(flatten)]
        cold: Cold,
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
        #[command(flatten)]
        cold: Cold,
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
    /// Removes events that are older than a date, archives them on request, and records that in the
    /// trail
    Prune(prune::Prune),
    /// Prints what a file of retention rules would remove, or removes it, for a timer
    Retain(retain::Retain),
    /// Imports rows of an archive that a prune removed, after comparing them with their seals
    Restore(restore::Restore),
    /// Adds, lists or lifts legal holds, whose events are neither pruned nor forgotten
    #[command(subcommand)]
    Hold(hold::Command),
    /// Keeps the sealed trail as Parquet in a directory or an object store
    #[cfg(feature = "lake")]
    #[command(subcommand)]
    Lake(lake::Command),
    /// Shows all that is on record about a person, oldest first, for a subject access request
    Subject(personal::Subject),
    /// Destroys the keys of subjects: their personal data can never be read again, the rows stay
    Forget(personal::Forget),
    /// Makes a master key, exchanges it, or tells what it does not open
    MasterKey(master_key::Master),
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
    /// Sends events to another system, each at least once, in the order of their arrival
    #[cfg(feature = "forward")]
    Forward(Box<forward::command::Command>),
    /// Lists, pauses, rewinds or removes feeds that `forward` made
    #[cfg(feature = "forward")]
    #[command(subcommand)]
    Feed(forward::FeedCommand),
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

impl Command {
    /// The runtime: of one thread, unless requests of others are served.
    pub(crate) fn runtime(&self) -> tokio::runtime::Builder {
        #[cfg(feature = "serve")]
        if matches!(self, Self::Serve(_)) {
            return tokio::runtime::Builder::new_multi_thread();
        }
        #[cfg(feature = "forward")]
        if matches!(self, Self::Forward(_)) {
            return tokio::runtime::Builder::new_multi_thread();
        }
        if matches!(self, Self::Relay(_)) {
            return tokio::runtime::Builder::new_multi_thread();
        }
        tokio::runtime::Builder::new_current_thread()
    }

    /// The name, and the role that it needs.
    pub(crate) fn task(&self) -> Task {
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
            Self::Retain(_) => ("retain", Role::Owner),
            Self::Restore(_) => ("restore", Role::Owner),
            Self::Hold(hold::Command::Add(_)) => ("hold add", Role::Owner),
            Self::Hold(hold::Command::List { .. }) => ("hold list", Role::Reader),
            Self::Hold(hold::Command::Lift(_)) => ("hold lift", Role::Owner),
            #[cfg(feature = "lake")]
            Self::Lake(lake::Command::Sync(_)) => ("lake sync", Role::Reader),
            Self::Forget(_) => ("forget", Role::Eraser),
            Self::Subject(_) => ("subject", Role::Reader),
            Self::MasterKey(command) => (command.name(), command.role()),
            Self::Journal(journal::Command::Status { .. }) => ("journal status", Role::Reader),
            Self::Journal(journal::Command::Ship(_)) => ("journal ship", Role::Reader),
            Self::Journal(journal::Command::Pack(_)) => ("journal pack", Role::Reader),
            Self::Journal(journal::Command::Replay(_)) => ("journal replay", Role::Reader),
            Self::Quarantine(quarantine::Command::List) => ("quarantine list", Role::Reader),
            Self::Quarantine(quarantine::Command::Retry(_)) => ("quarantine retry", Role::Owner),
            Self::Policy(_) => ("policy check", Role::Reader),
            Self::Relay(_) => ("relay", Role::Reader),
            #[cfg(feature = "forward")]
            Self::Forward(_) => ("forward", Role::Forwarder),
            #[cfg(feature = "forward")]
            Self::Feed(command) => (command.name(), Role::Forwarder),
            #[cfg(feature = "serve")]
            Self::Serve(_) => ("serve", Role::Reader),
            Self::Completions { .. } => ("completions", Role::Reader),
            Self::Man { .. } => ("man", Role::Reader),
        };
        Task { name, role }
    }

    /// Whether it needs a lake, and no database.
    #[cfg(feature = "lake")]
    pub(crate) fn reads_lake_alone(&self) -> bool {
        match self {
            Self::Verify(command) => command.lake().is_some(),
            Self::Proof(command) => command.lake().is_some(),
            _ => false,
        }
    }

    /// Whether a master key changes its result. A bad one stops no other.
    pub(crate) fn shows_personal(&self) -> bool {
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
                | Self::MasterKey(_)
                | Self::Journal(journal::Command::Ship(_))
        )
    }

    /// Refuses a form of output that the subcommand lacks.
    pub(crate) fn check_output(&self, style: &show::Style) -> Result<(), Failure> {
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
            | Self::Quarantine(quarantine::Command::List)
            | Self::Hold(hold::Command::List { .. }) => JSON,
            #[cfg(feature = "forward")]
            Self::Feed(command) if command.has_rows() => JSON,
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
    pub(crate) fn interrupted(&self) -> String {
        let name = self.task().name;
        match self {
            Self::Verify(_) => "interrupted: the trail is not verified".into(),
            #[cfg(feature = "lake")]
            Self::Lake(_) => "interrupted: run audit-trail lake sync again to finish".into(),
            Self::Prune(_) => "interrupted: months that were reported are pruned, all others are unchanged".into(),
            Self::Retain(_) => {
                "interrupted: what events audit.pruned report is removed, all else is unchanged; run audit-trail retain again".into()
            }
            Self::Restore(_) => "interrupted: run audit-trail restore again, it leaves what was imported".into(),
            Self::Export(_) | Self::Subject(_) => "interrupted: the export is incomplete".into(),
            Self::Find(_) => "interrupted: the search is incomplete; what it found is printed".into(),
            Self::Migrate(_) | Self::Partitions(_) | Self::MasterKey(_) => {
                format!("interrupted: run audit-trail {name} again to finish")
            }
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
