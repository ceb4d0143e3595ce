//! A file of a lake, as it is read: some thousand rows at a time, of the columns that are needed.

use super::store::Store;
use super::table::{Kind, Table};
use bytes::{Buf, Bytes};
use parquet::bloom_filter::Sbbf;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, FileReader, Length};
use parquet::file::serialized_reader::SerializedFileReader;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

/// Rows that are read at once.
const AT_ONCE: usize = 4_096;
/// Bytes that are asked for where the end is not known.
const BLOCK: u64 = 64 << 10;

/// Reads a file that anybody may have written: a reader that panics has not read it.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    read.unwrap_or_else(|_| Err(ParquetError::General("its bytes are no Parquet".into())))
}

/// The bytes of a file: a copy on this machine, or the parts of one that are asked for.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Copy(Arc<File>, u64),
    Remote(Arc<Remote>),
}

/// A file of which parts are read. Every read blocks, and needs a thread that is not the runtime's.
#[derive(Debug)]
pub(super) struct Remote {
    store: Store,
    path: String,
    bytes: u64,
    handle: Handle,
    /// A part that was read ahead: where it begins.
    ahead: Mutex<(u64, Bytes)>,
}

impl Source {
    pub(super) fn copy(file: File, bytes: u64) -> Self {
        Self::Copy(Arc::new(file), bytes)
    }

    pub(super) fn remote(store: &Store, path: &str, bytes: u64, handle: Handle) -> Self {
        let (store, path) = (store.clone(), path.to_owned());
        Self::Remote(Arc::new(Remote { store, path, bytes, handle, ahead: Mutex::default() }))
    }

    /// Reads a part ahead, in one request.
    fn ahead(&self, begin: u64, end: u64) -> Result<()> {
        if let Self::Remote(remote) = self {
            let part = remote.read(begin, end)?;
            *remote.ahead.lock().unwrap_or_else(PoisonError::into_inner) = (begin, part);
        }
        Ok(())
    }
}

impl Remote {
    fn read(&self, begin: u64, end: u64) -> Result<Bytes> {
        let end = end.min(self.bytes);
        if begin >= end {
            return Err(ParquetError::EOF(format!("{}: there is nothing at {begin}", self.path)));
        }
        {
            let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
            let (at, part) = &*ahead;
            if *at <= begin && end <= at + part.len() as u64 {
                return Ok(part.slice((begin - at) as usize..(end - at) as usize));
            }
        }
        let read = self.handle.block_on(self.store.range(&self.path, begin..end));
        read.map_err(|error| ParquetError::External(Box::new(error)))
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        match self {
            Self::Copy(_, bytes) => *bytes,
            Self::Remote(remote) => remote.bytes,
        }
    }
}

impl ChunkReader for Source {
    type T = Box<dyn Read + Send>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(match self {
            Self::Copy(file, _) => Box::new(file.get_read(start)?),
            Self::Remote(remote) => Box::new(Blocks { remote: remote.clone(), at: start, block: Bytes::new() }),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        match self {
            Self::Copy(file, _) => file.get_bytes(start, length),
            Self::Remote(_) if length == 0 => Ok(Bytes::new()),
            Self::Remote(remote) => {
                let bytes = remote.read(start, start.saturating_add(length as u64))?;
                if bytes.len() == length { Ok(bytes) } else { Err(ParquetError::EOF("the file ends early".into())) }
            }
        }
    }
}

/// Reads block after block.
struct Blocks {
    remote: Arc<Remote>,
    at: u64,
    block: Bytes,
}

impl Read for Blocks {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.block.is_empty() && self.at < self.remote.bytes {
            self.block = self.remote.read(self.at, self.at + BLOCK).map_err(io::Error::other)?;
            self.at += self.block.len() as u64;
        }
        let length = to.len().min(self.block.len());
        to[..length].copy_from_slice(&self.block[..length]);
        self.block.advance(length);
        Ok(length)
    }
}

/// A file whose columns are those of a table.
pub(super) struct Reader {
    table: Table,
    source: Source,
    file: SerializedFileReader<Source>,
}

impl Reader {
    pub(super) fn new(table: Table, source: Source) -> Result<Self> {
        let file = SerializedFileReader::new(source.clone())?;
        // The library takes the numbers of a damaged file for true, and panics.
        if !file.metadata().row_groups().iter().all(is_possible) {
            return Err(ParquetError::General("its row groups are in no place of a file".into()));
        }
        let schema = file.metadata().file_metadata().schema_descr();
        let is_table = schema.num_columns() == table.len()
            && schema.columns().iter().zip(table).all(|(found, column)| {
                found.path().parts().first().map(String::as_str) == Some(column.name)
                    && found.physical_type() == column.physical()
                    && found.max_def_level() == i16::from(column.is_optional || column.kind == Kind::Texts)
                    && found.max_rep_level() == i16::from(column.kind == Kind::Texts)
            });
        if is_table {
            Ok(Self { table, source, file })
        } else {
            Err(ParquetError::General("its columns are not those of this table: it is of a newer program".into()))
        }
    }

