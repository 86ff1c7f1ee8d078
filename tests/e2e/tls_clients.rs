//! TLS with Envoy, grpc-core and weir's own commands.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use weir_harness::{Process, program};

use crate::certificates::{Certificates, ENVOY};
use crate::clients::GRPC_CORE_LINES;
use crate::envoy::{Envoy, Setup};
use crate::http::{Request, statuses};
use crate::weir::Weir;

fn mutual(made: &Certificates) -> Vec<String> {
    made.add("envoy", &made.authority.issue(&[ENVOY]));
    let mut flags = made.serve("grpc");
    flags.extend([
        format!("--grpc-client-ca={}", made.path("ca.pem")),
        format!("--grpc-client-san={ENVOY}"),
    ]);
    flags
}

fn serve(policy: &str, flags: &[String]) -> Weir {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Weir::serve(Path::new(&format!("config/{policy}.yaml")), &flags)
}

/// Sends requests through an Envoy whose cluster has this context for TLS.
fn expect_limits_through_envoy(flags: &[String], context: &str) {
    let cluster = "    load_assignment:\n      cluster_name: weir\n";
    let transport = format!(
        "    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: localhost
        common_tls_context: {context}
{cluster}"
    );
    let setup = Setup {
        edits: &[(cluster, &transport)],
        ..Setup::default()
    };
    let Some(envoy) = Envoy::before(|| serve("platform", flags), "platform", &setup) else {
        return;
    };
    let request = Request::new("POST /platform/v2/process/site-1").key("example-key-1");
    let answers = envoy.client().repeat(&request, 3);
    assert_eq!(statuses(&answers), [200, 429, 429]);
}

#[test]
fn envoy_limits_over_tls() {
    let made = Certificates::new();
    let ca = made.path("ca.pem");
    let trust = format!(
        "validation_context: {{ trusted_ca: {{ filename: {ca} }}, match_typed_subject_alt_names: \
         [{{ san_type: DNS, matcher: {{ exact: localhost }} }}] }}"
    );
    expect_limits_through_envoy(&made.serve("grpc"), &format!("{{ {trust} }}"));
    let flags = mutual(&made);
    let (certificate, key) = (made.path("envoy.pem"), made.path("envoy.key"));
    let context = format!(
        "{{ alpn_protocols: [h2], {trust}, tls_certificates: [{{ certificate_chain: {{ filename: {certificate} }}, \
         private_key: {{ filename: {key} }} }}] }}"
    );
    expect_limits_through_envoy(&flags, &context);
}

#[test]
fn grpc_core_is_answered_over_tls() {
    let Some(python) = program::GRPCIO.or_skip() else {
        return;
    };
    let made = Certificates::new();
    let weir = serve("peeker", &mutual(&made));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/clients/grpcio.py");
    let output = Command::new(python)
        .args([script, &weir.address.to_string()])
        .args(["ca.pem", "envoy.pem", "envoy.key"].map(|name| made.path(name)))
        .output()
        .expect("Python starts");
    let lines = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = lines.lines().collect();
    assert_eq!(lines, GRPC_CORE_LINES, "{errors}");
}

