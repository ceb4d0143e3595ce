//! The systems to which events are sent.

mod file;
mod http;
mod otlp;
mod program;
mod shown;
mod splunk;
mod standard;
mod syslog;
mod tls;

use super::form::Form;
use super::message::Message;
use file::FileTarget;
use http::HttpTarget;
use otlp::OtlpTarget;
use program::ProgramTarget;
use reqwest::Url;
use shown::Shown;
use splunk::SplunkTarget;
use standard::StandardOutput;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use syslog::SyslogTarget;

/// A system that takes events.
///
/// | text | target |
/// | --- | --- |
/// | `-` | standard output |
/// | `events.ndjson`, `file:///var/log/events.ndjson` | a file |
/// | `https://host/path` | an HTTP endpoint |
/// | `splunk+https://host:8088` | the HTTP Event Collector of Splunk |
/// | `otlp+https://host:4318` | OpenTelemetry logs, by OTLP over HTTP |
/// | `syslog+tls://host:6514` | syslog, RFC 5424 over TLS as in RFC 5425 |
/// | `\|command` | the standard input of a shell command |
///
/// `splunk+http`, `otlp+http`, `http` and `syslog+tcp` are for this machine alone.
pub struct Target {
    shown: Shown,
    way: Way,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Target").field(&self.shown()).finish()
    }
}

#[derive(Debug)]
enum Way {
    Standard(StandardOutput),
    File(FileTarget),
    Http(Box<HttpTarget>),
    Splunk(Box<SplunkTarget>),
    Otlp(Box<OtlpTarget>),
    Syslog(Box<SyslogTarget>),
    Program(ProgramTarget),
}

/// How a [`Target`] is reached. Secrets are texts, and no debug output shows them.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct TargetOptions {
    /// The bearer token of an HTTP endpoint, or the token of Splunk's collector.
    pub token: Option<String>,
    /// The secret by which requests to an HTTP endpoint are signed, as in Standard Webhooks.
    pub signing_secret: Option<String>,
    /// The file of the certificates that sign the server's own. By default, those of the system.
    pub ca: Option<PathBuf>,
    /// The files of the client's certificate and of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Leaves bodies of requests uncompressed.
    pub no_gzip: bool,
    /// Takes it for stored what Splunk has answered, without the acknowledgement of its indexers.
    pub no_ack: bool,
    /// The index of Splunk.
    pub index: Option<String>,
    /// The bytes after which a file is rotated.
    pub rotate: Option<u64>,
    /// The rotated files that are kept. By default, all of them.
    pub keep: Option<usize>,
    /// The time after which a request or a command has failed. By default, 30 seconds.
    pub timeout: Option<Duration>,
}

impl std::fmt::Debug for TargetOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TargetOptions").finish_non_exhaustive()
    }
}

/// The reason a target cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(pub(super) String);

/// The reason events were not taken.
#[derive(Debug)]
pub(super) enum SendError {
    /// The target does not answer, or refuses everybody: the same events are sent again, no sooner than
    /// after the time that it states.
    Away(String, Option<Duration>),
    /// One of the events is refused: the one with this number, if the target states it.
    Refused(String, Option<usize>),
}

impl SendError {
    pub(super) fn away(why: impl std::fmt::Display) -> Self {
        Self::Away(why.to_string(), None)
    }
}

/// The limit of time unless the options set one.
const TIMEOUT: Duration = Duration::from_secs(30);

impl TargetOptions {
    fn limit(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }
}

impl Target {
    /// Reads a target.
    ///
    /// # Errors
    /// The text is no target, an option does not apply to it, or a file that an option names cannot be
    /// used.
    pub fn new(text: &str, options: &TargetOptions) -> Result<Self, TargetError> {
        let (shown, way) = way(text, options)?;
        Ok(Self { shown, way })
    }

    /// Returns the target in words: without the query of a URL, and of a command its first word alone. The
    /// rest may hold a secret.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown.text
    }

    /// Returns the name of a feed to this target that has none of its own. A target that is shown in part
    /// gives no name: another one may be shown alike.
    #[must_use]
    pub fn usual_name(&self) -> Option<&str> {
        self.shown.is_whole.then_some(&*self.shown.text)
    }

    /// Returns the form that the target expects.
    #[must_use]
    pub fn usual_form(&self) -> Form {
        match self.way {
            Way::Syslog(_) => Form::Cef,
            _ => Form::Ndjson,
        }
    }

    /// Checks that the target can be reached for events of a form.
    pub(super) fn check(&self, form: Form) -> Result<(), TargetError> {
        match (&self.way, form) {
            (Way::Syslog(_) | Way::Splunk(_) | Way::Otlp(_), Form::Csv) => Err(TargetError(format!(
                "{}: csv needs a line of headers, which it has no place for; choose another form",
                self.shown()
            ))),
            _ => Ok(()),
        }
    }

    /// Sends events, and returns once they are taken. `name` is the feed's.
    pub(super) async fn send(&mut self, name: &str, form: Form, messages: &[Message]) -> Result<(), SendError> {
        match &mut self.way {
            Way::Standard(target) => target.send(form, messages),
            Way::File(target) => target.send(form, messages),
            Way::Http(target) => target.send(name, form, messages).await,
            Way::Splunk(target) => target.send(form, messages).await,
            Way::Otlp(target) => target.send(messages).await,
            Way::Syslog(target) => target.send(messages).await,
            Way::Program(target) => target.send(name, form, messages).await,
        }
    }
}

