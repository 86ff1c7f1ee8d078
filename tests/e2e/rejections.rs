//! What the gRPC port rejects costs its own call or connection, is counted, and is logged once with advice.

use std::path::Path;

use serde_json::Value;

use crate::grpcurl::Grpcurl;
use crate::weir::Weir;
use crate::wire::{ACK, DATA, PING, PREFACE, Wire, call_head, frame};

fn rejections(weir: &Weir, reason: &str) -> u64 {
    weir.metric(&format!("weir_rejections_total{{reason=\"{reason}\"}}"))
}

/// Waits for the line about a reason.
fn advice(weir: &mut Weir, reason: &str) -> String {
    weir.process.wait_for(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        (event["reason"] == reason).then(|| event["message"].to_string())
    })
}

/// Lines that are logged from now until weir has ended.
fn lines_to_the_end(weir: &mut Weir) -> Vec<String> {
    weir.process.terminate();
    let mut lines = Vec::new();
    weir.process.wait_for(|line| {
        lines.push(line.to_owned());
        line.contains("\"stopped\"").then_some(())
    });
    lines
}

#[test]
fn other_protocols_end_their_connection_only_and_the_log_says_what_to_do() {
    let mut weir = Weir::start("peeker");
    let mut neighbour = Wire::connect(weir.address);
    assert!(neighbour.send(PREFACE));
    neighbour.wait_for(&frame((4, ACK), 0, b""));

    let tls = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03";
    for (reason, bytes, answer, expected) in [
        (
            "http1",
            &b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..],
            &b"HTTP/1.1 505"[..],
            "http2_protocol_options",
        ),
        ("tls", tls, b"", "transport_socket"),
        (
            "proxy_protocol",
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
            b"",
            "load balancer",
        ),
        (
            "unknown_protocol",
            b"\x00\xffgarbage\r\n\r\n_and_more_of_it",
            b"",
            "what connects",
        ),
    ] {
        for _ in 0..50 {
            let mut wire = Wire::connect(weir.address);
            wire.send(bytes);
            let answered = wire.read_to_end();
            assert!(answered.starts_with(answer), "{reason}: {answered:?}");
        }
        assert_eq!(rejections(&weir, reason), 50, "{reason}");
        let advice = advice(&mut weir, reason);
        assert!(advice.contains(expected), "{advice}");
    }

    assert!(neighbour.send(&frame((PING, 0), 0, b"neighbor")));
    neighbour.wait_for(b"neighbor");
    drop(neighbour);
    let lines = lines_to_the_end(&mut weir);
    let rejected = lines
        .iter()
        .filter(|line| line.contains("rejected on the gRPC port"));
    assert_eq!(
        rejected.count(),
        0,
        "each reason was logged once: {lines:?}"
    );
}

#[test]
fn paths_of_older_protocols_are_counted_and_the_log_names_the_version() {
    let mut weir = Weir::start("peeker");
    let Some(grpcurl) = Grpcurl::new(weir.address) else {
        return;
    };
    let proto = tempfile::tempdir().expect("a folder");
    let folder = proto.path().to_str().expect("UTF-8");
    let packages = ["envoy.service.ratelimit.v2", "pb.lyft.ratelimit"];
    for (number, package) in packages.into_iter().enumerate() {
        let file = format!("{package}.proto");
        let text = format!(
            "syntax = \"proto3\"; package {package}; message M {{}} \
             service RateLimitService {{ rpc ShouldRateLimit(M) returns (M); }}"
        );
        std::fs::write(proto.path().join(&file), text).expect("written");
        let error = grpcurl
            .with(&["-import-path", folder, "-proto", &file, "-d", "{}"])
            .run(
                None,
                &[&format!("{package}.RateLimitService/ShouldRateLimit")],
            )
            .expect_err("an error");
        assert!(error.contains("Unimplemented"), "{error}");
        assert_eq!(rejections(&weir, "unknown_path"), number as u64 + 1);
    }
    let advice = advice(&mut weir, "unknown_path");
    assert!(advice.contains("transport_api_version: V3"), "{advice}");
}

#[test]
fn a_peer_cannot_write_the_log() {
    let mut weir = Weir::serve(Path::new("config/peeker.yaml"), &["--log-level", "trace"]);
    let mut wire = Wire::connect(weir.address);
    let ping = frame((PING, ACK), 0, b"my words");
    assert!(
        wire.send(
            &[
                PREFACE,
                &ping.repeat(1_000),
                &frame((PING, 0), 0, b"the last")
            ]
            .concat()
        )
    );
    wire.wait_for(b"the last");
    drop(wire);
    let lines = lines_to_the_end(&mut weir);
    assert!(
        lines.len() < 10,
        "{} lines: {:?}",
        lines.len(),
        &lines[..10]
    );
    // As text and as numbers.
    assert!(
        !lines
            .iter()
            .any(|line| line.contains("my words") || line.contains("109, 121"))
    );
}

