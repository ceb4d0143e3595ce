//! The tables of a lake: their columns, in the order of each file.
//!
//! Ids are texts, for every engine compares those. A time outside of the years 1 to 9999 has no place
//! in the types of most engines: its column is NULL, and the column beside it has the text.

use parquet::basic::{Encoding, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::{ColumnPath, Type, TypePtr};
use std::sync::Arc;

/// Rows of a row group, at most.
pub(super) const GROUP_ROWS: usize = 1 << 16;

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Blob,
    /// Microseconds since 1970, UTC.
    Time,
    Int,
    Bool,
    /// A list of texts.
    Texts,
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) is_optional: bool,
    has_dictionary: bool,
    has_bloom: bool,
}

pub(super) type Table = &'static [Column];

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, is_optional: false, has_dictionary: false, has_bloom: false }
}

impl Column {
    const fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }

    /// Few values.
    const fn few(self) -> Self {
        Self { has_dictionary: true, ..self }
    }

    /// Looked for by single values.
    const fn sought(self) -> Self {
        Self { has_bloom: true, ..self }
    }

    pub(super) fn physical(&self) -> Physical {
        match self.kind {
            Kind::Text | Kind::Blob | Kind::Texts => Physical::BYTE_ARRAY,
            Kind::Time | Kind::Int => Physical::INT64,
            Kind::Bool => Physical::BOOLEAN,
        }
    }

    fn path(&self) -> ColumnPath {
        let parts: &[&str] = if self.kind == Kind::Texts { &[self.name, "list", "element"] } else { &[self.name] };
        ColumnPath::new(parts.iter().map(|part| (*part).to_owned()).collect())
    }

    fn schema(&self) -> Result<Type> {
        let repetition = if self.is_optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let text = Some(LogicalType::String);
        let logical = match self.kind {
            Kind::Text => text,
            Kind::Blob | Kind::Int | Kind::Bool => None,
            Kind::Time => Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
            Kind::Texts => {
                let element = Type::primitive_type_builder("element", Physical::BYTE_ARRAY)
                    .with_repetition(Repetition::REQUIRED)
                    .with_logical_type(text)
                    .build()?;
                let list = Type::group_type_builder("list")
                    .with_repetition(Repetition::REPEATED)
                    .with_fields(vec![Arc::new(element)])
                    .build()?;
                return Type::group_type_builder(self.name)
                    .with_repetition(Repetition::REQUIRED)
                    .with_logical_type(Some(LogicalType::List))
                    .with_fields(vec![Arc::new(list)])
                    .build();
            }
        };
        Type::primitive_type_builder(self.name, self.physical())
            .with_repetition(repetition)
            .with_logical_type(logical)
            .build()
    }

    fn properties(&self, builder: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
        let builder = builder
            .set_column_dictionary_enabled(self.path(), self.has_dictionary)
            .set_column_bloom_filter_enabled(self.path(), self.has_bloom);
        let builder = if self.has_bloom {
            let most = if self.kind == Kind::Texts { 2 * GROUP_ROWS } else { GROUP_ROWS };
            builder
                .set_column_bloom_filter_fpp(self.path(), 0.01)
                .set_column_bloom_filter_max_ndv(self.path(), most as u64)
        } else {
            builder
        };
        match self.kind {
            Kind::Time | Kind::Int if !self.has_dictionary => {
                builder.set_column_encoding(self.path(), Encoding::DELTA_BINARY_PACKED)
            }
            _ => builder,
        }
    }
}

/// Returns the schema of a table.
pub(super) fn schema(table: Table) -> Result<TypePtr> {
    let fields = table.iter().map(|column| column.schema().map(Arc::new)).collect::<Result<Vec<_>>>()?;
    Type::group_type_builder("audit").with_fields(fields).build().map(Arc::new)
}

/// Returns how the files of a table are written. The lake's id tells a file of another one.
pub(super) fn properties(table: Table, lake: &str) -> Result<WriterProperties> {
    let zstd = parquet::basic::Compression::ZSTD(parquet::basic::ZstdLevel::try_new(3)?);
    let said = vec![KeyValue::new("audit.lake".to_owned(), lake.to_owned())];
    let builder = WriterProperties::builder()
        .set_compression(zstd)
        .set_created_by("audit-trail lake 1".to_owned())
        .set_key_value_metadata(Some(said));
    Ok(table.iter().fold(builder, |builder, column| column.properties(builder)).build())
}

