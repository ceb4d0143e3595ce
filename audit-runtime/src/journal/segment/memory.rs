//! The bytes of a segment: a mapping; under Miri, which knows no mapped files, memory.

#[cfg(not(miri))]
pub(super) use mapped::{Memory, anonymous, of_file};
#[cfg(miri)]
pub(super) use plain::{Memory, anonymous, of_file};

#[cfg(not(miri))]
mod mapped {
    use memmap2::MmapOptions;
    pub(in super::super) use memmap2::MmapRaw as Memory;
    use std::fs::File;
    use std::io;

    /// A file's bytes, faulted in ahead of their use.
    pub(in super::super) fn of_file(file: &File, bytes: usize) -> io::Result<Memory> {
        let map = MmapOptions::new().len(bytes).map_raw(file)?;
        // An old kernel (before 5.14) refuses; the callers then fault them in.
        // SAFETY: the range is exactly the mapping; the advice only populates pages and changes no content.
        let _ =
            unsafe { rustix::mm::madvise(map.as_mut_ptr().cast(), map.len(), rustix::mm::Advice::LinuxPopulateWrite) };
        Ok(map)
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
    // SAFETY: the same.
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

    pub(in super::super) fn anonymous(bytes: usize) -> io::Result<Memory> {
        Ok(Memory((0..bytes / 8).map(|_| UnsafeCell::new(0)).collect()))
    }
}
