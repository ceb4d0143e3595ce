//! Python with `asyncpg`, for the existing system's side of the table.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A Python that has `asyncpg`, in a virtual environment below the target directory; `None`, and a loud line, where there is no
/// Python at all.
///
/// # Panics
/// There is Python, but `asyncpg` cannot be installed.
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
    let has_asyncpg =
        || Command::new(&python).args(["-c", "import asyncpg"]).output().is_ok_and(|output| output.status.success());
    if !has_asyncpg() {
        let run = |command: &mut Command| {
            let output = command.output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command:?} (on Debian, install python3-venv): {errors}");
        };
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "asyncpg>=0.29,<1"]));
        assert!(has_asyncpg(), "asyncpg is installed, and cannot be imported");
    }
    Some(python)
}

/// The existing system's program, with these arguments.
pub fn existing(url: &str, arguments: &[&str]) -> Option<Command> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/existing.py");
    let mut command = Command::new(python()?);
    command.arg(program).arg(url).args(arguments);
    Some(command)
}