    pub(super) fn metadata(&self) -> &ParquetMetaData {
        self.file.metadata()
    }

    /// Returns the id of the lake for which it was written.
    pub(super) fn lake(&self) -> Option<&str> {
        let said = self.metadata().file_metadata().key_value_metadata()?;
        said.iter().find(|pair| pair.key == "audit.lake")?.value.as_deref()
    }

    pub(super) fn rows_in_all(&self) -> u64 {
        let groups = self.metadata().row_groups().iter();
        groups.fold(0, |rows, group| rows.saturating_add(group.num_rows().unsigned_abs()))
    }

    pub(super) fn groups(&self) -> usize {
        self.file.num_row_groups()
    }

    pub(super) fn group(&self, group: usize) -> &RowGroupMetaData {
        self.metadata().row_group(group)
    }

    /// Returns whether a row group may have one of these texts in a column: its Bloom filter does not
    /// lie when it denies.
    pub(super) fn may_have(&self, group: usize, column: usize, texts: &[String]) -> Result<bool> {
        let filter = Sbbf::read_from_column_chunk(self.group(group).column(column), &self.source)?;
        Ok(filter.is_none_or(|filter| texts.iter().any(|text| filter.check(text.as_bytes()))))
    }

    /// Reads the rows of a row group: all columns, or these.
    pub(super) fn rows(&self, group: usize, columns: Option<&[usize]>) -> Result<Rows> {
        let meta = self.group(group);
        if columns.is_none() {
            let ranges = meta.columns().iter().map(|column| column.byte_range());
            let begin = ranges.clone().map(|(begin, _)| begin).min().unwrap_or(0);
            let end = ranges.map(|(begin, length)| begin.saturating_add(length)).max().unwrap_or(0);
            self.source.ahead(begin, end)?;
        }
        let left = usize::try_from(meta.num_rows()).unwrap_or(0);
        let reader = self.file.get_row_group(group)?;
        let open = |number: usize| {
            let is_needed = columns.is_none_or(|columns| columns.contains(&number));
            is_needed.then(|| reader.get_column_reader(number)).transpose()
        };
        let columns = (0..self.table.len()).map(open).collect::<Result<_>>()?;
        Ok(Rows { table: self.table, columns, left })
    }

    /// Hands all rows to `each`, some thousand at a time.
    pub(super) fn each<E: From<ParquetError>>(
        &self,
        mut each: impl FnMut(&Chunk) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        for group in 0..self.groups() {
            let mut rows = self.rows(group, None)?;
            while let Some(chunk) = rows.next()? {
                each(&chunk)?;
            }
        }
        Ok(())
    }
}

/// Returns whether the numbers of a row group are those of a file.
fn is_possible(group: &RowGroupMetaData) -> bool {
    group.num_rows() >= 0
        && group.columns().iter().all(|column| {
            let begin = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
            begin >= 0 && column.data_page_offset() >= 0 && column.compressed_size() >= 0
        })
}

/// The rows of a row group that are still to be read.
pub(super) struct Rows {
    table: Table,
    columns: Vec<Option<ColumnReader>>,
    left: usize,
}

/// The values of a column.
#[derive(Debug)]
enum Values {
    Bytes(Vec<Option<ByteArray>>),
    Ints(Vec<Option<i64>>),
    Bools(Vec<bool>),
    Texts(Vec<Vec<ByteArray>>),
    Unread,
}

/// Some rows.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) rows: usize,
    columns: Vec<Values>,
}

impl Rows {
    pub(super) fn next(&mut self) -> Result<Option<Chunk>> {
        let rows = self.left.min(AT_ONCE);
        if rows == 0 {
            return Ok(None);
        }
        self.left -= rows;
        let columns = self.table.iter().zip(&mut self.columns);
        let columns = columns
            .map(|(column, reader)| match reader {
                None => Ok(Values::Unread),
                Some(ColumnReader::ByteArrayColumnReader(reader)) if column.kind == Kind::Texts => texts(reader, rows),
                Some(ColumnReader::ByteArrayColumnReader(reader)) => values(reader, rows).map(Values::Bytes),
                Some(ColumnReader::Int64ColumnReader(reader)) => values(reader, rows).map(Values::Ints),
                Some(ColumnReader::BoolColumnReader(reader)) => {
                    let bools: Vec<Option<bool>> = values(reader, rows)?;
                    Ok(Values::Bools(bools.into_iter().map(Option::unwrap_or_default).collect()))
                }
                Some(_) => Err(ParquetError::General(format!("column {} has another type", column.name))),
            })
            .collect::<Result<_>>()?;
        Ok(Some(Chunk { rows, columns }))
    }
}

