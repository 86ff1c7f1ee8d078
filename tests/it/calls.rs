//! `ShouldRateLimit` over the wire. The connection continues to answer, whatever is sent.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use tonic::transport::Channel;
use tonic::{Code, Status};
use weir::proto::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use weir::proto::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::{
    Entry, RateLimitOverride,
};
use weir::proto::envoy::service::ratelimit::v3::rate_limit_response::Code as Overall;
use weir::proto::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};

use crate::running::{Running, call_raw, config, descriptor, request};

/// A connection of its own server.
async fn connect() -> (Running, Channel) {
    let running = Running::start().await;
    let channel = running.connect().await;
    (running, channel)
}

async fn call(channel: &Channel, message: &RateLimitRequest) -> Result<RateLimitResponse, Status> {
    call_raw(channel, message.encode_to_vec().into()).await
}

async fn assert_answers(channel: &Channel) {
    let answer = call(channel, &request(vec![descriptor(b"api_key", b"k")]))
        .await
        .expect("the same connection still answers");
    assert_eq!(answer.overall_code(), Overall::Ok);
    assert_eq!(answer.statuses.len(), 1);
}

/// Refused with that code and message, and the same connection still answers.
async fn assert_refused(message: impl Into<Bytes>, code: Code, text: &str) {
    let (_running, channel) = connect().await;
    let status = call_raw(&channel, message.into()).await.unwrap_err();
    assert_eq!(status.code(), code, "{status}");
    assert!(status.message().contains(text), "{status}");
    assert_answers(&channel).await;
}

async fn assert_invalid(message: &RateLimitRequest, text: &str) {
    assert_refused(message.encode_to_vec(), Code::InvalidArgument, text).await;
}

/// Answered with OK, and the same connection still answers.
async fn assert_fine(message: &RateLimitRequest) {
    let (_running, channel) = connect().await;
    let answer = call(&channel, message).await.unwrap();
    assert_eq!(answer.overall_code(), Overall::Ok);
    assert_eq!(answer.statuses.len(), message.descriptors.len());
    assert_answers(&channel).await;
}

#[tokio::test]
async fn the_request_is_described_where_that_is_asked_for() {
    for is_asked in [false, true] {
        let mut config = config(1, Duration::ZERO);
        config.request_metadata = is_asked;
        let running = Running::with(config).await;
        let channel = running.connect().await;
        let message = request(vec![descriptor(b"api_key", b"k")]);
        let metadata = call(&channel, &message).await.unwrap().dynamic_metadata;
        let fields = metadata.map(|metadata| metadata.fields.into_keys().collect::<Vec<_>>());
        let expected = is_asked.then(|| ["descriptors", "domain"].map(str::to_owned).to_vec());
        assert_eq!(fields, expected);
    }
}

