//! Short pieces at the end of a buffer.

/// Appends a piece of mostly a few bytes: without the call that [`Vec::extend_from_slice`] makes for a length known at run time only.
#[inline(always)]
pub(crate) fn append(buffer: &mut Vec<u8>, piece: &[u8]) {
    if piece.len() > 32 {
        return buffer.extend_from_slice(piece);
    }
    if buffer.capacity() - buffer.len() < piece.len() {
        grow(buffer);
    }
    let length = buffer.len();
    // SAFETY: there is room for the piece, and what has room is not the piece, which is borrowed; then it is initialised.
    unsafe {
        copy_short(piece, buffer.as_mut_ptr().add(length));
        buffer.set_len(length + piece.len());
    }
}

#[cold]
fn grow(buffer: &mut Vec<u8>) {
    buffer.reserve(32);
}

/// Copies at most 32 bytes, by two words that may overlap.
///
/// # Safety
/// `to` is valid for writes of as many bytes, and they are no part of `from`.
#[inline(always)]
unsafe fn copy_short(from: &[u8], to: *mut u8) {
    /// Copies the first and the last word of a piece that has at least one, and at most two.
    #[inline(always)]
    unsafe fn ends<W: Copy>(from: &[u8], to: *mut u8) {
        let last = from.len() - size_of::<W>();
        let from = from.as_ptr();
        // SAFETY: both words lie in the piece, which is as long as the place for it.
        unsafe {
            let (first, second) = (from.cast::<W>().read_unaligned(), from.add(last).cast::<W>().read_unaligned());
            to.cast::<W>().write_unaligned(first);
            to.add(last).cast::<W>().write_unaligned(second);
        }
    }
    // SAFETY: each has at least as many bytes as a word.
    unsafe {
        match from.len() {
            16.. => ends::<u128>(from, to),
            8.. => ends::<u64>(from, to),
            4.. => ends::<u32>(from, to),
            2.. => ends::<u16>(from, to),
            1 => to.write(from[0]),
            0 => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_length_are_appended_whole() {
        let bytes: Vec<u8> = (0..100).collect();
        let (mut buffer, mut expected) = (Vec::new(), Vec::new());
        for length in (0..=100).chain((0..=100).rev()) {
            append(&mut buffer, &bytes[..length]);
            expected.extend_from_slice(&bytes[..length]);
            assert_eq!(buffer, expected);
        }
    }
}
