//! A trail with its roles, keys and journals, the command on it, and remedies.

use audit_runtime::admin::Role;
use audit_runtime::evidence::SigningKey;
use audit_runtime::{Audit, Event, MasterKey};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tests::Database;
use tests::examples::audit_trail;

/// The run of a command.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Ran {
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn finding(&self, name: &str) -> Option<Value> {
        self.lines().into_iter().map(|line| line["finding"].clone()).find(|finding| finding["name"] == name)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let lines = self.lines().into_iter();
        lines.filter_map(|line| Some(line["finding"]["name"].as_str()?.to_owned())).collect()
    }

    pub(crate) fn report(&self) -> Value {
        self.lines().pop().unwrap()["report"].clone()
    }
}

/// A trail, and the files of those who look after it.
pub(crate) struct Trail {
    pub(crate) database: Database,
    pub(crate) files: TempDir,
    pub(crate) key: SigningKey,
    pub(crate) master: MasterKey,
}

impl Trail {
    /// A trail whose schema and roles are as they should be, without a row.
    pub(crate) async fn empty() -> Self {
        let database = Database::new().await;
        let trail = Self {
            database,
            files: tempfile::tempdir().unwrap(),
            key: SigningKey::generate("audit.example.com/doctor").unwrap(),
            master: MasterKey::generate(),
        };
        // Before PostgreSQL 15, every role may create objects there.
        trail.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
        for (duty, kind) in [
            (Role::Writer, "writer"),
            (Role::Reader, "reader"),
            (Role::Checkpointer, "checkpointer"),
            (Role::Eraser, "eraser"),
        ] {
            trail.sql(&format!("CREATE ROLE {} LOGIN", trail.role(kind))).await;
            trail.database.admin().grant(duty, &trail.role(kind)).await.unwrap();
        }
        trail.sql(&format!("CREATE ROLE {} LOGIN", trail.role("tenant"))).await;
        trail.database.admin().assign_tenant(&trail.role("tenant"), "acme").await.unwrap();
        trail.secret("signing.key", trail.key.secret());
        trail.secret("master.key", trail.master.secret());
        fs::write(trail.path("public.key"), trail.key.public().to_string()).unwrap();
        trail
    }

    /// A trail with events, and no checkpoint.
    pub(crate) async fn recorded() -> Self {
        let trail = Self::empty().await;
        trail.record(3).await;
        trail
    }

    /// A trail that is sealed and verified.
    pub(crate) async fn healthy() -> Self {
        let trail = Self::recorded().await;
        trail.database.admin().checkpoint(&trail.key).await.unwrap();
        trail.verify();
        trail
    }

    /// Records as the service does: with the role of the writer.
    pub(crate) async fn record(&self, events: usize) {
        let audit = self.audit();
        for _ in 0..events {
            let event = Event::new("account.opened").tenant("acme");
            audit.record(event.personal("customer:42", &json!({"email": "ann@example.com"}))).unwrap();
        }
        audit.shutdown(Duration::from_secs(30)).await.unwrap();
    }

    pub(crate) fn audit(&self) -> Audit {
        let builder = self.database.audit().postgres(self.url_of(&self.role("writer")).as_str());
        builder.master_key(self.master.clone()).start().unwrap()
    }

    /// Verifies as a timer does.
    pub(crate) fn verify(&self) {
        let ran = ran(self.command().args(["verify", "--json"]));
        fs::write(self.path("verified.json"), ran.stdout).unwrap();
    }

    /// The name of a role, which no other test has.
    pub(crate) fn role(&self, kind: &str) -> String {
        format!("{kind}_{}", self.database.url.rsplit('_').next().unwrap())
    }

    pub(crate) fn url_of(&self, role: &str) -> String {
        self.database.url.replace("postgres@", &format!("{role}@"))
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.files.path().join(file)
    }

    /// Writes a file that only its owner may read.
    pub(crate) fn secret(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::write(&path, text).unwrap();
        mode(&path, 0o600);
    }

    pub(crate) async fn sql(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.database.pool).await.unwrap();
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(audit_trail());
        command.env("DATABASE_URL", &self.database.url).env("TZ", "UTC").env_remove("AUDIT_MASTER_KEY");
        command
    }

    /// All options of doctor, so that it leaves no check out.
    pub(crate) fn options(&self) -> Vec<String> {
        let path = |file: &str| self.path(file).display().to_string();
        let mut options = Vec::new();
        for kind in ["writer", "reader", "checkpointer", "eraser"] {
            options.extend([format!("--{kind}"), self.role(kind)]);
        }
        let tenant = format!("{}=acme", self.role("tenant"));
        let journals = self.database.journals.path().display().to_string();
        let further = [
            ("--tenant", tenant),
            ("--journal", journals),
            ("--journal-free", "1".into()),
            ("--public-key", path("public.key")),
            ("--signing-key", path("signing.key")),
            ("--master-key", path("master.key")),
            ("--verification", path("verified.json")),
        ];
        options.extend(further.into_iter().flat_map(|(option, value)| [option.to_owned(), value]));
        options
    }

    /// Asks with further options.
    pub(crate) fn with<const N: usize>(self, further: [&str; N]) -> Provoked {
        let mut arguments = self.options();
        arguments.extend(further.map(str::to_owned));
        Provoked { trail: self, arguments, variables: Vec::new() }
    }

    /// Asks with all options, with another value of one of them.
    pub(crate) fn instead(self, option: &str, value: &str) -> Provoked {
        let mut provoked = self.with([]);
        let at = provoked.arguments.iter().position(|given| given == option).unwrap();
        provoked.arguments[at + 1] = value.to_owned();
        provoked
    }
}

pub(crate) fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A trail with something to be found, and how it is asked for.
pub(crate) struct Provoked {
    pub(crate) trail: Trail,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Provoked {
    fn command(&self) -> Command {
        let mut command = self.trail.command();
        command.arg("doctor").args(&self.arguments).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn doctor(&self) -> Ran {
        ran(self.command().arg("--json"))
    }

    pub(crate) fn text(&self) -> Ran {
        ran(&mut self.command())
    }

    /// Applies a remedy if it is a statement or a command as a whole; returns whether it was one.
    pub(crate) async fn apply(&self, remedy: &str) -> bool {
        if remedy.ends_with(';') && remedy.starts_with(char::is_uppercase) && !remedy.contains("--") {
            self.trail.sql(remedy).await;
            return true;
        }
        let mut words = remedy.split(' ');
        let is_whole =
            !remedy.contains([',', ';']) && !remedy.chars().any(|c| c.is_ascii_uppercase() && !remedy.contains('/'));
        match words.next() {
            Some("chmod") => assert!(Command::new("chmod").args(words).status().unwrap().success()),
            Some("audit-trail") if is_whole => {
                let mut command = self.trail.command();
                command.env("AUDIT_MASTER_KEY", self.trail.master.secret());
                let ran = ran(command.args(words));
                assert_eq!(ran.code, 0, "{remedy}: {}{}", ran.stdout, ran.stderr);
            }
            _ => return false,
        }
        true
    }
}
