//! The page over TLS, by a certificate that the test makes.

use crate::browser::{Browser, Settings, is_there};
use crate::scene::{accounts, key};
use crate::server::Page;
use fantoccini::Locator;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::fs::Mode;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tests::Database;
use tests::examples::audit_trail;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, ProtocolVersion, RootCertStore};

/// A certificate for this machine, its key, and the authority that has signed it.
struct Certified {
    certificate: PathBuf,
    key: PathBuf,
    authority: CertificateDer<'static>,
}

fn certified(directory: &Path) -> Certified {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".into(), "127.0.0.1".into()];
    let server = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let (certificate, key_file) = (directory.join("page.pem"), directory.join("page.key"));
    std::fs::write(&certificate, server.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    Certified { certificate, key: key_file, authority: root.der().clone() }
}

/// An access file with one user, whose token is `secret`.
fn access(directory: &Path) -> String {
    let file = directory.join("access.toml");
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(b"secret"));
    std::fs::write(&file, format!("[[user]]\nname = \"ada\"\ntoken_sha256 = \"{hash}\"\nroles = [\"view\"]\n"))
        .unwrap();
    file.to_str().unwrap().to_owned()
}

/// Sends a request over TLS, to a server that one of these authorities vouches for.
async fn asked(
    page: &Page,
    trusted: RootCertStore,
    head: &str,
    body: &str,
) -> std::io::Result<(String, ProtocolVersion)> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let stream = TcpStream::connect(page.url.strip_prefix("https://").unwrap()).await?;
    let name = "localhost".try_into().unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let request = format!("{head}Host: localhost\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let version = stream.get_ref().1.protocol_version().unwrap();
    Ok((answer, version))
}

#[tokio::test]
async fn a_certificate_makes_the_page_https_alone() {
    let database = accounts(3, &key()).await;
    let directory = tempfile::tempdir().unwrap();
    let certified = certified(directory.path());
    let (certificate, secret) = (certified.certificate.to_str().unwrap(), certified.key.to_str().unwrap());
    let access = access(directory.path());
    let page =
        Page::start(&database, &["--access", &access, "--certificate", certificate, "--certificate-key", secret]);
    assert!(page.url.starts_with("https://127.0.0.1:"), "{}", page.url);
    let mut trusted = RootCertStore::empty();
    trusted.add(certified.authority.clone()).unwrap();
    let list = "GET /events.json HTTP/1.1\r\nAuthorization: Bearer secret\r\n";
    let (answer, version) = asked(&page, trusted.clone(), list, "").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("account.credited"), "{answer}");
    assert_eq!(version, ProtocolVersion::TLSv1_3);
    let form = "POST /login HTTP/1.1\r\nOrigin: https://localhost\r\n";
    let (answer, _) = asked(&page, trusted, form, "token=secret").await.unwrap();
    let cookie = answer.lines().find(|line| line.starts_with("set-cookie: __Host-audit-trail=")).unwrap();
    assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict"), "{cookie}");
    // A client that does not know the authority stops, and one without TLS gets no page.
    let refused = asked(&page, RootCertStore::empty(), list, "").await.unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
    let mut plain = TcpStream::connect(page.url.strip_prefix("https://").unwrap()).await.unwrap();
    plain.write_all(format!("{list}Host: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1"), "{answer:?}");

    if !is_there() {
        return;
    }
    let url = page.url.replace("127.0.0.1", "localhost");
    let browser = Browser::start(Settings::default()).await;
    browser.open(&url).await;
    browser.client.find(Locator::Css("#token")).await.unwrap().send_keys("secret").await.unwrap();
    browser.follow(Locator::Css("form.login button")).await;
    browser.eventually("the page is there", "document.querySelector('tr.event') !== null").await;
    let cookies = browser.client.get_all_cookies().await.unwrap();
    let [cookie] = cookies.as_slice() else { panic!("{cookies:?}") };
    assert_eq!((cookie.name(), cookie.path()), ("__Host-audit-trail", Some("/")));
    assert_eq!((cookie.secure(), cookie.http_only()), (Some(true), Some(true)));
    assert_eq!(browser.value("document.cookie").await, "");
    assert_eq!(browser.reports().await, [""; 0]);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named_with_the_reason() {
    let database = Database::new().await;
    let directory = tempfile::tempdir().unwrap();
    let one = certified(directory.path());
    let elsewhere = tempfile::tempdir().unwrap();
    let other = certified(elsewhere.path());
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let run = |certificate: &Path, key: &Path| {
        let mut command = Command::new(audit_trail());
        command.args(["serve", "--listen", "127.0.0.1:0", "--certificate"]).arg(certificate);
        command.arg("--certificate-key").arg(key).env("DATABASE_URL", &database.url);
        command
    };
    let refused = |mut command: Command| {
        let output = command.output().unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words}");
        words
    };
    let nowhere = directory.path().join("nowhere.pem");
    for (certificate, key, named, why) in [
        (&nowhere, &one.key, &nowhere, "No such file"),
        (&one.certificate, &nowhere, &nowhere, "No such file"),
        (&empty, &one.key, &empty, "no certificate"),
        (&one.key, &one.key, &one.key, "no certificate"),
        (&one.certificate, &one.certificate, &one.certificate, "no private key"),
        (&one.certificate, &empty, &empty, "no private key"),
        (&one.certificate, &other.key, &other.key, "belongs to another certificate"),
        (&directory.path().to_owned(), &one.key, &directory.path().to_owned(), "directory"),
    ] {
        let words = refused(run(certificate, key));
        assert!(words.contains(named.to_str().unwrap()) && words.contains(why), "{words}");
    }
    // One that this user may not read.
    rustix::fs::chmod(&one.key, Mode::empty()).unwrap();
    let mut command = run(&one.certificate, &one.key);
    if rustix::process::geteuid().is_root() {
        rustix::fs::chmod(directory.path(), Mode::from_raw_mode(0o755)).unwrap();
        rustix::fs::chmod(&one.certificate, Mode::from_raw_mode(0o644)).unwrap();
        command.uid(65_534).gid(65_534).current_dir("/");
    }
    match command.output() {
        Err(error) => eprintln!("skipped: nobody may not run the command: {error}"),
        Ok(output) => {
            let words = String::from_utf8(output.stderr).unwrap();
            assert!(words.contains("page.key") && words.contains("Permission denied"), "{words}");
        }
    }
}