#[tokio::test]
async fn the_generated_client_is_answered() {
    let running = Running::start().await;
    let mut client = running.client().await;
    let answer = client
        .should_rate_limit(request(vec![
            descriptor(b"api_key", b"k"),
            descriptor(b"other", b"x"),
        ]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.overall_code(), Overall::Ok);
    assert_eq!(answer.statuses.len(), 2);
    assert_eq!(answer.statuses[1].current_limit, None);
}

#[tokio::test]
async fn values_that_are_not_utf8_are_answered() {
    assert_fine(&request(vec![
        descriptor(b"api_key", b"ab\xff"),
        descriptor(b"\xc3\x28", b"\x80"),
    ]))
    .await;
}

#[tokio::test]
async fn a_domain_that_is_not_utf8_is_answered() {
    let mut message = request(vec![descriptor(b"api_key", b"k")]);
    message.domain = Bytes::from_static(b"t\xff");
    assert_fine(&message).await;
}

#[tokio::test]
async fn empty_keys_and_values_are_answered() {
    assert_fine(&request(vec![
        descriptor(b"api_key", b""),
        descriptor(b"", b""),
        RateLimitDescriptor::default(),
    ]))
    .await;
}

#[tokio::test]
async fn a_value_of_a_megabyte_is_answered() {
    assert_fine(&request(vec![descriptor(b"api_key", &vec![b'x'; 1 << 20])])).await;
}

#[tokio::test]
async fn repeated_entries_and_descriptors_are_answered() {
    let mut twice = descriptor(b"api_key", b"k");
    twice.entries.push(twice.entries[0].clone());
    let once = descriptor(b"api_key", b"k");
    assert_fine(&request(vec![twice, once.clone(), once])).await;
}

#[tokio::test]
async fn as_much_as_is_allowed_is_answered() {
    let mut full = descriptor(b"api_key", b"k");
    full.entries = vec![full.entries[0].clone(); 64];
    assert_fine(&request(vec![full; 256])).await;
}

#[tokio::test]
async fn an_empty_domain_is_refused() {
    let mut message = request(vec![descriptor(b"api_key", b"k")]);
    message.domain.clear();
    assert_invalid(&message, "domain: must not be empty").await;
}

#[tokio::test]
async fn no_descriptors_are_refused() {
    assert_invalid(&request(Vec::new()), "descriptors: at least one is needed").await;
}

#[tokio::test]
async fn too_many_descriptors_are_refused() {
    let message = request(vec![descriptor(b"api_key", b"k"); 257]);
    assert_invalid(&message, "descriptors: at most 256 are taken").await;
}

#[tokio::test]
async fn too_many_entries_are_refused() {
    let mut long = descriptor(b"api_key", b"k");
    long.entries = vec![long.entries[0].clone(); 65];
    let message = request(vec![descriptor(b"api_key", b"k"), long]);
    assert_invalid(&message, "descriptors[1].entries: at most 64 are taken").await;
}

#[tokio::test]
async fn too_many_entries_of_a_long_message_are_refused() {
    let mut long = descriptor(b"", b"");
    long.entries = vec![Entry::default(); 1_000_000];
    assert_invalid(
        &request(vec![long]),
        "descriptors[0].entries: at most 64 are taken",
    )
    .await;
}

#[tokio::test]
async fn two_million_empty_descriptors_are_refused() {
    let mut message = BytesMut::from(&b"\x0a\x01t"[..]);
    for _ in 0..2_000_000 {
        message.put_slice(b"\x12\x00");
    }
    assert_refused(
        message,
        Code::InvalidArgument,
        "descriptors: at most 256 are taken",
    )
    .await;
}

#[tokio::test]
async fn a_message_of_more_than_four_mebibytes_is_refused() {
    let message = request(vec![descriptor(b"api_key", &vec![b'x'; 5 << 20])]);
    assert_refused(
        message.encode_to_vec(),
        Code::ResourceExhausted,
        "at most 4194304",
    )
    .await;
}

#[tokio::test]
async fn undecodable_messages_are_refused() {
    let cut_short = request(vec![descriptor(b"api_key", b"k")]).encode_to_vec();
    let cut_short = cut_short[..cut_short.len() - 1].to_vec();
    let mut long_and_cut_short =
        request(vec![descriptor(b"api_key", &[b'x'; 5000])]).encode_to_vec();
    long_and_cut_short.pop();
    for message in [
        vec![0xff; 10],
        vec![0xff; 10_000],
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec(),
        cut_short,
        long_and_cut_short,
    ] {
        assert_refused(message, Code::InvalidArgument, "not a RateLimitRequest").await;
    }
}

#[tokio::test]
async fn overrides_without_a_unit_of_time_are_refused() {
    for unit in [0, 8, -1, i32::MAX] {
        let mut odd = descriptor(b"api_key", b"k");
        odd.limit = Some(RateLimitOverride {
            requests_per_unit: 1,
            unit,
            unit_multiplier: None,
        });
        let message = request(vec![descriptor(b"api_key", b"k"), odd]);
        assert_invalid(&message, "descriptors[1].limit.unit: ").await;
    }
}

#[tokio::test]
async fn overrides_longer_than_any_window_are_refused() {
    let mut long = descriptor(b"api_key", b"k");
    long.limit = Some(RateLimitOverride {
        requests_per_unit: 1,
        unit: 6,
        unit_multiplier: Some(11),
    });
    assert_invalid(
        &request(vec![long]),
        "descriptors[0].limit.unit_multiplier: ",
    )
    .await;
}

#[tokio::test]
async fn a_refusal_never_repeats_a_value() {
    let (_running, channel) = connect().await;
    let mut odd = descriptor(b"api_key", b"sk_live_secret");
    odd.limit = Some(RateLimitOverride::default());
    let status = call(&channel, &request(vec![odd])).await.unwrap_err();
    assert!(!format!("{status:?}").contains("secret"), "{status:?}");
}
