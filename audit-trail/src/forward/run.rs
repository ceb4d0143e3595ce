//! A feed that runs: what arrives is sent, and the position follows what is taken.

use super::deliver::{Delivery, Next};
use super::form::{Form, Style};
use super::mapping::Mapping;
use super::message::Level;
use super::metrics::Counters;
use super::target::{Target, TargetError};
use audit_runtime::admin::Admin;
use audit_runtime::feed::{Arrivals, FeedError, Feeds, Lag, NewFeed, OpenFeed, Portion, Start};
use audit_runtime::trail::EventFilter;
use audit_runtime::{DatabaseError, DatabaseErrorKind};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// How often it is looked for what has arrived.
const EVERY: Duration = Duration::from_millis(500);
/// The pause after the database failed.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);
/// A request that is under way when the feed ends may take so long.
const FAREWELL: Duration = Duration::from_secs(5);
/// Rows without a batch are sealed no more often than this.
const SEALED_EVERY: Duration = Duration::from_secs(5);
/// Of the time, sealing takes at most this part.
const SEALING_PART: u32 = 20;
const LAG_EVERY: Duration = Duration::from_secs(15);
/// A feed that runs once waits so long for transactions that hold back what is stored.
const HELD_BACK: Duration = Duration::from_mins(1);
const SOON: Duration = Duration::from_millis(50);

/// Sends the events of a trail to a target.
pub struct Forward {
    name: String,
    target: Target,
    form: Form,
    style: Style,
    filter: EventFilter,
    conditions: String,
    start: Start,
    is_once: bool,
    tell: Box<dyn Fn(&str) + Send + Sync>,
    counters: Arc<Counters>,
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward").field("name", &self.name).field("target", &self.target).finish_non_exhaustive()
    }
}

/// The number of events that a feed has sent since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Sent {
    /// The events that the target has taken.
    pub events: u64,
    /// The events that the target has refused. The table `audit_set_aside` has them.
    pub set_aside: u64,
}

/// The reason a feed ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// The target cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Another process runs the feed, or the database does not allow it or lacks its tables.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The database cannot be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The target was away, and the feed was to run once.
    #[error("the target is away: {0}; run it again, and it sends the rest")]
    Away(String),
    /// The feed was paused, and was to run once.
    #[error("the feed {0} is paused; audit-trail feed resume has it go on")]
    Paused(String),
    /// The feed was removed.
    #[error("the feed {0} was removed")]
    Removed(String),
}

impl Forward {
    /// Creates a feed of this name. Its position is in the database, by the name.
    #[must_use]
    pub fn new(name: impl Into<String>, target: Target, form: Form) -> Self {
        Self {
            name: name.into(),
            target,
            form,
            style: Style::default(),
            filter: EventFilter::new(),
            conditions: String::new(),
            start: Start::Now,
            is_once: false,
            tell: Box::new(|_| {}),
            counters: Arc::default(),
        }
    }

    /// Sends the events that match a filter, which are these conditions in words.
    #[must_use]
    pub fn filter(mut self, filter: EventFilter, conditions: impl Into<String>) -> Self {
        self.filter = filter;
        self.conditions = conditions.into();
        self
    }

