//! Entry points of the fuzzer (`fuzz/`): decoders of bytes that may be damaged, and the encoder of
//! bytes that PostgreSQL reads. Compiled for it alone (`--cfg fuzzing`), and for a test that runs
//! its corpora.

use crate::event::EntityRef;
use crate::journal::checksum::{PayloadChecksum, RecordChecksum};
use crate::journal::format::{HEADER, record_bytes};
use crate::journal::scan;
use crate::postgres::copy::{self, Columns, CopyRows};
use crate::record::payload::{self, FurtherRef};
use crate::record::{EventRef, Further};
use uuid::Uuid;

/// Scans bytes as a segment.
///
/// # Panics
/// The scan finds a record that is not intact.
pub fn recovery(bytes: &[u8]) {
    let base = 1 << 20;
    // As in a journal, an input cannot know its id in advance.
    let journal = Uuid::new_v5(&Uuid::NAMESPACE_OID, bytes);
    let checksum = RecordChecksum::new(journal);
    let mut end = 0;
    for record in scan(bytes, journal, base) {
        assert!(record.start >= end && record.end > record.start, "records come in order");
        assert!(record.end <= base + bytes.len() as u64 + 8, "and lie in the segment");
        assert!(record.is_intact(checksum));
        end = record.end;
    }
    damaged(bytes, journal, base);
}

/// Builds a segment of the records that the bytes describe, damages it as they direct, and looks
/// for the remaining records.
fn damaged(bytes: &[u8], journal: Uuid, base: u64) {
    let (damage, source) = bytes.split_at(bytes.len() / 4);
    let mut segment = vec![0; HEADER];
    let mut built: Vec<(usize, usize, &[u8])> = Vec::new();
    let mut rest = source;
    while let Some((length, after)) = rest.split_first() {
        let payload = &after[..after.len().min(usize::from(*length).max(1))];
        if payload.is_empty() {
            break;
        }
        rest = &after[payload.len()..];
        let begin = segment.len();
        segment.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        let crc =
            RecordChecksum::new(journal).of(PayloadChecksum::of(payload), base + begin as u64, payload.len() as u32);
        segment.extend_from_slice(&crc.to_le_bytes());
        segment.extend_from_slice(payload);
        segment.resize(begin + record_bytes(payload.len()), 0);
        built.push((begin, segment.len(), payload));
    }
    let mut hit = Vec::new();
    for change in damage.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % segment.len();
        segment[at] ^= change[2];
        hit.push(at);
    }
    let found: Vec<_> = scan(&segment, journal, base).collect();
    for record in &found {
        let begin = (record.start - base) as usize;
        let original = built.iter().find(|(at, _, _)| *at == begin).expect("no record where none was");
        assert_eq!(record.payload(), original.2, "no wrong record");
    }
    for (begin, end, _) in &built {
        let intact = !hit.iter().any(|at| (*begin..*end).contains(at));
        let seen = found.iter().any(|record| record.start == base + *begin as u64);
        assert!(seen || !intact, "an intact record is shipped");
    }
}

/// Decodes bytes as an event.
///
/// # Panics
/// An event does not encode to the bytes it was decoded from, apart from bytes without a meaning.
pub fn payload(bytes: &[u8]) {
    if let Ok(event) = EventRef::decode(bytes, &mut Vec::new()) {
        let mut encoded = Vec::new();
        payload::encode(&mut encoded, &event);
        assert_eq!(EventRef::decode(&encoded, &mut Vec::new()), Ok(event));
    }
}

