//! Connections that a network forgets while it answers others: a firewall that was restarted, a
//! route that is gone.
//!
//! The driver does not hand its sockets out, and asks for no keepalive. So the command looks for
//! the sockets that it has itself.

/// Lets the kernel notice that a connection of this process is lost. Elsewhere, only the watch on
/// the server remains. Other systems than Linux do not list the sockets of a process.
pub(crate) fn everywhere() {
    #[cfg(target_os = "linux")]
    let _ = linux::everywhere();
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::net::sockopt;
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    use std::time::Duration;

    /// The idle time after which the kernel probes the other side.
    const IDLE: Duration = Duration::from_secs(10);
    /// The interval between two probes.
    const AGAIN: Duration = Duration::from_secs(5);
    /// The probes without an answer after which the connection is lost: 30 s in all.
    const TIMES: u32 = 4;

    pub(super) fn everywhere() -> std::io::Result<()> {
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::net::sockopt;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn sockets_of_this_process_are_kept_alive() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(!sockopt::socket_keepalive(&stream).unwrap());
        super::everywhere();
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), 30_000);
    }
}
