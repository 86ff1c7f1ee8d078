//! Encrypted connections of workers: their limits and their end.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use weir::client::{Client, ClientError, TlsOptions};
use weir::request::{Descriptor, Request};
use weir::server::tls::TlsFiles;
use weir::server::{Config, Shutdown};
use weir_harness::Authority;

use crate::binary::Serving;
use crate::running::{Running, config};

/// A server with a certificate, and where a client finds its CA.
struct Encrypted {
    running: Running,
    folder: TempDir,
}

impl Encrypted {
    async fn start(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let issued = authority.issue(&["127.0.0.1"]);
        let at = |name: &str| folder.path().join(name);
        fs::write(at("ca.crt"), authority.pem()).unwrap();
        fs::write(at("tls.crt"), issued.certificate).unwrap();
        fs::write(at("tls.key"), issued.key).unwrap();
        let files = TlsFiles {
            certificate: at("tls.crt"),
            key: at("tls.key"),
            client_ca: None,
            client_names: Vec::new(),
        };
        Self {
            running: Running::encrypted(files, config).await,
            folder,
        }
    }

    async fn connect(&self) -> Result<Client, ClientError> {
        let server = format!("https://{}", self.running.address());
        let options = TlsOptions {
            ca: Some(self.folder.path().join("ca.crt")),
            ..TlsOptions::default()
        };
        let patience = Duration::from_secs(600);
        Client::connect_with(&server.parse().unwrap(), &options, patience).await
    }
}

fn request() -> Request {
    Request {
        domain: "t".into(),
        descriptors: vec![Descriptor::new([("api_key", "k")])],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypted_connections_are_asked_to_go() {
    let mut server = Encrypted::start(config(2, Duration::ZERO)).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = server.connect().await.unwrap();
        let answer = client.should_rate_limit(&request()).await.unwrap();
        assert!(!answer.over_limit);
        clients.push(client);
    }
    // A handshake that is not over is not waited for.
    let _silent = TcpStream::connect(server.running.address()).await.unwrap();
    server.running.shut_down();
    assert_eq!(server.running.ended().await, Shutdown::Clean);
}

#[test]
fn sighup_loads_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let at = |name: &str| folder.path().join(name);
    let issue = |year| {
        let issued = authority.issue_until(&["weir"], year);
        fs::write(at("tls.crt"), issued.certificate).unwrap();
        fs::write(at("tls.key"), issued.key).unwrap();
    };
    issue(2090);
    let mut serving = Serving::start(&[
        "--grpc=127.0.0.1:0",
        "--http=127.0.0.1:0",
        "--drain=0",
        "--reload-interval=0",
        &format!("--grpc-tls-cert={}", at("tls.crt").display()),
        &format!("--grpc-tls-key={}", at("tls.key").display()),
    ]);
    issue(2091);
    serving.signal("HUP");
    let line = serving.wait_for("certificate reloaded");
    assert_eq!(line["port"], "grpc");
    assert_eq!(line["expires"], "2091-01-01T00:00:00Z");
    serving.signal("TERM");
    serving.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_and_connections_share_a_limit() {
    let limits = Config {
        max_connections: 1,
        ..config(1, Duration::ZERO)
    };
    let server = Encrypted::start(limits).await;
    let silent = TcpStream::connect(server.running.address()).await.unwrap();
    assert!(server.connect().await.is_err());
    drop(silent);
    let mut client = loop {
        // Until the server has seen the end of the other one.
        if let Ok(client) = server.connect().await {
            break client;
        }
    };
    assert!(server.connect().await.is_err());
    client.should_rate_limit(&request()).await.unwrap();
}
