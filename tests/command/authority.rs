//! A time-stamping authority: `openssl ts` behind a small HTTP server, with certificates of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The algorithms and the form of an authority's tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// RSA, issued by the root, named by SHA-1 as by the first version of the attribute.
    Rsa,
    /// ECDSA, behind an intermediate CA, with fractions of a second.
    Ec,
}

/// Keys and certificates of an authority, in a directory.
pub(crate) struct Authority {
    directory: tempfile::TempDir,
    kind: Kind,
}

/// An answer of the server.
pub(crate) enum Reply {
    /// Of the type that belongs to time stamps.
    Answer(Vec<u8>),
    /// Of any status, type and body.
    Http(&'static str, &'static str, Vec<u8>),
    /// The head of an answer, and no body for as long as the client waits.
    Silence,
}

pub(crate) fn openssl(arguments: &[&str]) -> Vec<u8> {
    let ran = Command::new("openssl").args(arguments).output().unwrap();
    assert!(ran.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    ran.stdout
}

const STAMPING: &str =
    "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\n";

impl Authority {
    pub(crate) fn new(kind: Kind) -> Self {
        let authority = Self { directory: tempfile::tempdir().unwrap(), kind };
        authority.write("ca.ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n");
        authority.write("tsa.ext", STAMPING);
        authority.write("tls.ext", "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n");
        let root = format!("/CN=Root {}", authority.directory.path().file_name().unwrap().display());
        authority.request("root", &root);
        authority.sign("root", None, "ca.ext", "3650");
        let issuer = if kind == Kind::Ec {
            authority.request("middle", "/CN=Middle");
            authority.sign("middle", Some("root"), "ca.ext", "3650");
            "middle"
        } else {
            "root"
        };
        for (name, extensions, days) in
            [("tsa", "tsa.ext", "3650"), ("old", "tsa.ext", "-1"), ("tls", "tls.ext", "3650")]
        {
            authority.request(name, "/O=Example/CN=Example TSA");
            authority.sign(name, Some(issuer), extensions, days);
        }
        let hash = if kind == Kind::Rsa { "sha1" } else { "sha256" };
        let digits = if kind == Kind::Rsa { 0 } else { 3 };
        authority.write(
            "tsa.conf",
            &format!(
                "[tsa]\nserial = {}\nsigner_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256\naccuracy = secs:1\n\
                 clock_precision_digits = {digits}\ntsa_name = yes\ness_cert_id_alg = {hash}\n",
                authority.text("serial")
            ),
        );
        // It may stamp no SHA-256.
        let refusing = authority.read("tsa.conf").replace("digests = sha256", "digests = sha512");
        authority.write("refusing.conf", &refusing);
        authority
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// The file of the CA certificate that verifiers trust.
    pub(crate) fn ca(&self) -> String {
        self.text("root.pem")
    }

    fn request(&self, name: &str, subject: &str) {
        let (key, request) = (self.text(&format!("{name}.key")), self.text(&format!("{name}.csr")));
        let of: &[&str] = match self.kind {
            Kind::Rsa => &["rsa:2048"],
            Kind::Ec => &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        };
        let names = ["req", "-new", "-nodes", "-keyout", &key, "-out", &request, "-subj", subject, "-newkey"];
        openssl(&[&names[..], of].concat());
    }

    fn sign(&self, name: &str, issuer: Option<&str>, extensions: &str, days: &str) {
        let [key, request, certificate] = ["key", "csr", "pem"].map(|end| self.text(&format!("{name}.{end}")));
        let extensions = self.text(extensions);
        let by = match issuer {
            Some(issuer) => [("-CA", "pem"), ("-CAkey", "key")]
                .map(|(option, end)| [option.to_owned(), self.text(&format!("{issuer}.{end}"))])
                .concat(),
            None => vec!["-signkey".into(), key],
        };
        let by: Vec<&str> = by.iter().map(String::as_str).collect();
        let options = ["x509", "-req", "-in", &request, "-out", &certificate, "-extfile", &extensions, "-days", days];
        openssl(&[&options[..], &by].concat());
    }

    /// Answers a query by `openssl ts`, by a configuration and a certificate of this authority.
    pub(crate) fn reply(&self, query: &[u8], configuration: &str, signer: &str) -> Vec<u8> {
        let scratch = tempfile::tempdir().unwrap();
        let [asked, answered] = ["query", "reply"].map(|name| scratch.path().join(name));
        fs::write(&asked, query).unwrap();
        let [key, certificate] = ["key", "pem"].map(|end| self.text(&format!("{signer}.{end}")));
        let configuration = self.text(configuration);
        let (asked, written) = (asked.to_str().unwrap(), answered.to_str().unwrap());
        let mut arguments =
            vec!["ts", "-reply", "-config", &configuration, "-section", "tsa", "-queryfile", asked, "-out", written];
        arguments.extend(["-inkey", &key, "-signer", &certificate]);
        let middle = self.text("middle.pem");
        if self.kind == Kind::Ec {
            arguments.extend(["-chain", &middle]);
        }
        openssl(&arguments);
        fs::read(answered).unwrap()
    }

    /// The statement in an answer, signed anew by another certificate, which `openssl ts` would refuse.
    pub(crate) fn signed_by(&self, answer: &[u8], signer: &str) -> Vec<u8> {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("reply"), answer).unwrap();
        openssl(&["ts", "-reply", "-in", &path("reply"), "-token_out", "-out", &path("token")]);
        openssl(&["cms", "-verify", "-noverify", "-inform", "DER", "-in", &path("token"), "-out", &path("statement")]);
        let [key, certificate] = ["key", "pem"].map(|end| self.text(&format!("{signer}.{end}")));
        let (statement, signed) = (path("statement"), path("signed"));
        let options = ["cms", "-sign", "-binary", "-nodetach", "-cades", "-md", "sha256", "-outform", "DER"];
        let kind = ["-econtent_type", "id-smime-ct-TSTInfo", "-in", &statement, "-out", &signed];
        openssl(&[&options[..], &kind, &["-signer", &certificate, "-inkey", &key]].concat());
        granted(&fs::read(signed).unwrap())
    }

    /// Serves answers until it is dropped.
    pub(crate) fn serve(self: &Arc<Self>, reply: impl Fn(&Self, &[u8]) -> Reply + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (authority, is_over) = (Arc::clone(self), Arc::new(AtomicBool::new(false)));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                answer(stream.unwrap(), |query| reply(&authority, query));
            }
        });
        Server { address, is_over, thread: Some(thread) }
    }

    /// Serves honest answers.
    pub(crate) fn honest(self: &Arc<Self>) -> Server {
        self.serve(|authority, query| Reply::Answer(authority.reply(query, "tsa.conf", "tsa")))
    }
}

