//! Findings about the server's version, and about clocks.

use crate::scene::{Provoked, Trail};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;

/// A server's name for its version, behind which the version follows.
const PARAMETER: &[u8] = b"server_version\0";

/// Forwards connections to a server, which then reports another major version. Returns its port.
fn reports(port: u16, major: &'static [u8; 2]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (sent, received) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || forward(sent, server, None));
            thread::spawn(move || forward(received, client, Some(major)));
        }
    });
    own
}

fn forward(mut from: TcpStream, mut to: TcpStream, major: Option<&[u8; 2]>) {
    let mut buffer = [0; 1 << 14];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let bytes = &mut buffer[..length];
        // The server sends its parameters at once, and the reading end takes them at once.
        if let (Some(major), Some(at)) = (major, bytes.windows(PARAMETER.len()).position(|part| part == PARAMETER)) {
            bytes[at + PARAMETER.len()..][..2].copy_from_slice(major);
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

async fn of_version(major: &'static [u8; 2]) -> Provoked {
    let trail = Trail::healthy().await;
    let port: u16 = tests::Cluster::shared().port();
    let url = trail.database.url.replace(&port.to_string(), &reports(port, major).to_string());
    let mut provoked = trail.with([]);
    provoked.variables.push(("DATABASE_URL", url));
    provoked
}

pub(crate) async fn server_too_old() -> Provoked {
    of_version(b"13").await
}

pub(crate) async fn server_untested() -> Provoked {
    of_version(b"99").await
}

/// Sets the clock of a process an hour ahead.
const CLOCK: &str = "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <time.h>\n\
    int clock_gettime(clockid_t id, struct timespec *now) {\n\
    static int (*real)(clockid_t, struct timespec *);\n\
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, \"clock_gettime\");\n\
    int failed = real(id, now);\n\
    if (!failed && id == CLOCK_REALTIME) now->tv_sec += 3600;\n\
    return failed;\n}\n";

pub(crate) async fn clock_differs() -> Provoked {
    let trail = Trail::healthy().await;
    let (source, library) = (trail.path("clock.c"), trail.path("clock.so"));
    std::fs::write(&source, CLOCK).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl").status();
    assert!(built.unwrap().success(), "a C compiler: see scripts/test.sh --install");
    let mut provoked = trail.with([]);
    provoked.variables.push(("LD_PRELOAD", library.display().to_string()));
    provoked
}
