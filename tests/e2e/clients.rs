//! Clients of every family are answered, whatever the head of a call contains.

use std::process::Command;

use serde_json::json;

use weir_harness::program;

use crate::envoy::{Envoy, Setup};
use crate::grpcurl::Grpcurl;
use crate::http::{Request, statuses};
use crate::weir::Weir;

const METHOD: &str = "envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// What `clients/grpcio.py` prints.
pub(crate) const GRPC_CORE_LINES: [&str; 9] = [
    "plain: OK",
    "gzip: OK",
    "deflate: UNIMPLEMENTED",
    "authority: OK",
    "metadata of 1 MiB: OK",
    "message of 3 MiB: OK",
    "message of 5 MiB: RESOURCE_EXHAUSTED",
    "gzip bomb: RESOURCE_EXHAUSTED",
    "v2: UNIMPLEMENTED",
];

#[test]
fn a_long_tracestate_through_envoy_does_not_switch_a_limit_off() {
    let tracing = "stat_prefix: edge
          max_request_headers_kb: 8192
          tracing:
            random_sampling: { value: 0 }
            provider:
              name: envoy.tracers.opentelemetry
              typed_config:
                \"@type\": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
                grpc_service: { envoy_grpc: { cluster_name: upstream }, timeout: 0.25s }
                service_name: edge";
    let setup = Setup {
        edits: &[
            ("stat_prefix: edge", tracing),
            (
                "stat_prefix: upstream",
                "stat_prefix: upstream\n          max_request_headers_kb: 8192",
            ),
        ],
        ..Setup::default()
    };
    let Some(envoy) = Envoy::before(|| Weir::start("platform"), "platform", &setup) else {
        return;
    };
    let mut client = envoy.client();
    for length in [20_000, 60_000, 1_000_000, 7_000_000] {
        let endpoint = format!("POST /platform/v2/process/site-{length}");
        let request = Request::new(&endpoint)
            .key("example-key-1")
            .header(
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            )
            .header("tracestate", format!("a={}", "x".repeat(length)));
        let answers = client.repeat(&request, 4);
        assert_eq!(statuses(&answers), [200, 429, 429, 429], "{length} bytes");
    }
}

#[test]
fn initial_metadata_of_any_name_and_value_does_not_switch_a_limit_off() {
    // As long as Envoy permits, often, and with what the client sent.
    let long = "x".repeat(16_000);
    let odd_names = "x-odd!#$%&'*+.^_`|~, x-any-bin, grpc-tags-bin, grpc-previous-rpc-attempts, cookie, authorization";
    let odd_names = odd_names.split(", ");
    let metadata: String = (0..20)
        .map(|number| format!("x-long-{number}"))
        .map(|name| (name, long.clone()))
        .chain(odd_names.map(|name| (name.to_owned(), "\\u00ff ,;=[::1 ".to_owned())))
        .chain([("x-tenant".to_owned(), "%REQ(x-tenant)%".to_owned())])
        .map(|(name, value)| format!("{{ key: \"{name}\", value: \"{value}\" }}"))
        .collect::<Vec<_>>()
        .join(", ");
    let service = "grpc_service: { envoy_grpc: { cluster_name: weir } }";
    let with_metadata = format!(
        "grpc_service: {{ envoy_grpc: {{ cluster_name: weir }}, initial_metadata: [{metadata}] }}"
    );
    let setup = Setup {
        edits: &[
            (service, &with_metadata),
            (
                "stat_prefix: edge",
                "stat_prefix: edge\n          max_request_headers_kb: 8192",
            ),
            (
                "stat_prefix: upstream",
                "stat_prefix: upstream\n          max_request_headers_kb: 8192",
            ),
        ],
        ..Setup::default()
    };
    let Some(envoy) = Envoy::before(|| Weir::start("platform"), "platform", &setup) else {
        return;
    };
    let mut client = envoy.client();
    let tenants: [&[u8]; 5] = [
        b"",
        b"\"\x80\xff\xfe, ; = % \t |",
        &[b'y'; 20_000],
        &[b'\xc3'; 100_000],
        &[b'z'; 3_000_000],
    ];
    for (number, tenant) in tenants.into_iter().enumerate() {
        let endpoint = format!("POST /platform/v2/process/site-{number}");
        let request = Request::new(&endpoint)
            .key("example-key-1")
            .header("x-tenant", tenant);
        let before = envoy.sent_to_weir();
        let answers = client.repeat(&request, 4);
        assert_eq!(statuses(&answers), [200, 429, 429, 429], "site-{number}");
        let sent = envoy.sent_to_weir() - before;
        // Four times; Huffman's code shortens some texts by an eighth.
        assert!(sent as usize >= 3 * tenant.len(), "it was not sent: {sent}");
    }
}

