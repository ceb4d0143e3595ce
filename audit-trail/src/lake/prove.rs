//! `audit-trail proof --lake`: the same proof as from the database, of files alone.

use super::ask::LakeEvents;
use super::batch::{Batch, ENTRY};
use super::event::column;
use super::manifest::{Content, FileEntry};
use super::table::{BATCHES, EVENTS, LEAVES};
use super::unreadable;
use super::verify::{Stamp, notes, opened, stamp};
use crate::failure::Failure;
use ::parquet::errors::ParquetError;
use audit_runtime::__private::detached::{Frontier, ProofParts, StoredStamp};
use audit_runtime::evidence::Proof;
use uuid::Uuid;

/// Proves that an event is in the trail, by the first checkpoint that covers it.
pub(crate) async fn prove(lake: &str, id: Uuid) -> Result<Proof, Failure> {
    let lake = LakeEvents::open(lake).await?;
    let row =
        lake.row(id).await?.ok_or_else(|| Failure::Nothing(format!("event {id} not found in the lake {lake}")))?;
    let number = row.sealed.batch;
    let range = lake.segment_of(number.cast_unsigned())?;
    let damaged =
        || Failure::Other(format!("batch {} is not whole; run audit-trail verify --lake {lake}", row.sealed.batch_id));
    let mut batch = None;
    for file in lake.files(Content::Batches).filter(|file| file.batches == Some(range)) {
        each_batch(&lake, file, |found| batch = (found.number == number).then_some(found).or(batch.take())).await?;
    }
    let batch = batch.ok_or_else(damaged)?;
    let leaves = leaves(&lake, &batch, range).await?.ok_or_else(damaged)?;
    let notes = notes(lake.store(), lake.manifest()).await?;
    let covering = notes.iter().find(|(_, size, _)| *size > number.cast_unsigned());
    let (_, _, note) =
        covering.ok_or_else(|| Failure::Other(format!("no checkpoint in the lake covers event {id} yet")))?;
    let all = notes.iter().map(|(_, _, note)| note.as_str());
    let mut parts = ProofParts::new((&row.json, &batch.as_json()), &leaves, number.cast_unsigned(), note, all)?;
    let covers = |stamp: &Stamp| {
        let at = notes.binary_search_by_key(&stamp.checkpoint, |(id, ..)| *id).ok()?;
        let (_, size, note) = &notes[at];
        (*size > number.cast_unsigned()).then_some(note)
    };
    let stamped = stamp(lake.store(), lake.manifest(), |stamp| covers(stamp).is_some()).await?;
    if let Some((stamp, note)) = stamped.as_ref().and_then(|stamp| Some((stamp, covers(stamp)?))) {
        parts = parts.stamped(StoredStamp { note, authority: &stamp.authority, token: &stamp.token })?;
    }
    let mut roots: Vec<((u64, u64), Frontier)> =
        parts.needed()?.into_iter().map(|range| (range, Frontier::default())).collect();
    let mut files: Vec<&FileEntry> = lake.files(Content::Batches).collect();
    files.sort_by_key(|file| file.batches);
    for file in files {
        let is_needed = |range: &(u64, u64)| file.batches.is_some_and(|(from, to)| range.0 < to && from < range.1);
        if roots.iter().any(|(range, _)| is_needed(range)) {
            each_batch(&lake, file, |batch| {
                let number = batch.number.cast_unsigned();
                let within = roots.iter_mut().filter(|((begin, end), _)| (*begin..*end).contains(&number));
                within.for_each(|(_, part)| part.push(batch.leaf));
            })
            .await?;
        }
    }
    let roots: Vec<[u8; 32]> = roots.iter().map(|(_, part)| part.root()).collect();
    Ok(parts.prove(&roots)?)
}

async fn each_batch(lake: &LakeEvents, file: &FileEntry, mut each: impl FnMut(Batch)) -> Result<(), Failure> {
    let reader = opened(lake.store(), file, BATCHES).await?;
    let read = reader.each(|chunk| {
        for row in 0..chunk.rows {
            each(Batch::read(chunk, row)?);
        }
        Ok::<_, ParquetError>(())
    });
    read.map_err(|error| unreadable(lake.store(), &file.path, &error))
}

/// Returns the leaves of a batch, if all are there.
async fn leaves(lake: &LakeEvents, batch: &Batch, range: (u64, u64)) -> Result<Option<Vec<u8>>, Failure> {
    let (mut leaves, mut seen) = (vec![0; batch.rows * ENTRY], 0);
    let mut put = |leaf: Option<i64>, id: Option<&str>, digest: Option<&[u8]>| {
        let place = usize::try_from(leaf?).ok()?.checked_sub(1)?;
        let entry = leaves.get_mut(place * ENTRY..(place + 1) * ENTRY)?;
        entry[..16].copy_from_slice(Uuid::try_parse(id?).ok()?.as_bytes());
        entry[16..].copy_from_slice(digest.filter(|digest| digest.len() == 32)?);
        seen += 1;
        Some(())
    };
    for (content, table, [number, leaf, id, digest]) in [
        (Content::Events, EVENTS, [column::BATCH_NUMBER, column::LEAF_NUMBER, column::ID, column::LEAF]),
        (Content::Leaves, LEAVES, [0, 2, 3, 4]),
    ] {
        for file in lake.files(content).filter(|file| file.batches == Some(range)) {
            let reader = opened(lake.store(), file, table).await?;
            let failed = |error| unreadable(lake.store(), &file.path, &error);
            for group in 0..reader.groups() {
                let mut rows = reader.rows(group, Some(&[number, leaf, id, digest])).map_err(failed)?;
                while let Some(chunk) = rows.next().map_err(failed)? {
                    for row in (0..chunk.rows).filter(|row| chunk.int(number, *row) == Some(batch.number)) {
                        put(chunk.int(leaf, row), chunk.text(id, row), chunk.bytes(digest, row));
                    }
                }
            }
        }
    }
    Ok((seen == batch.rows).then_some(leaves))
}
