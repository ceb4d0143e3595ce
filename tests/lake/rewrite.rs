//! Attacks by somebody who can write the lake, and has no key: files and manifests, made anew.

use parquet::column::reader::ColumnReader;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, DataType};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::SerializedFileWriter;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Writes a file again, with another value of a column of texts in its first row.
pub fn change(path: &Path, column: &str, value: &str) {
    let bytes = bytes::Bytes::from(std::fs::read(path).unwrap());
    let reader = SerializedFileReader::new(bytes).unwrap();
    let meta = reader.metadata().file_metadata();
    let properties = WriterProperties::builder().set_key_value_metadata(meta.key_value_metadata().cloned()).build();
    let schema = meta.schema_descr().root_schema_ptr();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    let mut is_first = true;
    for group in 0..reader.num_row_groups() {
        let from = reader.get_row_group(group).unwrap();
        let rows = usize::try_from(from.metadata().num_rows()).unwrap();
        let mut to = writer.next_row_group().unwrap();
        for number in 0..from.num_columns() {
            let is_it = from.metadata().column(number).column_path().parts() == [column];
            let mut out = to.next_column().unwrap().unwrap();
            match (from.get_column_reader(number).unwrap(), out.untyped()) {
                (ColumnReader::ByteArrayColumnReader(mut reader), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                    let (mut values, definitions, repetitions) = read(&mut reader, rows);
                    if is_it && is_first {
                        values[0] = ByteArray::from(value);
                    }
                    writer.write_batch(&values, some(&definitions), some(&repetitions)).unwrap();
                }
                (ColumnReader::Int64ColumnReader(mut reader), ColumnWriter::Int64ColumnWriter(writer)) => {
                    let (values, definitions, repetitions) = read(&mut reader, rows);
                    writer.write_batch(&values, some(&definitions), some(&repetitions)).unwrap();
                }
                (ColumnReader::BoolColumnReader(mut reader), ColumnWriter::BoolColumnWriter(writer)) => {
                    let (values, definitions, repetitions) = read(&mut reader, rows);
                    writer.write_batch(&values, some(&definitions), some(&repetitions)).unwrap();
                }
                _ => panic!("a column of another type"),
            }
            out.close().unwrap();
        }
        to.close().unwrap();
        is_first = false;
    }
    std::fs::write(path, writer.into_inner().unwrap()).unwrap();
}

/// The levels of a column that has some.
fn some(levels: &[i16]) -> Option<&[i16]> {
    (!levels.is_empty()).then_some(levels)
}

fn read<T: DataType>(
    reader: &mut parquet::column::reader::ColumnReaderImpl<T>,
    rows: usize,
) -> (Vec<T::T>, Vec<i16>, Vec<i16>) {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    let mut left = rows;
    while left > 0 {
        let read = reader.read_records(left, Some(&mut definitions), Some(&mut repetitions), &mut values).unwrap();
        left -= read.0;
    }
    (values, definitions, repetitions)
}

/// The newest manifest.
pub fn manifest(lake: &Path) -> PathBuf {
    let mut manifests: Vec<_> =
        std::fs::read_dir(lake.join("manifest")).unwrap().map(|entry| entry.unwrap().path()).collect();
    manifests.sort();
    manifests.pop().unwrap()
}

/// The header of the newest manifest.
pub fn header(lake: &Path) -> Value {
    let text = std::fs::read_to_string(manifest(lake)).unwrap();
    let mut first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    first["manifest"].take()
}

/// The text that a key signs for a manifest.
pub fn statement(header: &Value, sha256: &str) -> String {
    let (log, lake) = (header["log"].as_str().unwrap(), header["lake"].as_str().unwrap());
    format!("audit-trail lake manifest 1\nlog {log}\nlake {lake}\nnumber {}\nsha256 {sha256}\n", header["number"])
}

/// Makes the manifest fit the files, with this note or none.
pub fn seal(lake: &Path, note: impl FnOnce(&str) -> Option<String>, change: impl Fn(&mut Value)) {
    let path = manifest(lake);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.pop();
    for line in &mut lines {
        if let Some(name) = line.pointer("/file/path").and_then(Value::as_str)
            && let Ok(bytes) = std::fs::read(lake.join(name))
        {
            line["file"]["bytes"] = bytes.len().into();
            line["file"]["sha256"] = hex::encode(Sha256::digest(&bytes)).into();
        }
        change(line);
    }
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let sha256 = hex::encode(Sha256::digest(&body));
    let seal = json!({"seal": {"sha256": sha256, "note": note(&sha256)}});
    std::fs::write(path, format!("{body}{seal}\n")).unwrap();
}