/// An answer that grants this token.
pub(crate) fn granted(token: &[u8]) -> Vec<u8> {
    let status = [0x30, 3, 2, 1, 0];
    let length = u16::try_from(status.len() + token.len()).unwrap().to_be_bytes();
    [&[0x30, 0x82][..], &length, &status, token].concat()
}

/// Verifies a token by OpenSSL alone.
pub(crate) fn verified_by_openssl(directory: &Path, note: &str, token: &[u8], ca: &str) -> bool {
    let [data, file] = ["openssl.note", "openssl.token"].map(|name| directory.join(name));
    fs::write(&data, note).unwrap();
    fs::write(&file, token).unwrap();
    let mut command = Command::new("openssl");
    command.args(["ts", "-verify", "-token_in", "-CAfile", ca, "-data"]).arg(data).arg("-in").arg(file);
    command.output().unwrap().status.success()
}

/// An HTTP server on this machine.
pub(crate) struct Server {
    address: String,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn url(&self) -> String {
        format!("http://{}/tsr", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Reads one request, and writes its answer.
fn answer(mut stream: TcpStream, reply: impl Fn(&[u8]) -> Reply) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or_default() == 0 {
            return;
        }
        if line == "\r\n" {
            break;
        }
        head.push(line.trim().to_ascii_lowercase());
    }
    assert!(head.contains(&"content-type: application/timestamp-query".to_owned()), "{head:?}");
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut query = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut query).unwrap();
    let (status, kind, body) = match reply(&query) {
        Reply::Answer(body) => ("200 OK", "application/timestamp-reply", body),
        Reply::Http(status, kind, body) => (status, kind, body),
        Reply::Silence => {
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/timestamp-reply\r\ncontent-length: 9\r\n\r\n",
            );
            let _ = reader.read_to_end(&mut Vec::new());
            return;
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}
