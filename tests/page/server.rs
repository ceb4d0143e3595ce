//! `audit-trail serve`, the real binary on a free port, and requests over HTTP.

use reqwest::header::{HeaderMap, HeaderName};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tests::Database;
use tests::examples::audit_trail;
use tests::tls;

/// A server that ends with the test.
pub struct Page {
    child: Child,
    pub url: String,
    pub client: Client,
    said: Arc<Mutex<Vec<String>>>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Page {
    /// Starts a server on a database, for viewers on this machine, with further arguments.
    pub fn start(database: &Database, arguments: &[&str]) -> Self {
        Self::start_at(&database.url, arguments)
    }

    /// The same on the database at a URL.
    pub fn start_at(url: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(audit_trail());
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments);
        if !arguments.contains(&"--requests-per-second") {
            command.args(["--requests-per-second", "0"]);
        }
        // Those tests that are not about it wait for the whole list, however busy the machine is.
        if !arguments.contains(&"--look-for") {
            command.args(["--look-for", "4000"]);
        }
        command.env("DATABASE_URL", url).env("USER", "ann").env("TZ", "UTC");
        command.env_remove("AUDIT_CHECKPOINT_PUBLIC_KEY").env_remove("AUDIT_MASTER_KEY").env_remove("AUDIT_WRITER_URL");
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let url = loop {
            let Some(line) = lines.next() else { panic!("the server does not start: {said:#?}") };
            let line = line.unwrap();
            if let Some((_, url)) = line.split_once("the page is at ") {
                break url.trim_end_matches('/').to_owned();
            }
            said.push(line);
        };
        // It may print more, and must not wait for a reader.
        let said = Arc::new(Mutex::new(Vec::new()));
        let further = said.clone();
        std::thread::spawn(move || {
            for line in lines {
                let line = line.unwrap_or_default();
                eprintln!("{line}");
                further.lock().unwrap().push(line);
            }
        });
        tls::ready();
        Self { child, url, client: Client::builder().redirect(Policy::none()).build().unwrap(), said }
    }

    /// The lines of its log since it has listened.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A request for a path.
    pub fn request(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    /// A form that is sent to a path.
    pub fn form(&self, path: &str, body: &str) -> RequestBuilder {
        let request = self.client.post(format!("{}{path}", self.url)).body(body.to_owned());
        request.header("content-type", "application/x-www-form-urlencoded").header("origin", &self.url)
    }

    /// The page at a path, which is there.
    pub async fn page(&self, path: &str) -> String {
        let answer = sent(self.request(path)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        answer.text
    }

    /// The JSON at a path, which is there.
    pub async fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.page(path).await).unwrap()
    }

    /// The answer for a path, whatever it is.
    pub async fn answer(&self, path: &str) -> Answer {
        sent(self.request(path)).await
    }
}

/// Sends a request and reads the answer.
pub async fn sent(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, text: String::from_utf8(response.bytes().await.unwrap().to_vec()).unwrap() }
}

impl Answer {
    pub fn header(&self, name: &'static str) -> &str {
        self.headers.get(HeaderName::from_static(name)).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
