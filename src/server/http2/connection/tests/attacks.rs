//! Known attacks: each costs its own connection at most.

use std::time::Duration;

use super::super::super::Rejection;
use super::super::super::frame::{FrameKind, flag};
use super::super::super::limits::{ByteBudget, Http2Limits};
use super::client::{Client, block, call, cut_block, frame, message};

fn limits() -> Http2Limits {
    Http2Limits {
        frame_allowance: 1_000,
        frames_per_second: 100,
        frames_per_call: 4,
        max_unsent_bytes: 10_000,
        max_blocked_bytes: 10_000,
        max_streams: 100,
        ..Http2Limits::default()
    }
}

fn client() -> Client {
    Client::with(limits(), &ByteBudget::new(1 << 20))
}

/// Sends frames until the connection ends.
fn flood(mut frames: impl FnMut(&mut Client) -> Vec<u8>) -> usize {
    let mut client = client();
    for round in 0..10_000 {
        let bytes = frames(&mut client);
        client.send(&bytes);
        if client.connection.is_closed() {
            client.is_ended_by(Rejection::TooManyFrames);
            return round;
        }
        client.frames();
    }
    panic!("never ended");
}

#[test]
fn floods_of_frames_that_bring_no_call_end_the_connection() {
    let rapid_reset = |client: &mut Client| {
        let stream = client.stream();
        let mut bytes = frame(
            FrameKind::Headers,
            flag::END_HEADERS,
            stream,
            &block("/echo", &[]),
        );
        bytes.extend(frame(FrameKind::Reset, 0, stream, &8_u32.to_be_bytes()));
        bytes
    };
    assert!((900..=1_000).contains(&flood(rapid_reset)));
    assert!(flood(|_| frame(FrameKind::Ping, 0, 0, &[0; 8])) >= 900);
    assert!(flood(|_| frame(FrameKind::Ping, flag::ACK, 0, &[0; 8])) >= 900);
    assert!(flood(|_| frame(FrameKind::Settings, 0, 0, &[])) >= 15);
    assert!(flood(|_| frame(FrameKind::Priority, 0, 3, &[0; 5])) >= 900);
    assert!(flood(|_| frame(FrameKind::WindowUpdate, 0, 0, &1_u32.to_be_bytes())) >= 900);
    assert!(flood(|_| frame(FrameKind::Unknown, 0, 0, &[0; 100])) >= 900);
    let empty_data = |client: &mut Client| match client.next {
        1 => {
            let stream = client.stream();
            frame(
                FrameKind::Headers,
                flag::END_HEADERS,
                stream,
                &block("/echo", &[]),
            )
        }
        _ => frame(FrameKind::Data, 0, 1, &[]),
    };
    assert!(flood(empty_data) >= 900);
    let continuations = |client: &mut Client| match client.next {
        1 => {
            let stream = client.stream();
            frame(FrameKind::Headers, 0, stream, &block("/echo", &[]))
        }
        _ => frame(FrameKind::Continuation, 0, 1, b"\x82"),
    };
    assert!(flood(continuations) >= 900);
}

#[test]
fn clients_that_also_make_calls_may_reset_and_ping_for_ever() {
    let mut client = client();
    for _ in 0..5_000 {
        let stream = client.stream();
        let mut bytes = call(stream, "/late", 3);
        bytes.extend(frame(FrameKind::Reset, 0, stream, &8_u32.to_be_bytes()));
        bytes.extend(frame(FrameKind::Ping, 0, 0, &[0; 8]));
        bytes.extend(frame(FrameKind::WindowUpdate, 0, 0, &100_u32.to_be_bytes()));
        client.send(&bytes);
        client.events();
        client.is_served();
    }
}

#[test]
fn a_header_block_without_end_ends_the_connection() {
    let mut client = client();
    client.send(&frame(FrameKind::Headers, 0, 1, &block("/echo", &[])));
    // One field of 2^28 bytes.
    client.send(&frame(
        FrameKind::Continuation,
        0,
        1,
        b"\0\x01x\x7f\x81\xff\xff\x7f",
    ));
    let filler = frame(FrameKind::Continuation, 0, 1, &[b'x'; 16_384]);
    for _ in 0..1_300 {
        client.send(&filler);
    }
    client.is_ended_by(Rejection::HeaderBlockTooLong);

    let mut client = self::client();
    client.send(&frame(FrameKind::Headers, 0, 1, &block("/echo", &[])));
    client.pass(Duration::from_secs(12));
    client.is_ended_by(Rejection::CallTimeout);
}