fn short() -> ParquetError {
    ParquetError::General("a column has fewer rows than its row group".into())
}

fn values<T: DataType>(reader: &mut ColumnReaderImpl<T>, rows: usize) -> Result<Vec<Option<T::T>>> {
    let (mut values, mut definitions) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let mut read = 0;
    while read < rows {
        match reader.read_records(rows - read, Some(&mut definitions), None, &mut values)?.0 {
            0 => return Err(short()),
            more => read += more,
        }
    }
    if definitions.is_empty() {
        return if values.len() == rows { Ok(values.into_iter().map(Some).collect()) } else { Err(short()) };
    }
    let mut values = values.into_iter();
    definitions
        .iter()
        .map(|level| if *level == 0 { Ok(None) } else { values.next().map(Some).ok_or_else(short) })
        .collect()
}

fn texts(reader: &mut ColumnReaderImpl<parquet::data_type::ByteArrayType>, rows: usize) -> Result<Values> {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    let mut read = 0;
    while read < rows {
        match reader.read_records(rows - read, Some(&mut definitions), Some(&mut repetitions), &mut values)?.0 {
            0 => return Err(short()),
            more => read += more,
        }
    }
    let (mut lists, mut values) = (Vec::<Vec<ByteArray>>::with_capacity(rows), values.into_iter());
    for (definition, repetition) in definitions.iter().zip(&repetitions) {
        if *repetition == 0 {
            lists.push(Vec::new());
        }
        if *definition > 0 {
            let value = values.next().ok_or_else(short)?;
            lists.last_mut().ok_or_else(short)?.push(value);
        }
    }
    if lists.len() == rows { Ok(Values::Texts(lists)) } else { Err(short()) }
}

impl Chunk {
    pub(super) fn bytes(&self, column: usize, row: usize) -> Option<&[u8]> {
        match &self.columns[column] {
            Values::Bytes(values) => values[row].as_ref().map(ByteArray::data),
            _ => None,
        }
    }

    pub(super) fn text(&self, column: usize, row: usize) -> Option<&str> {
        self.bytes(column, row).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    pub(super) fn int(&self, column: usize, row: usize) -> Option<i64> {
        match &self.columns[column] {
            Values::Ints(values) => values[row],
            _ => None,
        }
    }

    pub(super) fn is(&self, column: usize, row: usize) -> bool {
        matches!(&self.columns[column], Values::Bools(values) if values[row])
    }

    pub(super) fn texts(&self, column: usize, row: usize) -> impl Iterator<Item = &[u8]> {
        let texts: &[ByteArray] = match &self.columns[column] {
            Values::Texts(lists) => &lists[row],
            _ => &[],
        };
        texts.iter().map(ByteArray::data)
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::CHECKPOINTS;
    use super::super::write::{Value, Writer};
    use super::*;
    use std::io::{Seek, Write};

    fn copy(bytes: &[u8]) -> Source {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Source::copy(file, bytes.len() as u64)
    }

    #[test]
    fn no_flipped_bit_has_a_reader_panic() {
        let mut writer = Writer::new(CHECKPOINTS, "lake").unwrap();
        for id in 0..9 {
            writer
                .push(&[Value::Int(id), Value::Int(id), Value::text("note"), Value::Bytes(&[7; 64]), Value::Int(1)])
                .unwrap();
        }
        let mut written = writer.end().unwrap();
        let mut bytes = Vec::new();
        written.file.rewind().unwrap();
        written.file.read_to_end(&mut bytes).unwrap();
        let read = |bytes: &[u8]| {
            let reader = Reader::new(CHECKPOINTS, copy(bytes))?;
            let mut rows = 0;
            reader.each(|chunk| {
                rows += chunk.rows;
                Ok::<_, ParquetError>(())
            })?;
            Ok::<_, ParquetError>(rows)
        };
        assert_eq!(read(&bytes).unwrap(), 9);
        let mut refused = 0;
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            refused += u32::from(guarded(|| read(&flipped)).is_err());
        }
        assert!(refused > 1_000, "{refused}");
    }
}
