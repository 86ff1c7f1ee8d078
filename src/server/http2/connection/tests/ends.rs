//! How connections begin and end.

use std::time::Duration;

use super::super::super::Rejection;
use super::super::super::frame::{FrameKind, flag};
use super::super::super::limits::{ByteBudget, Http2Limits};
use super::client::{Client, PREFACE, block, call, frame, message};

fn silent() -> Client {
    Client::silent(Http2Limits::default(), &ByteBudget::new(0))
}

#[test]
fn other_protocols_and_silence_end_the_connection() {
    for (first, reason) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], Rejection::Http1),
        (b"\x16\x03\x01\0\0\0", Rejection::Tls),
        (b"\0", Rejection::UnknownProtocol),
    ] {
        let mut client = silent();
        client.send(first);
        let reply = client.connection.unwritten().to_vec();
        client.connection.wrote(reply.len(), client.now);
        client.is_ended_by(reason);
        let reply = String::from_utf8(reply).unwrap();
        assert_eq!(
            reply.starts_with("HTTP/1.1 505 "),
            reason == Rejection::Http1
        );
        if let Some((head, body)) = reply.split_once("\r\n\r\n") {
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        }
    }
    for first in [&b""[..], &PREFACE[..20], PREFACE] {
        let mut client = silent();
        client.send(first);
        client.pass(Duration::from_secs(21));
        client.is_ended_by(Rejection::PrefaceTimeout);
    }
    let mut client = silent();
    client.send(PREFACE);
    client.send(&call(1, "/echo", 1));
    client.is_ended_by(Rejection::ProtocolError);
}

#[test]
fn a_client_is_asked_to_go_in_two_steps() {
    let mut client = Client::new();
    client.send(&frame(
        FrameKind::Headers,
        flag::END_HEADERS,
        1,
        &block("/echo", &[]),
    ));
    client.connection.shut_down(client.now);
    let frames = client.frames();
    assert_eq!(frames[0].kind, FrameKind::GoAway);
    assert_eq!(frames[0].payload[..4], 0x7fff_ffff_u32.to_be_bytes());
    // A call that was on its way is served.
    client.next = 3;
    client.is_served();
    client.send(&frame(FrameKind::Ping, flag::ACK, 0, &frames[1].payload));
    let last = client.frames();
    assert_eq!(
        (last[0].kind, &last[0].payload[..4]),
        (FrameKind::GoAway, &[0, 0, 0, 3][..])
    );
    // A later one is not, and the open one is.
    client.send(&call(5, "/echo", 1));
    assert_eq!(client.answers(), []);
    assert!(!client.connection.is_closed());
    client.send(&frame(FrameKind::Data, flag::END_STREAM, 1, &message(2)));
    assert!(client.connection.is_closed());
    assert_eq!(client.answers().len(), 3);
}

#[test]
fn a_client_that_does_not_answer_is_let_go_after_a_second() {
    let mut client = Client::new();
    let age = client.now + Duration::from_secs(20);
    client.connection.set_retirement(Some(age));
    client.pass(Duration::from_secs(19));
    assert_eq!(client.frames(), []);
    client.pass(Duration::from_millis(2_500));
    assert!(client.connection.is_closed());
    let answers = client.answers();
    assert_eq!(
        answers,
        [(0, "go away 0".to_owned()), (0, "go away 0".to_owned())]
    );
    // One that has said nothing is not asked.
    let mut client = silent();
    client.connection.shut_down(client.now);
    assert!(client.connection.is_closed());
}

#[test]
fn silent_clients_are_pinged_and_dead_ones_dropped() {
    let mut client = Client::new();
    for _ in 0..5 {
        client.pass(Duration::from_secs(31));
        let pings = client.frames();
        assert_eq!((pings.len(), pings[0].kind), (1, FrameKind::Ping));
        client.send(&frame(FrameKind::Ping, flag::ACK, 0, &pings[0].payload));
    }
    client.pass(Duration::from_secs(31));
    client.frames();
    client.pass(Duration::from_secs(20));
    client.is_ended_by(Rejection::PingTimeout);
}

#[test]
fn a_call_that_does_not_arrive_within_its_own_timeout_ends() {
    let mut client = Client::new();
    let head = block("/echo", &[("grpc-timeout", b"1500m")]);
    client.send(&frame(FrameKind::Headers, flag::END_HEADERS, 1, &head));
    client.pass(Duration::from_secs(3));
    assert_eq!(
        client.answers(),
        [(1, "200 4".to_owned()), (1, "reset 0".to_owned())]
    );
}
