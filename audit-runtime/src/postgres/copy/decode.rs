//! Rows as PostgreSQL sends them in binary COPY: the bytes that are hashed.
//!
//! The format is that of [`encode`](super::encode).

#[cfg(feature = "evidence")]
use futures_util::TryStreamExt;
#[cfg(feature = "evidence")]
use sqlx::postgres::PgConnection;
#[cfg(feature = "evidence")]
use uuid::Uuid;

#[cfg(feature = "evidence")]
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// A row, behind the number of its fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a>(pub(crate) &'a [u8]);

impl<'a> Row<'a> {
    /// Its fields, in the order that was asked for.
    pub(crate) fn fields(self) -> Fields<'a> {
        Fields(self.0)
    }
}

/// Reads the fields of a row, one after another.
#[derive(Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The next field, with `None` for NULL.
    pub(crate) fn next(&mut self) -> Result<Option<&'a [u8]>, sqlx::Error> {
        match field(self.0)? {
            Some((field, rest)) => {
                self.0 = rest;
                Ok(field)
            }
            None => Err(malformed()),
        }
    }
}

#[cfg(feature = "evidence")]
impl<'a> Fields<'a> {
    pub(crate) fn uuid(&mut self) -> Result<Uuid, sqlx::Error> {
        self.array().map(Uuid::from_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, sqlx::Error> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, sqlx::Error> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, sqlx::Error> {
        self.array().map(i16::from_be_bytes)
    }

    /// Returns the fields that were not read yet.
    pub(crate) fn rest(self) -> Row<'a> {
        Row(self.0)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], sqlx::Error> {
        self.next()?.and_then(|bytes| bytes.try_into().ok()).ok_or_else(malformed)
    }
}

/// A value and the remaining bytes, or `None` if the bytes end before it does.
type Split<'a, T> = Result<Option<(T, &'a [u8])>, sqlx::Error>;

/// Splits a field off.
fn field(bytes: &[u8]) -> Split<'_, Option<&[u8]>> {
    let Some((length, rest)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    match i32::from_be_bytes(*length) {
        -1 => Ok(Some((None, rest))),
        length => {
            let length = usize::try_from(length).map_err(|_| malformed())?;
            Ok(rest.split_at_checked(length).map(|(value, rest)| (Some(value), rest)))
        }
    }
}

fn malformed() -> sqlx::Error {
    sqlx::Error::Protocol("PostgreSQL sent a row that is not in the format of binary COPY".into())
}

#[cfg(feature = "evidence")]
/// Hands each row of a query to `each`, as it arrives.
///
/// # Errors
/// The query fails, or `each` does.
pub(crate) async fn rows<E: From<sqlx::Error>>(
    connection: &mut PgConnection,
    query: &str,
    mut each: impl FnMut(Row<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let statement = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
    let mut stream = connection.copy_out_raw(&statement).await?;
    let mut buffer: Vec<u8> = Vec::new();
    let mut in_header = true;
    while let Some(chunk) = stream.try_next().await? {
        // PostgreSQL sends a row a message, but the protocol does not promise it.
        let bytes = if buffer.is_empty() {
            &chunk[..]
        } else {
            buffer.extend_from_slice(&chunk);
            &buffer[..]
        };
        let mut rest = bytes;
        if in_header && let Some(after) = header(rest)? {
            in_header = false;
            rest = after;
        }
        if !in_header {
            while let Some((row, after)) = row(rest)? {
                each(Row(row))?;
                rest = after;
            }
        }
        let taken = bytes.len() - rest.len();
        if buffer.is_empty() {
            buffer.extend_from_slice(&chunk[taken..]);
        } else {
            buffer.drain(..taken);
        }
    }
    Ok(())
}

/// Returns the bytes behind the header, or `None` if the header is not complete yet.
#[cfg(feature = "evidence")]
fn header(bytes: &[u8]) -> Result<Option<&[u8]>, sqlx::Error> {
    let fixed = SIGNATURE.len() + 4;
    let Some((extension, _)) = bytes.get(fixed..).and_then(|rest| rest.split_first_chunk()) else {
        return Ok(None);
    };
    if !bytes.starts_with(SIGNATURE) {
        return Err(malformed());
    }
    let extension = usize::try_from(i32::from_be_bytes(*extension)).map_err(|_| malformed())?;
    Ok(bytes.get(fixed + 4 + extension..))
}

#[cfg(feature = "evidence")]
/// The next row and the bytes behind it. Returns `None` if the row is incomplete, or at the
/// trailer.
fn row(bytes: &[u8]) -> Split<'_, &[u8]> {
    let Some((count, fields)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    let count = i16::from_be_bytes(*count);
    let mut rest = fields;
    if count < 0 {
        return Ok(None);
    }
    for _ in 0..count {
        match field(rest)? {
            Some((_, after)) => rest = after,
            None => return Ok(None),
        }
    }
    Ok(Some((&fields[..fields.len() - rest.len()], rest)))
}
