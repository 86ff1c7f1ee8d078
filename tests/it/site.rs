//! A server and its admin server in this process, with an HTTP client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use weir::api::ServingStage;
use weir::clock::{Clock, ManualClock, Timestamp};
use weir::engine::Engine;
use weir::policy::LoadOptions;
use weir::server::admin::{self, Admin, AdminConfig, HttpPort, HttpPurpose, JsonAccess, TokenFile};
use weir::server::assignments::Assignments;
use weir::server::reload::{PolicyFiles, PolicySource, Reloader};
use weir::server::tls::{TlsFiles, TlsPort};
use weir::server::{App, ListenConfig, Listener};
use weir::store::{MemoryConfig, Store};
use weir::telemetry::ServerPort;

use crate::running::config;

pub(crate) const TOKEN: &str = "0123456789abcdef";

/// A server and its admin server.
pub(crate) struct Site {
    pub(crate) admin: admin::AdminServer,
    pub(crate) grpc: String,
    pub(crate) folder: tempfile::TempDir,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    server: tokio::task::JoinHandle<()>,
}

/// How a site runs.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) token: bool,
    pub(crate) envoy_ratelimit_metrics: bool,
    /// The table `customers`, in CSV.
    pub(crate) table: Option<&'static str>,
    /// The certificate of the gRPC port.
    pub(crate) grpc_tls: Option<TlsFiles>,
}

impl Site {
    /// Starts two workers with the policy in `policies/t.yaml`, and waits until they serve.
    pub(crate) async fn start(yaml: &str, clock: Clock, options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policies = folder.path().join("policies");
        std::fs::create_dir(&policies).unwrap();
        std::fs::write(policies.join("t.yaml"), yaml).unwrap();
        if let Some(table) = options.table {
            std::fs::write(policies.join("customers.assignments.csv"), table).unwrap();
        }
        let mut files = PolicyFiles::new(vec![policies], LoadOptions::default());
        let loaded = files.load().unwrap();
        let store = Store::memory(MemoryConfig::default()).unwrap();
        let engine = Arc::new(Engine::new(loaded.policy.unwrap(), store, clock));
        let mut app = App::new(Arc::clone(&engine), config(2, Duration::from_secs(600)));
        app.tls = options.grpc_tls.map(|files| {
            let metrics = Arc::clone(&app.metrics);
            Arc::new(TlsPort::load(ServerPort::Grpc, files, metrics).unwrap())
        });
        let token = folder.path().join("token");
        std::fs::write(&token, TOKEN).unwrap();
        let token: Option<PathBuf> = options.token.then_some(token);
        let config = AdminConfig {
            hosts: Vec::new(),
            json: JsonAccess::default(),
            ports: vec![HttpPort {
                address: "127.0.0.1:0".to_owned(),
                purpose: HttpPurpose::Main,
                setting: "--http",
            }],
            token_file: token,
            envoy_ratelimit_metrics: options.envoy_ratelimit_metrics,
            step: Duration::from_millis(20),
            max_connections: 32,
        };
        let bound = admin::AdminListeners::bind(&config).unwrap();
        let reloader = Reloader::start(
            PolicySource::Files(files),
            Arc::clone(&engine),
            Arc::clone(&app.metrics),
            None,
        );
        let reloader = Arc::new(reloader.unwrap());
        let assignments = Assignments::start(engine, Arc::clone(&reloader), None);
        let admin = Admin {
            engine: Arc::clone(&app.engine),
            metrics: Arc::clone(&app.metrics),
            reloader,
            assignments: Arc::new(assignments.await.unwrap()),
            readiness: app.readiness.clone(),
            tls: None,
            token: config
                .token_file
                .as_deref()
                .map(|path| TokenFile::new(path).unwrap()),
            config,
        };
        let admin = admin::AdminServer::start(bound, admin).unwrap();
        let listen = ListenConfig::Tcp("127.0.0.1:0".to_owned());
        let listener = Listener::bind(&listen).unwrap();
        let grpc = listener.address().to_string();
        let readiness = app.readiness.clone();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let server = tokio::spawn(async move {
            let shutdown = async {
                // The sender is dropped at the end of a test.
                let _ = stopped.await;
            };
            weir::server::run(listener, app, shutdown).await.unwrap();
        });
        // The workers start in the task.
        while readiness.stage() != ServingStage::Serving {
            assert!(!server.is_finished(), "the server did not start");
            tokio::task::yield_now().await;
        }
        Self {
            admin,
            grpc,
            folder,
            stop: Some(stop),
            server,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.admin.addresses()[0]
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, &[], body.as_bytes())
    }

    /// Sends a POST with the admin token.
    pub(crate) fn post_as_admin(&self, path: &str, body: &str) -> Answer {
        let authorization = format!("Bearer {TOKEN}");
        let headers = [("Authorization", authorization.as_str())];
        self.ask("POST", path, &headers, body.as_bytes())
    }

    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request.push_str("Host: localhost\r\n");
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let body = match head.contains("transfer-encoding: chunked") {
            true => unchunked(body),
            false => body.to_owned(),
        };
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body,
        }
    }

    /// The events of `/api/events`, as they come.
    pub(crate) fn events(&self) -> impl Iterator<Item = Value> {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream
            .write_all(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
        let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
        assert_eq!(lines.next().unwrap(), "HTTP/1.1 200 OK");
        lines.filter_map(|line| {
            let event = line.strip_prefix("data: ")?;
            Some(serde_json::from_str(event).unwrap())
        })
    }

    /// Sends a request with one descriptor to `/json` and returns the HTTP status.
    pub(crate) fn hit(&self, domain: &str, entries: &[(&str, &str)]) -> u16 {
        self.post("/json", &request(domain, entries)).status
    }

    /// Starts the shutdown; the server drains for as long as a client is connected.
    pub(crate) fn shut_down(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }
}

/// A body that was sent in chunks, which must be complete.
fn unchunked(mut body: &str) -> String {
    let mut text = String::new();
    loop {
        let (len, rest) = body.split_once("\r\n").unwrap();
        let len = usize::from_str_radix(len, 16).unwrap();
        text.push_str(&rest[..len]);
        body = rest[len..].strip_prefix("\r\n").unwrap();
        if len == 0 {
            return text;
        }
    }
}

/// A clock that is fixed in the middle of an hour, so that no window ends during a test.
pub(crate) fn fixed_clock() -> Clock {
    Clock::Manual(ManualClock::new(Timestamp::from_secs(1_700_000_000)))
}

/// A `RateLimitRequest` in JSON.
pub(crate) fn request(domain: &str, entries: &[(&str, &str)]) -> String {
    let entries = entries.iter();
    let entries = entries.map(|(key, value)| serde_json::json!({"key": key, "value": value}));
    let entries: Vec<Value> = entries.collect();
    serde_json::json!({"domain": domain, "descriptors": [{"entries": entries}]}).to_string()
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The value of a sample of `/metrics`, written as `name{labels}`.
    pub(crate) fn sample(&self, sample: &str) -> Option<u64> {
        let value = self.body.lines().find_map(|line| line.strip_prefix(sample));
        value?.trim().parse().ok()
    }
}