#[test]
fn half_sent_messages_take_no_more_than_their_budget() {
    let weir = Weir::serve(Path::new("config/peeker.yaml"), &["--grpc-buffer", "20MiB"]);
    let before = weir.metric("process_resident_memory_bytes");
    let mut wires: Vec<_> = (0..8).map(|_| Wire::connect(weir.address)).collect();
    // 64 KB of a message of three megabytes, a hundred times a connection: 51 MB.
    let begun = [&[0, 0, 0x30, 0, 0][..], &[0; 16_000]].concat();
    for wire in &mut wires {
        assert!(wire.send(PREFACE));
        for call in 0..100 {
            let stream = call * 2 + 1;
            assert!(wire.send(&call_head(stream)));
            for part in 0..4 {
                let payload = if part == 0 { &begun[..] } else { &begun[5..] };
                assert!(wire.send(&frame((DATA, 0), stream, payload)));
            }
        }
        assert!(wire.send(&frame((PING, 0), 0, b"all read")));
        wire.wait_for(b"all read");
    }
    let after = weir.metric("process_resident_memory_bytes");
    let grown = after.saturating_sub(before);
    assert!(grown < 60 << 20, "{grown} bytes more than {before}");

    // Others are answered all the while.
    another_is_answered(&weir);
    drop(wires);
}

/// Makes a call on a connection of its own.
fn another_is_answered(weir: &Weir) {
    let mut client = Wire::connect(weir.address);
    let message = b"\0\0\0\0\x12\x0a\x06peeker\x12\x08\x0a\x06\x0a\x01k\x12\x01v";
    assert!(client.send(&[PREFACE, &call_head(1), &frame((DATA, 1), 1, message)].concat()));
    client.wait_for(b"grpc-status");
}

#[test]
fn calls_that_are_begun_and_left_cost_their_connection_alone() {
    // A single worker, so that nobody is answered elsewhere.
    let policy = Path::new("config/peeker.yaml");
    let mut weir = Weir::serve(policy, &["--workers", "1"]);
    let before = weir.metric("process_resident_memory_bytes");
    let head_only = call_head;
    let one_byte = |stream| [call_head(stream), frame((DATA, 0), stream, b"\0")].concat();
    let mut heads = Wire::connect(weir.address);
    let mut bytes = Wire::connect(weir.address);
    assert!(heads.send(PREFACE) && bytes.send(PREFACE));
    leave_calls(&weir, &mut heads, 300_000, head_only);
    leave_calls(&weir, &mut bytes, 50_000, one_byte);
    let grown = weir
        .metric("process_resident_memory_bytes")
        .saturating_sub(before);
    assert!(grown < 40 << 20, "{grown} bytes more than {before}");
    let refused = rejections(&weir, "too_many_streams");
    assert!(refused > 250_000, "{refused}");
    let advice = advice(&mut weir, "too_many_streams");
    assert!(advice.contains("too many calls at once"), "{advice}");
}

/// Begins calls on a connection and ends none, while others make theirs.
fn leave_calls(weir: &Weir, wire: &mut Wire, calls: u32, call: impl Fn(u32) -> Vec<u8>) {
    const AT_ONCE: u32 = 1_000;
    for round in 0..calls / AT_ONCE {
        let numbers = round * AT_ONCE..(round + 1) * AT_ONCE;
        let begun: Vec<u8> = numbers.flat_map(|number| call(number * 2 + 1)).collect();
        assert!(wire.send(&begun));
        assert!(wire.send(&frame((PING, 0), 0, b"all read")));
        wire.wait_for(b"all read");
        if round % 10 == 0 {
            another_is_answered(weir);
        }
    }
}

#[test]
fn connections_beyond_the_limit_are_closed_and_those_below_are_served() {
    let mut weir = Weir::serve(Path::new("config/peeker.yaml"), &["--max-connections", "3"]);
    let mut wires: Vec<_> = (0..3).map(|_| Wire::connect(weir.address)).collect();
    for wire in &mut wires {
        assert!(wire.send(PREFACE));
        wire.wait_for(&frame((4, ACK), 0, b""));
    }
    assert_eq!(Wire::connect(weir.address).read_to_end(), b"");
    assert_eq!(rejections(&weir, "too_many_connections"), 1);
    let advice = advice(&mut weir, "too_many_connections");
    assert!(advice.contains("--max-connections"), "{advice}");
    for wire in &mut wires {
        assert!(wire.send(&frame((PING, 0), 0, b"served..")));
        wire.wait_for(b"served..");
    }
}