/// The events: columns of `audit_events`, and their places in their batches.
pub(super) const EVENTS: Table = &[
    column("id", Kind::Text).sought(),
    column("event_type", Kind::Text).few(),
    column("entity_type", Kind::Text).few(),
    column("entity_id", Kind::Text).optional().sought(),
    column("entity_key", Kind::Text).optional().sought(),
    column("entity_ids", Kind::Texts).sought(),
    column("actor", Kind::Text).few(),
    column("data", Kind::Text),
    column("created_at", Kind::Time).optional(),
    column("created_at_text", Kind::Text).optional(),
    column("outcome", Kind::Text).few(),
    column("duration_us", Kind::Int).optional(),
    column("correlation_id", Kind::Text).optional().sought(),
    column("causation_id", Kind::Text).optional(),
    column("context", Kind::Text).optional().few(),
    column("origin", Kind::Text).optional().few(),
    column("targets", Kind::Text).optional(),
    column("tenant", Kind::Text).optional().few(),
    column("batch_id", Kind::Text).few(),
    column("is_late", Kind::Bool),
    column("batch_number", Kind::Int),
    column("leaf_number", Kind::Int),
    column("leaf", Kind::Blob),
];

/// The rows of `audit_batches` as they are hashed, with their places in the tree and their leaves there.
pub(super) const BATCHES: Table = &[
    column("number", Kind::Int),
    column("id", Kind::Text),
    column("journal_id", Kind::Text).few(),
    column("first_position", Kind::Int),
    column("end_position", Kind::Int),
    column("rows", Kind::Int),
    column("origin", Kind::Text).few(),
    column("created_at", Kind::Time).optional(),
    column("created_at_text", Kind::Text).optional(),
    column("first_event_at", Kind::Time).optional(),
    column("first_event_at_text", Kind::Text).optional(),
    column("last_event_at", Kind::Time).optional(),
    column("last_event_at_text", Kind::Text).optional(),
    column("previous_position", Kind::Int).optional(),
    column("previous_root", Kind::Blob).optional(),
    column("open_positions", Kind::Blob).optional(),
    column("root", Kind::Blob),
    column("leaf_form", Kind::Int),
    column("leaf", Kind::Blob),
];

/// The leaves of rows that were gone when the lake got their batch, and why.
pub(super) const LEAVES: Table = &[
    column("batch_number", Kind::Int),
    column("batch_id", Kind::Text).few(),
    column("leaf_number", Kind::Int),
    column("id", Kind::Text).sought(),
    column("leaf", Kind::Blob),
    column("reason", Kind::Text).few(),
    column("pruned_by", Kind::Text).optional().few(),
    column("payload", Kind::Blob).optional(),
];

/// The rows of `audit_checkpoints`.
pub(super) const CHECKPOINTS: Table = &[
    column("id", Kind::Int),
    column("tree_size", Kind::Int),
    column("note", Kind::Text),
    column("frontier", Kind::Blob),
    column("created_at", Kind::Time).optional(),
];

/// The rows of `audit_timestamps`.
pub(super) const TIMESTAMPS: Table = &[
    column("checkpoint_id", Kind::Int),
    column("authority", Kind::Text).few(),
    column("token", Kind::Blob),
    column("created_at", Kind::Time).optional(),
];

/// The rows of `audit_pruned`.
pub(super) const PRUNED: Table = &[
    column("event_id", Kind::Text).few(),
    column("batch_id", Kind::Text),
    column("rows", Kind::Int),
    column("ids", Kind::Blob).optional(),
];

/// The rows of `audit_catalogue`.
pub(super) const CATALOGUE: Table = &[
    column("service", Kind::Text).few(),
    column("version", Kind::Text).few(),
    column("digest", Kind::Blob),
    column("functions", Kind::Text),
    column("origin", Kind::Text),
    column("first_seen_at", Kind::Time).optional(),
];