    /// Begins at another point than now, if the database does not know the feed.
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Sends less of each event.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.style.level = level;
        self
    }

    /// Sets OCSF classes and severities.
    #[must_use]
    pub fn mapping(mut self, mapping: Mapping) -> Self {
        self.style.mapping = mapping;
        self
    }

    /// Leaves cells of CSV as they are, even if a spreadsheet takes them for formulas.
    #[must_use]
    pub fn raw(mut self, yes: bool) -> Self {
        self.style.is_raw = yes;
        self
    }

    /// Ends once everything that has arrived is sent.
    #[must_use]
    pub fn once(mut self, yes: bool) -> Self {
        self.is_once = yes;
        self
    }

    /// Tells what happens in words: that the target is away, or answers again.
    #[must_use]
    pub fn on_notice(mut self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.tell = Box::new(tell);
        self
    }

    /// Returns metrics in the text format of Prometheus, whenever it is called.
    pub(super) fn metrics(&self) -> impl Fn() -> String + Send + Sync + 'static {
        let (counters, name) = (Arc::clone(&self.counters), self.name.clone());
        move || counters.text(&name)
    }

    /// Runs the feed until `ends` does. A database or a target that is away is waited for.
    ///
    /// # Errors
    /// The form does not go with the target, the database does not allow it or lacks the tables, or the
    /// feed was removed. A feed that runs once also fails if it cannot send everything.
    pub async fn run(
        mut self,
        options: &PgConnectOptions,
        ends: impl Future<Output = ()>,
    ) -> Result<Sent, ForwardError> {
        self.target.check(self.form)?;
        let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(10));
        let pool = pool.connect_lazy_with(options.clone());
        let (stop, stopped) = watch::channel(false);
        let counters = Arc::clone(&self.counters);
        let done = {
            let run = self.repeat(&pool, stopped);
            tokio::pin!(run, ends);
            tokio::select! {
                done = &mut run => done,
                () = &mut ends => {
                    stop.send_replace(true);
                    // Events that are under way after that come again with the next run.
                    timeout(FAREWELL, &mut run).await.unwrap_or(Ok(()))
                }
            }
        };
        let _ = timeout(Duration::from_secs(1), pool.close()).await;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        done.map(|()| Sent { events: count(&counters.sent), set_aside: count(&counters.set_aside) })
    }

    /// Opens the feed, again after the database was away.
    async fn repeat(&mut self, pool: &PgPool, mut stopped: watch::Receiver<bool>) -> Result<(), ForwardError> {
        let feeds = Feeds::new(pool.clone());
        let mut is_lost = false;
        let mut is_known = false;
        while !*stopped.borrow() {
            let done = self.attempt(pool, &feeds, &mut is_lost, &mut is_known, &mut stopped).await;
            let error = match done {
                Ok(Followed::ToTheEnd) => return Ok(()),
                Ok(Followed::NotSaved) => continue,
                Err(error) => error,
            };
            let waits = match &error {
                ForwardError::Feed(FeedError::Running(_)) if !self.is_once => true,
                ForwardError::Feed(FeedError::Moved(_)) => {
                    (self.tell)("the feed was moved; it goes on there");
                    continue;
                }
                ForwardError::Feed(FeedError::Database(error)) | ForwardError::Database(error) => is_passing(error),
                _ => false,
            };
            if !waits || (self.is_once && !is_known) {
                return Err(error);
            }
            if !std::mem::replace(&mut is_lost, true) {
                (self.tell)(&format!("{error}; trying again"));
            }
            pause(DATABASE_PAUSE, &mut stopped).await;
        }
        Ok(())
    }

    async fn attempt(
        &mut self,
        pool: &PgPool,
        feeds: &Feeds,
        is_lost: &mut bool,
        is_known: &mut bool,
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<Followed, ForwardError> {
        if *is_known && !feeds.list().await?.iter().any(|feed| feed.name == self.name) {
            return Err(ForwardError::Removed(self.name.clone()));
        }
        let mut open = feeds
            .open(&NewFeed {
                name: self.name.clone(),
                target: self.target.shown().to_owned(),
                form: self.form.name().to_owned(),
                conditions: self.conditions.clone(),
                start: self.start,
            })
            .await?;
        *is_known = true;
        if std::mem::replace(is_lost, false) {
            (self.tell)("connected, nothing is missed");
        }
        let done = self.follow(pool, &mut open, stopped).await;
        open.close().await;
        done
    }

    /// Sends what arrives.
    async fn follow(
        &mut self,
        pool: &PgPool,
        open: &mut OpenFeed,
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<Followed, ForwardError> {
        let mut arrivals = Arrivals::new(pool.clone(), self.filter.clone(), open.position().clone());
        let mut sealing = Sealing::new(pool).await?;
        let mut lag_at = None;
        let since = Instant::now();
        while !*stopped.borrow() {
            if open.is_paused() {
                if self.is_once {
                    return Err(ForwardError::Paused(self.name.clone()));
                }
                self.counters.is_waiting.store(true, Ordering::Relaxed);
                pause(EVERY, stopped).await;
                open.look(Some("paused")).await?;
                continue;
            }
            sealing.seal(pool).await?;
            if lag_at.is_none_or(|at: Instant| at.elapsed() > LAG_EVERY) {
                lag_at = Some(Instant::now());
                let lag = Lag::read(pool, open.position()).await?;
                self.counters.lags(lag.seconds.unwrap_or(0.0));
            }
            match arrivals.next().await? {
                Some(portion) => {
                    if !self.send(portion, open, stopped).await? {
                        return Ok(Followed::NotSaved);
                    }
                }
                None if self.is_once => {
                    if self.is_complete(pool, open, since).await? {
                        return Ok(Followed::ToTheEnd);
                    }
                    pause(SOON, stopped).await;
                }
                None => {
                    self.counters.is_waiting.store(false, Ordering::Relaxed);
                    pause(EVERY, stopped).await;
                    open.look(None).await?;
                }
            }
        }
        Ok(Followed::ToTheEnd)
    }

    /// Whether nothing more is stored, or a transaction has held back the rest for long.
    async fn is_complete(&self, pool: &PgPool, open: &OpenFeed, since: Instant) -> Result<bool, ForwardError> {
        let lag = Lag::read(pool, open.position()).await?;
        if lag.events == 0 {
            return Ok(true);
        }
        if since.elapsed() < HELD_BACK {
            return Ok(false);
        }
        let by = lag.held_back_by.unwrap_or_else(|| "a transaction".into());
        (self.tell)(&format!("{} events are stored, and {by} holds them back; the next run sends them", lag.events));
        Ok(true)
    }

    /// Sends a portion, and saves the position behind it. Returns false if the feed is to end or to wait
    /// before that: then the next run sends the portion.
    async fn send(
        &mut self,
        portion: Portion,
        open: &mut OpenFeed,
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<bool, ForwardError> {
        let messages = portion.events.into_iter().map(|arrived| self.form.message(arrived, &self.style)).collect();
        let mut delivery = Delivery::new(messages);
        let mut is_away = false;
        let delivered = loop {
            match delivery.advance(&mut self.target, &self.name, self.form).await {
                Next::Done(delivered) => break delivered,
                Next::Wait(why, after) => {
                    self.counters.failures.fetch_add(1, Ordering::Relaxed);
                    if self.is_once {
                        return Err(ForwardError::Away(why));
                    }
                    if !std::mem::replace(&mut is_away, true) {
                        (self.tell)(&format!("{} is away, trying again: {why}", self.target.shown()));
                    }
                    self.counters.is_waiting.store(true, Ordering::Relaxed);
                    open.look(Some(&why)).await?;
                    pause(after, stopped).await;
                    if *stopped.borrow() || open.is_paused() {
                        return Ok(false);
                    }
                }
            }
        };
        if is_away {
            (self.tell)(&format!("{} answers again", self.target.shown()));
        }
        self.counters.is_waiting.store(false, Ordering::Relaxed);
        open.save(&portion.position, delivered.taken, &delivered.refused).await?;
        self.counters.sent.fetch_add(delivered.taken, Ordering::Relaxed);
        self.counters.set_aside.fetch_add(delivered.refused.len() as u64, Ordering::Relaxed);
        for refused in delivered.refused {
            (self.tell)(&format!("event {} is set aside: {}", refused.event_id, refused.error));
        }
        Ok(true)
    }
}

/// How far a feed came.
enum Followed {
    /// Everything is saved.
    ToTheEnd,
    /// A portion is not, and is read again.
    NotSaved,
}

/// Waits, or until the feed is to end.
async fn pause(time: Duration, stopped: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = sleep(time) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

/// Whether the database may be there again.
fn is_passing(error: &DatabaseError) -> bool {
    !matches!(error.kind(), DatabaseErrorKind::NotAllowed | DatabaseErrorKind::SchemaMissing)
}

/// Seals rows that came without a batch, so that they arrive, if the role may.
struct Sealing {
    may: bool,
    is_first: bool,
    next: Instant,
}

impl Sealing {
    async fn new(pool: &PgPool) -> Result<Self, ForwardError> {
        let may = Admin::new(pool.clone()).may_seal().await?;
        Ok(Self { may, is_first: true, next: Instant::now() })
    }

    async fn seal(&mut self, pool: &PgPool) -> Result<(), ForwardError> {
        let begin = Instant::now();
        if !self.may || begin < self.next {
            return Ok(());
        }
        Admin::new(pool.clone()).seal_rows(std::mem::replace(&mut self.is_first, false)).await?;
        self.next = Instant::now() + (begin.elapsed() * SEALING_PART).max(SEALED_EVERY);
        Ok(())
    }
}