fn command(words: &[&str], flags: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(words).args(flags).output().expect("it starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn weir_query_speaks_tls() {
    let made = Certificates::new();
    let weir = serve("peeker", &mutual(&made));
    let server = format!("--server=https://{}", weir.address);
    let words = ["query", "--domain", "peeker", "api_key=k", &server];
    let file = |flag: &str, name: &str| format!("--{flag}={}", made.path(name));
    let ca = file("ca", "ca.pem");
    let identity = [file("cert", "envoy.pem"), file("key", "envoy.key")];
    let flags = [&identity[..], std::slice::from_ref(&ca)].concat();
    let answered = command(&words, &flags);
    assert_eq!(answered.status.code(), Some(0), "{}", stderr(&answered));

    let wrong_ca = [&identity[..], &[file("ca", "envoy.pem")]].concat();
    let wrong_name = [&flags[..], &["--server-name=other.example".to_owned()]].concat();
    for (flags, expected) in [
        (&wrong_ca, "name its CA with --ca"),
        (&wrong_name, "--server-name"),
        // With TLS 1.3 a client learns of it only after its first call.
        (&vec![ca], "https://"),
    ] {
        let output = command(&words, flags);
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}

/// An address of this machine that is not loopback.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // It only chooses a route: nothing is sent.
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[test]
fn with_tls_the_token_works_from_other_hosts() {
    let ip = own_address().unwrap_or(IpAddr::from([127, 0, 0, 1]));
    let made = Certificates::new();
    made.add("weir", &made.authority.issue(&[&ip.to_string()]));
    made.add("operator", &made.authority.issue(&["operator.example"]));
    made.write("token", "0123456789abcdef\n");
    let token = format!("--admin-token-file={}", made.path("token"));
    let mut flags = made.serve("http");
    flags.extend([
        format!("--http-client-ca={}", made.path("ca.pem")),
        "--http-client-san=operator.example".to_owned(),
        token.clone(),
    ]);
    let mut process = Process::start(
        Command::new(env!("CARGO_BIN_EXE_weir"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["serve", "--policies", "config/peeker.yaml"])
            .args(["--grpc", "127.0.0.1:0", "--log-format", "json"])
            .args(["--http", &SocketAddr::new(ip, 0).to_string()])
            .args(&flags),
    );
    let http = process.wait_for(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        Some(event.get("http")?.as_str()?.to_owned())
    });
    let server = format!("--server=https://{http}");
    let file = |flag: &str, name: &str| format!("--{flag}={}", made.path(name));
    let trust = file("ca", "ca.pem");
    let identity = [file("cert", "operator.pem"), file("key", "operator.key")];
    let flags = [&identity[..], &[trust.clone(), token.clone()]].concat();
    let show = ["keys", "show", "--domain=peeker", "api_key=k", &server];
    let top = ["top", "--once", &server];
    let explain = ["explain", "--domain=peeker", "api_key=k", &server];
    for words in [&show[..], &top, &explain] {
        let output = command(words, &flags);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    // Without a certificate of a client, and without TLS, there is no answer.
    let output = command(&show, &[trust, token.clone()]);
    assert_eq!(output.status.code(), Some(2));
    let plain = format!("--server={http}");
    let output = command(&["top", "--once", &plain], &[]);
    assert_eq!(output.status.code(), Some(2));
    process.wait_for(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        let message = event["message"].as_str()?;
        let is_advice = message.starts_with("rejected on the HTTP port");
        (is_advice && event["reason"] == "tls_plaintext").then_some(())
    });
}

#[test]
fn commands_say_that_a_server_has_tls_or_that_it_has_none() {
    let made = Certificates::new();
    let Some(openssl) = program::OPENSSL.or_skip() else {
        return;
    };
    // As `openssl req -x509` makes them: a CA that signs itself.
    let status = Command::new(openssl)
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=weir",
        ])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args([
            "-keyout",
            &made.path("weir.key"),
            "-out",
            &made.path("weir.pem"),
        ])
        .output()
        .expect("openssl starts")
        .status;
    assert!(status.success());
    let flags = [made.serve("grpc"), made.serve("http")].concat();
    let mut encrypted = Process::start(
        Command::new(env!("CARGO_BIN_EXE_weir"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["serve", "--policies", "config/peeker.yaml"])
            .args([
                "--grpc=127.0.0.1:0",
                "--http=127.0.0.1:0",
                "--log-format=json",
            ])
            .args(&flags),
    );
    let (grpc, http) = encrypted.wait_for(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        let address = |of: &str| Some(event.get(of)?.as_str()?.to_owned());
        Some((address("grpc")?, address("http")?))
    });
    let plain = serve("peeker", &[]);
    let ca = format!("--ca={}", made.path("weir.pem"));
    let query = ["query", "--domain=peeker", "api_key=k"];
    let top = ["top", "--once"];
    for (words, server, expected) in [
        (&query[..], grpc.clone(), "https:// if that port has TLS"),
        (&query, format!("https://{grpc}"), "is a CA itself"),
        (&top, http.clone(), "https:// if that port has TLS"),
        (&top, format!("https://{http}"), "is a CA itself"),
        (
            &top,
            format!("https://{}", plain.http),
            "leave out https://",
        ),
    ] {
        let flags = [format!("--server={server}"), ca.clone()];
        let output = command(words, &flags);
        assert_eq!(output.status.code(), Some(2), "{server}");
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}
