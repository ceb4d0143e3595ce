//! Reads kept batches, and changes none.

use super::format::{self, FRAME, HEADER, MOST};
use crate::journal::parent_directory::{Parent, open_file};
use crate::sys::platform;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// A kept batch, whose bytes are read when they are asked for.
#[derive(Debug, Clone)]
pub(crate) struct KeptBatch {
    /// When it was kept, in microseconds.
    pub(crate) time: i64,
    pub(crate) journal: Uuid,
    /// Where it begins in its journal.
    pub(crate) first: u64,
    path: Arc<Path>,
    offset: u64,
    bytes: usize,
    /// The checksum of its bytes. Copies of one batch differ in their times.
    crc: u32,
}

impl KeptBatch {
    /// Reads the batch, or returns `None` if its time is over and its file is gone.
    ///
    /// # Errors
    /// The file cannot be read, or was changed since.
    pub(crate) fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let file = match open_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = vec![0; self.bytes];
        platform::read_exact_at(&file, &mut bytes, self.offset)?;
        match format::decode(&bytes, self.crc) {
            Some((_, batch)) => Ok(Some(batch.to_vec())),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, "its bytes were damaged")),
        }
    }
}

/// The kept batches beside some journals.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// The batches, in the order of their files.
    pub(crate) batches: Vec<KeptBatch>,
    /// The parts that cannot be read, in words.
    pub(crate) damaged: Vec<String>,
}

/// Lists the batches that are kept beside the journals under `parent`.
///
/// # Errors
/// No batch was ever kept there, or the directory cannot be read.
pub(crate) fn list(parent: &Parent) -> io::Result<Listed> {
    let mut listed = Listed::default();
    for path in format::files(&format::directory(&parent.path))? {
        match list_file(parent, &path, &mut listed) {
            // Its time is over, and its process has removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => listed.damaged.push(format!("{}: {error}", path.display())),
            Ok(()) => {}
        }
    }
    Ok(listed)
}

fn list_file(parent: &Parent, path: &Path, listed: &mut Listed) -> io::Result<()> {
    let file = open_file(path)?;
    let metadata = file.metadata()?;
    parent.admit(path, &metadata)?;
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut header = [0; HEADER];
    if !fill(&mut file, &mut header)? {
        return Ok(());
    }
    if format::keep_for(&header).is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no file of kept batches of this version"));
    }
    let (path, mut offset, mut bytes): (Arc<Path>, _, _) = (Arc::from(path), HEADER as u64, Vec::new());
    loop {
        let mut frame = [0; FRAME];
        if !fill(&mut file, &mut frame)? {
            return Ok(());
        }
        offset += FRAME as u64;
        let Some((length, crc)) = format::frame(&frame).filter(|(length, _)| *length <= MOST) else {
            let text = format!("the entry at {offset} was damaged, and what is behind it cannot be read");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        };
        bytes.resize(length, 0);
        if !fill(&mut file, &mut bytes)? {
            return Ok(());
        }
        match format::decode(&bytes, crc) {
            Some((place, _)) => listed.batches.push(KeptBatch {
                time: place.time,
                journal: place.journal,
                first: place.first,
                path: path.clone(),
                offset,
                bytes: length,
                crc,
            }),
            None => listed.damaged.push(format!("{}: the entry at {offset} was damaged", path.display())),
        }
        offset += length as u64;
    }
}

/// Fills a buffer, or returns `false` if the file ends first, as it does where a process stopped
/// within an entry.
fn fill(file: &mut BufReader<File>, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}
