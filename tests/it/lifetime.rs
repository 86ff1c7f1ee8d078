//! Connections, workers, and the end of a server.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use weir::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use weir::server::{Config, ListenConfig, Listener, Shutdown};

use crate::running::{Running, config, descriptor, request};

#[tokio::test]
async fn every_worker_answers() {
    let running = Running::with(config(3, Duration::ZERO)).await;
    let mut clients = Vec::new();
    for _ in 0..7 {
        clients.push(running.client().await);
    }
    for client in &mut clients {
        let message = request(vec![descriptor(b"api_key", b"k")]);
        client.should_rate_limit(message).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_without_connections_does_not_drain() {
    let mut running = Running::with(config(1, Duration::from_secs(600))).await;
    running.shut_down();
    assert_eq!(running.ended().await, Shutdown::Clean);
}

#[tokio::test]
async fn watchers_and_idle_connections_do_not_hold_up_the_end() {
    let mut running = Running::start().await;
    let mut mute = TcpStream::connect(running.address()).await.unwrap();
    let mut half = TcpStream::connect(running.address()).await.unwrap();
    half.write_all(b"PRI * HTTP/2").await.unwrap();
    let mut idle = running.client().await;
    idle.should_rate_limit(request(vec![descriptor(b"api_key", b"k")]))
        .await
        .unwrap();
    let watched = running.connect().await;
    let service = String::new();
    let mut watch = HealthClient::new(watched)
        .watch(HealthCheckRequest { service })
        .await
        .unwrap()
        .into_inner();

    running.shut_down();
    assert_eq!(running.ended().await, Shutdown::Clean);
    // The server's settings, and then the end.
    mute.read_to_end(&mut Vec::new()).await.unwrap();
    half.read_to_end(&mut Vec::new()).await.unwrap();
    // GOAWAY, then the orderly end of the stream.
    assert!(watch.message().await.unwrap().is_some());
    while let Some(_told) = watch.message().await.unwrap() {}
}

/// Begins a call, and leaves it to the sender when its message follows.
async fn begin_call(
    channel: Channel,
) -> (
    mpsc::Sender<RateLimitRequest>,
    impl Future<Output = Result<RateLimitResponse, tonic::Status>>,
) {
    let (sender, messages) = mpsc::channel(1);
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let call = tokio::spawn(async move {
        let path = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
        let messages = tonic::Request::new(ReceiverStream::new(messages));
        let codec = tonic_prost::ProstCodec::default();
        let answer = grpc
            .client_streaming(messages, path.parse().unwrap(), codec)
            .await?;
        Ok(answer.into_inner())
    });
    // The server takes calls of a connection in their order: an answer to this one shows that it has the other.
    tokio::task::yield_now().await;
    let service = String::new();
    let mut health = HealthClient::new(channel);
    health.check(HealthCheckRequest { service }).await.unwrap();
    (sender, async { call.await.unwrap() })
}

#[tokio::test]
async fn a_call_in_flight_is_answered() {
    let mut running = Running::start().await;
    let (sender, answer) = begin_call(running.connect().await).await;
    running.shut_down();
    running.closed().await;
    let message = request(vec![descriptor(b"api_key", b"k")]);
    sender.send(message).await.unwrap();
    drop(sender);
    assert_eq!(answer.await.unwrap().statuses.len(), 1);
    assert_eq!(running.ended().await, Shutdown::Clean);
}

#[tokio::test]
async fn a_call_that_does_not_end_is_cut_off() {
    let mut running = Running::with(Config {
        grace: Duration::ZERO,
        ..config(1, Duration::ZERO)
    })
    .await;
    let (_sender, answer) = begin_call(running.connect().await).await;
    running.shut_down();
    assert_eq!(running.ended().await, Shutdown::CutOff);
    answer.await.unwrap_err();
}

#[tokio::test]
async fn a_server_that_is_dropped_closes_its_connections() {
    let running = Running::start().await;
    let mut client = running.client().await;
    let message = request(vec![descriptor(b"api_key", b"k")]);
    client.should_rate_limit(message.clone()).await.unwrap();
    running.abort();
    // Whenever its worker hears of it.
    while client.should_rate_limit(message.clone()).await.is_ok() {}
}

#[tokio::test]
async fn a_port_in_use_is_refused_with_a_way_out() {
    let running = Running::start().await;
    let taken: ListenConfig = running.address().parse().unwrap();
    let error = Listener::bind(&taken).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "cannot listen on {taken}: it is in use; \
             stop what uses it, or choose another address with --grpc"
        )
    );
}

#[tokio::test]
async fn a_unix_socket_is_taken_over_only_from_the_dead() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.sock");
    let address = ListenConfig::Unix(path.clone());
    // The file of a server that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());

    let listener = Listener::bind(&address).unwrap();
    UnixStream::connect(&path).await.unwrap();
    let error = Listener::bind(&address).unwrap_err().to_string();
    assert!(error.contains("in use"), "{error}");
    UnixStream::connect(&path).await.unwrap();

    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_that_is_not_a_socket_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "precious").unwrap();
    Listener::bind(&ListenConfig::Unix(path.clone())).unwrap_err();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_socket_file_of_a_successor_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.sock");
    let address = ListenConfig::Unix(path.clone());
    let first = Listener::bind(&address).unwrap();
    std::fs::rename(&path, folder.path().join("old.sock")).unwrap();
    let second = Listener::bind(&address).unwrap();
    drop(first);
    assert!(path.exists());
    drop(second);
    assert!(!path.exists());
}
