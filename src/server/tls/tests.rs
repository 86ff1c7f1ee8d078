use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::TlsConnector;
use weir_harness::{Authority, Issued};

use super::handshake::MAX_HANDSHAKES;
use super::*;
use crate::pem::PemError;
use crate::server::http2::Rejection;
use crate::telemetry::{Metrics, ServerPort};

/// A port whose files are in a folder, and the authority that issued its first certificate.
struct Fixture {
    folder: TempDir,
    authority: Authority,
    port: Arc<TlsPort>,
}

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

fn write(folder: &Path, issued: &Issued) {
    fs::write(folder.join(CERTIFICATE), &issued.certificate).unwrap();
    fs::write(folder.join(KEY), &issued.key).unwrap();
}

fn load(folder: &Path) -> Result<TlsPort, TlsFilesError> {
    let files = TlsFiles {
        certificate: folder.join(CERTIFICATE),
        key: folder.join(KEY),
        client_ca: None,
        client_names: Vec::new(),
    };
    TlsPort::load(ServerPort::Grpc, files, Arc::new(Metrics::default()))
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        write(folder.path(), &authority.issue(&["weir"]));
        let port = Arc::new(load(folder.path()).unwrap());
        Self {
            folder,
            authority,
            port,
        }
    }

    fn issue(&self) -> Issued {
        self.authority.issue(&["weir"])
    }

    /// Checks twice, as often as a change needs.
    fn check(&self) {
        self.port.check();
        self.port.check();
    }

    /// Whether new connections are shown this certificate.
    async fn shows(&self, issued: &Issued) -> bool {
        let mut handshakes = Handshakes::new(Arc::clone(&self.port));
        let (near, far) = duplex(1 << 16);
        handshakes.begin(far);
        let (server, client) = tokio::join!(handshakes.next(), connect(&self.authority, near));
        server.unwrap();
        let expected = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
        client.get_ref().1.peer_certificates().unwrap() == [expected]
    }
}

async fn connect(
    authority: &Authority,
    stream: DuplexStream,
) -> tokio_rustls::client::TlsStream<DuplexStream> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("weir").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn a_pair_that_is_written_in_two_steps_is_loaded_after_the_second() {
    let fixture = Fixture::new();
    let (old, new) = (fixture.issue(), fixture.issue());
    write(fixture.folder.path(), &old);
    fixture.check();
    assert!(fixture.shows(&old).await);
    fs::write(fixture.folder.path().join(CERTIFICATE), &new.certificate).unwrap();
    for _ in 0..3 {
        fixture.check();
        assert!(fixture.shows(&old).await);
    }
    fs::write(fixture.folder.path().join(KEY), &new.key).unwrap();
    fixture.port.check();
    assert!(fixture.shows(&old).await, "the files may still be changing");
    fixture.port.check();
    assert!(fixture.shows(&new).await);
}

#[tokio::test]
async fn files_that_are_renamed_into_place_are_loaded() {
    let fixture = Fixture::new();
    let new = fixture.issue();
    let next = tempfile::tempdir_in(fixture.folder.path()).unwrap();
    write(next.path(), &new);
    for name in [CERTIFICATE, KEY] {
        fs::rename(next.path().join(name), fixture.folder.path().join(name)).unwrap();
    }
    fixture.check();
    assert!(fixture.shows(&new).await);
}

#[tokio::test]
async fn a_secret_that_kubernetes_swaps_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let at = |name: &str| folder.path().join(name);
    let swap = |version: &str| {
        let issued = authority.issue(&["weir"]);
        fs::create_dir(at(version)).unwrap();
        write(&at(version), &issued);
        symlink(version, at("..next")).unwrap();
        fs::rename(at("..next"), at("..data")).unwrap();
        issued
    };
    swap("..1");
    for name in [CERTIFICATE, KEY] {
        symlink(Path::new("..data").join(name), at(name)).unwrap();
    }
    let port = Arc::new(load(folder.path()).unwrap());
    let second = swap("..2");
    fs::remove_dir_all(at("..1")).unwrap();
    let fixture = Fixture {
        folder,
        authority,
        port,
    };
    fixture.check();
    assert!(fixture.shows(&second).await);
}

