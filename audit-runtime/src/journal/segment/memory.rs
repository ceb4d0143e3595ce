//! The bytes of a segment: a mapping, or memory under Miri, which does not support mapped files.

#[cfg(not(miri))]
pub(super) use mapped::{Memory, anonymous, of_file, populate};
#[cfg(miri)]
pub(super) use plain::{Memory, anonymous, of_file, populate};

#[cfg(not(miri))]
mod mapped {
    use crate::sys::platform;
    use memmap2::MmapOptions;
    pub(in super::super) use memmap2::MmapRaw as Memory;
    use std::fs::File;
    use std::io;

    /// The bytes that a file has, and those that it is going to have.
    pub(in super::super) fn of_file(file: &File, bytes: usize) -> io::Result<Memory> {
        MmapOptions::new().len(bytes).map_raw(file)
    }

    /// Faults bytes in ahead of their use, which the file has, where the system can.
    pub(in super::super) fn populate(map: &Memory, from: usize, bytes: usize) {
        assert!(from + bytes <= map.len());
        let at = map.as_mut_ptr().wrapping_add(from);
        // SAFETY: the range lies in the mapping (asserted).
        unsafe { platform::populate(at, bytes) };
    }

    /// Bytes without a file.
    pub(in super::super) fn anonymous(bytes: usize) -> io::Result<Memory> {
        Ok(Memory::from(MmapOptions::new().len(bytes).map_anon()?))
    }
}

#[cfg(miri)]
mod plain {
    use std::cell::UnsafeCell;
    use std::fs::File;
    use std::io;

    /// Zeros, aligned to 8 bytes.
    #[derive(Debug)]
    pub(in super::super) struct Memory(Box<[UnsafeCell<u64>]>);

    // SAFETY: accessed as a mapping is, by the protocol of this module.
    unsafe impl Send for Memory {}
    // SAFETY: accessed as a mapping is, by the protocol of this module.
    unsafe impl Sync for Memory {}

    impl Memory {
        pub(in super::super) fn as_mut_ptr(&self) -> *mut u8 {
            UnsafeCell::raw_get(self.0.as_ptr()).cast()
        }

        pub(in super::super) fn len(&self) -> usize {
            self.0.len() * 8
        }

        pub(in super::super) fn flush_range(&self, _: usize, _: usize) -> io::Result<()> {
            Ok(())
        }
    }

    pub(in super::super) fn of_file(_: &File, bytes: usize) -> io::Result<Memory> {
        anonymous(bytes)
    }

    pub(in super::super) fn populate(_: &Memory, _: usize, _: usize) {}

    pub(in super::super) fn anonymous(bytes: usize) -> io::Result<Memory> {
        Ok(Memory((0..bytes / 8).map(|_| UnsafeCell::new(0)).collect()))
    }
}
