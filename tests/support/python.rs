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
    if !Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("LEFT OUT: there is no python3 here, so nothing is known about the existing system's side");
        return None;
    }
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let environment = target.join("python");
    let python = environment.join("bin/python");
    let has_all = || {
        let output = Command::new(&python).args(["-c", "import asyncpg, cryptography"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !has_all() {
        let run = |command: &mut Command| {
            let output = command.output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command:?} (on Debian, install python3-venv): {errors}");
        };
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "asyncpg>=0.29,<1", "cryptography>=42"]));
        assert!(has_all(), "asyncpg and cryptography are installed, and cannot be imported");
    }
    Some(python)
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