#[test]
fn an_hpack_bomb_is_counted_and_not_unpacked() {
    let mut client = Client::new();
    let mut bomb = block("/echo", &[]);
    // An entry of 4,000 bytes, and many references to it.
    bomb.extend(b"\x40\x01x\x7f\xa1\x1e");
    bomb.extend([b'x'; 4_000]);
    bomb.extend([0xbe; 100_000]);
    let stream = client.stream();
    client.send(&cut_block(stream, &bomb, 16_384));
    assert_eq!(client.answers()[0], (stream, "200 8".to_owned()));
    assert_eq!(client.rejected(), [Rejection::HeadersTooLong]);
    client.is_served();
}

#[test]
fn half_sent_messages_share_a_budget_and_end_after_a_while() {
    let budget = ByteBudget::new(400_000);
    let mut attackers: Vec<_> = (0..8).map(|_| Client::with(limits(), &budget)).collect();
    for attacker in &mut attackers {
        for _ in 0..50 {
            let stream = attacker.stream();
            let head = block("/echo", &[]);
            attacker.send(&frame(FrameKind::Headers, flag::END_HEADERS, stream, &head));
            let body = message(4 << 20);
            attacker.send(&frame(FrameKind::Data, 0, stream, &body[..10_000]));
            attacker.frames();
        }
        assert!(!attacker.connection.is_closed());
    }
    assert_eq!(budget.used(), 400_000);
    assert!(attackers[7].rejected().contains(&Rejection::NoBudget));
    // A message of a usual size needs none of it.
    for client in &mut attackers {
        client.is_served();
    }
    for client in &mut attackers {
        client.pass(Duration::from_secs(11));
        client.is_served();
        assert!(client.rejected().ends_with(&[Rejection::CallTimeout]) || client.next > 1);
    }
    assert_eq!(budget.used(), 0);
}

#[test]
fn streams_beyond_the_limit_are_refused_and_the_rest_times_out() {
    let mut client = client();
    for _ in 0..150 {
        let stream = client.stream();
        let head = block("/echo", &[]);
        client.send(&frame(FrameKind::Headers, flag::END_HEADERS, stream, &head));
    }
    assert_eq!(client.connection.open_calls(), 100);
    let answers = client.answers();
    assert_eq!(answers.len(), 50);
    assert!(answers.iter().all(|(_, text)| text == "reset 7"));
    client.pass(Duration::from_secs(11));
    assert_eq!(client.connection.open_calls(), 0);
    assert!(client.answers().iter().any(|(_, text)| text == "200 4"));
    client.is_served();
}

#[test]
fn a_client_that_does_not_read_is_not_read_either() {
    let mut client = client();
    for _ in 0..1_000 {
        let stream = client.stream();
        client.send(&call(stream, "/echo", 100));
        if !client.connection.wants_input() {
            break;
        }
    }
    assert!(!client.connection.wants_input());
    assert!(client.connection.unwritten().len() < 11_000);
    // Nothing is lost if it reads after all.
    client.frames();
    let called = client.seen.lock().unwrap().called;
    client.is_served();
    assert_eq!(client.seen.lock().unwrap().called, called + 1);

    while client.connection.wants_input() {
        let stream = client.stream();
        client.send(&call(stream, "/echo", 100));
    }
    client.pass(Duration::from_secs(35));
    assert!(client.connection.is_closed() && client.connection.unwritten().is_empty());
    assert_eq!(client.rejected(), [Rejection::WriteTimeout]);
}

#[test]
fn answers_without_window_are_bounded_and_time_out() {
    let mut client = client();
    client.settings(4, 0);
    for _ in 0..90 {
        let stream = client.stream();
        client.send(&call(stream, "/echo", 500));
        client.frames();
    }
    assert!(client.connection.open_calls() <= 20);
    assert!(
        client
            .rejected()
            .iter()
            .all(|reason| *reason == Rejection::AnswerBlocked)
    );
    client.pass(Duration::from_secs(29));
    // The client answers pings all the while.
    client.send(&frame(FrameKind::Ping, flag::ACK, 0, b"alive?\0\0"));
    client.pass(Duration::from_secs(5));
    assert_eq!(client.connection.open_calls(), 0);
    assert!(!client.connection.is_closed());
    assert_eq!(client.seen.lock().unwrap().unsent, 90);
}

#[test]
fn windows_that_overflow_fail_their_stream_or_connection() {
    let mut client = client();
    client.send(&frame(
        FrameKind::Headers,
        flag::END_HEADERS,
        1,
        &block("/echo", &[]),
    ));
    client.send(&frame(
        FrameKind::WindowUpdate,
        0,
        1,
        &0x7fff_ffff_u32.to_be_bytes(),
    ));
    assert_eq!(client.answers(), [(1, "reset 3".to_owned())]);
    client.next = 3;
    client.is_served();
    client.send(&frame(
        FrameKind::WindowUpdate,
        0,
        0,
        &0x7fff_ffff_u32.to_be_bytes(),
    ));
    assert_eq!(client.answers(), [(0, "go away 3".to_owned())]);
}
