//! Short pieces at the end of a buffer.

use std::mem::MaybeUninit;

/// Reserved room at the end of a buffer. Pieces are put into it without a call for each, as
/// [`Vec::extend_from_slice`] makes it for a length known at run time only. When the room is
/// dropped, the buffer contains the pieces.
pub(crate) struct ReservedBuf<'a> {
    buffer: &'a mut Vec<u8>,
    /// The free bytes behind the buffer's own. Kept here, so that they are not looked up for each
    /// piece.
    free: *mut [MaybeUninit<u8>],
    put: usize,
}

impl<'a> ReservedBuf<'a> {
    /// Makes room for at least so many bytes.
    #[inline(always)]
    pub(crate) fn new(buffer: &'a mut Vec<u8>, bytes: usize) -> Self {
        if buffer.capacity() - buffer.len() < bytes {
            grow(buffer, bytes);
        }
        let free: *mut _ = buffer.spare_capacity_mut();
        Self { buffer, free, put: 0 }
    }

    /// Puts a piece behind those before.
    ///
    /// # Panics
    /// There is not as much room.
    #[inline(always)]
    pub(crate) fn put(&mut self, piece: &[u8]) {
        assert!(piece.len() <= self.free.len() - self.put, "room was made for all pieces");
        let free = self.free.cast::<MaybeUninit<u8>>().wrapping_add(self.put);
        // SAFETY: so many bytes are free (asserted), and nobody else has the buffer.
        let room = unsafe { std::slice::from_raw_parts_mut(free, piece.len()) };
        copy(piece, room);
        self.put += piece.len();
    }

    /// Puts the first bytes of a piece whose size the compiler knows: all of it is copied, and what
    /// is too much written over.
    ///
    /// # Panics
    /// There is not room for all of it, or it is shorter.
    #[inline(always)]
    pub(crate) fn put_padded<const SIZE: usize>(&mut self, piece: &[u8; SIZE], length: usize) {
        assert!(length <= SIZE, "a piece has no more than its size");
        let before = self.put;
        self.put(piece);
        self.put = before + length;
    }
}

impl Drop for ReservedBuf<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: all up to there was put.
        unsafe { self.buffer.set_len(self.buffer.len() + self.put) };
    }
}

#[cold]
fn grow(buffer: &mut Vec<u8>, bytes: usize) {
    buffer.reserve(bytes);
}

/// Copies a piece into a place of the same length: a short one by two words that may overlap.
#[inline(always)]
fn copy(from: &[u8], to: &mut [MaybeUninit<u8>]) {
    debug_assert_eq!(from.len(), to.len());
    match from.len() {
        // SAFETY: the place is as long as the piece, and nobody else has it.
        33.. => unsafe { to.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(from.as_ptr(), from.len()) },
        // SAFETY: the place is as long as the piece, which has at least 16 bytes.
        16.. => unsafe { ends::<u128>(from, to) },
        // SAFETY: the place is as long as the piece, which has at least 8 bytes.
        8.. => unsafe { ends::<u64>(from, to) },
        // SAFETY: the place is as long as the piece, which has at least 4 bytes.
        4.. => unsafe { ends::<u32>(from, to) },
        // SAFETY: the place is as long as the piece, which has at least 2 bytes.
        2.. => unsafe { ends::<u16>(from, to) },
        // SAFETY: the place is as long as the piece, which has a byte.
        1 => unsafe { ends::<u8>(from, to) },
        0 => {}
    }
}

/// Copies the first and the last word of a piece.
///
/// # Safety
/// It has at least as many bytes as a word, and the place is as long.
#[inline(always)]
unsafe fn ends<W: Copy>(from: &[u8], to: &mut [MaybeUninit<u8>]) {
    let last = from.len() - size_of::<W>();
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    // SAFETY: the piece has a word, by the caller.
    let first = unsafe { from.cast::<W>().read_unaligned() };
    // SAFETY: its last word ends where the piece does.
    let second = unsafe { from.wrapping_add(last).cast::<W>().read_unaligned() };
    // SAFETY: the place is as long as the piece, by the caller, and nobody else has it.
    unsafe { to.cast::<W>().write_unaligned(first) };
    // SAFETY: the word ends where the place does, and nobody else has the place.
    unsafe { to.wrapping_add(last).cast::<W>().write_unaligned(second) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_length_are_put_whole() {
        let bytes: Vec<u8> = (0..100).collect();
        let (mut buffer, mut expected) = (Vec::new(), Vec::new());
        for length in (0..=100).chain((0..=100).rev()) {
            let mut room = ReservedBuf::new(&mut buffer, 2 * length);
            room.put(&bytes[..length]);
            room.put(&bytes[100 - length..]);
            drop(room);
            expected.extend_from_slice(&bytes[..length]);
            expected.extend_from_slice(&bytes[100 - length..]);
            assert_eq!(buffer, expected);
        }
    }

    #[test]
    fn of_a_piece_its_start_can_be_put() {
        let mut buffer = vec![b'<'];
        let mut room = ReservedBuf::new(&mut buffer, 20);
        room.put_padded(b"start, and more", 0);
        room.put_padded(b"start...", 5);
        room.put(b">");
        drop(room);
        assert_eq!(buffer, b"<start>");
    }

    #[test]
    #[should_panic(expected = "room was made for all pieces")]
    fn nothing_is_put_where_there_is_no_room() {
        let mut buffer = Vec::with_capacity(10);
        ReservedBuf::new(&mut buffer, 3).put(&[0; 11]);
    }
}
