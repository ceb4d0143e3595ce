//! Chromium, driven by WebDriver: each browser is new, and ends with its test.

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The settings with which a browser starts.
#[derive(Clone, Copy)]
pub struct Settings {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
    pub script: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { width: 1280, height: 900, dark: false, script: true }
    }
}

/// A browser with its driver.
pub struct Browser {
    pub client: Client,
    driver: Child,
    _profile: TempDir,
}

/// Returns whether a browser is there, and states it if not.
pub fn is_there() -> bool {
    let there =
        Command::new("chromedriver").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("skipped: chromedriver is not installed");
    }
    there
}

impl Browser {
    pub async fn start(settings: Settings) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").env("HOME", profile.path());
        // With its browsers, it is a group of its own, which ends together.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut driver = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        let port = port.expect("the driver starts");
        std::thread::spawn(move || lines.for_each(drop));
        let mut arguments: Vec<String> = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(format!("--user-data-dir={}", profile.path().join("profile").display()));
        arguments.push(format!("--window-size={},{}", settings.width, settings.height));
        let mut options = json!({"args": arguments});
        if !settings.script {
            options["prefs"] = json!({"profile.managed_default_content_settings.javascript": 2});
        }
        let capabilities: Capabilities = serde_json::from_value(json!({
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
            "unhandledPromptBehavior": "ignore",
            // Tests make their certificates themselves.
            "acceptInsecureCerts": true,
        }))
        .unwrap();
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(capabilities).connect(&format!("http://127.0.0.1:{port}")).await.unwrap();
        let browser = Self { client, driver, _profile: profile };
        browser.prefers(settings.dark).await;
        browser.resize(settings.width, settings.height).await;
        browser
    }

    /// Prefers dark colours, or light ones.
    pub async fn prefers(&self, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.command("Emulation.setEmulatedMedia", media).await;
    }

    /// Makes the view so large.
    pub async fn resize(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Goes to a URL.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Waits until the URL ends like this.
    pub async fn arrives(&self, end: &str) {
        tests::eventually(end, || async { self.client.current_url().await.unwrap().as_str().ends_with(end) }).await;
    }

    /// The text of the first element that matches.
    pub async fn text(&self, css: &str) -> String {
        self.client.find(Locator::Css(css)).await.unwrap().text().await.unwrap()
    }

    /// The number of elements that match.
    pub async fn count(&self, css: &str) -> usize {
        self.client.find_all(Locator::Css(css)).await.unwrap().len()
    }

    /// Clicks on the first element that matches, and stays on this page.
    pub async fn click(&self, css: &str) {
        self.client.find(Locator::Css(css)).await.unwrap().click().await.unwrap();
    }

    /// Clicks on the first element that matches, and waits until another page has taken the place of this one.
    pub async fn follow(&self, locator: Locator<'_>) {
        let link = self.client.find(locator).await.unwrap();
        self.leaves(async || link.clone().click().await.unwrap()).await;
    }

    /// Acts, and waits until another page has taken the place of this one.
    pub async fn leaves(&self, act: impl AsyncFnOnce()) {
        let before = self.client.find(Locator::Css("html")).await.unwrap();
        act().await;
        tests::eventually("another page is there", async || before.tag_name().await.is_err()).await;
    }

    /// Sends keys to the element with the focus.
    pub async fn keys(&self, keys: &str) {
        self.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// The value of an expression of the page.
    pub async fn value(&self, expression: &str) -> Value {
        self.client.execute(&format!("return {expression}"), vec![]).await.unwrap()
    }

    /// Commands the browser by the protocol of its developers' tools.
    pub async fn command(&self, name: &str, parameters: Value) -> Value {
        self.client.issue_cmd(Devtools { name: name.to_owned(), parameters }).await.unwrap()
    }

    /// Reports of the browser since the last look: errors of scripts, of the policy, of the network.
    pub async fn reports(&self) -> Vec<String> {
        let log = self.client.issue_cmd(Log).await.unwrap();
        log.as_array().unwrap().iter().map(|entry| entry["message"].to_string()).collect()
    }

    /// Takes a picture of the page, as tall as it is but no more than so many pixels.
    pub async fn picture(&self, path: &PathBuf, most: u64) {
        let height = self.value("Math.ceil(document.documentElement.scrollHeight)").await.as_u64().unwrap().min(most);
        let width = self.value("document.documentElement.clientWidth").await;
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let shot = self
            .command("Page.captureScreenshot", json!({"format": "png", "clip": clip, "captureBeyondViewport": true}))
            .await;
        use base64::prelude::{BASE64_STANDARD, Engine};
        std::fs::write(path, BASE64_STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()).unwrap();
    }

    /// Waits until the page fulfils a condition, an expression.
    pub async fn eventually(&self, what: &str, expression: &str) {
        tests::eventually(what, async || self.value(expression).await == Value::Bool(true)).await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The session ends with the driver's group, of which each browser is a part.
        let group = rustix::process::Pid::from_raw(i32::try_from(self.driver.id()).unwrap()).unwrap();
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::TERM);
        std::thread::sleep(Duration::from_millis(100));
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.driver.wait();
    }
}

#[derive(Debug)]
struct Devtools {
    name: String,
    parameters: Value,
}

#[derive(Debug)]
struct Log;

impl fantoccini::wd::WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({"cmd": self.name, "params": self.parameters}).to_string()))
    }
}

impl fantoccini::wd::WebDriverCompatibleCommand for Log {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({"type": "browser"}).to_string()))
    }
}