impl Target {
    /// Looks after a target that takes events without an answer. Those that it may have lost are sent again.
    pub(super) async fn tend(&mut self) -> Result<(), SendError> {
        match &mut self.way {
            Way::Syslog(target) => target.tend().await,
            _ => Ok(()),
        }
    }
}

fn way(text: &str, options: &TargetOptions) -> Result<(Shown, Way), TargetError> {
    if text == "-" {
        return Ok((Shown::whole("standard output"), Way::Standard(StandardOutput::default())));
    }
    if let Some(command) = text.strip_prefix('|') {
        let command = command.trim();
        if command.is_empty() {
            return Err(TargetError(
                "--to '|': write a command behind the bar, as in --to '| kcat -P -b host -t audit'".into(),
            ));
        }
        return Ok((Shown::command(command), Way::Program(ProgramTarget::new(command, options.limit()))));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        let file = FileTarget::new(text.into(), options);
        return Ok((Shown::whole(text), Way::File(file)));
    };
    if scheme == "file" {
        return Ok((Shown::whole(rest), Way::File(FileTarget::new(rest.into(), options))));
    }
    let (kind, transport) = scheme.split_once('+').unwrap_or(("", scheme));
    let as_http = match (kind, transport) {
        ("" | "splunk" | "otlp", "http" | "https") => transport,
        ("syslog", "tls" | "tcp") => "http",
        _ => {
            return Err(TargetError(format!(
                "--to {scheme}://..: unknown scheme; write a file, -, '|command', https://, splunk+https://, otlp+https:// or syslog+tls://"
            )));
        }
    };
    // Neither the URL nor a part of it is printed: it may hold a password.
    let url: Url = format!("{as_http}://{rest}")
        .parse()
        .map_err(|_| TargetError(format!("--to {scheme}://..: the rest is no URL; write {scheme}://host:port/path")))?;
    if !url.username().is_empty() || url.password().is_some() {
        let text = "the URL has a user or a password, which lists of processes show; give --token FILE, or a client certificate";
        return Err(TargetError(format!("--to {scheme}://..: {text}")));
    }
    let shown = Shown::url(scheme, &url);
    if matches!(transport, "http" | "tcp") && !is_local(&url) {
        let safe = scheme.replace("http", "https").replace("tcp", "tls");
        return Err(TargetError(format!(
            "--to {}: events would cross the network in clear; write {safe}://",
            shown.text
        )));
    }
    let way = match kind {
        "splunk" => Way::Splunk(Box::new(SplunkTarget::new(url, options)?)),
        "otlp" => Way::Otlp(Box::new(OtlpTarget::new(url, options)?)),
        "syslog" => Way::Syslog(Box::new(SyslogTarget::new(&url, transport == "tls", options)?)),
        _ => Way::Http(Box::new(HttpTarget::new(url, options)?)),
    };
    Ok((shown, way))
}

/// Whether a host is this machine.
fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The lines of messages, each with its end, behind the header that the form has.
fn lines(form: Form, messages: &[Message]) -> Vec<u8> {
    let mut lines = Vec::new();
    for line in form.header().iter().map(String::as_str).chain(messages.iter().map(|message| &*message.text)) {
        lines.extend_from_slice(line.as_bytes());
        lines.push(b'\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_cannot_be_meant_is_refused_with_the_remedy() {
        for (text, part) in [
            ("kafka://host", "unknown scheme"),
            ("https://", "no URL"),
            ("https://ada:secret@host/", "give --token FILE"),
            ("http://siem.example.com/", "write https://"),
            ("syslog+tcp://siem.example.com:514", "write syslog+tls://"),
            ("splunk+http://10.0.0.1:8088", "write splunk+https://"),
            ("| ", "write a command"),
        ] {
            let error = Target::new(text, &TargetOptions::default()).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("secret@"), "{text}: {error}");
        }
    }

    #[test]
    fn a_target_is_shown_without_what_may_be_secret() {
        for (text, shown, is_name) in [
            ("otlp+http://localhost:4318/v1/logs", "otlp+http://localhost:4318/v1/logs", true),
            ("syslog+tcp://[::1]:514", "syslog+tcp://[::1]:514/", true),
            ("events.ndjson", "events.ndjson", true),
            ("file:///var/log/events", "/var/log/events", true),
            ("-", "standard output", true),
            ("| cat", "| cat", true),
            ("http://127.0.0.1:9/a?b=s3cret", "http://127.0.0.1:9/a?..", false),
            ("http://127.0.0.1:9/a?b=s3cret#c", "http://127.0.0.1:9/a?..", false),
            ("http://127.0.0.1:9/a#s3cret", "http://127.0.0.1:9/a?..", false),
            ("| curl -H 'Authorization: s3cret' https://siem/", "| curl ..", false),
            ("|  /usr/bin/kcat -P", "| /usr/bin/kcat ..", false),
            ("| TOKEN=s3cret curl https://siem/", "| ..", false),
            ("| TOKEN=s3cret", "| ..", false),
            ("| curl\t-H\ts3cret", "| curl ..", false),
            ("| echo|s3cret", "| ..", false),
        ] {
            let target = Target::new(text, &TargetOptions::default()).unwrap();
            assert_eq!((target.shown(), target.usual_name()), (shown, is_name.then_some(shown)), "{text}");
            assert!(!format!("{target:?}").contains("s3cret"), "{text}");
        }
        let error = Target::new("http://siem.example.com/?token=s3cret", &TargetOptions::default()).unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
