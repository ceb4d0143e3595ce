//! The file that rows are exported to before they go.

use super::error::{Failure, PruneError};
use super::going::Going;
use super::settings::Target;
use super::target::confirm;
use crate::evidence::row::{EventRow, without_nulls};
use crate::evidence::unbatched::COLUMNS;
use crate::postgres::copy::decode;
use crate::seal::Sealer;
use crate::sys::private_file;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnection;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

impl Target {
    /// Returns the archive's name for a month, as in `2026-08`.
    ///
    /// # Errors
    /// The pattern has another part.
    fn name(pattern: &str, month: &str) -> Result<PathBuf, PruneError> {
        let (year, month) = month.split_once('-').unwrap_or((month, ""));
        let (mut name, mut rest) = (String::new(), pattern.chars());
        while let Some(c) = rest.next() {
            match (c, (c == '%').then(|| rest.next()).flatten()) {
                ('%', Some('Y')) => name.push_str(year),
                ('%', Some('m')) => name.push_str(month),
                ('%', Some('%')) => name.push('%'),
                ('%', _) => return Err(PruneError::Pattern(pattern.to_owned())),
                (c, _) => name.push(c),
            }
        }
        Ok(name.into())
    }

    /// Refuses a pattern with an unknown part.
    pub(super) fn check(&self) -> Result<(), PruneError> {
        match self {
            Self::One(_) | Self::Kept(_) => Ok(()),
            Self::ByMonth(pattern) => Self::name(pattern, "").map(drop),
        }
    }

    /// Makes sure that the rows which go are kept, and returns what the events of each month state of it.
    pub(super) async fn keep(
        &self,
        connection: &mut PgConnection,
        going: &[Going],
        tell: &mut impl FnMut(&str),
    ) -> Result<Vec<Value>, Failure> {
        let told = |archive: &Archive| format!("{}: {} rows, read again", archive.path.display(), archive.rows);
        match self {
            Self::One(path) => {
                let archive = Archive::write(connection, path, going).await?;
                tell(&told(&archive));
                Ok(vec![archive.as_json(); going.len()])
            }
            Self::Kept(kept) => confirm(connection, going, kept.as_ref(), tell).await,
            Self::ByMonth(pattern) => {
                let mut archives = Vec::new();
                for month in going {
                    let date = month.month.begin.date();
                    let path = free(Self::name(pattern, date.get(..7).unwrap_or(&date))?);
                    let archive = Archive::write(connection, &path, std::slice::from_ref(month)).await?;
                    tell(&told(&archive));
                    archives.push(archive.as_json());
                }
                Ok(archives)
            }
        }
    }
}

/// Returns the name, or with a number if something of that name is there.
fn free(path: PathBuf) -> PathBuf {
    let is_taken = |path: &Path| path.symlink_metadata().is_ok();
    if !is_taken(&path) {
        return path;
    }
    let stem = path.file_stem().unwrap_or_default().to_os_string();
    let numbered = |number: u32| {
        let mut name = stem.clone();
        name.push(format!("-{number}"));
        if let Some(extension) = path.extension() {
            name.push(".");
            name.push(extension);
        }
        path.with_file_name(name)
    };
    (2..).map(numbered).find(|path| !is_taken(path)).unwrap_or(path)
}

/// Rows that are on disk, and were found there as they are in the database.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) path: PathBuf,
    pub(super) rows: u64,
    sha256: [u8; 32],
}

/// The count and the hashes of rows, in their order.
#[derive(Debug, Default, Clone)]
struct Rows {
    rows: u64,
    file: Sha256,
    entries: Sha256,
}

impl Rows {
    fn add(&mut self, line: &[u8], entry: [u8; 48]) {
        self.rows += 1;
        self.file.update(line);
        self.entries.update(entry);
    }
}

