//! A program on a terminal, as a person would see it.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::{Child, Command, ExitStatus};

/// A program whose input, output and errors are a terminal.
#[derive(Debug)]
pub struct Terminal {
    screen: File,
    child: Child,
    shown: Vec<u8>,
}

impl Terminal {
    /// Starts it on a terminal of so many columns.
    ///
    /// # Panics
    /// The terminal cannot be opened.
    pub fn start(mut command: Command, columns: u16) -> Self {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let size = Winsize { ws_col: columns, ws_row: 50, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&screen, size).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap();
        let keyboard = || OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let child = command.stdin(keyboard()).stdout(keyboard()).stderr(keyboard()).spawn().unwrap();
        // Its own ends are closed here, so that the screen ends with it.
        drop(command);
        Self { screen: screen.into(), child, shown: Vec::new() }
    }

    /// Reads until a text is shown, and returns everything shown so far.
    ///
    /// # Panics
    /// It ends without.
    pub fn until(&mut self, text: &str) -> String {
        while !self.text().contains(text) {
            assert!(self.read(), "{text:?} is not shown, but\n{}", self.text());
        }
        self.text()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown).replace("\r\n", "\n")
    }

    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        // Once nobody holds the other end, Linux answers EIO.
        let read = self.screen.read(&mut buffer).unwrap_or(0);
        self.shown.extend_from_slice(&buffer[..read]);
        read > 0
    }

    /// The program's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end, and returns everything that was shown.
    ///
    /// # Panics
    /// It cannot be waited for.
    pub fn end(mut self) -> (String, ExitStatus) {
        while self.read() {}
        let status = self.child.wait().unwrap();
        (self.text(), status)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
