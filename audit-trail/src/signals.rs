//! Requests to end: by a terminal, by a service manager.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown,
};

/// Listens from its making on, so that a request that comes early is noticed, too.
#[cfg(unix)]
pub(crate) struct Ends {
    terminated: Signal,
    interrupted: Signal,
}

#[cfg(unix)]
impl Ends {
    /// Begins to listen for SIGTERM and SIGINT.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { terminated: signal(SignalKind::terminate())?, interrupted: signal(SignalKind::interrupt())? })
    }

    /// Waits for a request.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminated.recv() => {}
            _ = self.interrupted.recv() => {}
        }
    }
}

/// Listens from its making on, so that a request that comes early is noticed, too.
#[cfg(windows)]
pub(crate) struct Ends {
    interrupted: CtrlC,
    broken: CtrlBreak,
    closed: CtrlClose,
    shut_down: CtrlShutdown,
}

#[cfg(windows)]
impl Ends {
    /// Begins to listen for the events of the console: Ctrl-C, Ctrl-Break, its end, and that of the
    /// system.
    pub(crate) fn listen() -> io::Result<Self> {
        let (interrupted, broken) = (ctrl_c()?, ctrl_break()?);
        Ok(Self { interrupted, broken, closed: ctrl_close()?, shut_down: ctrl_shutdown()? })
    }

    /// Waits for a request.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupted.recv() => {}
            _ = self.broken.recv() => {}
            _ = self.closed.recv() => {}
            _ = self.shut_down.recv() => {}
        }
    }
}
