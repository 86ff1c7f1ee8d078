//! Calls that are served, and calls that fail alone.

use super::super::super::frame::{FrameKind, flag};
use super::super::super::limits::{ByteBudget, Http2Limits};
use super::super::super::{ConnectionEvent, LateAnswer, Rejection};
use super::client::{Client, block, call, cut_block, frame, message};

#[test]
fn a_call_that_arrives_whole_is_answered_at_once() {
    let mut client = Client::new();
    client.send(&call(1, "/echo", 3));
    let frames = client.frames();
    let kinds: Vec<_> = frames.iter().map(|sent| (sent.kind, sent.flags)).collect();
    assert_eq!(
        kinds,
        [
            (FrameKind::Headers, flag::END_HEADERS),
            (FrameKind::Data, 0),
            (FrameKind::Headers, flag::END_HEADERS | flag::END_STREAM),
        ]
    );
    assert_eq!(frames[1].payload, b"\0\0\0\0\x03mmm");
    assert!(!client.connection.has_events());
    assert_eq!(client.connection.open_calls(), 0);
}

#[test]
fn all_calls_of_one_read_are_answered_in_one_write() {
    let mut client = Client::new();
    let calls: Vec<u8> = (0..100)
        .flat_map(|at| call(2 * at + 1, "/echo", 5))
        .collect();
    client.send(&calls);
    assert_eq!(client.answers().len(), 300);
    assert_eq!(client.seen.lock().unwrap().sent, 100);
}

#[test]
fn fields_of_any_content_and_length_do_not_matter() {
    for length in [0, 17_000, 60_000, 1 << 20, 8 << 20] {
        let mut client = Client::new();
        let stream = client.stream();
        let value = vec![b'x'; length];
        let fields: [(&str, &[u8]); 5] = [
            (":authority", b"outbound|8081||a b\xff"),
            ("content-type", b"text/\xfe"),
            ("te", b"gzip"),
            ("tracestate", &value),
            ("x", b"\0\r\n"),
        ];
        client.send(&cut_block(stream, &block("/echo", &fields), 16_384));
        client.send(&frame(
            FrameKind::Data,
            flag::END_STREAM,
            stream,
            &message(1),
        ));
        assert_eq!(client.answers().len(), 3, "{length}");
        client.is_served();
        assert_eq!(client.rejected(), []);
    }
}

#[test]
fn longer_headers_fail_their_call_alone() {
    let limits = Http2Limits {
        max_header_list_bytes: 50_000,
        ..Http2Limits::default()
    };
    let mut client = Client::with(limits, &ByteBudget::new(0));
    let stream = client.stream();
    // An entry of the table that is used after the failed call.
    let mut long = block("/echo", &[("x", &[b'x'; 60_000])]);
    long.extend(b"\x40\x05:path\x05/echo");
    long.splice(0..0, b"\x40\x01y\x01z".iter().copied());
    let _ = long.split_off(long.len() - 13);
    client.send(&cut_block(stream, &long, 10_000));
    client.send(&frame(
        FrameKind::Data,
        flag::END_STREAM,
        stream,
        &message(1),
    ));
    assert_eq!(client.rejected(), [Rejection::MalformedHead]);
    client.is_served();

    let stream = client.stream();
    let long = block("/echo", &[("x", &[b'x'; 60_000])]);
    client.send(&cut_block(stream, &long, 10_000));
    let answers = client.answers();
    assert_eq!(
        answers,
        [(stream, "200 8".to_owned()), (stream, "reset 0".to_owned())]
    );
    // What was on its way is ignored.
    client.send(&frame(
        FrameKind::Data,
        flag::END_STREAM,
        stream,
        &message(1),
    ));
    assert_eq!(client.answers(), []);
    let stream = client.stream();
    let mut indexed = block("/echo", &[]);
    indexed.push(0xbe);
    client.send(&frame(
        FrameKind::Headers,
        flag::END_HEADERS,
        stream,
        &indexed,
    ));
    client.send(&frame(
        FrameKind::Data,
        flag::END_STREAM,
        stream,
        &message(1),
    ));
    assert_eq!(client.answers().len(), 3);
}

#[test]
fn a_bad_call_fails_alone() {
    for (fields, body, end, answer) in [
        (vec![("Upper", &b"x"[..])], message(1), true, "reset 1"),
        (vec![("connection", b"close")], message(1), true, "reset 1"),
        (vec![("content-length", b"7")], message(1), true, "reset 1"),
        (vec![("content-length", b"5")], message(1), true, "reset 1"),
        (vec![], b"\0\0\0\0\x09x".to_vec(), true, "200 13"),
        (vec![], Vec::new(), true, "200 13"),
        (vec![], b"\0\xff\0\0\0".to_vec(), true, "200 8"),
        (vec![], b"\0\xff\0\0\0".to_vec(), false, "200 8"),
        (
            vec![("grpc-encoding", b"br")],
            b"\x01\0\0\0\x01x".to_vec(),
            true,
            "200 12",
        ),
    ] {
        let mut client = Client::new();
        let stream = client.stream();
        let head = block("/echo", &fields);
        client.send(&frame(FrameKind::Headers, flag::END_HEADERS, stream, &head));
        let flags = if end { flag::END_STREAM } else { 0 };
        client.send(&frame(FrameKind::Data, flags, stream, &body));
        let answers = client.answers();
        assert_eq!(answers[0], (stream, answer.to_owned()), "{fields:?}");
        assert_eq!(client.rejected().len(), 1);
        client.is_served();
    }
}

