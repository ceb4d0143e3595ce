//! Frames: a header, a body, and a checksum.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The most bytes of a header.
const LONGEST_HEADER: u32 = 16 << 20;
/// The most bytes of a body. A batch has 4 MiB by default, and one event more.
const LONGEST_BODY: u32 = 64 << 20;

/// A message as it is sent.
#[derive(Debug)]
pub(crate) struct Frame<T> {
    pub(crate) header: T,
    pub(crate) body: Vec<u8>,
}

fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The lengths and the checksum that come before a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Announced {
    header: u32,
    body: u32,
    crc: u32,
}

/// Reads a frame, or returns `None` at the end of the stream.
///
/// # Errors
/// The stream ends or fails within the frame, or does not contain one.
pub(crate) async fn read<T: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin + ?Sized),
) -> io::Result<Option<Frame<T>>> {
    match announced(stream).await? {
        Some(announced) => Ok(Some(announced.read(stream).await?)),
        None => Ok(None),
    }
}

/// Waits for the announcement of a message, or returns `None` at the end of the stream.
///
/// # Errors
/// The stream ends or fails within it, or does not contain one.
pub(crate) async fn announced(stream: &mut (impl AsyncRead + Unpin + ?Sized)) -> io::Result<Option<Announced>> {
    let header = match stream.read_u32_le().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let (body, crc) = (stream.read_u32_le().await?, stream.read_u32_le().await?);
    if header > LONGEST_HEADER || body > LONGEST_BODY {
        return Err(invalid(format!(
            "a message of {header} and {body} bytes is longer than {LONGEST_HEADER} and {LONGEST_BODY}; the other side is no relay and no service of this trail"
        )));
    }
    Ok(Some(Announced { header, body, crc }))
}

impl Announced {
    /// Returns the bytes of the message.
    pub(crate) fn bytes(self) -> usize {
        self.header as usize + self.body as usize
    }

    /// Reads the message.
    ///
    /// # Errors
    /// The stream ends or fails within it, or the message was altered.
    pub(crate) async fn read<T: DeserializeOwned>(
        self,
        stream: &mut (impl AsyncRead + Unpin + ?Sized),
    ) -> io::Result<Frame<T>> {
        // It grows as the bytes come: a length alone allocates nothing.
        let mut bytes = Vec::new();
        stream.take(self.bytes() as u64).read_to_end(&mut bytes).await?;
        if bytes.len() != self.bytes() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if crc32c::crc32c(&bytes) != self.crc {
            return Err(invalid("a message was altered on the way: its checksum is another"));
        }
        let body = bytes.split_off(self.header as usize);
        let header = serde_json::from_slice(&bytes).map_err(invalid)?;
        Ok(Frame { header, body })
    }
}

/// Writes a frame, and flushes it.
///
/// # Errors
/// The stream fails, or the message is too long.
pub(crate) async fn write(
    stream: &mut (impl AsyncWrite + Unpin + ?Sized),
    header: &impl Serialize,
    body: &[u8],
) -> io::Result<()> {
    let header = serde_json::to_vec(header).map_err(invalid)?;
    let too_long = |_| invalid("the message is too long");
    let lengths = [u32::try_from(header.len()).map_err(too_long)?, u32::try_from(body.len()).map_err(too_long)?];
    if lengths[0] > LONGEST_HEADER || lengths[1] > LONGEST_BODY {
        return Err(invalid(format!("a message of {} and {} bytes is too long", lengths[0], lengths[1])));
    }
    let crc = crc32c::crc32c_append(crc32c::crc32c(&header), body);
    let mut start = Vec::with_capacity(12 + header.len());
    [lengths[0], lengths[1], crc].iter().for_each(|number| start.extend_from_slice(&number.to_le_bytes()));
    start.extend_from_slice(&header);
    stream.write_all(&start).await?;
    stream.write_all(body).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn frame() -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, &"header", b"body").await.unwrap();
        bytes
    }

    fn read_back(bytes: &[u8]) -> io::Result<Option<Frame<String>>> {
        pollster::block_on(read(&mut &*bytes))
    }

    #[test]
    fn a_frame_reads_back_and_a_torn_or_altered_one_is_refused() {
        let bytes = pollster::block_on(frame());
        let whole = read_back(&bytes).unwrap().unwrap();
        assert_eq!((whole.header.as_str(), &*whole.body), ("header", &b"body"[..]));
        assert!(read_back(&[]).unwrap().is_none());
        for length in 4..bytes.len() {
            assert!(read_back(&bytes[..length]).is_err(), "{length}");
        }
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert!(read_back(&altered).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_length_that_nobody_sends_is_refused_before_it_is_allocated() {
        for lengths in [[u32::MAX, 0], [1, u32::MAX]] {
            let bytes: Vec<u8> = [lengths[0], lengths[1], 0].iter().flat_map(|length| length.to_le_bytes()).collect();
            assert!(read_back(&bytes).unwrap_err().to_string().contains("longer than"));
        }
    }
}
