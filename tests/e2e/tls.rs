//! The gRPC port with TLS: real clients, and what the log says of those that it rejects.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use weir_harness::{Authority, Process, program};

use crate::certificates::{Certificates, ENVOY};
use crate::grpcurl::Grpcurl;
use crate::weir::Weir;

const METHOD: &str = "envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

fn weir(flags: &[String]) -> Weir {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Weir::serve(Path::new("config/peeker.yaml"), &flags)
}

fn ask() -> Value {
    json!({
        "domain": "peeker",
        "descriptors": [{ "entries": [{ "key": "api_key", "value": "pk_live_1" }] }],
    })
}

/// Calls with these flags; whether there was an answer.
fn is_answered(grpcurl: &Grpcurl, flags: &[&str]) -> bool {
    let answer = grpcurl.over_tls(flags).run(Some(&ask()), &[METHOD]);
    answer.is_ok_and(|answer| answer.contains("\"overallCode\": \"OK\""))
}

/// Waits for the advice about a reason, and checks that it was counted.
fn expect_advice(weir: &mut Weir, reason: &str, expected: &str) {
    let advice = weir.process.wait_for(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        (event["reason"] == reason).then(|| event["message"].to_string())
    });
    assert!(advice.contains("on the gRPC port"), "{advice}");
    assert!(advice.contains(expected), "{advice}");
    let counted = weir.metric(&format!("weir_rejections_total{{reason=\"{reason}\"}}"));
    assert!(counted > 0, "{reason}");
}

#[test]
fn grpc_go_is_answered_over_tls_and_the_log_says_what_is_wrong_with_other_clients() {
    let made = Certificates::new();
    let mut weir = weir(&made.serve("grpc"));
    let Some(grpcurl) = Grpcurl::new(weir.address) else {
        return;
    };
    let ca = made.path("ca.pem");
    assert!(is_answered(&grpcurl, &["-cacert", &ca]));
    assert_eq!(grpcurl.over_tls(&["-cacert", &ca]).health(""), "SERVING");

    let stranger = Certificates::new().path("ca.pem");
    assert!(!is_answered(&grpcurl, &["-cacert", &stranger]));
    assert!(!is_answered(
        &grpcurl,
        &["-cacert", &made.path("weir.pem"), "-servername", "other"]
    ));
    expect_advice(&mut weir, "tls_certificate_refused", "does not trust");
    assert!(!is_answered(&grpcurl, &["-plaintext"]));
    expect_advice(&mut weir, "tls_plaintext", "transport_socket");
}

#[test]
fn clients_show_a_certificate_of_the_ca_with_one_of_the_names() {
    let made = Certificates::new();
    let other = Authority::new();
    for (name, issued) in [
        ("envoy", made.authority.issue(&[ENVOY])),
        ("gateway", made.authority.issue(&["x", "Gateway.example"])),
        ("nobody", made.authority.issue(&["nobody.example"])),
        ("expired", made.authority.issue_until(&[ENVOY], 2020)),
        ("stranger", other.issue(&[ENVOY])),
    ] {
        made.add(name, &issued);
    }
    let mut flags = made.serve("grpc");
    flags.extend([
        format!("--grpc-client-ca={}", made.path("ca.pem")),
        format!("--grpc-client-san={ENVOY}"),
        "--grpc-client-san=gateway.example".to_owned(),
    ]);
    let mut weir = weir(&flags);
    let Some(grpcurl) = Grpcurl::new(weir.address) else {
        return;
    };
    let ca = made.path("ca.pem");
    let is_answered_as = |name: &str| {
        let files = ["pem", "key"].map(|kind| made.path(&format!("{name}.{kind}")));
        let flags = ["-cacert", &ca, "-cert", &files[0], "-key", &files[1]];
        is_answered(&grpcurl, &flags)
    };
    assert!(is_answered_as("envoy"));
    assert!(is_answered_as("gateway"));
    for (name, reason, expected) in [
        ("nobody", "tls_name_not_allowed", "--grpc-client-san"),
        ("expired", "tls_expired", "renew it"),
        ("stranger", "tls_unknown_ca", "issuer"),
    ] {
        assert!(!is_answered_as(name), "{name}");
        expect_advice(&mut weir, reason, expected);
    }
    assert!(!is_answered(&grpcurl, &["-cacert", &ca]));
    expect_advice(&mut weir, "tls_no_client_certificate", "tls_certificates");
    assert!(is_answered_as("envoy"));
}

/// What `openssl s_client` prints.
fn s_client(openssl: &Path, weir: &Weir, flags: &[&str]) -> String {
    let address = weir.address.to_string();
    connect(openssl, &[&["-connect", &address], flags].concat())
}

fn connect(openssl: &Path, flags: &[&str]) -> String {
    let output = Command::new(openssl)
        .arg("s_client")
        .args(flags)
        .stdin(Stdio::null())
        .output()
        .expect("openssl starts");
    let [out, err] = [output.stdout, output.stderr];
    String::from_utf8_lossy(&[out, err].concat()).into_owned()
}

#[test]
fn tls_has_versions_1_2_and_1_3_and_the_protocol_h2() {
    let Some(openssl) = program::OPENSSL.or_skip() else {
        return;
    };
    let made = Certificates::new();
    let mut weir = weir(&made.serve("grpc"));
    let ca = made.path("ca.pem");
    for (flag, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let flags = [flag, "-alpn", "h2", "-CAfile", &ca, "-verify_return_error"];
        let text = s_client(openssl, &weir, &flags);
        assert!(text.contains(&format!("New, {version}")), "{text}");
        assert!(text.contains("ALPN protocol: h2"), "{text}");
        assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
        // A client that names no protocol is served, too.
        let text = s_client(openssl, &weir, &[flag]);
        assert!(text.contains("No ALPN negotiated"), "{text}");
        assert!(text.contains(&format!("New, {version}")), "{text}");
    }
    let old = ["-tls1_1", "-cipher", "ALL@SECLEVEL=0"];
    s_client(openssl, &weir, &old);
    expect_advice(&mut weir, "tls_incompatible", "1.2 or 1.3");
    s_client(openssl, &weir, &["-alpn", "http/1.1"]);
    expect_advice(&mut weir, "tls_no_common_protocol", "h2 for gRPC");
}

