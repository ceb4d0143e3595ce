//! A file of a lake, as it is written: row group by row group, to a temporary file.

use super::table::{GROUP_ROWS, Kind, Table, properties, schema};
use bytes::Bytes;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::errors::Result;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

/// Bytes of a row group before they are encoded.
const GROUP_BYTES: usize = 64 << 20;

/// A value of a row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Null,
    Bytes(&'a [u8]),
    Int(i64),
    Bool(bool),
    Texts(&'a [String]),
}

impl<'a> Value<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        Self::Bytes(text.as_bytes())
    }

    pub(super) fn optional(bytes: Option<&'a [u8]>) -> Self {
        bytes.map_or(Self::Null, Self::Bytes)
    }

    pub(super) fn maybe_text(text: Option<&'a str>) -> Self {
        Self::optional(text.map(str::as_bytes))
    }

    pub(super) fn maybe_int(int: Option<i64>) -> Self {
        int.map_or(Self::Null, Self::Int)
    }
}

/// The values of a column that wait for their row group.
#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    ints: Vec<i64>,
    bools: Vec<bool>,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

impl Waiting {
    fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
    }

    fn push(&mut self, value: Value<'_>) {
        match value {
            Value::Null => {
                self.definitions.push(0);
                return;
            }
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::Int(int) => self.ints.push(int),
            Value::Bool(value) => self.bools.push(value),
            Value::Texts(texts) => {
                for (number, text) in texts.iter().enumerate() {
                    self.bytes(text.as_bytes());
                    self.definitions.push(1);
                    self.repetitions.push(i16::from(number > 0));
                }
                if texts.is_empty() {
                    self.definitions.push(0);
                    self.repetitions.push(0);
                }
                return;
            }
        }
        self.definitions.push(1);
    }

    fn size(&self) -> usize {
        self.bytes.len() + 8 * self.ints.len()
    }

    /// Writes the values, and forgets them.
    fn write(&mut self, kind: Kind, is_optional: bool, mut column: SerializedColumnWriter<'_>) -> Result<()> {
        let waiting = std::mem::take(self);
        let definitions = (is_optional || kind == Kind::Texts).then_some(&*waiting.definitions);
        let repetitions = (kind == Kind::Texts).then_some(&*waiting.repetitions);
        match kind {
            Kind::Text | Kind::Blob | Kind::Texts => {
                let bytes = Bytes::from(waiting.bytes);
                let mut begin = 0;
                let values: Vec<ByteArray> = waiting
                    .ends
                    .iter()
                    .map(|end| ByteArray::from(bytes.slice(std::mem::replace(&mut begin, *end)..*end)))
                    .collect();
                column.typed::<ByteArrayType>().write_batch(&values, definitions, repetitions)?;
            }
            Kind::Int | Kind::Time => {
                column.typed::<Int64Type>().write_batch(&waiting.ints, definitions, None)?;
            }
            Kind::Bool => {
                column.typed::<BoolType>().write_batch(&waiting.bools, definitions, None)?;
            }
        }
        column.close()
    }
}

/// A temporary file whose hash is known when it is written.
#[derive(Debug)]
struct Hashed {
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes the rows of a table to a file.
pub(super) struct Writer {
    table: Table,
    file: SerializedFileWriter<Hashed>,
    waiting: Vec<Waiting>,
    in_group: usize,
    rows: u64,
}

/// A file that is whole, and still has no name.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) file: File,
    pub(super) sha256: String,
    pub(super) bytes: u64,
    pub(super) rows: u64,
}

impl Writer {
    pub(super) fn new(table: Table, lake: &str) -> Result<Self> {
        let hashed = Hashed { file: tempfile::tempfile()?, hash: Sha256::new(), bytes: 0 };
        let file = SerializedFileWriter::new(hashed, schema(table)?, Arc::new(properties(table, lake)?))?;
        let waiting = table.iter().map(|_| Waiting::default()).collect();
        Ok(Self { table, file, waiting, in_group: 0, rows: 0 })
    }

    /// Adds a row, which has a value for each column.
    pub(super) fn push(&mut self, row: &[Value<'_>]) -> Result<()> {
        debug_assert_eq!(row.len(), self.table.len(), "a value for each column");
        self.waiting.iter_mut().zip(row).for_each(|(column, value)| column.push(*value));
        self.rows += 1;
        self.in_group += 1;
        let is_full =
            self.in_group >= GROUP_ROWS || self.waiting.iter().map(Waiting::size).sum::<usize>() >= GROUP_BYTES;
        if is_full { self.flush() } else { Ok(()) }
    }

    /// Returns about how large the file is by now.
    pub(super) fn bytes(&self) -> u64 {
        self.file.inner().bytes
    }

    fn flush(&mut self) -> Result<()> {
        if std::mem::take(&mut self.in_group) == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for (column, waiting) in self.table.iter().zip(&mut self.waiting) {
            if let Some(writer) = group.next_column()? {
                waiting.write(column.kind, column.is_optional, writer)?;
            }
        }
        group.close().map(drop)
    }

    /// Ends the file.
    pub(super) fn end(mut self) -> Result<Written> {
        self.flush()?;
        let rows = self.rows;
        let Hashed { file, hash, bytes } = self.file.into_inner()?;
        Ok(Written { file, sha256: hex::encode(hash.finalize()), bytes, rows })
    }
}
