//! Writing packed journals.

use super::chunks::{Sink, body_bytes};
use super::error::{PackError, of};
use super::manifest::{Entry, Manifest, PackReport, PackedJournal};
use super::{ENCRYPTED, HASH, HEADER, MAGIC, VERSION};
use crate::journal::{Content, Directory, inspect};
use crate::privacy::{FileCipher, MasterKey, WRAPPED};
use crate::record::payload;
use std::io::{self, Read, Write};
use uuid::Uuid;

/// Returns why a journal must not be packed in clear, or `None` if it may be.
///
/// # Errors
/// The journal cannot be read.
pub(crate) fn must_not_be_clear(directory: &Directory) -> Result<Option<PackError>, PackError> {
    let (path, failed) = (directory.path(), of(directory.path()));
    if directory.is_newer().map_err(&failed)? {
        return Ok(Some(PackError::NewerJournal(path.to_owned())));
    }
    let (_, personal) = events(directory).map_err(&failed)?;
    Ok((personal > 0).then(|| PackError::Personal(path.to_owned())))
}

/// Returns whether a journal has, or has ever had, any event.
///
/// # Errors
/// The journal cannot be read.
pub(crate) fn was_used(directory: &Directory) -> io::Result<bool> {
    // A first segment that is gone was stored. Calls of that time may be open yet.
    Ok(directory.segments()?.first().is_none_or(|(base, _)| *base > 0) || events(directory)?.0 > 0)
}

/// Returns how many events a journal has, and how many of them contain personal data.
fn events(directory: &Directory) -> io::Result<(u64, u64)> {
    let (mut events, mut personal) = (0, 0);
    inspect::visit(directory.id(), directory.path(), |_, bytes| {
        events += 1;
        personal += u64::from(payload::is_personal(bytes));
    })?;
    Ok((events, personal))
}

/// Writes journals, which this process has locked, as one file. With a key, the file is encrypted.
///
/// # Errors
/// A journal cannot be read, or the file cannot be written. Without a key, a journal contains
/// personal data.
pub(crate) fn pack(
    journals: &[Directory],
    key: Option<&MasterKey>,
    out: &mut dyn Write,
) -> Result<PackReport, PackError> {
    let (mut packed, mut contents) = (Vec::new(), Vec::new());
    for directory in journals {
        if key.is_none()
            && let Some(error) = must_not_be_clear(directory)?
        {
            return Err(error);
        }
        let failed = of(directory.path());
        let (events, personal) = events(directory).map_err(&failed)?;
        let files = directory.contents().map_err(&failed)?;
        let entries = files.iter().map(|file| Entry { name: file.name.clone(), bytes: file.bytes }).collect();
        packed.push(PackedJournal { id: directory.id(), events, personal, files: entries });
        contents.extend(files.into_iter().map(|file| (directory, file)));
    }
    let manifest = Manifest { journals: packed };
    // Texts and numbers, which serialise.
    let list = serde_json::to_vec(&manifest).unwrap_or_default();
    let bytes = 4 + list.len() as u64 + contents.iter().map(|(_, file)| file.bytes).sum::<u64>();
    let (header, cipher) = header(bytes, key);
    let write_failed = of("the file of packed journals".as_ref());
    let mut sink = Sink::new(out, &header, cipher).map_err(&write_failed)?;
    sink.write_all(&(list.len() as u32).to_le_bytes()).map_err(&write_failed)?;
    sink.write_all(&list).map_err(&write_failed)?;
    for (directory, content) in contents {
        copy(directory, content, &mut sink)?;
    }
    sink.end().map_err(&write_failed)?;
    Ok(PackReport { journals: manifest.journals, is_encrypted: key.is_some() })
}

/// Copies a file of a journal.
fn copy(directory: &Directory, content: Content, sink: &mut Sink<'_>) -> Result<(), PackError> {
    let failed = of(&directory.path().join(&content.name));
    let (mut file, mut left, mut buffer) = (content.file, content.bytes, vec![0; 1 << 16]);
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = file.read(&mut buffer[..most]).map_err(&failed)?;
        if read == 0 {
            return Err(failed(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was packed")));
        }
        sink.write_all(&buffer[..read]).map_err(of("the file of packed journals".as_ref()))?;
        left -= read as u64;
    }
    Ok(())
}

/// Returns the header of a file with this many bytes of contents, and what encrypts them.
fn header(contents: u64, key: Option<&MasterKey>) -> (Vec<u8>, Option<FileCipher>) {
    let id = Uuid::now_v7();
    let (cipher, wrapped) = key.map(|key| FileCipher::new(key, id)).unzip();
    let flags = if wrapped.is_some() { ENCRYPTED } else { 0 };
    let key_bytes = if wrapped.is_some() { WRAPPED } else { 0 };
    let bytes = (HEADER + key_bytes) as u64 + body_bytes(contents, wrapped.is_some()) + HASH;
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&flags.to_le_bytes());
    header.extend_from_slice(&bytes.to_le_bytes());
    header.extend_from_slice(id.as_bytes());
    header.extend(wrapped.into_iter().flatten());
    (header, cipher)
}
