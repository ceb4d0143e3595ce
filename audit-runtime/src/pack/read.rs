//! Reading packed journals: a file is checked as a whole before anything of it is unpacked.

use super::chunks::{Source, is_whole};
use super::error::{PackError, of};
use super::manifest::{Manifest, PackReport, PackedJournal};
use super::{ENCRYPTED, HASH, HEADER, MAGIC, VERSION};
use crate::journal::{is_name, make_lock};
use crate::privacy::{FileCipher, MasterKey, WRAPPED};
use crate::sys::{platform, private_file};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use uuid::Uuid;

/// The most bytes of a manifest: those of some hundred thousand files.
const MOST_MANIFEST: u32 = 64 << 20;

/// The statements of a file's first bytes.
struct Header {
    bytes: u64,
    id: Uuid,
    wrapped: Option<Vec<u8>>,
}

/// Unpacks the journals of a file into a new directory, where they wait to be adopted.
///
/// # Errors
/// The file is no packed journals, or not whole, or encrypted by another key, or the directory
/// cannot be made.
pub(crate) fn unpack(path: &Path, into: &Path, key: Option<&MasterKey>) -> Result<PackReport, PackError> {
    let failed = of(path);
    let mut file = File::open(path).map_err(&failed)?;
    let header = header(&mut file, path)?;
    let found = file.metadata().map_err(&failed)?.len();
    if found != header.bytes {
        return Err(PackError::Length { path: path.to_owned(), found, expected: header.bytes });
    }
    file.rewind().map_err(&failed)?;
    if !is_whole(&mut file, found).map_err(&failed)? {
        return Err(PackError::Damaged(path.to_owned()));
    }
    let cipher = match (&header.wrapped, key) {
        (None, _) => None,
        (Some(_), None) => return Err(PackError::Encrypted(path.to_owned())),
        (Some(wrapped), Some(key)) => {
            let cipher = FileCipher::unwrap(key, header.id, wrapped);
            Some(cipher.ok_or_else(|| PackError::OtherKey(path.to_owned()))?)
        }
    };
    let begin = HEADER as u64 + header.wrapped.as_ref().map_or(0, |wrapped| wrapped.len() as u64);
    let body = found.checked_sub(begin + HASH).ok_or_else(|| PackError::Damaged(path.to_owned()))?;
    file.seek(SeekFrom::Start(begin)).map_err(&failed)?;
    let mut source = Source::new(BufReader::new(file), body, cipher);
    let manifest = manifest(&mut source, path)?;
    platform::private_directory().create(into).map_err(of(into))?;
    let unpacked = manifest.journals.iter().try_for_each(|journal| unpack_journal(journal, &mut source, path, into));
    if let Err(error) = unpacked {
        let _ = std::fs::remove_dir_all(into);
        return Err(error);
    }
    Ok(PackReport { journals: manifest.journals, is_encrypted: header.wrapped.is_some() })
}

fn header(file: &mut File, path: &Path) -> Result<Header, PackError> {
    let foreign = || PackError::Foreign(path.to_owned());
    let mut bytes = Vec::new();
    file.take((HEADER + WRAPPED) as u64).read_to_end(&mut bytes).map_err(of(path))?;
    let found = bytes.len() as u64;
    let (magic, rest) = bytes.split_first_chunk::<8>().ok_or_else(foreign)?;
    if *magic != MAGIC {
        return Err(foreign());
    }
    let cut = || PackError::Length { path: path.to_owned(), found, expected: (HEADER as u64) + HASH };
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
    let version = u16::from_le_bytes(*version);
    if version != VERSION {
        return Err(PackError::Newer { path: path.to_owned(), version });
    }
    let (flags, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
    let (bytes, rest) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
    let (id, rest) = rest.split_first_chunk::<16>().ok_or_else(cut)?;
    let wrapped = match u16::from_le_bytes(*flags) {
        0 => None,
        ENCRYPTED => Some(rest.get(..WRAPPED).ok_or_else(cut)?.to_vec()),
        _ => return Err(PackError::Damaged(path.to_owned())),
    };
    Ok(Header { bytes: u64::from_le_bytes(*bytes), id: Uuid::from_bytes(*id), wrapped })
}

/// An error of the contents: what cannot be decrypted is damaged.
fn of_contents(path: &Path) -> impl Fn(io::Error) -> PackError {
    move |error| match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => PackError::Damaged(path.to_owned()),
        _ => of(path)(error),
    }
}

fn manifest(source: &mut impl Read, path: &Path) -> Result<Manifest, PackError> {
    let (failed, damaged) = (of_contents(path), || PackError::Damaged(path.to_owned()));
    let mut length = [0; 4];
    source.read_exact(&mut length).map_err(&failed)?;
    let length = u32::from_le_bytes(length);
    if length > MOST_MANIFEST {
        return Err(damaged());
    }
    let mut bytes = vec![0; length as usize];
    source.read_exact(&mut bytes).map_err(&failed)?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
    let names = manifest.journals.iter().flat_map(|journal| &journal.files).map(|file| &file.name);
    // A file's name is a path into the new directory.
    if names.into_iter().all(|name| is_name(name)) { Ok(manifest) } else { Err(damaged()) }
}

fn unpack_journal(journal: &PackedJournal, source: &mut impl Read, path: &Path, into: &Path) -> Result<(), PackError> {
    let directory = into.join(journal.id.to_string());
    platform::private_directory().create(&directory).map_err(of(&directory))?;
    for entry in &journal.files {
        let target = directory.join(&entry.name);
        let mut file = private_file::create(&target).map_err(of(&target))?;
        let copied = io::copy(&mut source.take(entry.bytes), &mut file).map_err(of_contents(path))?;
        if copied != entry.bytes {
            return Err(PackError::Damaged(path.to_owned()));
        }
    }
    make_lock(&directory).map_err(of(&directory))
}
