//! A feed that runs: what arrives is sent, and the position follows what is taken.

use super::deliver::{Delivery, Next};
use super::ended::{ForwardError, Sent};
use super::form::{Form, Style};
use super::mapping::Mapping;
use super::message::Level;
use super::metrics::Counters;
use super::sealing::Sealing;
use super::target::{SendError, Target};
use crate::keepalive;
use audit_runtime::feed::{Arrivals, FeedError, Feeds, Lag, NewFeed, OpenFeed, Portion, Start};
use audit_runtime::trail::EventFilter;
use audit_runtime::{DatabaseError, DatabaseErrorKind};
use sqlx::Executor;
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
/// How often it is measured how far the feed is behind.
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
    is_away: bool,
    tell: Box<dyn Fn(&str) + Send + Sync>,
    counters: Arc<Counters>,
    /// The time at which it was last measured how far the feed is behind, unless it is to be measured now.
    measured: Option<Instant>,
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward").field("name", &self.name).field("target", &self.target).finish_non_exhaustive()
    }
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
            is_away: false,
            tell: Box::new(|_| {}),
            counters: Arc::default(),
            measured: None,
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
        // A network that forgets a connection would have its query wait for good, and its locks hold up the
        // process that takes over.
        let port = options.get_port();
        let pool = pool.after_connect(move |connection, _| {
            keepalive::to(port);
            Box::pin(async move { connection.execute(sqlx::raw_sql(keepalive::OF_SESSION)).await.map(drop) })
        });
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
                ForwardError::Feed(FeedError::Running(_)) if !self.is_once => {
                    // The other process tells how far it is behind.
                    self.counters.lags(None);
                    true
                }
                ForwardError::Feed(FeedError::Moved(_)) => {
                    (self.tell)("the feed was moved; it goes on there");
                    continue;
                }
                ForwardError::Feed(FeedError::Database(error)) | ForwardError::Database(error) => {
                    self.counters.is_cut_off();
                    is_passing(error)
                }
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
        self.measured = None;
        let since = Instant::now();
        let mut has_moved = false;
        while !*stopped.borrow() {
            self.measure(pool, open).await?;
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
            match arrivals.next().await? {
                Some(portion) => {
                    if !self.send(portion, pool, open, stopped).await? {
                        return Ok(Followed::NotSaved);
                    }
                    has_moved = true;
                }
                None if self.is_once => {
                    if self.is_complete(pool, open, since).await? {
                        return Ok(Followed::ToTheEnd);
                    }
                    pause(SOON, stopped).await;
                }
                None => {
                    if std::mem::take(&mut has_moved) {
                        self.measured = None;
                    }
                    let away = self.tend().await;
                    pause(EVERY, stopped).await;
                    open.look(away.as_deref()).await?;
                }
            }
        }
        Ok(Followed::ToTheEnd)
    }

    /// Measures how far the feed is behind, if it was not measured lately.
    async fn measure(&mut self, pool: &PgPool, open: &OpenFeed) -> Result<(), DatabaseError> {
        if self.measured.is_none_or(|at| at.elapsed() > LAG_EVERY) {
            self.counters.lags(Lag::read(pool, open.position()).await?.seconds);
            self.measured = Some(Instant::now());
        }
        Ok(())
    }

    /// Looks after the target while nothing arrives, and returns the reason if it is away.
    async fn tend(&mut self) -> Option<String> {
        let away = match self.target.tend().await {
            Err(SendError::Away(why, _) | SendError::Refused(why, _)) => Some(why),
            Ok(()) => None,
        };
        match &away {
            Some(why) => self.waits(why),
            None => self.goes_on(),
        }
        away
    }

    /// Tells once that the target is away.
    fn waits(&mut self, why: &str) {
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        self.counters.is_waiting.store(true, Ordering::Relaxed);
        if !std::mem::replace(&mut self.is_away, true) {
            self.measured = None;
            (self.tell)(&format!("{} is away, trying again: {why}", self.target.shown()));
        }
    }

    /// Tells that the target is back, if it was away.
    fn goes_on(&mut self) {
        self.counters.is_waiting.store(false, Ordering::Relaxed);
        if std::mem::replace(&mut self.is_away, false) {
            (self.tell)(&format!("{} answers again", self.target.shown()));
        }
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
        pool: &PgPool,
        open: &mut OpenFeed,
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<bool, ForwardError> {
        let messages = portion.events.into_iter().map(|arrived| self.form.message(arrived, &self.style)).collect();
        let mut delivery = Delivery::new(messages, open.has_taken());
        let delivered = loop {
            let (why, after, is_doubt, is_over) = match delivery.advance(&mut self.target, &self.name, self.form).await
            {
                Next::Done(delivered) => break delivered,
                Next::Wait(why, after) => (why, after, false, false),
                Next::Doubt(why, after) => (why, after, true, false),
                Next::Anew(why, after) => (why, after, false, true),
            };
            if self.is_once && !is_doubt {
                return Err(ForwardError::Away(why));
            }
            self.waits(&why);
            self.measure(pool, open).await?;
            open.look(Some(&why)).await?;
            pause(after, stopped).await;
            if is_over || *stopped.borrow() || open.is_paused() {
                return Ok(false);
            }
        };
        if delivered.taken > 0 || !delivered.refused.is_empty() {
            self.goes_on();
        }
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