#[test]
fn keys_and_certificates_have_the_usual_forms() {
    let Some(openssl) = program::OPENSSL.or_skip() else {
        return;
    };
    let made = Certificates::new();
    let (certificate, key) = (made.path("weir.pem"), made.path("weir.key"));
    let run = |words: &str| {
        let output = Command::new(openssl).args(words.split(' ')).output();
        let output = output.expect("openssl starts");
        assert!(output.status.success(), "{words}: {output:?}");
    };
    for (generate, begin) in [
        ("genrsa -traditional -out KEY 2048", "RSA PRIVATE KEY"),
        (
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out KEY",
            "PRIVATE KEY",
        ),
        (
            "ecparam -name prime256v1 -genkey -out KEY",
            "EC PRIVATE KEY",
        ),
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out KEY",
            "PRIVATE KEY",
        ),
    ] {
        run(&generate.replace("KEY", &key));
        let pem = std::fs::read_to_string(&key).expect("a key");
        assert!(pem.contains(&format!("-----BEGIN {begin}-----")), "{begin}");
        run(&format!(
            "req -x509 -key {key} -subj /CN=weir -addext subjectAltName=IP:127.0.0.1 -out {certificate}"
        ));
        let weir = weir(&made.serve("grpc"));
        let text = s_client(openssl, &weir, &["-CAfile", &certificate]);
        assert!(
            text.contains("Verify return code: 0 (ok)"),
            "{generate}: {text}"
        );
    }
}

#[test]
fn a_chain_up_to_the_ca_is_sent() {
    let made = Certificates::new();
    let intermediate = made.authority.intermediate();
    let mut issued = intermediate.issue(&["127.0.0.1"]);
    issued.certificate += &intermediate.pem();
    made.add("weir", &issued);
    let weir = weir(&made.serve("grpc"));
    if let Some(grpcurl) = Grpcurl::new(weir.address) {
        assert!(is_answered(&grpcurl, &["-cacert", &made.path("ca.pem")]));
    }
}

#[test]
fn a_certificate_is_replaced_while_weir_serves_and_metrics_say_when_it_expires() {
    let made = Certificates::new();
    let mut flags = made.serve("grpc");
    flags.push("--reload-interval=0.05".to_owned());
    let mut weir = weir(&flags);
    let expiry =
        "weir_tls_certificate_expiry_timestamp_seconds{port=\"grpc\",file=\"certificate\"}";
    let loads = |weir: &Weir, outcome: &str| {
        weir.metric(&format!(
            "weir_tls_certificate_loads_total{{port=\"grpc\",outcome=\"{outcome}\"}}"
        ))
    };
    // The beginning of 2099, and of 2098.
    assert_eq!(weir.metric(expiry), 4_070_908_800);
    let next = made.authority.issue_until(&["127.0.0.1"], 2098);
    made.write("weir.pem", &next.certificate);
    let error = weir.process.wait_for(|line| {
        let is_failure = line.contains("previous certificate stays in force");
        is_failure.then(|| line.to_owned())
    });
    assert!(
        error.contains("does not belong to the private key"),
        "{error}"
    );
    assert_eq!((loads(&weir, "success"), loads(&weir, "failure")), (1, 1));
    assert_eq!(weir.metric(expiry), 4_070_908_800);
    made.write("weir.key", &next.key);
    weir.process
        .wait_for(|line| line.contains("certificate reloaded").then_some(()));
    assert_eq!((loads(&weir, "success"), loads(&weir, "failure")), (2, 1));
    assert_eq!(weir.metric(expiry), 4_039_372_800);
    if let Some(grpcurl) = Grpcurl::new(weir.address) {
        assert!(is_answered(&grpcurl, &["-cacert", &made.path("ca.pem")]));
    }
}

#[test]
fn files_that_cannot_be_used_end_the_start_with_a_reason() {
    let made = Certificates::new();
    let stranger = Certificates::new();
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args([
            "serve",
            "--policies",
            "config/peeker.yaml",
            "--grpc=127.0.0.1:0",
        ])
        .args(["--http=off", "--log-format=json"])
        .arg(format!("--grpc-tls-cert={}", made.path("weir.pem")))
        .arg(format!("--grpc-tls-key={}", stranger.path("weir.key")))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("weir starts");
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("does not belong to the private key"),
        "{error}"
    );
    assert!(
        error.contains("weir.pem") && error.contains("weir.key"),
        "{error}"
    );
    assert!(!error.contains("BEGIN"), "{error}");
}

#[test]
fn a_unix_socket_can_have_tls() {
    let Some(openssl) = program::OPENSSL.or_skip() else {
        return;
    };
    let made = Certificates::new();
    let socket = made.path("weir.sock");
    let mut process = Process::start(
        Command::new(env!("CARGO_BIN_EXE_weir"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["serve", "--policies", "config/peeker.yaml", "--http=off"])
            .args(["--log-format=json", &format!("--grpc=unix:{socket}")])
            .args(made.serve("grpc")),
    );
    process.wait_for(|line| line.contains("\"serving\"").then_some(()));
    let text = connect(openssl, &["-unix", &socket, "-alpn", "h2"]);
    assert!(text.contains("ALPN protocol: h2"), "{text}");
}
