//! Answers that nobody waits for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tonic::transport::Endpoint;
use weir::clock::Clock;
use weir::engine::Engine;
use weir::proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use weir::request::{Cost, Descriptor, Entry, Request};
use weir::store::{MemoryConfig, Store};

use crate::running::{Running, config, descriptor, request};

const POLICY: &str = "
domain: t
descriptors:
- {key: at_once, rate_limit: {algorithm: concurrency, max_in_flight: 2, lease_seconds: 3600}}
";

fn engine() -> Arc<Engine> {
    let loaded = weir::policy::load_text(Path::new("t.yaml"), POLICY);
    let store = Store::memory(MemoryConfig::default()).unwrap();
    Arc::new(Engine::new(loaded.policy.unwrap(), store, Clock::System))
}

/// Slots that are free.
async fn free(engine: &Engine) -> u32 {
    let look = Descriptor {
        entries: vec![Entry {
            key: "at_once".into(),
            value: "k".into(),
        }],
        cost: Cost::Peek,
        limit: None,
    };
    let request = Request {
        domain: "t".into(),
        descriptors: vec![look],
    };
    engine.decide(&request).await.statuses[0].remaining
}

/// Waits until `slots` slots are free.
async fn become_free(engine: &Engine, slots: u32) {
    while free(engine).await != slots {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn slots_of_an_abandoned_call_are_released() {
    let engine = engine();
    let running = Running::serving(Arc::clone(&engine), config(1, Duration::ZERO)).await;
    // The headers of an answer may come, its message has no room: it is not asked for.
    let endpoint = Endpoint::from_static("http://weir").initial_stream_window_size(0);
    let channel = running.connect_by(endpoint).await;
    let client = RateLimitServiceClient::new(channel);
    let message = || request(vec![descriptor(b"at_once", b"k")]);
    let calls = [(); 2].map(|()| {
        let mut client = client.clone();
        let message = message();
        tokio::spawn(async move { client.should_rate_limit(message).await })
    });
    become_free(&engine, 0).await;

    // A third one is refused, and holds nothing that could be given back.
    let mut other = running.client().await;
    let refused = other.should_rate_limit(message()).await.unwrap();
    assert_eq!(refused.into_inner().overall_code, 2);
    let [first, second] = calls;
    first.abort();
    become_free(&engine, 1).await;
    second.abort();
    become_free(&engine, 2).await;
    assert_eq!(engine.lease_stats().unknown, 0);
}

#[tokio::test]
async fn a_connection_that_ends_before_the_answer_gives_back_what_it_granted() {
    let engine = engine();
    let running = Running::serving(Arc::clone(&engine), config(1, Duration::ZERO)).await;
    let endpoint = Endpoint::from_static("http://weir").initial_stream_window_size(0);
    let channel = running.connect_by(endpoint).await;
    let call = tokio::spawn(async move {
        let mut client = RateLimitServiceClient::new(channel);
        let message = request(vec![descriptor(b"at_once", b"k")]);
        client.should_rate_limit(message).await
    });
    become_free(&engine, 1).await;
    call.abort();
    become_free(&engine, 2).await;
}

#[tokio::test]
async fn an_answer_that_was_sent_keeps_its_lease() {
    let engine = engine();
    let running = Running::serving(Arc::clone(&engine), config(1, Duration::ZERO)).await;
    let mut client = running.client().await;
    let message = request(vec![descriptor(b"at_once", b"k")]);
    let answer = client
        .should_rate_limit(message)
        .await
        .unwrap()
        .into_inner();
    drop(client);
    let metadata = answer.dynamic_metadata.unwrap();
    let lease = metadata.fields["lease"].kind.clone().unwrap();
    let prost_types::value::Kind::StringValue(lease) = lease else {
        panic!("{lease:?}");
    };
    assert_eq!(free(&engine).await, 1);

    let mut client = running.client().await;
    let mut back = descriptor(b"at_once", b"k");
    back.entries.push(
        weir::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry {
            key: "lease".into(),
            value: lease.into(),
        },
    );
    back.is_negative_hits = true;
    let answer = client.should_rate_limit(request(vec![back])).await.unwrap();
    assert_eq!(answer.into_inner().dynamic_metadata, None);
    assert_eq!(free(&engine).await, 2);
}
