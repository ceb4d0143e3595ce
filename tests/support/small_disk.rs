//! A file system of a few megabytes, to be filled.

use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A mounted file system, which goes when it is dropped.
#[derive(Debug)]
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts one of so many bytes, or reports why a test that needs it is left out: only root may
    /// mount.
    pub fn mount(bytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=0755"), "tmpfs"])
            .arg(directory.path())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(directory));
        }
        eprintln!("left out: a small file system cannot be mounted here, which takes root");
        None
    }

    /// Mounts a btrfs of so many bytes, from a file. Otherwise reports why a test that needs it is
    /// left out: it requires root and `mkfs.btrfs`.
    pub fn btrfs(bytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(bytes).unwrap();
        let succeeds = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let made = succeeds(Command::new("mkfs.btrfs").arg("--mixed").arg(image.path()))
            && succeeds(Command::new("mount").args(["-o", "loop"]).arg(image.path()).arg(directory.path()));
        if made {
            return Some(Self(directory));
        }
        eprintln!("left out: a btrfs cannot be made and mounted here, which takes root, mkfs.btrfs and a loop device");
        None
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Gives it another size.
    pub fn resize(&self, bytes: u64) {
        let options = format!("remount,size={bytes}");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.path()).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that is about to end may still have files open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
