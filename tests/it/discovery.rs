//! What others find out about the server: its health and its services.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_stream::StreamExt;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};
use weir::server::Shutdown;

use crate::running::{Running, config, descriptor, request};

const NAMES: [&str; 3] = [
    "",
    "ratelimit",
    "envoy.service.ratelimit.v3.RateLimitService",
];

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

#[tokio::test]
async fn a_server_is_healthy_under_three_names() {
    let running = Running::start().await;
    let mut health = HealthClient::new(running.connect().await);
    for name in NAMES {
        let answer = health.check(about(name)).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{name:?}");
    }
    let unknown = health.check(about("unknown")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}

#[tokio::test]
async fn a_server_that_drains_is_unhealthy_and_answers() {
    // The drain ends when nobody is connected any more, and not before.
    let mut running = Running::with(config(1, Duration::from_secs(600))).await;
    let channel = running.connect().await;
    let mut health = HealthClient::new(channel.clone());
    let mut watch = health.watch(about("")).await.unwrap().into_inner();
    let first = watch.next().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);

    running.shut_down();
    let second = watch.next().await.unwrap().unwrap();
    assert_eq!(second.status(), ServingStatus::NotServing);

    let mut newcomer = running.client().await;
    newcomer
        .should_rate_limit(request(vec![descriptor(b"api_key", b"k")]))
        .await
        .unwrap();
    let ratelimit = health.check(about("ratelimit")).await.unwrap();
    assert_eq!(ratelimit.into_inner().status(), ServingStatus::NotServing);

    drop((newcomer, health, watch, channel));
    assert_eq!(running.ended().await, Shutdown::Clean);
}

fn expected(reflection: &str) -> BTreeSet<String> {
    [
        "envoy.service.ratelimit.v3.RateLimitService",
        "grpc.health.v1.Health",
        reflection,
    ]
    .map(str::to_owned)
    .into()
}

#[tokio::test]
async fn reflection_v1_lists_services_and_serves_text_fields() {
    use prost::Message;
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;

    let running = Running::start().await;
    let mut reflection =
        v1::server_reflection_client::ServerReflectionClient::new(running.connect().await);
    let ask = |message| v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    };
    let questions = tokio_stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(
            "envoy.extensions.common.ratelimit.v3.RateLimitDescriptor".to_owned(),
        )),
    ]);
    let mut answers = reflection
        .server_reflection_info(questions)
        .await
        .unwrap()
        .into_inner();

    let listed = answers.next().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = listed else {
        panic!("{listed:?}");
    };
    let names: BTreeSet<_> = list.service.into_iter().map(|it| it.name).collect();
    assert_eq!(names, expected("grpc.reflection.v1.ServerReflection"));

    let file = answers.next().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::FileDescriptorResponse(file)) = file else {
        panic!("{file:?}");
    };
    let file = prost_types::FileDescriptorProto::decode(&*file.file_descriptor_proto[0]).unwrap();
    let entry = &file.message_type[0].nested_type[0];
    assert_eq!(entry.name(), "Entry");
    for field in &entry.field {
        assert_eq!(
            field.r#type(),
            prost_types::field_descriptor_proto::Type::String
        );
    }
}

#[tokio::test]
async fn reflection_v1alpha_lists_services() {
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;

    let running = Running::start().await;
    let mut reflection =
        v1alpha::server_reflection_client::ServerReflectionClient::new(running.connect().await);
    let question = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = reflection
        .server_reflection_info(tokio_stream::iter([question]))
        .await
        .unwrap()
        .into_inner();
    let listed = answers.next().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = listed else {
        panic!("{listed:?}");
    };
    let names: BTreeSet<_> = list.service.into_iter().map(|it| it.name).collect();
    assert_eq!(names, expected("grpc.reflection.v1alpha.ServerReflection"));
}
