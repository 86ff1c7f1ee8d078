//! weir in the place of envoyproxy/ratelimit, as Envoy Gateway starts it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};
use weir_harness::{Authority, Process, envoy_gateway_environment};

use crate::control_plane::{Answer, ControlPlane, tls_flags};

/// Certificates as Envoy Gateway mounts them, of one authority: its own, and the one of the rate-limit server.
fn certificates() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let write =
        |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("ca.crt", &authority.pem());
    for (name, host) in [("gateway", "envoy-gateway"), ("tls", "*.weir.test")] {
        let issued = authority.issue(&[host]);
        write(&format!("{name}.crt"), &issued.certificate);
        write(&format!("{name}.key"), &issued.key);
    }
    folder
}

/// An address on loopback with the port of another.
fn local(event: &Value, name: &str, index: usize) -> String {
    let addresses = event[name].as_str().expect("an address");
    let address = addresses.split(", ").nth(index).expect("an address");
    let (_, port) = address.rsplit_once(':').expect("a port");
    format!("localhost:{port}")
}

#[test]
fn it_serves_with_the_variables_of_envoy_gateway() {
    let certificates = certificates();
    let flags = tls_flags(certificates.path(), "-", "gateway");
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let Some(mut plane) = ControlPlane::start(&flags) else {
        return;
    };
    let program = certificates.path().join("ratelimit");
    symlink(env!("CARGO_BIN_EXE_weir"), &program).expect("linked");
    let file = |name: &str| certificates.path().join(name).display().to_string();
    let mut process = Process::start(
        Command::new(program)
            .env_clear()
            .envs(envoy_gateway_environment(
                &certificates.path().display().to_string(),
            ))
            .envs([
                ("CONFIG_GRPC_XDS_SERVER_URL", &*plane.address),
                // In a cluster the server is reached by its name.
                ("CONFIG_GRPC_XDS_SERVER_TLS_SAN", "envoy-gateway"),
                ("LOG_FORMAT", "json"),
                // What users add, and free ports.
                ("BACKEND_TYPE", "memory"),
                ("PORT", "0"),
                ("GRPC_PORT", "0"),
                ("DEBUG_PORT", "0"),
                ("PROMETHEUS_ADDR", ":0"),
            ])
            .arg("--quotaRateLimitServiceAddr=localhost:18002"),
    );
    let serving: Value = process.wait_for(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        (event["message"] == "serving").then_some(event)
    });
    plane.subscription();
    let get = |index: usize, path: &str| {
        let mut stream = TcpStream::connect(local(&serving, "http", index)).expect("it listens");
        let head = format!("GET {path} HTTP/1.0\r\nHost: envoy-ratelimit\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        match head.starts_with("HTTP/1.0 200 ") {
            true => body.to_owned(),
            false => String::new(),
        }
    };
    // Healthy before there is a configuration, for Envoy Gateway sends none without limits.
    while get(0, "/healthcheck") != "OK" {}

    let route = "httproute/default/cidr/rule/0/match/0/*";
    let config = json!({"name": "default/shop/http", "domain": "default/shop/http", "descriptors": [
        {"key": route, "value": route, "descriptors": [
            {"key": "masked_remote_address", "value": "0.0.0.0/0", "descriptors": [
                {"key": "remote_address", "rateLimit": {"unit": "HOUR", "requestsPerUnit": 1}},
            ]},
        ]},
    ]});
    plane.send(&[("shop", config)]);
    let expected = Answer {
        version: "1".to_owned(),
        nonce: "1".to_owned(),
        error: String::new(),
    };
    assert_eq!(plane.answer(), expected);
    let ask = || {
        let server = format!("https://{}", local(&serving, "grpc", 0));
        let output = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args([
                "query",
                "--domain",
                "default/shop/http",
                "--server",
                &server,
            ])
            .args(["--server-name", "a.weir.test", "--ca", &file("ca.crt")])
            .arg(format!("{route}={route}"))
            .arg("masked_remote_address=0.0.0.0/0")
            .arg("remote_address=192.0.2.1")
            .output();
        output.expect("weir starts").status.code()
    };
    assert_eq!([ask(), ask()], [Some(0), Some(1)]);
    let limits = get(1, "/rlconfig");
    assert!(limits.contains("unit=HOUR requests_per_unit=1"), "{limits}");
    let metrics = get(2, "/metrics");
    let counted = format!(
        "ratelimit_service_rate_limit_over_limit{{domain=\"default/shop/http\",key1=\"{route}_{route}\",\
         key2=\"masked_remote_address_0_0_0_0/0\"}} 1\n"
    );
    assert!(metrics.contains(&counted), "{metrics}");
}