impl Archive {
    /// Exports these months' rows that go, and reads them again.
    async fn write(connection: &mut PgConnection, path: &Path, months: &[Going]) -> Result<Self, Failure> {
        let failed = |error: io::Error| PruneError::Archive { path: path.into(), error };
        // It gets its name once it is whole.
        let beside = private_file::beside(path, "part");
        if path.symlink_metadata().is_ok() {
            return Err(Failure::Own(failed(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "it is there already, and is never overwritten",
            ))));
        }
        let written = write(connection, &beside, months).await.and_then(|written| {
            let read = read(&beside).map_err(Failed::File)?;
            let sha256: [u8; 32] = written.file.finalize().into();
            if (read.rows, read.entries.finalize()) != (written.rows, written.entries.finalize())
                || read.file.finalize()[..] != sha256
            {
                return Err(Failed::File(io::Error::other("what was read again is not what was written")));
            }
            // Unlike a rename, this never replaces a file that another process made meanwhile.
            fs::hard_link(&beside, path).and_then(|()| sync_directory(path)).map_err(Failed::File)?;
            Ok(Self { path: path.into(), rows: written.rows, sha256 })
        });
        let _ = fs::remove_file(&beside);
        written.map_err(|error| match error {
            Failed::File(error) => failed(error).into(),
            Failed::Database(error) => error.into(),
        })
    }

    pub(super) fn as_json(&self) -> serde_json::Value {
        let name = self.path.file_name().map(|name| name.to_string_lossy());
        serde_json::json!({"file": name, "rows": self.rows, "sha256": hex::encode(self.sha256)})
    }
}

/// An error of the file or of the database.
enum Failed {
    File(io::Error),
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

async fn write(connection: &mut PgConnection, path: &Path, months: &[Going]) -> Result<Rows, Failed> {
    let mut file = BufWriter::new(private_file::create(path).map_err(Failed::File)?);
    let (mut written, mut sealer, mut line) = (Rows::default(), Sealer::default(), Vec::new());
    for month in months {
        let query = format!("SELECT {COLUMNS}, row_to_json(e)::text FROM {} ORDER BY e.created_at, e.id", month.rows());
        decode::rows(connection, &query, |row| {
            let mut fields = row.fields();
            let mut json = None;
            for _ in 0..=crate::seal::SEALED {
                json = fields.next()?;
            }
            line.clear();
            line.extend_from_slice(json.unwrap_or_default());
            line.push(b'\n');
            written.add(&line, sealer.stored(&without_nulls(row)?).entry.to_bytes());
            file.write_all(&line).map_err(Failed::File)
        })
        .await?;
    }
    file.into_inner().map_err(|error| Failed::File(error.into_error()))?.sync_all().map_err(Failed::File)?;
    Ok(written)
}

fn read(path: &Path) -> io::Result<Rows> {
    let (mut read, mut sealer, mut line) = (Rows::default(), Sealer::default(), Vec::new());
    let mut file = BufReader::new(File::open(path)?);
    while file.read_until(b'\n', &mut line)? > 0 {
        let row: EventRow = serde_json::from_slice(&line)?;
        let entry = row.entry(&mut sealer).map_err(|_| io::Error::other("one of its lines is not a row"))?;
        read.add(&line, entry.entry.to_bytes());
        line.clear();
    }
    Ok(read)
}

/// Makes a new name last.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_named_after_its_month_and_replaces_no_other() {
        for (pattern, expected) in
            [("/archive/%Y-%m.ndjson", "/archive/2026-08.ndjson"), ("%%%Y/%m%m", "%2026/0808"), ("old", "old")]
        {
            assert_eq!(Target::name(pattern, "2026-08").unwrap(), Path::new(expected));
        }
        for pattern in ["%d", "%", "a%Y%"] {
            let error = Target::ByMonth(pattern.into()).check().unwrap_err().to_string();
            assert!(error.contains(pattern) && error.contains("write Y or m"), "{error}");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        assert_eq!(free(path("8.ndjson")), path("8.ndjson"));
        fs::write(path("8.ndjson"), "").unwrap();
        fs::write(path("8-2.ndjson"), "").unwrap();
        assert_eq!(free(path("8.ndjson")), path("8-3.ndjson"));
    }
}
