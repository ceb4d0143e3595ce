//! Settings of a trail that PostgreSQL stores.

use super::builder::{Builder, Place};
#[cfg(feature = "evidence")]
use super::checkpoints::Checkpoints;
use super::last_resort::LastResort;
use super::shipping::Shipping;
#[cfg(feature = "evidence")]
use crate::evidence::SigningKey;
use crate::postgres::IntoConnectOptions;
#[cfg(feature = "personal")]
use crate::privacy::MasterKey;
use crate::writer::Settings;
#[cfg(feature = "nats")]
use crate::writer::nats::Nats;
use crate::writer::relay_address::RelayAddressError;
use std::time::Duration;

/// Batches on their way by NATS at once.
#[cfg(feature = "nats")]
const IN_FLIGHT: usize = 8;

/// Settings of a trail that PostgreSQL stores.
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
impl Builder {
    /// Sets the database that stores the events.
    ///
    /// The options are one of these:
    ///
    /// * a URL (`postgres://user:password@host/database`), whose omitted parts come from the `PG*`
    ///   variables
    /// * [`PgConnectOptions`](sqlx::postgres::PgConnectOptions) (sockets, TLS, `PG*` variables)
    /// * a function that returns one of these at every connect, for credentials that rotate
    ///
    /// The connection is made later: a service starts while PostgreSQL is down.
    pub fn postgres(mut self, options: impl IntoConnectOptions) -> Self {
        self.shipping.postgres = Some(options.into_connect_options());
        self
    }

    /// Sets the relay that stores the events, in place of the database.
    ///
    /// `address` is `unix:/run/audit/relay.sock` or `tcp:127.0.0.1:4180`. This process then needs
    /// neither a way to PostgreSQL nor credentials of it. All guarantees stay as they are: the
    /// journal lets go of events once PostgreSQL has committed them, which the relay reports. See
    /// [`relay`](crate::relay).
    pub fn relay(mut self, address: &str) -> Self {
        self.shipping.relay = Some(address.parse().map_err(|error: RelayAddressError| error.to_string()));
        self
    }

    /// Sets NATS JetStream as the way to the relays that store the events.
    ///
    /// JetStream is a pipe, not a custodian: the journal lets go of events once PostgreSQL has
    /// committed them, which a relay reports. [`Receipt::sent`](crate::Receipt::sent) waits for
    /// JetStream. Up to eight batches are on their way at once, unless
    /// [`connections`](Self::connections) is called after this. See [`relay`](crate::relay) and
    /// `docs/fleet.md`.
    #[cfg(feature = "nats")]
    #[cfg_attr(docsrs, doc(cfg(feature = "nats")))]
    pub fn nats(mut self, nats: Nats) -> Self {
        self.shipping.writer.connections = IN_FLIGHT;
        self.shipping.nats = Some(nats);
        self
    }

    /// Sets how many connections carry batches in parallel during a backlog. The default is 2.
    pub fn connections(mut self, connections: usize) -> Self {
        self.shipping.writer.connections = connections;
        self
    }

    /// Sets the most rows of one batch, which is one transaction. The default is 5,000.
    pub fn batch_rows(mut self, rows: usize) -> Self {
        self.shipping.writer.batch_rows = rows;
        self
    }

    /// Sets whether a batch counts as stored only when PostgreSQL has it on disk.
    ///
    /// By default it does: the setting `synchronous_commit` of the role or the database is raised from
    /// `off` and `local` to `on`, and `remote_write` and `remote_apply` stay. If it is off, a commit
    /// does not wait for the disk of the server. A crash of the server can then destroy
    /// events that the journal has released already. They are those of its last fraction of a
    /// second (three times its `wal_writer_delay` of 200 ms).
    ///
    /// Turn it off for trails that may lose these events, on servers with slow disks. On fast disks
    /// the gain is small, because a batch of 5,000 events waits once.
    pub fn synchronous_commit(mut self, waits_for_the_disk: bool) -> Self {
        self.shipping.writer.synchronous_commit = waits_for_the_disk;
        self
    }

    /// Sets how often this process looks for journals of dead processes. The default is 30 s.
    ///
    /// It also looks at its start. It ships these journals on a connection of its own, which it
    /// returns when none are left.
    pub fn adopt_every(mut self, interval: Duration) -> Self {
        self.shipping.writer.adopt_every = interval;
        self
    }

