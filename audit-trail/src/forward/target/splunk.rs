//! The HTTP Event Collector of Splunk, with the acknowledgement of its indexers.
//!
//! An answer of 200 tells that Splunk has received the events, and not that it has indexed them. The
//! acknowledgement tells that, and is asked for until it comes
//! (<https://docs.splunk.com/Documentation/Splunk/latest/Data/AboutHECIDXAck>).

use super::http::{answered, body, client, plain, read, secret};
use super::{SendError, TargetError, TargetOptions};
use crate::forward::form::Form;
use crate::forward::message::{Message, Origin};
use crate::forward::object::Object;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// How often it is asked whether events are indexed.
const ASKED_EVERY: Duration = Duration::from_millis(250);
/// The time after which events that are not acknowledged are sent again.
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Debug)]
pub(super) struct SplunkTarget {
    client: Client,
    events: Url,
    acknowledgements: Url,
    token: HeaderValue,
    /// Acknowledgements are counted by channel.
    channel: String,
    index: Option<String>,
    is_gzip: bool,
    waits_for_ack: bool,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(rename = "ackId")]
    ack_id: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Acknowledged {
    acks: HashMap<String, bool>,
}

#[derive(Debug, Deserialize)]
struct Invalid {
    #[serde(rename = "invalid-event-number")]
    number: Option<usize>,
}

impl SplunkTarget {
    pub(super) fn new(url: Url, options: &TargetOptions) -> Result<Self, TargetError> {
        let token = options.token.as_deref();
        let token =
            token.ok_or_else(|| TargetError("Splunk needs the token of its collector; give --token FILE".into()))?;
        let at = |path: &str| {
            let mut url = url.clone();
            let before = url.path().trim_end_matches('/').trim_end_matches("/services/collector/event").to_owned();
            url.set_path(&format!("{before}{path}"));
            url
        };
        let channel = Uuid::new_v4().to_string();
        let mut acknowledgements = at("/services/collector/ack");
        acknowledgements.query_pairs_mut().append_pair("channel", &channel);
        Ok(Self {
            client: client(options)?,
            events: at("/services/collector/event"),
            acknowledgements,
            token: secret(&format!("Splunk {token}"))?,
            channel,
            index: options.index.clone(),
            is_gzip: !options.no_gzip,
            waits_for_ack: !options.no_ack,
        })
    }

    pub(super) async fn send(&self, form: Form, messages: &[Message]) -> Result<(), SendError> {
        let text: String = messages.iter().map(|message| self.event(form, message)).collect();
        let request = self.client.post(self.events.clone()).header(AUTHORIZATION, self.token.clone());
        let request = request.header("X-Splunk-Request-Channel", &self.channel);
        let (request, body) = body(request, text.as_bytes(), self.is_gzip)?;
        let answer = match answered(request.body(body)).await {
            Ok(answer) => answer,
            Err(SendError::Refused(why, _)) => {
                // The collector names the event, by its number from 0 on.
                let json = why.find('{').map(|at| &why[at..]);
                let number = json.and_then(|json| serde_json::from_str::<Invalid>(json).ok()?.number);
                return Err(SendError::Refused(why, number));
            }
            Err(error) => return Err(error),
        };
        if !self.waits_for_ack {
            return Ok(());
        }
        let answer: Option<Answer> = serde_json::from_slice(&read(answer).await?).ok();
        match answer.and_then(|answer| answer.ack_id) {
            Some(id) => self.indexed(id).await,
            None => Err(SendError::away(
                "the token has no indexer acknowledgement; enable it in Splunk (useACK), or give --no-ack to send each event once",
            )),
        }
    }

    /// Waits until the indexers have the events.
    async fn indexed(&self, id: u64) -> Result<(), SendError> {
        let since = Instant::now();
        let question = format!("{{\"acks\":[{id}]}}");
        loop {
            let request = self.client.post(self.acknowledgements.clone());
            let request = request.header(AUTHORIZATION, self.token.clone());
            let request = request.header("X-Splunk-Request-Channel", &self.channel);
            let answer = request.body(question.clone()).send().await.map_err(|error| SendError::away(plain(&error)))?;
            let status = answer.status();
            let text = read(answer).await?;
            if status != StatusCode::OK {
                return Err(SendError::away(format!("the acknowledgement is not to be had: {status}")));
            }
            let acknowledged: Option<Acknowledged> = serde_json::from_slice(&text).ok();
            if acknowledged.is_some_and(|answer| answer.acks.get(&id.to_string()) == Some(&true)) {
                return Ok(());
            }
            if since.elapsed() > PATIENCE {
                return Err(SendError::away("the indexers did not acknowledge the events within two minutes"));
            }
            sleep(ASKED_EVERY).await;
        }
    }

    /// One event of the collector. Its fields find the event by its id.
    fn event(&self, form: Form, message: &Message) -> String {
        let event = message.event();
        let origin = Origin::of(event);
        let time = event
            .created_at
            .unix_micros()
            .map(|micros| format!("{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000)));
        let object = Object::new()
            .raw_of("time", time)
            .text_of("host", origin.host)
            .text("source", "audit-trail")
            .text("sourcetype", &format!("audit:{}", form.name()))
            .text_of("index", self.index.as_deref());
        let object = match form.is_json() {
            true => object.raw("event", &message.text),
            false => object.text("event", &message.text),
        };
        let leaf = message.arrived.leaf.map(|leaf| hex::encode(leaf.digest));
        let fields = Object::new().text("event_id", &event.id.to_string()).text("event_type", &event.event_type);
        object.object("fields", fields.text_of("leaf", leaf)).end()
    }
}
