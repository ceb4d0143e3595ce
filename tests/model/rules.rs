//! How much happens in a model, and the rules that its processes keep.

/// How much happens at most.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Records.
    pub records: u8,
    /// Records of a full batch.
    pub batch: u8,
    /// Records of a segment.
    pub segment: u8,
    /// Batches that are cut and not stored.
    pub lanes: usize,
    /// Relays.
    pub relays: usize,
    /// Processes that are killed.
    pub kills: u8,
    /// Power failures of the machine.
    pub power_failures: u8,
    /// Crashes of the server.
    pub crashes: u8,
    /// Cuts that the full disk does not take.
    pub full_disks: u8,
}

impl Bounds {
    /// Two lanes and two relays, and so many records and faults.
    pub const fn of(records: u8, kills: u8, power_failures: u8, crashes: u8) -> Self {
        Self { records, batch: 2, segment: 2, lanes: 2, relays: 2, kills, power_failures, crashes, full_disks: 0 }
    }
}

/// Which log is synced before a batch leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncOf {
    /// That in which the batch is noted.
    OwnCut,
    /// That in which the last batch is noted.
    LastCut,
}

/// The rules that processes keep. Each has a reason, which the checker finds without it.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Records and cut are on the disk before their batch leaves: `Destination::may_hold_back`.
    pub syncs_before_send: bool,
    /// Which log is synced then.
    pub sync_of: SyncOf,
    /// The name of a new log is synced too.
    pub syncs_names: bool,
    /// A batch whose cut cannot be noted waits until it can.
    pub notes_before_send: bool,
    /// An adopter syncs what it finds before it ships it: `Orphan::sync`.
    pub adopter_syncs: bool,
    /// An adopter cuts batches again as they are noted: `OrphanPlan::cut_of`.
    pub reads_cuts: bool,
    /// The claim waits for the transactions under way: `audit_fence`.
    pub fences: bool,
    /// An adopter asks what the server's disk has, before it removes the journal: `Sink::durable`.
    pub asks_durable: bool,
    /// The journal lets go when the database has committed, and not when the pipe has the batch.
    pub releases_at_commit: bool,
    /// A batch without an answer is sent again: `Lane::carry`.
    pub resends: bool,
    /// The database refuses a batch that overlaps another one.
    pub guard: bool,
    /// The pipe holds messages back when their sender is gone. A connection to PostgreSQL does not.
    pub holds_back: bool,
    /// A batch that meets another one in its place is a violation, and not only reported.
    pub forbids_conflicts: bool,
}

impl Rules {
    /// The rules of the code where batches go to a relay.
    pub const RELAY: Self = Self {
        syncs_before_send: true,
        sync_of: SyncOf::OwnCut,
        syncs_names: true,
        notes_before_send: true,
        adopter_syncs: true,
        reads_cuts: true,
        fences: true,
        asks_durable: true,
        releases_at_commit: true,
        resends: true,
        guard: false,
        holds_back: true,
        forbids_conflicts: true,
    };

    /// The rules of the code where batches go to PostgreSQL directly.
    pub const DIRECT: Self = Self { syncs_before_send: false, adopter_syncs: false, holds_back: false, ..Self::RELAY };
}
