//! JSON at the end of a buffer.

use super::escape::{escape, needs_escapes};
use super::exact::fits_numeric;
use super::{Json, ReservedBuf, parse_repairing, write_text};
use crate::capture::mask::{MAX_DEPTH, Mask, REDACTED, Role};
use crate::capture::nul::apart;
use crate::capture::url::{mask_urls, may_hold_url};
use serde::ser::{Error as _, Serialize};
use serde_json::{Error, Result};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::ops::Range;

/// The most of a text that is written before there is a look at the room.
const PIECE: usize = 1024;

/// Writes one value at the end of a buffer.
#[derive(Debug)]
pub(crate) struct JsonWriter<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) mask: &'a Mask,
    /// The use that is made of the value.
    pub(super) purpose: Purpose,
    /// Arrays and objects that may still be opened within each other.
    levels: usize,
    /// The value that comes next is an element of an array.
    pub(super) is_element: bool,
    /// Keys that are excepted from the mask, if there are any.
    except: Option<Box<Except>>,
    /// The position at which the value begins.
    begin: usize,
    /// The most bytes the buffer may have.
    room: usize,
    pub(super) spilled: Option<Box<Spilled>>,
}

/// The use that is made of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The value is recorded: without secrets.
    Record,
    /// The value is compared with another. Masked values carry a hash, sets are in one order, and
    /// numbers that are not finite are texts.
    Comparison,
}

/// Keys that are excepted from the mask.
#[derive(Debug)]
struct Except {
    /// Ways to them below the value, as in `leg.token`. Lists do not count as a part of a path.
    keys: &'static [&'static str],
    /// The way to the object that is written now.
    way: String,
}

/// The part of a value beyond the room: hashed and not kept, so that a value of any size takes no
/// memory.
#[derive(Debug)]
pub(super) struct Spilled {
    bytes: u64,
    hash: Sha256,
}

impl<'a> JsonWriter<'a> {
    #[inline]
    pub(crate) fn new(out: &'a mut Vec<u8>, mask: &'a Mask, room: usize) -> Self {
        let begin = out.len();
        Self {
            out,
            mask,
            purpose: Purpose::Record,
            levels: MAX_DEPTH,
            is_element: false,
            except: None,
            begin,
            room,
            spilled: None,
        }
    }

    /// Writes a value once more that was written already, and may stand in objects of the event's
    /// own since.
    pub(crate) fn again(out: &'a mut Vec<u8>, mask: &'a Mask) -> Self {
        Self { levels: MAX_DEPTH + 8, ..Self::new(out, mask, usize::MAX) }
    }