#[test]
fn a_cluster_named_as_istio_names_them_is_answered() {
    let setup = Setup {
        edits: &[
            (
                "{ cluster_name: weir }",
                "{ cluster_name: \"outbound|8081||weir.ns.svc.cluster.local\" }",
            ),
            (
                "- name: weir\n",
                "- name: \"outbound|8081||weir.ns.svc.cluster.local\"\n",
            ),
        ],
        ..Setup::default()
    };
    let Some(envoy) = Envoy::before(|| Weir::start("platform"), "platform", &setup) else {
        return;
    };
    let request = Request::new("POST /platform/v2/process/site-1").key("example-key-1");
    let answers = envoy.client().repeat(&request, 3);
    assert_eq!(statuses(&answers), [200, 429, 429]);
}

#[test]
fn grpc_go_is_answered_whatever_its_authority_and_headers() {
    let weir = Weir::start("peeker");
    let Some(grpcurl) = Grpcurl::new(weir.address) else {
        return;
    };
    let ask = json!({
        "domain": "peeker",
        "descriptors": [{ "entries": [{ "key": "api_key", "value": "pk_live_1" }] }],
    });
    let long = format!("x-tenant: {}", "x".repeat(100_000));
    for flags in [
        [
            "-authority",
            "outbound|8081||ratelimit.ns.svc.cluster.local",
        ],
        ["-authority", "ns/ratelimit/8081"],
        ["-authority", "a b"],
        ["-authority", "[::1"],
        ["-H", "x-any-bin: AAECAwQFBgc="],
        ["-H", &long],
    ] {
        let answer = grpcurl.with(&flags).run(Some(&ask), &[METHOD]);
        let answer = answer.unwrap_or_else(|error| panic!("{flags:?}: {error}"));
        assert!(answer.contains("\"overallCode\": \"OK\""), "{answer}");
    }
}

#[test]
fn grpc_core_is_answered_compressed_or_not_over_tcp_and_a_unix_socket() {
    let Some(python) = program::GRPCIO.or_skip() else {
        return;
    };
    let weir = Weir::start("peeker");
    let folder = tempfile::tempdir().expect("a folder");
    let socket = format!("unix:{}", folder.path().join("a|b c.sock").display());
    let _on_socket = Weir::on(&socket, "peeker");
    for target in [weir.address.to_string(), socket] {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/clients/grpcio.py");
        let output = Command::new(python).args([script, &target]).output();
        let output = output.expect("Python starts");
        let lines = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!(lines, GRPC_CORE_LINES, "{target}: {errors}");
    }
}

#[test]
fn grpc_js_is_answered_compressed_or_not_and_many_calls_at_once() {
    let (Some(library), Some(node)) = (program::GRPC_JS.or_skip(), program::NODE.or_skip()) else {
        return;
    };
    let weir = Weir::start("peeker");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/clients/grpcjs.js");
    let output = Command::new(node)
        .arg(script)
        .arg(library)
        .arg(weir.address.to_string())
        .output()
        .expect("Node.js starts");
    let lines = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let (at_once, single): (Vec<_>, Vec<_>) =
        lines.lines().partition(|line| line.starts_with("at once"));
    assert_eq!(
        single,
        [
            "plain: OK",
            "gzip: OK",
            "authority: OK",
            "metadata of 50 KB: OK",
            "message of 3 MiB: OK",
            "message of 5 MiB: RESOURCE_EXHAUSTED",
            "v2: UNIMPLEMENTED",
        ],
        "{errors}"
    );
    assert_eq!(at_once.len(), 200, "{errors}");
    assert!(at_once.iter().all(|line| line.ends_with(": OK")), "{lines}");
}

#[test]
fn h2load_gets_a_decision_for_every_call_whatever_its_head() {
    let Some(h2load) = program::H2LOAD.or_skip() else {
        return;
    };
    let weir = Weir::start("peeker");
    let folder = tempfile::tempdir().expect("a folder");
    let body = folder.path().join("body");
    let message = b"\0\0\0\0\x12\x0a\x06peeker\x12\x08\x0a\x06\x0a\x01k\x12\x01v";
    std::fs::write(&body, message).expect("written");
    let decided = |weir: &Weir| weir.metric("weir_descriptors_total{match=\"none\"}");
    for (number, header) in [
        "content-type: application/grpc",
        "content-type: text/plain",
        "content-type: \u{ff}",
        "te: gzip, deflate",
        ":authority: outbound|8081||ratelimit.ns.svc.cluster.local",
        ":scheme: a b://",
    ]
    .into_iter()
    .enumerate()
    {
        let output = Command::new(h2load)
            .args(["-n", "5000", "-c", "10", "-m", "100", "-H", header, "-d"])
            .arg(&body)
            .arg(format!("http://{}/{METHOD}", weir.address))
            .output()
            .expect("h2load starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains("5000 succeeded, 0 failed, 0 errored"),
            "{header}: {text}"
        );
        assert!(text.contains("status codes: 5000 2xx"), "{header}: {text}");
        assert_eq!(decided(&weir), 5_000 * (number as u64 + 1), "{header}");
    }
}
