//! Where a file of packed journals goes: to a path, or to a command's standard input.

use super::error::{PackError, of};
use super::manifest::PackReport;
use crate::sys::{platform, private_file};
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often a command is asked whether it has ended.
const LOOK: Duration = Duration::from_millis(10);
/// The variable that suggests a name to the command.
const NAME: &str = "AUDIT_PACK_NAME";

/// The place for a file.
#[derive(Debug, Clone)]
pub(crate) enum Destination {
    /// A path, which must not exist, or a directory, in which the file is made.
    Path(PathBuf),
    /// A shell command, which reads the file.
    Command(String),
}

impl Destination {
    /// Has the file written, and returns once it is there to stay: on the disk, or in the hands of
    /// a command that has ended well.
    ///
    /// # Errors
    /// The file cannot be written, or exists, or the command fails or takes too long. Nothing is
    /// left of the file then, unless the command keeps a part of it.
    pub(crate) fn store(
        &self,
        name: &str,
        deadline: Option<Instant>,
        write: impl FnOnce(&mut dyn Write) -> Result<PackReport, PackError> + Send,
    ) -> Result<(PackReport, String), PackError> {
        match self {
            Self::Path(path) => {
                let path = if path.is_dir() { path.join(name) } else { path.clone() };
                let report = to_file(&path, write)?;
                Ok((report, path.display().to_string()))
            }
            Self::Command(command) => Ok((to_command(command, name, deadline, write)?, format!("{command:?}"))),
        }
    }
}

fn to_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<PackReport, PackError>,
) -> Result<PackReport, PackError> {
    let failed = of(path);
    // It follows no link and replaces no file. Its hash shows whether it is whole, so it needs no
    // other name until then.
    let file = private_file::create(path).map_err(&failed)?;
    let written = (|| {
        let mut file = BufWriter::new(file);
        let report = write(&mut file)?;
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(&failed)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        platform::sync_directory(parent).map_err(of(parent))?;
        Ok(report)
    })();
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

fn to_command(
    command: &str,
    name: &str,
    deadline: Option<Instant>,
    write: impl FnOnce(&mut dyn Write) -> Result<PackReport, PackError> + Send,
) -> Result<PackReport, PackError> {
    let failed = |why: String| PackError::Command { command: command.to_owned(), why };
    let started = Command::new("sh")
        .arg("-c")
        .arg(command)
        .env(NAME, name)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn();
    let mut child = started.map_err(|error| failed(error.to_string()))?;
    let Some(mut input) = child.stdin.take() else { return Err(failed("it has no standard input".into())) };
    let (written, ended) = thread::scope(|scope| {
        let writing = scope.spawn(move || write(&mut input));
        let ended = ended(&mut child, deadline);
        (writing.join(), ended)
    });
    let ended = ended.map_err(|error| failed(error.to_string()))?;
    let status = ended.ok_or_else(|| failed("it took too long, and was killed".into()))?;
    let written = written.map_err(|_| failed("the file could not be made".into()))?;
    match written {
        // Even one that ended well: it has not read all.
        Ok(report) if status.success() => Ok(report),
        Ok(_) => Err(failed(status.to_string())),
        Err(error) if status.success() => Err(failed(format!("it ended before it had read all of them ({error})"))),
        Err(error) => Err(failed(format!("{status} ({error})"))),
    }
}

/// Waits until the command has ended, or kills it at the deadline.
fn ended(child: &mut Child, deadline: Option<Instant>) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}
