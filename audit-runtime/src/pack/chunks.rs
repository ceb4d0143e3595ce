//! The body of a file, in clear or encrypted chunk by chunk, and the hash at its end.

use super::HASH;
use crate::privacy::{CHUNK_TAG, FileCipher};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};

/// Bytes that are encrypted together.
pub(super) const CHUNK: usize = 1 << 20;

/// Returns the bytes of a body with this many bytes of contents.
pub(super) fn body_bytes(contents: u64, is_encrypted: bool) -> u64 {
    let chunks = if is_encrypted { contents.div_ceil(CHUNK as u64).max(1) } else { 0 };
    contents + chunks * CHUNK_TAG
}

/// Writes what comes, and at the end its hash.
pub(super) struct Sink<'a> {
    out: &'a mut dyn Write,
    hash: Sha256,
    cipher: Option<FileCipher>,
    chunk: Vec<u8>,
    number: u64,
}

impl<'a> Sink<'a> {
    /// Writes the header, in clear.
    pub(super) fn new(out: &'a mut dyn Write, header: &[u8], cipher: Option<FileCipher>) -> io::Result<Self> {
        let mut sink = Self { out, hash: Sha256::new(), cipher, chunk: Vec::with_capacity(CHUNK), number: 0 };
        sink.put(header)?;
        Ok(sink)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.out.write_all(bytes)
    }

    fn put_chunk(&mut self, is_last: bool) -> io::Result<()> {
        let chunk = std::mem::take(&mut self.chunk);
        match &self.cipher {
            Some(cipher) => {
                let encrypted = cipher.encrypt(self.number, is_last, &chunk);
                self.put(&encrypted)?;
            }
            None => self.put(&chunk)?,
        }
        self.number += 1;
        self.chunk = chunk;
        self.chunk.clear();
        Ok(())
    }

    /// Writes the last chunk and the hash.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.put_chunk(true)?;
        let hash = self.hash.finalize();
        self.out.write_all(&hash)?;
        self.out.flush()
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits for the next byte, because the last one is marked.
        if self.chunk.len() == CHUNK && !bytes.is_empty() {
            self.put_chunk(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads the contents of a body of so many bytes.
pub(super) struct Source<R> {
    body: io::Take<R>,
    cipher: Option<FileCipher>,
    chunk: Vec<u8>,
    at: usize,
    number: u64,
}

impl<R: Read> Source<R> {
    pub(super) fn new(file: R, body_bytes: u64, cipher: Option<FileCipher>) -> Self {
        Self { body: file.take(body_bytes), cipher, chunk: Vec::new(), at: 0, number: 0 }
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(cipher) = &self.cipher else {
            return self.body.read(buffer);
        };
        if self.at == self.chunk.len() && self.body.limit() > 0 {
            let mut encrypted = Vec::new();
            (&mut self.body).take(CHUNK as u64 + CHUNK_TAG).read_to_end(&mut encrypted)?;
            let chunk = cipher.decrypt(self.number, self.body.limit() == 0, &encrypted);
            self.chunk = chunk.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
            (self.at, self.number) = (0, self.number + 1);
        }
        let read = (self.chunk.len() - self.at).min(buffer.len());
        buffer[..read].copy_from_slice(&self.chunk[self.at..self.at + read]);
        self.at += read;
        Ok(read)
    }
}

/// Returns whether the hash at the end of so many bytes is theirs.
pub(super) fn is_whole(file: impl Read, bytes: u64) -> io::Result<bool> {
    let (mut file, mut hash, mut buffer) = (file.take(bytes), Sha256::new(), vec![0; CHUNK]);
    let mut left = bytes.saturating_sub(HASH);
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = file.read(&mut buffer[..most])?;
        if read == 0 {
            return Ok(false);
        }
        hash.update(&buffer[..read]);
        left -= read as u64;
    }
    let mut expected = Vec::new();
    file.read_to_end(&mut expected)?;
    Ok(hash.finalize()[..] == expected[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_length_that_its_contents_announce_and_reads_back() {
        for bytes in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7] {
            let contents: Vec<u8> = (0..bytes).map(|byte| byte as u8).collect();
            let mut file = Vec::new();
            let mut sink = Sink::new(&mut file, b"header", None).unwrap();
            contents.chunks(70_001).for_each(|part| sink.write_all(part).unwrap());
            sink.end().unwrap();
            let body = body_bytes(bytes as u64, false);
            assert_eq!(file.len() as u64, 6 + body + HASH, "{bytes}");
            assert!(is_whole(&file[..], file.len() as u64).unwrap());
            assert!(!is_whole(&file[..], file.len() as u64 - 1).unwrap());
            let mut read = Vec::new();
            Source::new(&file[6..], body, None).read_to_end(&mut read).unwrap();
            assert!(read == contents, "{bytes}");
        }
    }

    #[cfg(feature = "personal")]
    #[test]
    fn an_encrypted_body_reads_back_and_shows_nothing() {
        use crate::privacy::MasterKey;
        let (master, id) = (MasterKey::generate(), uuid::Uuid::now_v7());
        for bytes in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK] {
            let contents = vec![b'x'; bytes];
            let (cipher, wrapped) = FileCipher::new(&master, id);
            let mut file = Vec::new();
            let mut sink = Sink::new(&mut file, b"", Some(cipher)).unwrap();
            sink.write_all(&contents).unwrap();
            sink.end().unwrap();
            let body = body_bytes(bytes as u64, true);
            assert_eq!(file.len() as u64, body + HASH, "{bytes}");
            assert!(!file.windows(8).any(|part| part == b"xxxxxxxx"));
            let cipher = FileCipher::unwrap(&master, id, &wrapped);
            let mut read = Vec::new();
            Source::new(&file[..], body, cipher).read_to_end(&mut read).unwrap();
            assert!(read == contents, "{bytes}");
        }
    }
}