/// Encodes an event and reads it back as the documentation of COPY describes.
///
/// The parts of the event are taken from the bytes.
///
/// # Panics
/// The event that is read differs from the one that was written.
pub fn copy(bytes: &[u8]) {
    let mut parts = Parts(bytes);
    let (Some(event), further) = (parts.event(), parts.further()) else {
        return;
    };
    let event = EventRef { further: further.borrowed(None), ..event };
    let columns = if event.further.is_empty() { Columns::First } else { Columns::All };
    let batch = Uuid::from_u128(9);
    let mut rows = CopyRows::new(columns);
    rows.row(&event, batch);
    let written = [copy::HEADER, rows.bytes(0..1), copy::TRAILER].concat();
    let mut reader = Reader(&written);
    assert_eq!(reader.take(11), b"PGCOPY\n\xff\r\n\0");
    assert_eq!((reader.i32(), reader.i32()), (0, 0), "no flags, no extension");
    assert_eq!(reader.i16(), if columns == Columns::All { 17 } else { 14 });
    assert_eq!(reader.field(), Some(event.id.as_bytes().as_slice()));
    for text in [event.event_type, event.entity_type] {
        assert_eq!(reader.text(), text.replace('\0', "\u{fffd}"));
    }
    assert_eq!(reader.field(), event.entity_id.as_ref().map(|id| id.as_bytes().as_slice()));
    assert_eq!(reader.text(), event.actor.replace('\0', "\u{fffd}"));
    let data = reader.field().expect("data");
    assert_eq!(data[0], 1, "the version of jsonb");
    json(&data[1..], event.data);
    let created = i64::from_be_bytes(reader.field().expect("a time").try_into().expect("8 bytes"));
    assert_eq!(created, event.created_at.saturating_sub(946_684_800_000_000));
    assert_eq!(reader.text(), event.outcome.as_str());
    assert_eq!(reader.field(), event.duration.map(i64::to_be_bytes).as_ref().map(|bytes| bytes.as_slice()));
    assert_eq!(reader.field(), event.correlation_id.as_ref().map(|id| id.as_bytes().as_slice()));
    assert_eq!(reader.field(), event.causation_id.as_ref().map(|id| id.as_bytes().as_slice()));
    match reader.field() {
        Some(context) => json(&context[1..], event.context),
        None => assert_eq!(event.context, ""),
    }
    assert_eq!(reader.text(), event.origin.replace('\0', "\u{fffd}"));
    if columns == Columns::All {
        assert_eq!(reader.field(), event.further.entity_key.map(str::as_bytes));
        match reader.field() {
            Some(targets) => json(&targets[1..], &event.further.targets.json().expect("targets")),
            None => assert_eq!(event.further.targets.json(), None),
        }
        assert_eq!(reader.field(), event.further.tenant.map(str::as_bytes));
    }
    assert_eq!(reader.field(), Some(batch.as_bytes().as_slice()));
    assert_eq!(reader.i16(), -1, "the trailer");
    assert!(reader.0.is_empty());
}

/// JSON that was JSON stays it, the same but for NUL, of which PostgreSQL's has none.
fn json(written: &[u8], given: &str) {
    let written = std::str::from_utf8(written).expect("UTF-8");
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(given) {
        let found: serde_json::Value = serde_json::from_str(written).expect("JSON");
        assert_eq!(found, readable(value));
    }
}

fn readable(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    let text = |text: String| text.replace('\0', "\\u0000");
    match value {
        Value::String(value) => Value::String(text(value)),
        Value::Array(values) => values.into_iter().map(readable).collect(),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(key, value)| (text(key), readable(value))).collect())
        }
        other => other,
    }
}

/// The fuzzer's bytes as the parts of an event.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    /// The rest, split into a key, a tenant and further entities. Each ends with the bytes.
    fn further(&mut self) -> Further {
        let mut further = Further::default();
        if let Some(key) = self.text() {
            further.set_entity(EntityRef::Text(key));
        }
        if let Some(tenant) = self.text() {
            further.set_tenant(EntityRef::Text(tenant));
        }
        while let (Some(kind), Some(key)) = (self.text(), self.text()) {
            further.push(kind, EntityRef::Text(key));
        }
        further
    }

    fn event(&mut self) -> Option<EventRef<'a>> {
        let flags = self.bytes(1)?[0];
        Some(EventRef {
            id: self.id()?,
            entity_id: (flags & 1 != 0).then(|| self.id()).flatten(),
            correlation_id: (flags & 2 != 0).then(|| self.id()).flatten(),
            causation_id: (flags & 4 != 0).then(|| self.id()).flatten(),
            created_at: self.i64()?,
            duration: (flags & 8 != 0).then(|| self.i64()).flatten(),
            outcome: crate::event::Outcome::from_code(flags >> 4).unwrap_or(crate::event::Outcome::Ok),
            event_type: self.text()?,
            entity_type: self.text()?,
            actor: self.text()?,
            origin: self.text()?,
            context: self.text()?,
            data: self.text()?,
            is_personal: false,
            further: FurtherRef::default(),
        })
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn id(&mut self) -> Option<Uuid> {
        Uuid::from_slice(self.bytes(16)?).ok()
    }

    fn i64(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.bytes(8)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::from(self.bytes(1)?[0]);
        std::str::from_utf8(self.bytes(length)?).ok()
    }
}

/// Reads the binary format of COPY.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().expect("2 bytes"))
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().expect("4 bytes"))
    }

    fn field(&mut self) -> Option<&'a [u8]> {
        let length = self.i32();
        usize::try_from(length).ok().map(|length| self.take(length))
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.field().expect("a text").to_vec()).expect("UTF-8")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_corpora_pass() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        let mut files = 0;
        for (target, run) in
            [("recovery", super::recovery as fn(&[u8])), ("payload", super::payload), ("copy", super::copy)]
        {
            // The published crate comes without them.
            for file in std::fs::read_dir(corpora.join(target)).into_iter().flatten().flatten() {
                run(&std::fs::read(file.path()).unwrap());
                files += 1;
            }
        }
        println!("{files} files");
    }
}
