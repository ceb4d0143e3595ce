//! Columns as PostgreSQL sends them, whatever is in them.

use crate::capture::json::Json;
use crate::event::Timestamp;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

/// The version that stands before the text of a `jsonb` in PostgreSQL's binary format.
const JSONB_VERSION: u8 = 1;

impl Type<Postgres> for Json {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("jsonb")
    }

    fn compatible(ty: &PgTypeInfo) -> bool {
        [PgTypeInfo::with_name("jsonb"), PgTypeInfo::with_name("json")].contains(ty)
    }
}

impl<'r> Decode<'r, Postgres> for Json {
    /// Decodes any JSON. Text that the parser rejects becomes a string.
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let is_binary = value.format() == PgValueFormat::Binary;
        let bytes = value.as_bytes()?;
        let json = match bytes.split_first() {
            Some((&JSONB_VERSION, json)) if is_binary => json,
            _ => bytes,
        };
        Ok(Self::read(&String::from_utf8_lossy(json)))
    }
}

impl Type<Postgres> for Timestamp {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamptz")
    }
}

impl PgHasArrayType for Timestamp {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamptz[]")
    }
}

impl Encode<'_, Postgres> for Timestamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&self.postgres().to_be_bytes());
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Postgres> for Timestamp {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => Ok(Self::from_postgres(i64::from_be_bytes(value.as_bytes()?.try_into()?))),
            PgValueFormat::Text => Ok(value.as_str()?.parse()?),
        }
    }
}
