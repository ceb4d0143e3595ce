//! A trail, its key, and a lake in a directory; the command, as a process.

use crate::trail::Scene;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use tests::examples::audit_trail;
use tests::{Database, secret_file};

pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The lines of JSON.
    pub fn lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(parse).collect()
    }

    /// # Panics
    /// It failed.
    pub fn well(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// # Panics
    /// It did not fail, or its words lack one of these.
    pub fn failed(self, words: &[&str]) -> Self {
        let said = format!("{}{}", self.stdout, self.stderr);
        assert!(self.code != 0 && words.iter().all(|word| said.contains(word)), "{} {said}: {words:?}", self.code);
        self
    }
}

/// The command, with nothing of this process's environment that concerns it.
pub fn command(url: Option<&str>, arguments: &[&str]) -> Command {
    let mut command = Command::new(audit_trail());
    command.args(arguments).env("TZ", "UTC").env_remove("DATABASE_URL");
    url.map(|url| command.env("DATABASE_URL", url));
    command
}

pub fn ran(mut command: Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
}

/// Runs the command on a database.
pub fn run(database: &Database, arguments: &[&str]) -> Ran {
    ran(command(Some(&database.url), arguments))
}

/// Runs the command without a database.
pub fn alone(arguments: &[&str]) -> Ran {
    ran(command(Some("postgres://127.0.0.1:1/none"), arguments))
}

/// A trail and a lake.
pub struct Lake {
    pub scene: Scene,
    pub directory: TempDir,
    pub key: String,
}

impl Lake {
    /// A lake that is still empty.
    pub async fn new(seed: u64) -> Self {
        Self::of(Scene::new(seed).await)
    }

    pub fn of(scene: Scene) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = secret_file(directory.path(), "key", scene.key.secret());
        Self { scene, directory, key }
    }

    pub fn database(&self) -> &Database {
        &self.scene.database
    }

    pub fn public(&self) -> String {
        self.scene.key.public().to_string()
    }

    /// The lake's directory.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("lake")
    }

    pub fn url(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    pub fn sync(&self, arguments: &[&str]) -> Ran {
        let url = self.url();
        run(self.database(), &[&["lake", "sync", url.as_str(), "--key", &self.key], arguments].concat())
    }

    /// Verifies the lake, without the database.
    pub fn verify(&self, arguments: &[&str]) -> Ran {
        verify(&self.url(), &self.public(), arguments)
    }

    pub async fn checkpoint(&self) {
        self.database().admin().checkpoint(&self.scene.key).await.unwrap();
    }
}

pub fn verify(lake: &str, public: &str, arguments: &[&str]) -> Ran {
    alone(&[&["verify", "--lake", lake, "--public-key", public], arguments].concat())
}

/// The report of a verification in JSON.
pub fn report(ran: &Ran) -> Value {
    ran.lines().pop().unwrap()["report"].clone()
}

/// The problems of a verification in JSON: kind, file, text.
pub fn problems(ran: &Ran) -> Vec<Value> {
    let lines = ran.lines().into_iter().filter_map(|line| line.get("finding").cloned());
    lines.filter(|finding| !["pruned", "rotated", "restored"].iter().any(|fact| finding["kind"] == *fact)).collect()
}

/// The files of a directory, and their bytes.
pub fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, at: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(directory, directory, &mut found);
    found
}

/// The files of the trail, without manifests.
pub fn tables(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    files(directory).into_iter().filter(|(name, _)| !name.starts_with("manifest/")).collect()
}

/// Writes files into a directory.
pub fn put(directory: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in files {
        std::fs::create_dir_all(directory.join(name).parent().unwrap()).unwrap();
        std::fs::write(directory.join(name), bytes).unwrap();
    }
}

/// The name of the largest file in a folder.
pub fn one(path: &Path, folder: &str) -> String {
    let mut of_folder: Vec<_> = tables(path).into_iter().filter(|(name, _)| name.starts_with(folder)).collect();
    of_folder.sort_by_key(|(_, bytes)| bytes.len());
    of_folder.pop().unwrap().0
}

/// Says that a problem is found.
pub fn finds(ran: &Ran, kind: &str, words: &[&str]) -> Vec<Value> {
    let found = problems(ran);
    let is = |finding: &&Value| {
        let text = finding.to_string();
        finding["kind"] == kind && words.iter().all(|word| text.contains(word))
    };
    let matching: Vec<Value> = found.iter().filter(is).cloned().collect();
    assert!(ran.code == 1 && !matching.is_empty(), "{kind} {words:?}: {} {found:#?} {}", ran.code, ran.stderr);
    matching
}
