//! The kernel's part in connections. It notices that a network has forgotten them, as a restarted
//! firewall does, and it sends small messages at once.
//!
//! The driver does not expose its sockets, requests no keepalive, and leaves Nagle's algorithm on.
//! A COPY of a few rows then waits 40 ms for an acknowledgement that the server delays. So the
//! writer compares the process's sockets before and after it connects. It sets its options on the
//! new ones of TCP. It finds them on Linux. Elsewhere only the server's side notices.

use crate::sys::platform::{self, KeepAlive, Socket};
use std::collections::HashSet;
use std::time::Duration;

/// A silent server is asked three times within 11 s. The server asks as often: see
/// `writer/store.rs`. A batch that the server does not acknowledge is tried on another connection.
const KEEP_ALIVE: KeepAlive = KeepAlive {
    idle: Duration::from_secs(5),
    again: Duration::from_secs(2),
    times: 3,
    silence: Duration::from_secs(11),
};

/// The sockets that the process has at a moment.
#[derive(Debug)]
pub(super) struct Sockets(HashSet<Socket>);

impl Sockets {
    /// Returns the present sockets, or none where the system does not list them.
    pub(super) fn now() -> Self {
        Self(platform::sockets())
    }

    /// Has connections of TCP to this port send at once, if they were made since then, and on
    /// request noticed when they are lost.
    pub(super) fn tune_new(&self, port: u16, keep_alive: bool) {
        for socket in Self::now().0.difference(&self.0) {
            platform::tune(socket, port, keep_alive.then_some(KEEP_ALIVE));
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::net::sockopt;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn new_connections_to_the_server_are_tuned_and_no_others() {
        let (server, other) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let to = |listener: &TcpListener| TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let before = to(&server);
        let sockets = Sockets::now();
        let (new, elsewhere) = (to(&server), to(&other));
        sockets.tune_new(server.local_addr().unwrap().port(), false);
        assert!(!sockopt::socket_keepalive(&new).unwrap());
        sockets.tune_new(server.local_addr().unwrap().port(), true);
        for (socket, expected) in [(&before, false), (&new, true), (&elsewhere, false)] {
            assert_eq!(sockopt::socket_keepalive(socket).unwrap(), expected);
            assert_eq!(sockopt::tcp_nodelay(socket).unwrap(), expected);
        }
        assert_eq!(sockopt::tcp_user_timeout(&new).unwrap(), 11_000);
    }
}
