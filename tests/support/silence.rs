//! A network that is silent.

use std::net::TcpStream;
use std::os::fd::AsRawFd;

/// Makes the kernel drop every packet that comes for a socket before TCP sees it. Nothing is
/// acknowledged, no keepalive is answered, and the other side is not notified. It takes no
/// privilege.
pub fn deafen(socket: &TcpStream) {
    // BPF_RET | BPF_K, 0: keep no byte of it.
    let mut drop_all = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 }];
    let filter = libc::sock_fprog { len: 1, filter: drop_all.as_mut_ptr() };
    let length = size_of::<libc::sock_fprog>() as libc::socklen_t;
    // SAFETY: the filter outlives the call, which copies it.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const filter).cast(),
            length,
        )
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}