    /// Writes a value without masking these keys: ways below it, as in `leg.token`. A key below one
    /// that is masked stays masked.
    pub(crate) fn except<T: Serialize + ?Sized>(&mut self, value: &T, plain: &'static [&'static str]) -> Result<()> {
        self.except = (!plain.is_empty()).then(|| Box::new(Except { keys: plain, way: String::new() }));
        let written = value.serialize(&mut *self);
        self.except = None;
        written
    }

    /// Returns whether keys are excepted from the mask, so that the way to each value matters.
    #[inline]
    pub(super) const fn follows_ways(&self) -> bool {
        self.except.is_some()
    }

    /// Goes on to the value of a key. Returns the key's role where it stands, and the argument for
    /// [`leave`](Self::leave).
    #[cold]
    pub(super) fn enter(&mut self, role: Role, key: &str) -> (Role, usize) {
        let Some(except) = &mut self.except else {
            return (role, 0);
        };
        let before = except.way.len();
        if before > 0 {
            except.way.push('.');
        }
        except.way.push_str(key);
        let is_excepted = role == Role::Secret && except.keys.contains(&except.way.as_str());
        (if is_excepted { Role::Ordinary } else { role }, before)
    }

    /// Comes back from the value of a key.
    #[cold]
    pub(super) fn leave(&mut self, before: usize) {
        if let Some(except) = &mut self.except {
            except.way.truncate(before);
        }
    }

    /// Returns the key that was written from here on, with its comma, its quotation marks and its
    /// colon.
    pub(super) fn key_from(&self, begin: usize) -> String {
        let written = self.out.get(begin..).and_then(|json| std::str::from_utf8(json).ok()).unwrap_or_default();
        let json = written.trim_start_matches(',').trim_end_matches(':');
        json.parse::<Json>().ok().and_then(|key| key.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Writes a value to be compared.
    pub(crate) fn for_comparison(out: &'a mut Vec<u8>, mask: &'a Mask) -> Self {
        Self { purpose: Purpose::Comparison, ..Self::new(out, mask, usize::MAX) }
    }

    /// Writes JSON that these rules made.
    pub(crate) fn verbatim(&mut self, json: &str) {
        self.put(json.as_bytes());
        self.check_room();
    }

    /// The length and SHA-256 of a value that did not fit, of which nothing is in the buffer.
    #[inline]
    pub(crate) fn end(self) -> Option<(u64, [u8; 32])> {
        let spilled = *self.spilled?;
        let rest = &self.out[self.begin..];
        let whole = (spilled.bytes + rest.len() as u64, spilled.hash.chain_update(rest).finalize().into());
        self.out.truncate(self.begin);
        Some(whole)
    }

    /// Returns all that is in the buffer.
    pub(crate) fn into_text(self) -> std::result::Result<String, String> {
        String::from_utf8(std::mem::take(self.out)).map_err(|error| error.to_string())
    }

    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A piece of the value is written.
    #[inline]
    pub(super) fn check_room(&mut self) {
        if self.out.len() > self.room {
            self.spill();
        }
    }

    #[cold]
    pub(super) fn spill(&mut self) {
        let spilled = self.spilled.get_or_insert_with(|| Box::new(Spilled { bytes: 0, hash: Sha256::new() }));
        let piece = &self.out[self.begin..];
        spilled.bytes += piece.len() as u64;
        spilled.hash.update(piece);
        self.out.truncate(self.begin);
        // The next piece is spilled in the same way.
        self.room = self.begin + PIECE;
    }

    #[inline]
    pub(super) fn text(&mut self, text: &str) {
        if may_hold_url(text.as_bytes()) {
            return self.text_with_urls(text);
        }
        self.plain_text(text);
    }

    /// Writes a text in which a URL may hold a password.
    pub(super) fn text_with_urls(&mut self, text: &str) {
        match mask_urls(text) {
            Cow::Owned(masked) if self.purpose == Purpose::Comparison => {
                self.plain_text(&format!("{masked}{HASH}{}", hash(text.as_bytes())));
            }
            text => self.plain_text(&text),
        }
    }

    #[inline]
    pub(super) fn plain_text(&mut self, text: &str) {
        self.put(b"\"");
        self.inside_of_text(text);
        self.put(b"\"");
        self.check_room();
    }

    #[inline]
    pub(super) fn inside_of_text(&mut self, text: &str) {
        if text.len() <= PIECE {
            return escape(text.as_bytes(), self.out);
        }
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, others) = rest.split_at(rest.floor_char_boundary(PIECE));
            escape(piece.as_bytes(), self.out);
            self.check_room();
            rest = others;
        }
    }

    #[inline]
    pub(super) fn number(&mut self, number: impl itoa::Integer) {
        self.put(itoa::Buffer::new().format(number).as_bytes());
        self.check_room();
    }

    /// Writes a key. That of a field is a constant: folded into its struct's serializer, all but
    /// the copying is done by the compiler.
    #[inline(always)]
    pub(super) fn key(&mut self, key: &str, is_first: bool) {
        if needs_escapes(key.as_bytes()) {
            return self.escaped_key(key, is_first);
        }
        let mut room = ReservedBuf::new(self.out, key.len() + 4);
        if is_first {
            room.put(b"\"");
        } else {
            room.put(b",\"");
        }
        room.put(key.as_bytes());
        room.put(b"\":");
    }

    #[cold]
    fn escaped_key(&mut self, key: &str, is_first: bool) {
        self.put(if is_first { b"\"" } else { b",\"" });
        escape(apart(key).as_bytes(), self.out);
        self.put(b"\":");
    }

    /// Returns whether the value that was written from here on is the name of a secret.
    pub(super) fn wrote_secret_name(&self, begin: usize) -> bool {
        self.spilled.is_none() && self.out.get(begin..).is_some_and(|json| self.mask.is_secret_name(json))
    }

    /// Masks a value that is written already.
    pub(super) fn redact(&mut self, value: Range<usize>) {
        if self.spilled.is_none() && value.end <= self.out.len() {
            let mut masked = Vec::new();
            let hash = (self.purpose == Purpose::Comparison).then(|| hash(&self.out[value.clone()]));
            write_text(
                &hash.map_or_else(|| REDACTED.to_owned(), |hash| format!("{REDACTED}{HASH}{hash}")),
                &mut masked,
            );
            self.out.splice(value, masked);
        }
    }

    /// Writes a value that is a secret: nothing of it on record, and its hash where values are
    /// compared.
    pub(super) fn secret<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        if self.purpose == Purpose::Record {
            self.redacted();
            return Ok(());
        }
        let begin = self.out.len();
        value.serialize(&mut *self)?;
        self.redact(begin..self.out.len());
        Ok(())
    }

    pub(super) fn redacted(&mut self) {
        self.text(REDACTED);
    }

    #[inline]
    pub(super) fn open(&mut self, bracket: &[u8]) -> Result<()> {
        self.is_element = false;
        let Some(levels) = self.levels.checked_sub(1) else {
            return Err(too_deep());
        };
        self.levels = levels;
        self.put(bracket);
        Ok(())
    }

    #[inline]
    pub(super) fn close(&mut self, bracket: &[u8]) {
        self.levels += 1;
        self.put(bracket);
        self.check_room();
    }

    /// Opens `{"variant":`, and returns whether its name denotes a secret.
    #[inline]
    pub(super) fn open_variant(&mut self, variant: &'static str) -> Result<bool> {
        self.open(b"{")?;
        self.key(variant, true);
        Ok(self.mask.role_of_field(variant) == Role::Secret)
    }

    /// Writes JSON that a value is already, as every other value: it may hold keys, too.
    pub(super) fn raw(&mut self, text: &str) -> Result<()> {
        match parse_repairing(text).map_err(Error::custom)? {
            Json::Number(number) => {
                self.raw_number(number.as_str());
                Ok(())
            }
            value => value.serialize(self),
        }
    }

    /// Writes a number with its digits, or as a text if PostgreSQL would refuse it.
    pub(super) fn raw_number(&mut self, number: &str) {
        if !fits_numeric(number) {
            return self.text(number);
        }
        self.put(number.as_bytes());
        self.check_room();
    }

    /// Writes a number that is not finite.
    #[cold]
    pub(super) fn not_finite(&mut self, number: f64) {
        match self.purpose {
            Purpose::Record => self.put(b"null"),
            Purpose::Comparison if number.is_nan() => self.put(b"\"NaN\""),
            Purpose::Comparison => self.put(if number > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" }),
        }
        self.check_room();
    }
}

/// Separates a masked text from its comparison hash.
pub(crate) const HASH: char = '\0';

#[cold]
fn too_deep() -> Error {
    Error::custom(format_args!("more than {MAX_DEPTH} arrays and objects within each other"))
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
