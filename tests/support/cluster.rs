//! A private PostgreSQL cluster, made with the server's binaries that are found.

use crate::wait;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

/// PostgreSQL refuses to run as root: the user and group `nobody`, the same numbers on every Linux.
const NOBODY: u32 = 65534;

/// Runs a server until its input ends, and then ends it, whatever became of the tests: theirs is
/// the other end. Removes its files, unless they should be kept for another start.
const KEEPER: &str = r#""$0" -D "$1" >>"$2" 2>&1 </dev/null &
    read -r word
    while kill -QUIT $! 2>/dev/null; do sleep 0.05; done
    wait
    [ "$word" = keep ] || rm -rf "$3""#;

/// The differences from a default cluster.
#[derive(Debug, Clone, Copy, Default)]
pub struct Config {
    /// Lines of `postgresql.conf`.
    pub settings: &'static str,
    /// `pg_hba.conf`, in place of trust for everybody.
    pub hba: Option<&'static str>,
}

/// A running cluster. It ends, and its files go, when this is dropped or the test's process ends in
/// any way. A shell that reads from this process then sees the end of its input.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) directory: TempDir,
    pub(crate) binaries: PathBuf,
    pub(crate) port: u16,
    pub(crate) keeper: Option<Child>,
}

impl Cluster {
    /// The cluster that the tests of one process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Config::default()))
    }

    /// A cluster of the test's own, to be stopped, killed or configured.
    pub fn start(config: Config) -> Self {
        Self::prepare(config, |_| {}).run()
    }

    /// A cluster of the version that `AUDIT_NEWER_POSTGRES` has the binaries of, else of the same.
    pub fn start_newer(config: Config) -> Self {
        let newer = std::env::var_os("AUDIT_NEWER_POSTGRES").map_or_else(binaries, PathBuf::from);
        Self::prepare_with(newer, config, |_| {}).run()
    }

    /// Makes a cluster that does not run yet. `prepare` may add files to its data directory.
    pub fn prepare(config: Config, prepare: impl FnOnce(&Path)) -> Self {
        Self::prepare_with(binaries(), config, prepare)
    }

    fn prepare_with(binaries: PathBuf, config: Config, prepare: impl FnOnce(&Path)) -> Self {
        Self::prepare_by(binaries, &[], config, prepare)
    }

    fn prepare_by(binaries: PathBuf, options: &[&str], config: Config, prepare: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::Builder::new().prefix("audit-postgres-").tempdir().unwrap();
        let data = directory.path().join("data");
        let mut initdb = unprivileged(binaries.join("initdb"));
        give_away(directory.path());
        let output = initdb
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .args(options)
            .arg("-D")
            .arg(&data)
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        let port = free_port();
        let mut settings = fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
        writeln!(
            settings,
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\nmax_connections = 100\n\
             shared_buffers = 64MB\nlog_min_messages = warning\n{}",
            directory.path().display(),
            config.settings,
        )
        .unwrap();
        if let Some(hba) = config.hba {
            fs::write(data.join("pg_hba.conf"), hba).unwrap();
        }
        prepare(&data);
        Self { directory, binaries, port, keeper: None }
    }

    /// Runs a prepared cluster.
    #[must_use]
    pub fn run(mut self) -> Self {
        self.up();
        self
    }

    /// Starts the server, and waits until it answers.
    pub fn up(&mut self) {
        assert!(self.keeper.is_none(), "the server runs already");
        let mut keeper = unprivileged("/bin/sh");
        keeper
            .args(["-c", KEEPER])
            .arg(self.binaries.join("postgres"))
            .arg(self.data())
            .arg(self.log())
            .arg(self.directory.path())
            .stdin(Stdio::piped())
            // Ctrl-C in the terminal is for the tests. The server ends when they do.
            .process_group(0);
        self.keeper = Some(keeper.spawn().unwrap());
        // A server that was killed reads its log first, which takes minutes on a machine with much to do.
        wait::until_within(Duration::from_secs(300), "the server answers", || {
            // The line by which pg_ctl knows, too.
            let pid_file = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
            (pid_file.lines().nth(7)?.trim() == "ready").then_some(())
        });
    }

    /// Stops the server as by a restart: connections are cut, what was committed is kept.
    pub fn down(&mut self) {
        self.signal(rustix::process::Signal::INT);
        self.wait();
    }

    /// Kills every process of the server with SIGKILL.
    pub fn kill(&mut self) {
        let children = children(self.pid());
        self.signal(rustix::process::Signal::KILL);
        for child in &children {
            // It may have ended with its parent already.
            let _ = rustix::process::kill_process(*child, rustix::process::Signal::KILL);
        }
        self.wait();
        // Until then they have the shared memory, and no other server starts.
        wait::until("the server's other processes are gone", || {
            children.iter().all(|child| parent(*child).is_none()).then_some(())
        });
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> rustix::process::Pid {
        let pid = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().parse().unwrap();
        rustix::process::Pid::from_raw(pid).unwrap()
    }

    /// Waits until the server is gone.
    fn wait(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            // It may have ended with the server already.
            let _ = keeper.stdin.take().map(|mut stdin| stdin.write_all(b"keep\n"));
            keeper.wait().unwrap();
        }
        // After SIGKILL its backends end by themselves. Until then the shared memory is in use.
        wait::until("the server's processes are gone", || {
            let pid = fs::read_to_string(self.data().join("postmaster.pid")).ok();
            let pid = pid.and_then(|pid| pid.lines().next()?.parse().ok()).and_then(rustix::process::Pid::from_raw);
            let alive = pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok());
            (!alive).then_some(())
        });
        // Left by SIGKILL, it would report the next server as ready too early.
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
    }

    /// The server's first process.
    pub fn postmaster(&self) -> u32 {
        self.pid().as_raw_pid().cast_unsigned()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The directory of the Unix socket.
    pub fn socket(&self) -> &Path {
        self.directory.path()
    }

    /// The server's log so far.
    pub fn log_text(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Whether the server came with a module.
    pub fn has_module(&self, name: &str) -> bool {
        self.binaries.join("../lib").join(format!("{name}.so")).exists()
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// The server's `psql` on a database.
    ///
    /// # Panics
    /// There is none.
    pub fn psql(&self, url: &str) -> Command {
        let mut command = self.program("psql").expect("psql, beside the server or in AUDIT_POSTGRES_CLIENT");
        command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", url]);
        command
    }

    /// The server's `pg_dump` of a database, if it came with one.
    pub fn pg_dump(&self, url: &str) -> Option<Command> {
        let mut command = self.program("pg_dump")?;
        command.args(["--no-owner", "--no-privileges", "--dbname", url]);
        Some(command)
    }

    /// A program that came with the server, or is in the directory `AUDIT_POSTGRES_CLIENT`.
    pub fn program(&self, name: &str) -> Option<Command> {
        let elsewhere = std::env::var_os("AUDIT_POSTGRES_CLIENT").map(PathBuf::from);
        let found = std::iter::once(self.binaries.clone()).chain(elsewhere).map(|directory| directory.join(name));
        found.into_iter().find(|program| program.exists()).map(Command::new)
    }

    /// The major version of the server.
    ///
    /// # Panics
    /// It cannot be read.
    pub fn major(&self) -> u32 {
        fs::read_to_string(self.data().join("PG_VERSION")).unwrap().trim().parse().unwrap()
    }

    /// Stops the server, and upgrades the cluster with `pg_upgrade`, to the version that `AUDIT_NEWER_POSTGRES`
    /// has the binaries of, else to the same. Returns `None` if that came without `pg_upgrade`, or
    /// the old one without the programs that it needs.
    ///
    /// # Panics
    /// It fails.
    pub fn upgraded(&mut self, config: Config) -> Option<Self> {
        let newer = std::env::var_os("AUDIT_NEWER_POSTGRES").map_or_else(binaries, PathBuf::from);
        let needed =
            [newer.join("pg_upgrade"), self.binaries.join("pg_resetwal"), self.binaries.join("pg_controldata")];
        if !needed.iter().all(|program| program.exists()) {
            return None;
        }
        // The keeper would cut the shutdown short, which pg_upgrade refuses.
        self.signal(rustix::process::Signal::INT);
        let pid_file = self.data().join("postmaster.pid");
        wait::until("the server has ended", || (!pid_file.exists()).then_some(()));
        self.wait();
        // From version 18 on, clusters have checksums by default, and both must agree.
        let is_checked = Command::new(newer.join("postgres")).arg("--version").output().unwrap();
        let is_18 = !["14", "15", "16", "17"]
            .iter()
            .any(|old| String::from_utf8_lossy(&is_checked.stdout).contains(&format!("(PostgreSQL) {old}")));
        let options: &[&str] = if is_18 && self.major() < 18 { &["--no-data-checksums"] } else { &[] };
        let to = Self::prepare_by(newer, options, config, |_| {});
        let mut upgrade = unprivileged(to.binaries.join("pg_upgrade"));
        upgrade
            .arg("-b")
            .arg(&self.binaries)
            .arg("-B")
            .arg(&to.binaries)
            .arg("-d")
            .arg(self.data())
            .arg("-D")
            .arg(to.data());
        upgrade.arg("-U").arg("postgres").arg("-s").arg(to.socket()).current_dir(to.socket());
        let (old, new) = (free_port().to_string(), free_port().to_string());
        let output = upgrade.args(["-p", &old, "-P", &new]).output().unwrap();
        let logs = || {
            let runs = fs::read_dir(to.data().join("pg_upgrade_output.d")).into_iter().flatten().flatten();
            let files = runs.flat_map(|run| fs::read_dir(run.path().join("log"))).flatten().flatten();
            let texts = files.filter_map(|file| fs::read_to_string(file.path()).ok());
            texts.filter(|text| text.contains("error:")).collect::<String>()
        };
        assert!(output.status.success(), "pg_upgrade: {}{}", String::from_utf8_lossy(&output.stdout), logs());
        Some(to.run())
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database, by TCP.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

/// A port of this machine that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The directory of `initdb` and `postgres`: on the `PATH`, else Debian's newest.
fn binaries() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|version| version.path().join("bin"));
    let mut debian: Vec<PathBuf> = debian.collect();
    debian.sort();
    std::env::split_paths(&path)
        .chain(debian.into_iter().rev())
        .find(|directory| directory.join("initdb").exists() && directory.join("postgres").exists())
        // Links on the PATH lead to where the server's other programs are.
        .and_then(|directory| Some(fs::canonicalize(directory.join("postgres")).ok()?.parent()?.to_owned()))
        .expect("initdb and postgres, on the PATH or under /usr/lib/postgresql: see scripts/test.sh --install")
}

/// The processes that a process has started and that run. Without /proc, none is known.
fn children(of: rustix::process::Pid) -> Vec<rustix::process::Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    pids.filter_map(rustix::process::Pid::from_raw).filter(|pid| parent(*pid) == Some(of)).collect()
}

/// The parent of a process, if the process runs.
fn parent(pid: rustix::process::Pid) -> Option<rustix::process::Pid> {
    let status = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // Behind the program's name: the state, and the parent.
    let mut words = status.rsplit(')').next()?.split_whitespace();
    let state = words.next()?;
    rustix::process::Pid::from_raw(words.next()?.parse().ok()?).filter(|_| state != "Z")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn unprivileged(program: impl Into<OsString>) -> Command {
    let mut command = Command::new(program.into());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Hands a file or directory to the server's user.
pub fn give_away(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let mode = if path.is_dir() { 0o755 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