    /// Keeps a copy of each batch on this machine's disk for so long after it was stored.
    ///
    /// By default no copy is kept. Copies are for a database that goes back in time: a standby that is
    /// promoted without the last commits, or a backup that is restored. `audit-trail journal replay`
    /// sends the batches again that the database lacks, exactly once.
    ///
    /// The copies are in the directory `kept` under the journals' directory, in files of this
    /// process's user (or of [`journal_group`](Self::journal_group)). The journal lets go of a batch
    /// once its copy is on the disk. Callers wait for none of that. If the disk takes no copy, the log
    /// reports it, and the batch is stored without one.
    ///
    /// A copy contains what the database contains. Personal values in it are encrypted. The wrapped
    /// keys of their subjects are beside them, so a subject that is forgotten is forgotten there once
    /// the time is over.
    ///
    /// ```
    /// # use audit_runtime::Audit;
    /// # use std::time::Duration;
    /// let builder = Audit::builder().keep_for(Duration::from_secs(24 * 60 * 60));
    /// ```
    pub fn keep_for(mut self, time: Duration) -> Self {
        self.shipping.keep_for = Some(time);
        self
    }

    /// Sets the most bytes of the copies that [`keep_for`](Self::keep_for) keeps. The default is
    /// 1 GiB.
    ///
    /// The copies of all processes with this journal directory count. Above the limit the oldest
    /// ones go before their time, and the log reports how old the oldest is then.
    pub fn keep_limit(mut self, bytes: usize) -> Self {
        self.shipping.keep_limit = bytes as u64;
        self
    }

    /// Makes a checkpoint of the whole trail at this interval, signed with this key.
    ///
    /// By default no process does, and `audit-trail checkpoint` makes them. If several processes
    /// do, one of them makes each checkpoint. Checkpoints stay in the database: keep copies
    /// elsewhere. The role needs the grants of `audit-trail migrate --checkpointer`.
    ///
    /// ```
    /// # use audit_runtime::{Audit, evidence::SigningKey};
    /// # use std::time::Duration;
    /// # fn configure(secret: &str) -> Result<(), audit_runtime::evidence::KeyError> {
    /// let key: SigningKey = secret.parse()?;
    /// let builder = Audit::builder().checkpoint_every(Duration::from_secs(600), key);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "evidence")]
    #[cfg_attr(docsrs, doc(cfg(feature = "evidence")))]
    pub fn checkpoint_every(mut self, interval: Duration, key: SigningKey) -> Self {
        self.shipping.checkpoints = Some(Checkpoints { every: interval, key });
        self
    }

