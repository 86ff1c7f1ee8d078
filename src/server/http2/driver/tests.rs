//! A connection on a socket, with the client of tonic.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::{HealthReporter, health_reporter};
use tonic_prost::ProstCodec;

use super::super::limits::{ByteBudget, Http2Limits};
use super::super::{
    CallHead, CallOutcome, CallRoute, Http2Connection, Http2Service, LateAnswer, Receipt, Rejection,
};

/// Answers at once, after a while, or never.
#[derive(Clone, Default)]
struct Slow {
    unfinished: Arc<AtomicUsize>,
}

struct Unsent;

impl Receipt for Unsent {
    fn sent(self) {}
}

/// Counts a future for as long as it lives.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Http2Service for Slow {
    type Receipt = Unsent;

    fn route(&mut self, path: &[u8]) -> CallRoute {
        match path {
            b"/test/now" => CallRoute::Unary(0),
            b"/test/later" => CallRoute::Unary(1),
            b"/test/never" => CallRoute::Unary(2),
            _ => CallRoute::Exchange,
        }
    }

    fn call(&mut self, head: &CallHead, message: &[u8], out: &mut Vec<u8>) -> CallOutcome<Unsent> {
        if head.method == 0 {
            out.extend_from_slice(message);
            return CallOutcome::Message(Some(Unsent));
        }
        self.unfinished.fetch_add(1, Ordering::Relaxed);
        let alive = Alive(Arc::clone(&self.unfinished));
        let (message, ends) = (message.to_vec(), head.method == 1);
        CallOutcome::Later(Box::pin(async move {
            let _alive = alive;
            tokio::task::yield_now().await;
            if !ends {
                std::future::pending::<()>().await;
            }
            LateAnswer::Message(message, None)
        }))
    }

    fn rejected(&mut self, reason: Rejection) {
        panic!("{reason:?}");
    }
}

struct Running {
    channel: Channel,
    service: Slow,
    reporter: HealthReporter,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<std::io::Result<()>>,
}

async fn running() -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (reporter, health) = health_reporter();
    let service = Slow::default();
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn({
        let service = service.clone();
        async move {
            let (socket, _) = listener.accept().await?;
            let limits = Arc::new(Http2Limits::default());
            let budget = ByteBudget::new(1 << 20);
            let connection = Http2Connection::new(service, limits, &budget, super::now());
            let routes = tonic::service::Routes::new(health).prepare();
            super::serve(socket, connection, routes, async { drop(stopped.await) }).await
        }
    });
    let channel = Endpoint::from_shared(address)
        .unwrap()
        .connect()
        .await
        .unwrap();
    Running {
        channel,
        service,
        reporter,
        stop: Some(stop),
        server,
    }
}

impl Running {
    /// Calls a method of the test's service, with the messages of health checks.
    async fn call(
        &self,
        path: &'static str,
        timeout: Option<Duration>,
    ) -> Result<Response<HealthCheckRequest>, Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let service = "x".repeat(100);
        let mut request = Request::new(HealthCheckRequest { service });
        if let Some(timeout) = timeout {
            request.set_timeout(timeout);
        }
        let codec: ProstCodec<HealthCheckRequest, HealthCheckRequest> = ProstCodec::default();
        grpc.unary(request, path.parse().unwrap(), codec).await
    }

    fn check(service: &str) -> HealthCheckRequest {
        let service = service.to_owned();
        HealthCheckRequest { service }
    }
}

fn status(response: &HealthCheckResponse) -> i32 {
    response.status
}

#[tokio::test]
async fn answers_come_at_once_or_later() {
    let running = running().await;
    for path in ["/test/now", "/test/later"] {
        let response = running.call(path, None).await.unwrap();
        assert_eq!(response.get_ref().service.len(), 100);
        let encodings = response.metadata().get("grpc-accept-encoding");
        assert_eq!(encodings.unwrap(), "identity,gzip");
    }
    assert_eq!(running.service.unfinished.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_answer_that_is_not_wanted_is_dropped() {
    let running = running().await;
    let timeout = Duration::from_millis(20);
    let late = running
        .call("/test/never", Some(timeout))
        .await
        .unwrap_err();
    assert!(
        matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{late}"
    );
    let call = tokio::time::timeout(timeout, running.call("/test/never", None));
    call.await.unwrap_err();
    while running.service.unfinished.load(Ordering::Relaxed) > 0 {
        tokio::task::yield_now().await;
    }
    running.call("/test/now", None).await.unwrap();
}

#[tokio::test]
async fn services_with_bodies_share_the_connection() {
    let running = running().await;
    let mut health = HealthClient::new(running.channel.clone());
    let response = health.check(Running::check("")).await.unwrap();
    assert_eq!(status(response.get_ref()), 1);
    let unknown = health.check(Running::check("none")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let mut watch = health.watch(Running::check("")).await.unwrap().into_inner();
    assert_eq!(status(&watch.message().await.unwrap().unwrap()), 1);
    running.call("/test/later", None).await.unwrap();
    running
        .reporter
        .set_service_status("", ServingStatus::NotServing)
        .await;
    assert_eq!(status(&watch.message().await.unwrap().unwrap()), 2);
    running.reporter.clone().clear_service_status("").await;
    assert!(watch.message().await.unwrap().is_none());
    let mut grpc = Grpc::new(running.channel.clone());
    grpc.ready().await.unwrap();
    let codec: ProstCodec<HealthCheckRequest, HealthCheckRequest> = ProstCodec::default();
    let path = "/none/none".parse().unwrap();
    let unknown = grpc
        .unary(Request::new(Running::check("")), path, codec)
        .await;
    assert_eq!(unknown.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_stopped_connection_ends_when_its_calls_have() {
    let mut running = running().await;
    let mut health = HealthClient::new(running.channel.clone());
    let mut watch = health.watch(Running::check("")).await.unwrap().into_inner();
    watch.message().await.unwrap();
    drop(running.stop.take());
    // The open call is served until it ends.
    running
        .reporter
        .set_service_status("", ServingStatus::NotServing)
        .await;
    assert_eq!(status(&watch.message().await.unwrap().unwrap()), 2);
    assert!(!running.server.is_finished());
    running.reporter.clone().clear_service_status("").await;
    assert!(watch.message().await.unwrap().is_none());
    running.server.await.unwrap().unwrap();
}
