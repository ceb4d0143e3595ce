//! The live tail: what arrives, as server-sent events that the viewers of one question share.

use super::access::Viewer;
use super::evidence::Badge;
use super::pages::Shown;
use super::pages::list::row;
use super::question::Question;
use super::refusal::Refusal;
use super::state::Site;
use audit_runtime::trail::EventFilter;
use axum::http::HeaderValue;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use serde_json::json;
use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

/// Tails at once.
pub(crate) const TAILS: usize = 20;
/// Events that wait for a slow viewer. Beyond these, the viewer is told how many were left out.
const WAITING: usize = 256;
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_secs(1);

/// The tails that run, by what they show to whom.
#[derive(Debug)]
pub(crate) struct Tails {
    limit: Arc<Semaphore>,
    running: Mutex<HashMap<String, broadcast::Sender<Arc<str>>>>,
}

impl Default for Tails {
    fn default() -> Self {
        Self { limit: Arc::new(Semaphore::new(TAILS)), running: Mutex::default() }
    }
}

/// A tail of one viewer, whose end is recorded, too.
struct Following {
    site: Arc<Site>,
    viewer: Viewer,
    query: String,
    sent: usize,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Following {
    fn drop(&mut self) {
        let (site, viewer) = (self.site.clone(), self.viewer.clone());
        let data = json!({"page": "tail", "state": "ended", "query": self.query, "rows": self.sent});
        // The viewer is gone: what was shown is on record, and this states how much it was.
        tokio::spawn(async move { drop(site.recorded.record(&viewer, "audit.viewed", data).await) });
    }
}

/// Follows the events that match a question.
pub(crate) async fn follow(site: Arc<Site>, viewer: Viewer, question: Question) -> Result<Response, Refusal> {
    let filter = viewer.scope.narrow(question.filter()?);
    let permit = site.tails.limit.clone().try_acquire_owned();
    let permit = permit.map_err(|_| {
        Refusal::unavailable(format!(
            "{TAILS} viewers follow the trail already; reload the list in place of following it"
        ))
    })?;
    let query = question.query();
    site.recorded.record(&viewer, "audit.viewed", json!({"page": "tail", "state": "began", "query": query})).await?;
    let events = site.tails.join(&site, &viewer, &question, filter);
    let following = Following { site: site.clone(), viewer, query, sent: 0, _permit: permit };
    let mut ends = site.ends.clone();
    let ended = async move {
        // The sender lives as long as the server.
        let _ = ends.wait_for(|ends| *ends).await;
    };
    let stream = stream(events, following).take_until(Box::pin(ended));
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("nothing new");
    let mut response = Sse::new(stream).keep_alive(keep_alive).into_response();
    // nginx would keep what arrives until its buffer is full.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn stream(
    events: broadcast::Receiver<Arc<str>>,
    following: Following,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    // At once, so that the browser knows that it is connected.
    let open = stream::iter([Ok(Event::default().event("open").data("following"))]);
    open.chain(stream::unfold((events, following), |(mut events, mut following)| async move {
        let event = match events.recv().await {
            Ok(row) => {
                following.sent += 1;
                Event::default().event("row").data(&*row)
            }
            Err(broadcast::error::RecvError::Lagged(number)) => {
                Event::default().event("lagged").data(number.to_string())
            }
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        Some((Ok(event), (events, following)))
    }))
}

impl Tails {
    /// Joins the tail of a question, or begins it.
    fn join(
        &self,
        site: &Arc<Site>,
        viewer: &Viewer,
        question: &Question,
        filter: EventFilter,
    ) -> broadcast::Receiver<Arc<str>> {
        // Viewers whose events a login reads do not share with others.
        let login = site.walls.is_before(viewer).then_some(&viewer.name);
        let key = format!("{login:?} {:?} {}", viewer.scope, question.query());
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(events) = running.get(&key) {
            return events.subscribe();
        }
        let (sender, receiver) = broadcast::channel(WAITING);
        running.insert(key.clone(), sender.clone());
        let (site, viewer, question) = (site.clone(), viewer.clone(), question.clone());
        tokio::spawn(async move {
            run(&site, &viewer, &question, filter, &key, &sender).await;
        });
        receiver
    }

    /// Ends a tail that nobody follows any more, unless somebody has joined it meanwhile.
    fn leave(&self, key: &str, sender: &broadcast::Sender<Arc<str>>) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let is_left = sender.receiver_count() == 0;
        if is_left {
            running.remove(key);
        }
        is_left
    }
}

async fn run(
    site: &Site,
    viewer: &Viewer,
    question: &Question,
    filter: EventFilter,
    key: &str,
    sender: &broadcast::Sender<Arc<str>>,
) {
    // The list shows what there is already: of that, one event is read and left out.
    let mut events = pin!(site.trail_of(viewer).follow(filter.limit(1)));
    let begin = audit_runtime::Timestamp::now();
    let mut is_first = true;
    let shown = Shown::new(viewer, question, "/");
    loop {
        let next = tokio::time::timeout(AGAIN, events.next()).await;
        if site.tails.leave(key, sender) {
            return;
        }
        match next {
            Ok(Some(Ok(event))) => {
                let was_there = std::mem::take(&mut is_first) && event.created_at < begin;
                if !was_there {
                    let row = row(
                        &event,
                        Some(&Badge::NotSealed).filter(|_| event.batch_id.is_none()).or(Some(&Badge::Sealed)),
                        &shown,
                    );
                    // Nobody listening is no failure: the next round ends the tail.
                    let _ = sender.send(row.0.into());
                }
            }
            // After an error it goes on when it is asked again.
            Ok(Some(Err(_))) => tokio::time::sleep(AGAIN).await,
            Ok(None) => return,
            Err(_) => {}
        }
    }
}
