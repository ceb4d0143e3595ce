//! Python with `asyncpg` and `cryptography`: for the existing system's side of the table, and for
//! an independent verifier.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A Python that has them, in a virtual environment below the target directory. Returns `None`, and
/// prints a loud line, where Python is missing.
///
/// # Panics
/// There is Python, but they cannot be installed.
pub fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON.get_or_init(find).as_deref()
}

fn find() -> Option<PathBuf> {
    with("python", &["asyncpg>=0.29,<1", "cryptography>=42"], "import asyncpg, cryptography")
}

/// A Python with packages, in a virtual environment of this name below the target directory. Returns
/// `None`, and prints a loud line, where Python is missing.
///
/// # Panics
/// There is Python, but the packages cannot be installed, or what they offer cannot be imported.
pub fn with(name: &str, packages: &[&str], import: &str) -> Option<PathBuf> {
    if !Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("LEFT OUT: there is no python3 here, so nothing is known about other programs that read this");
        return None;
    }
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let environment = target.join(name);
    let python = environment.join("bin/python");
    let has_all = || Command::new(&python).args(["-c", import]).output().is_ok_and(|output| output.status.success());
    if !has_all() {
        let run = |command: &mut Command| {
            let output = command.output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command:?} (on Debian, install python3-venv): {errors}");
        };
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages));
        assert!(has_all(), "{packages:?} are installed, and {import:?} fails");
    }
    Some(python)
}

/// A Python that has `duckdb` as well, for lakes.
///
/// # Panics
/// There is Python, and `duckdb` cannot be installed.
pub fn with_duckdb() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let python = python()?;
        let has_it =
            || Command::new(python).args(["-c", "import duckdb"]).output().is_ok_and(|output| output.status.success());
        if !has_it() {
            let install = ["-m", "pip", "install", "--quiet", "duckdb>=1.1,<2"];
            let output = Command::new(python).args(install).output().unwrap();
            assert!(has_it(), "duckdb cannot be installed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Some(python.to_owned())
    };
    PYTHON.get_or_init(find).as_deref()
}

/// A program of these tests.
pub fn program(path: &str) -> Option<Command> {
    let mut command = Command::new(python()?);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    Some(command)
}

/// The existing system's program, with these arguments.
pub fn existing(url: &str, arguments: &[&str]) -> Option<Command> {
    let mut command = program("interop/existing.py")?;
    command.arg(url).args(arguments);
    Some(command)
}