#[tokio::test]
async fn files_that_cannot_be_used_change_nothing() {
    let fixture = Fixture::new();
    let (old, other) = (fixture.issue(), fixture.issue());
    write(fixture.folder.path(), &old);
    fixture.check();
    let key = fixture.folder.path().join(KEY);
    for broken in ["", "-----BEGIN PRIVATE KEY-----\nAA\n", &*other.key] {
        fs::write(&key, broken).unwrap();
        fixture.check();
        fixture.port.reload();
        assert!(fixture.shows(&old).await, "{broken}");
    }
    fs::remove_file(&key).unwrap();
    fixture.check();
    assert!(fixture.shows(&old).await);
}

#[test]
fn errors_name_the_file_and_the_way_out_and_show_nothing_of_a_key() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let issued = authority.issue(&["weir"]);
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nU0VDUkVU\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let unknown = "-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n";
    let broken = "-----BEGIN CERTIFICATE-----\nU0VDUkVU\n-----END CERTIFICATE-----\n";
    let (certificate, key) = (&*issued.certificate, &*issued.key);
    let other = authority.issue(&["weir"]).key;
    for (certificate, key, expected) in [
        (certificate, "", "tls.key has no private key"),
        (certificate, encrypted, "tls.key is encrypted"),
        (certificate, unknown, "tls.key cannot be used"),
        (certificate, &*other, "does not belong to the private key"),
        ("", key, "tls.crt has no certificate"),
        (key, key, "tls.crt has no certificate"),
        (broken, key, "tls.crt has a certificate that cannot be read"),
    ] {
        fs::write(folder.path().join(CERTIFICATE), certificate).unwrap();
        fs::write(folder.path().join(KEY), key).unwrap();
        let error = load(folder.path()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
    }
    fs::remove_file(folder.path().join(KEY)).unwrap();
    let error = load(folder.path()).unwrap_err();
    assert!(
        matches!(error, TlsFilesError::Pem(PemError::Read { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_client_that_says_nothing_is_given_up_and_one_that_goes_is_of_no_interest() {
    let fixture = Fixture::new();
    let port = Arc::clone(&fixture.port);
    let mut handshakes = Handshakes::with_timeout(port, Duration::ZERO);
    let (gone, far) = duplex(1 << 10);
    handshakes.begin(far);
    drop(gone);
    let (_silent, far) = duplex(1 << 10);
    handshakes.begin(far);
    assert_eq!(handshakes.next().await.err(), Some(Rejection::TlsTimeout));
    assert_eq!(handshakes.len(), 0);
}

#[tokio::test]
async fn silent_clients_do_not_keep_others_out() {
    let fixture = Fixture::new();
    let port = Arc::clone(&fixture.port);
    let mut handshakes = Handshakes::with_timeout(port, Duration::from_secs(600));
    let mut silent = Vec::new();
    for _ in 0..MAX_HANDSHAKES {
        let (near, far) = duplex(1 << 10);
        silent.push(near);
        handshakes.begin(far);
    }
    let (near, far) = duplex(1 << 16);
    handshakes.begin(far);
    let connecting = connect(&fixture.authority, near);
    let both = async {
        let evicted = handshakes.next().await.err();
        assert_eq!(evicted, Some(Rejection::TlsTooManyHandshakes));
        handshakes.next().await.unwrap()
    };
    tokio::join!(both, connecting);
    assert_eq!(handshakes.len(), MAX_HANDSHAKES - 1);
}

#[tokio::test]
async fn other_protocols_are_told_from_tls() {
    let fixture = Fixture::new();
    for bytes in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
    ] {
        let mut handshakes = Handshakes::new(Arc::clone(&fixture.port));
        let (mut near, far) = duplex(1 << 10);
        handshakes.begin(far);
        near.write_all(bytes).await.unwrap();
        let rejected = handshakes.next().await.err();
        assert_eq!(rejected, Some(Rejection::TlsPlaintext));
    }
}

#[test]
fn debug_output_has_no_key() {
    let fixture = Fixture::new();
    let text = format!("{:?}", fixture.port);
    assert!(text.contains(KEY) && !text.contains("SigningKey"), "{text}");
}
