//! Spans, as a collector gets them; and refusals in the log.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};
use weir::proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;

use crate::binary::{Serving, stderr, weir};
use crate::running::{descriptor, request};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A collector that hands on what it gets, of those who know its key.
struct Collector {
    spans: mpsc::Sender<Span>,
    key: Option<&'static str>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let key = request.metadata().get("x-api-key");
        if key.and_then(|key| key.to_str().ok()) != self.key {
            return Err(Status::unauthenticated("no key"));
        }
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        for span in scopes.flat_map(|scope| scope.spans) {
            self.spans.send(span).unwrap();
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn collector() -> (String, mpsc::Receiver<Span>) {
    let (address, spans) = serve_collector(Server::builder(), None).await;
    (format!("http://{address}"), spans)
}

/// A collector with a certificate for `localhost`, and the certificate.
async fn encrypted_collector() -> (String, String, mpsc::Receiver<Span>) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.pem();
    let identity = Identity::from_pem(&certificate, certified.signing_key.serialize_pem());
    let tls = ServerTlsConfig::new().identity(identity);
    let server = Server::builder().tls_config(tls).unwrap();
    let (address, spans) = serve_collector(server, Some("k")).await;
    let url = format!("https://localhost:{}", address.port());
    (url, certificate, spans)
}

async fn serve_collector(
    mut server: Server,
    key: Option<&'static str>,
) -> (SocketAddr, mpsc::Receiver<Span>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, spans) = mpsc::channel();
    let collector = Collector { spans: sender, key };
    let server = server
        .add_service(TraceServiceServer::new(collector))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    (address, spans)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_is_a_child_of_its_callers_span() {
    let (url, spans) = collector().await;
    let flags = ["--grpc=127.0.0.1:0", "--drain=0", "--otlp-sample-ratio=0"];
    let mut serving = Serving::start(&[&flags[..], &["--otlp", &url]].concat());
    let mut client = RateLimitServiceClient::new(serving.connect().await);
    let mut ask = async |sampled: &str, key: &'static [u8]| {
        let mut asked = Request::new(request(vec![descriptor(key, b"s3cret")]));
        let parent = format!("00-{TRACE}-b7ad6b7169203331-{sampled}");
        asked
            .metadata_mut()
            .insert("traceparent", parent.parse().unwrap());
        // A request without a domain would fail; this one is answered.
        client.should_rate_limit(asked).await.unwrap();
    };
    ask("00", b"other").await;
    ask("01", b"api_key").await;
    // What is left is sent at the end.
    serving.signal("TERM");
    let (code, log) = tokio::task::spawn_blocking(move || serving.end())
        .await
        .unwrap();
    assert_eq!(code, Some(0), "{log}");
    let spans: Vec<Span> = spans.try_iter().collect();
    assert_eq!(spans.len(), 1, "{spans:?}");
    let span = &spans[0];
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(span.name, "ShouldRateLimit");
    assert_eq!(hex(&span.trace_id), TRACE);
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    let said = format!("{:?} {:?}", span.attributes, span.events);
    for part in [
        "weir.domain",
        "\"t\"",
        "weir.code",
        "\"OK\"",
        "weir.rule",
        "\"api_key\"",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("s3cret"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_keeps_nobody_from_deciding() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let flags = ["--grpc=127.0.0.1:0", "--drain=0", "--otlp-sample-ratio=1"];
    let mut serving = Serving::start(&[&flags[..], &["--otlp", &url]].concat());
    let mut client = RateLimitServiceClient::new(serving.connect().await);
    let asked = request(vec![descriptor(b"api_key", b"x")]);
    client.should_rate_limit(asked).await.unwrap();
    serving.signal("TERM");
    let (code, _) = tokio::task::spawn_blocking(move || serving.end())
        .await
        .unwrap();
    assert_eq!(code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_are_sent_over_tls_to_a_collector_that_the_ca_has_signed() {
    let folder = tempfile::tempdir().unwrap();
    let (url, certificate, spans) = encrypted_collector().await;
    let (_, other, _) = encrypted_collector().await;
    for (name, pem, expected) in [("other.pem", other, 0), ("ca.pem", certificate, 1)] {
        let ca = folder.path().join(name);
        std::fs::write(&ca, pem).unwrap();
        let flags = ["--grpc=127.0.0.1:0", "--drain=0", "--otlp-sample-ratio=1"];
        let collector = ["--otlp", &url, "--otlp-ca", ca.to_str().unwrap()];
        let headers = [("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=k")];
        let mut serving = Serving::start_with(&[&flags[..], &collector].concat(), &headers);
        let mut client = RateLimitServiceClient::new(serving.connect().await);
        let asked = request(vec![descriptor(b"api_key", b"x")]);
        client.should_rate_limit(asked).await.unwrap();
        serving.signal("TERM");
        let (code, log) = tokio::task::spawn_blocking(move || serving.end())
            .await
            .unwrap();
        assert_eq!(code, Some(0), "{log}");
        assert_eq!(spans.try_iter().count(), expected, "{name}: {log}");
    }
}

/// A collector over HTTP: the first line of each request, and its message.
fn http_collector() -> (
    SocketAddr,
    mpsc::Receiver<(String, ExportTraceServiceRequest)>,
) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                match line.trim_end() {
                    "" => break,
                    line => head.push(line.to_ascii_lowercase()),
                }
            }
            let length = head
                .iter()
                .find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.unwrap().parse().unwrap()];
            stream.read_exact(&mut body).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            stream.get_mut().write_all(answer).unwrap();
            let message = ExportTraceServiceRequest::decode(&*body).unwrap();
            sender.send((head.remove(0), message)).unwrap();
        }
    });
    (address, requests)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_can_be_sent_over_http() {
    let (address, requests) = http_collector();
    let flags = ["--grpc=127.0.0.1:0", "--drain=0", "--otlp-sample-ratio=1"];
    let collector = ["--otlp", &address.to_string(), "--otlp-protocol=http"];
    let mut serving = Serving::start(&[&flags[..], &collector].concat());
    let mut client = RateLimitServiceClient::new(serving.connect().await);
    let asked = request(vec![descriptor(b"api_key", b"x")]);
    client.should_rate_limit(asked).await.unwrap();
    serving.signal("TERM");
    let (code, log) = tokio::task::spawn_blocking(move || serving.end())
        .await
        .unwrap();
    assert_eq!(code, Some(0), "{log}");
    let (line, message) = requests.try_recv().unwrap();
    assert_eq!(line, "post /v1/traces http/1.1");
    let said = format!("{message:?}");
    for part in ["\"ShouldRateLimit\"", "\"service.name\"", "\"weir\""] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn ca_certificates_that_are_of_no_use_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let empty = empty.to_str().unwrap();
    for (collector, ca, said) in [
        (
            "https://localhost:4317",
            "/nowhere.pem",
            "--otlp-ca: cannot read /nowhere.pem",
        ),
        (
            "https://localhost:4317",
            empty,
            "empty.pem has no certificate: expected PEM",
        ),
        ("localhost:4317", empty, "write --otlp https://HOST:PORT"),
        (
            "ftp://localhost",
            empty,
            "expected HOST:PORT, http://HOST:PORT or https://HOST:PORT",
        ),
    ] {
        let flags = [
            "serve",
            "--policies=config",
            "--grpc=127.0.0.1:0",
            "--http=off",
        ];
        let output = weir(&flags)
            .args(["--otlp", collector, "--otlp-ca", ca])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).contains(said), "{said}: {output:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_requests_are_logged_at_most_n_per_second() {
    let flags = [
        "--grpc=127.0.0.1:0",
        "--drain=0",
        "--log-refused-per-second=1",
    ];
    let mut serving = Serving::start(&flags);
    let mut client = RateLimitServiceClient::new(serving.connect().await);
    for _ in 0..30 {
        let asked = request(vec![descriptor(b"api_key", b"k1\n")]);
        client.should_rate_limit(asked).await.unwrap();
    }
    let said = tokio::task::spawn_blocking(move || {
        let said = serving.wait_for("request rate limited");
        serving.signal("TERM");
        let (_, rest) = serving.end();
        (said, rest)
    });
    let (said, rest) = said.await.unwrap();
    assert_eq!(said["domain"], "t");
    assert_eq!(said["client"], "api_key=k1\u{fffd}");
    assert_eq!(said["rule"], "api_key");
    assert_eq!(said["suppressed"], 0);
    // All the rest of them came within a second or two.
    assert!(rest.matches("request rate limited").count() < 20, "{rest}");
}