#[test]
fn unknown_paths_are_unimplemented_and_other_methods_are_explained() {
    let mut client = Client::new();
    let path = "/pb.lyft.ratelimit.RateLimitService/ShouldRateLimit";
    client.send(&call(1, path, 3));
    assert_eq!(client.answers(), [(1, "200 12".to_owned())]);
    let get = b"\x82\x86\x84";
    let flags = flag::END_HEADERS | flag::END_STREAM;
    client.send(&frame(FrameKind::Headers, flags, 3, get));
    assert_eq!(client.answers()[0], (3, "405".to_owned()));
    assert_eq!(
        client.rejected(),
        [Rejection::UnknownPath, Rejection::NotACall]
    );
}

#[test]
fn a_long_message_is_received_and_its_answer_sent_in_pieces() {
    let budget = ByteBudget::new(64 << 20);
    let mut client = Client::with(Http2Limits::default(), &budget);
    client.settings(4, 1 << 20);
    let length = (1 << 20) - 100;
    let body = message(length);
    client.send(&frame(
        FrameKind::Headers,
        flag::END_HEADERS,
        1,
        &block("/echo", &[]),
    ));
    let (mut window, mut sent, mut received) = (65_535, 0, 0);
    while sent < body.len() {
        let part = body.len().min(sent + 16_000.min(window));
        assert!(part > sent, "no window after {sent}");
        window -= part - sent;
        let flags = if part == body.len() {
            flag::END_STREAM
        } else {
            0
        };
        client.send(&frame(FrameKind::Data, flags, 1, &body[sent..part]));
        sent = part;
        for update in client.frames() {
            match (update.kind, update.stream) {
                (FrameKind::WindowUpdate, 1) => {
                    window += u32::from_be_bytes(update.payload.try_into().unwrap()) as usize;
                }
                (FrameKind::Data, 1) => received += update.payload.len(),
                _ => {}
            }
        }
    }
    assert_eq!(budget.used(), 0);
    // The connection's window is still the usual one.
    assert_eq!(received, 65_535);
    for _ in 0..20 {
        let update = frame(FrameKind::WindowUpdate, 0, 0, &100_000_u32.to_be_bytes());
        client.send(&update);
        for sent in client.frames() {
            received += if sent.kind == FrameKind::Data {
                sent.payload.len()
            } else {
                0
            };
        }
    }
    assert_eq!(received, body.len());
    assert_eq!(
        (
            client.connection.open_calls(),
            client.seen.lock().unwrap().sent
        ),
        (0, 1)
    );
}

#[test]
fn a_late_answer_is_sent_unless_its_call_is_gone() {
    let mut client = Client::new();
    client.send(&call(1, "/late", 3));
    client.send(&call(3, "/late", 3));
    assert_eq!(client.answers(), []);
    client.send(&frame(FrameKind::Reset, 0, 3, &8_u32.to_be_bytes()));
    let mut cancelled = Vec::new();
    for event in client.events() {
        match event {
            ConnectionEvent::Later { stream, future, .. } => {
                let answer = futures_util::FutureExt::now_or_never(future).unwrap();
                client.connection.answer(stream, answer);
            }
            ConnectionEvent::Cancelled { stream } => cancelled.push(stream),
            _ => panic!(),
        }
    }
    assert_eq!(cancelled, [3]);
    assert_eq!(client.answers().len(), 3);
    let seen = client.seen.lock().unwrap();
    assert_eq!((seen.sent, seen.unsent), (1, 1));
    drop(seen);
    client
        .connection
        .answer(3, LateAnswer::Message(Vec::new(), None));
    assert_eq!(client.answers(), []);
}

#[test]
fn an_answer_counts_as_sent_when_its_bytes_are_written() {
    let mut client = Client::new();
    let counts = |client: &Client| {
        let seen = client.seen.lock().unwrap();
        (seen.sent, seen.unsent)
    };
    client.send(&call(1, "/echo", 3));
    let length = client.connection.unwritten().len();
    client.connection.wrote(length - 1, client.now);
    assert_eq!(counts(&client), (0, 0));
    client.connection.wrote(1, client.now);
    assert_eq!(counts(&client), (1, 0));
    // Given up before it was written, and lost with its connection.
    client.send(&call(3, "/echo", 3));
    client.send(&frame(FrameKind::Reset, 0, 3, &8_u32.to_be_bytes()));
    assert_eq!(counts(&client), (1, 1));
    client.send(&call(5, "/echo", 3));
    let seen = std::sync::Arc::clone(&client.seen);
    drop(client);
    assert_eq!(seen.lock().unwrap().unsent, 2);
}

#[test]
fn an_answer_waits_for_the_window_of_its_client() {
    let mut client = Client::new();
    client.settings(4, 0);
    client.send(&call(1, "/echo", 3));
    client.send(&call(3, "/echo", 3));
    let heads = [(1, "200".to_owned()), (3, "200".to_owned())];
    assert_eq!(client.answers(), heads);
    client.send(&frame(FrameKind::Reset, 0, 1, &8_u32.to_be_bytes()));
    assert_eq!(client.seen.lock().unwrap().unsent, 1);
    client.send(&frame(FrameKind::WindowUpdate, 0, 3, &5_u32.to_be_bytes()));
    assert_eq!(client.answers(), [(3, "5 bytes".to_owned())]);
    client.settings(4, 100);
    assert_eq!(
        client.answers(),
        [(3, "3 bytes".to_owned()), (3, "0".to_owned())]
    );
    assert_eq!(client.connection.open_calls(), 0);
}