    /// Sets the key that wraps the keys by which values of `personal(..)` are encrypted.
    ///
    /// All processes of a trail share one master key. Without one, such values are recorded as
    /// `"[redacted]"`, and a warning reports it. Values are encrypted on their way to PostgreSQL.
    /// Until then, the journal contains them in plain text, in files of the service's own user.
    ///
    /// ```no_run
    /// # use audit_runtime::{Audit, MasterKey};
    /// # fn main() -> Result<(), audit_runtime::MasterKeyError> {
    /// let builder = Audit::builder().master_key(MasterKey::from_file("/etc/broker/audit-master-key")?);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "personal")]
    #[cfg_attr(docsrs, doc(cfg(feature = "personal")))]
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.shipping.writer.master_key = Some(key);
        self
    }

    /// Sets where the events go that a shutdown could not ship, for a machine whose disk goes with it.
    ///
    /// A pod with an `emptyDir` that is deleted while PostgreSQL is away would take its journal with
    /// it. With a last resort, [`Audit::shutdown`](crate::Audit::shutdown) and
    /// [`on_exit`](Self::on_exit) then pack the journal into one file, and remove it. Journals of
    /// dead processes go along, unless another process uses the directory.
    /// `audit-trail journal ship FILE` stores each of the events once.
    ///
    /// It begins once the shutdown's time is over, and takes its [own](LastResort::within). If it
    /// fails, the journal stays as it is, and the log has the reason.
    ///
    /// With a [master key](Self::master_key), the file is encrypted. Without one, a journal that
    /// contains personal data is left.
    ///
    /// ```no_run
    /// use audit_runtime::{Audit, LastResort};
    /// use std::process::ExitCode;
    /// use std::time::Duration;
    ///
    /// # async fn end() -> Result<ExitCode, Box<dyn std::error::Error>> {
    /// let audit = Audit::builder()
    ///     .postgres("postgres://broker@db/broker")
    ///     .journal("/var/lib/broker/audit")
    ///     .last_resort(LastResort::file("/mnt/spool"))
    ///     .start()?;
    /// // .. and at the end:
    /// Ok(audit.shutdown(Duration::from_secs(10)).await?.exit_code())
    /// # }
    /// ```
    pub fn last_resort(mut self, last_resort: LastResort) -> Self {
        self.shipping.last_resort = Some(last_resort);
        self
    }

    /// Sets when partitions are first made: for tests, which do not wait for a minute.
    #[doc(hidden)]
    pub fn upkeep_after(mut self, delay: Duration) -> Self {
        self.shipping.upkeep_after = delay;
        self
    }

    /// Leaves batches unsealed, to measure the cost of sealing.
    ///
    /// A verification then reports each batch as unsealed.
    #[doc(hidden)]
    pub fn without_seal(mut self) -> Self {
        self.shipping.writer.seal = false;
        self
    }

    /// Returns what is wrong with these settings.
    pub(super) fn shipping_problems(&self) -> Vec<String> {
        let Shipping { postgres, relay, writer, .. } = &self.shipping;
        let Settings { connections, batch_rows, adopt_every, .. } = writer;
        let mut problems = Vec::new();
        #[cfg(feature = "nats")]
        let has_nats = self.shipping.nats.is_some();
        #[cfg(not(feature = "nats"))]
        let has_nats = false;
        let named = [
            (has_nats, ".nats(..)"),
            (self.prints, ".print()"),
            (postgres.is_some(), ".postgres(..)"),
            (relay.is_some(), ".relay(..)"),
        ];
        let named: Vec<&str> = named.iter().filter(|(is_named, _)| *is_named).map(|(_, name)| *name).collect();
        if named.len() > 1 {
            problems.push(format!("{} were called; name one of them", named.join(" and ")));
        }
        if named.is_empty() {
            problems.push("no PostgreSQL was named; call .postgres(url), .postgres(PgConnectOptions::new()) for the PG* variables, .relay(address), or .print() to develop without one".into());
        }
        #[cfg(feature = "evidence")]
        if (relay.is_some() || has_nats) && self.shipping.checkpoints.is_some() {
            problems.push("checkpoint_every needs .postgres(..); behind a relay, run audit-trail checkpoint where the database is".into());
        }
        if self.shipping.keep_for.is_some_and(|time| time.is_zero()) {
            problems.push("keep_for is zero; name a time, or leave it out".into());
        }
        if self.shipping.keep_for.is_some() && matches!(self.place, Some(Place::Memory)) {
            problems.push("keep_for keeps copies beside the journals; call .journal(directory)".into());
        }
        if adopt_every.is_zero() {
            problems.push("adopt_every is zero; name an interval, 30 s by default".into());
        }
        #[cfg(feature = "evidence")]
        if self.shipping.checkpoints.as_ref().is_some_and(|checkpoints| checkpoints.every.is_zero()) {
            problems.push("checkpoint_every is zero; name an interval, ten minutes as an example".into());
        }
        if let Some(last_resort) = &self.shipping.last_resort {
            if !matches!(self.place, Some(Place::Directory(_))) {
                problems.push(
                    "last_resort packs the journal's directory, and there is none; call .journal(directory)".into(),
                );
            }
            if last_resort.is_instant() {
                problems.push("the time of last_resort is zero; name one, 10 s by default".into());
            }
        }
        if *connections == 0 || *batch_rows == 0 {
            problems.push("connections and batch_rows must be at least 1".into());
        }
        problems.extend(postgres.iter().filter_map(|options| options.as_ref().err().cloned()));
        #[cfg(feature = "nats")]
        problems.extend(self.shipping.nats.iter().filter_map(Nats::problem));
        problems.extend(relay.iter().filter_map(|address| address.as_ref().err().cloned()));
        problems
    }
}
