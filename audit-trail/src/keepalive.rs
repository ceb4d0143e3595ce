//! Connections that a network forgets while it answers others: a firewall that was restarted, a
//! route that is gone.
//!
//! The driver does not hand its sockets out, and asks for no keepalive. So the command looks for
//! the sockets that it has itself.

/// Lets the kernel notice that a connection of this process is lost. Elsewhere, only the watch on
/// the server remains. Other systems than Linux do not list the sockets of a process.
pub(crate) fn everywhere() {
    #[cfg(target_os = "linux")]
    let _ = linux::everywhere(|_| true);
}

/// Does so for connections to servers with this port. A program that has other connections decides on
/// those itself.
#[cfg(feature = "forward")]
pub(crate) fn to(port: u16) {
    #[cfg(target_os = "linux")]
    let _ = linux::everywhere(|address| address == Some(port));
    #[cfg(not(target_os = "linux"))]
    let _ = port;
}

/// Has the server notice that a client is gone without a word, and end what its session holds.
/// Otherwise that takes two hours.
#[cfg(any(feature = "forward", feature = "lake"))]
pub(crate) const OF_SESSION: &str = "SET tcp_keepalives_idle TO 10; SET tcp_keepalives_interval TO 5; SET tcp_keepalives_count TO 4; \
                                     SET tcp_user_timeout TO 30000";

#[cfg(target_os = "linux")]
mod linux {
    use rustix::net::{getpeername, sockopt};
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    use std::net::SocketAddr;
    use std::time::Duration;

    /// The idle time after which the kernel probes the other side.
    const IDLE: Duration = Duration::from_secs(10);
    /// The interval between two probes.
    const AGAIN: Duration = Duration::from_secs(5);
    /// The probes without an answer after which the connection is lost: 30 s in all.
    const TIMES: u32 = 4;

    /// Sets it on the sockets for whose peers' ports it is wanted.
    pub(super) fn everywhere(is_wanted: impl Fn(Option<u16>) -> bool) -> std::io::Result<()> {
        // Another process's descriptor cannot be borrowed, but one's own process hands out another
        // for the same socket.
        let own = pidfd_open(getpid(), PidfdFlags::empty())?;
        for entry in std::fs::read_dir("/proc/self/fd")? {
            let Some(fd) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let Ok(socket) = pidfd_getfd(&own, fd, PidfdGetfdFlags::empty()) else {
                continue;
            };
            let peer = getpeername(&socket).ok().flatten();
            let port = peer.and_then(|peer| SocketAddr::try_from(peer).ok()).map(|peer| peer.port());
            if !is_wanted(port) {
                continue;
            }
            // Only a socket of TCP takes this.
            if sockopt::set_tcp_keepidle(&socket, IDLE).is_ok() {
                sockopt::set_tcp_keepintvl(&socket, AGAIN)?;
                sockopt::set_tcp_keepcnt(&socket, TIMES)?;
                sockopt::set_socket_keepalive(&socket, true)?;
                let all = IDLE + AGAIN * TIMES;
                sockopt::set_tcp_user_timeout(&socket, u32::try_from(all.as_millis()).unwrap_or(u32::MAX))?;
            }
        }
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux", feature = "forward"))]
mod tests {
    use rustix::net::sockopt;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn sockets_of_this_process_are_kept_alive_all_or_those_to_a_port() {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (server, other) = (listen(), listen());
        let to = |listener: &TcpListener| TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, elsewhere) = (to(&server), to(&other));
        let is_kept = |socket: &TcpStream| sockopt::socket_keepalive(socket).unwrap();
        assert!(!is_kept(&stream) && !is_kept(&elsewhere));
        super::to(server.local_addr().unwrap().port());
        assert!(is_kept(&stream) && !is_kept(&elsewhere));
        assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), 30_000);
        super::everywhere();
        assert!(is_kept(&elsewhere));
    }
}
