//! Policies from a configuration server: go-control-plane, which Envoy Gateway is made with.

mod merge;

use std::fs;
use std::path::Path;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::control_plane::{Answer, ControlPlane, NODE, tls_flags};
use crate::weir::Weir;

fn weir(plane: &ControlPlane, flags: &[&str]) -> Weir {
    let source = ["--xds", &plane.address, "--xds-node-id", NODE];
    Weir::serve_with(&[&source, flags].concat())
}

/// A domain whose one limit is for each value of `user`.
fn domain(name: &str, requests: u32) -> Value {
    json!({"name": name, "domain": name, "descriptors": [
        {"key": "user", "rateLimit": {"unit": "DAY", "requestsPerUnit": requests}},
    ]})
}

fn accepted(version: &str, nonce: &str) -> Answer {
    Answer {
        version: version.to_owned(),
        nonce: nonce.to_owned(),
        error: String::new(),
    }
}

/// The limit that a client meets; none if the domain has none.
fn limit(weir: &Weir, domain: &str) -> Option<u64> {
    let answer = weir
        .query(domain, &["--peek", "user=a"])
        .expect("an answer");
    answer["descriptors"][0]["limit"]["requests_per_unit"].as_u64()
}

#[test]
fn limits_arrive_change_and_go_away() {
    let Some(mut plane) = ControlPlane::start(&[]) else {
        return;
    };
    let weir = weir(&plane, &[]);
    plane.subscription();
    // It is healthy, but what it cannot decide is an error: Envoy's `failure_mode_deny` applies.
    assert_eq!(weir.metric("weir_xds_connected "), 1);
    let error = weir.query("shop", &["user=a"]).unwrap_err();
    assert!(error.contains("no policy has arrived"), "{error}");

    plane.send(&[("shop", domain("shop", 1)), ("blog", domain("blog", 2))]);
    assert_eq!(plane.answer(), accepted("1", "1"));
    assert_eq!(
        (limit(&weir, "shop"), limit(&weir, "blog")),
        (Some(1), Some(2))
    );

    // The counters stay; the other domain is gone.
    weir.query("shop", &["user=a"]).expect("an answer");
    plane.send(&[("shop", domain("shop", 3))]);
    assert_eq!(plane.answer(), accepted("2", "2"));
    assert_eq!(
        (limit(&weir, "shop"), limit(&weir, "blog")),
        (Some(3), None)
    );
    let left = weir
        .query("shop", &["--peek", "user=a"])
        .expect("an answer");
    assert_eq!(left["descriptors"][0]["remaining"], 2);

    plane.send(&[]);
    assert_eq!(plane.answer(), accepted("3", "3"));
    assert_eq!(limit(&weir, "shop"), None);
    assert_eq!(
        weir.metric("weir_xds_responses_total{result=\"accepted\"} "),
        3
    );
}

#[test]
fn a_contradiction_rejects_its_domain_and_not_the_others() {
    let Some(mut plane) = ControlPlane::start(&[]) else {
        return;
    };
    let weir = weir(&plane, &[]);
    let limited = |requests: u32| json!({"key": "a", "value": "b", "rateLimit": {"unit": "SECOND", "requestsPerUnit": requests}});
    let contradiction =
        json!({"name": "odd", "domain": "odd", "descriptors": [limited(1), limited(2)]});
    plane.send(&[("shop", domain("shop", 1)), ("odd", contradiction)]);
    let rejected = plane.answer();
    assert_eq!(
        (rejected.version.as_str(), rejected.nonce.as_str()),
        ("", "1")
    );
    assert!(rejected.error.contains("xds:odd"), "{}", rejected.error);
    assert_eq!(limit(&weir, "shop"), Some(1));

    // The library sends it again at once. The answer to that takes longer, and the corrected version comes after it.
    assert_eq!(plane.answer().nonce, "2");
    plane.send(&[("shop", domain("shop", 2)), ("odd", domain("odd", 5))]);
    let corrected =
        std::iter::from_fn(|| Some(plane.answer())).find(|answer| answer.error.is_empty());
    assert_eq!(corrected.expect("an answer").version, "2");
    assert_eq!(
        (limit(&weir, "shop"), limit(&weir, "odd")),
        (Some(2), Some(5))
    );
}

#[test]
fn a_server_that_starts_anew_counts_its_versions_anew() {
    let Some(mut plane) = ControlPlane::start(&[]) else {
        return;
    };
    let weir = weir(&plane, &[]);
    plane.send(&[("shop", domain("shop", 1))]);
    assert_eq!(plane.answer(), accepted("1", "1"));
    let address = plane.address.clone();
    drop(plane);
    // What was in force stays so.
    assert_eq!(limit(&weir, "shop"), Some(1));

    let mut plane = ControlPlane::start(&["-listen", &address]).expect("it was there before");
    plane.send(&[("shop", domain("shop", 2))]);
    assert_eq!(plane.answer(), accepted("1", "1"));
    assert_eq!(limit(&weir, "shop"), Some(2));
}

#[test]
fn both_ends_show_certificates() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path());
    let flags = tls_flags(folder.path(), "-", "server");
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let Some(mut plane) = ControlPlane::start(&flags) else {
        return;
    };
    plane.send(&[("shop", domain("shop", 1))]);
    let flags = tls_flags(folder.path(), "--xds-", "client");
    let mut flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    flags.extend(["--xds-server-name", "envoy-gateway"]);
    let weir = weir(&plane, &flags);
    assert_eq!(plane.answer(), accepted("1", "1"));
    assert_eq!(limit(&weir, "shop"), Some(1));

    let output = show(&plane, &["--timeout", "5"]);
    assert_eq!(output.0, Some(2), "plaintext: {}", output.2);
}

#[test]
fn a_command_prints_what_a_server_sends() {
    let Some(plane) = ControlPlane::start(&[]) else {
        return;
    };
    let without_unit = json!({"name": "odd", "domain": "odd", "descriptors": [
        {"key": "a", "rateLimit": {"requestsPerUnit": 1}},
    ]});
    plane.send(&[("shop", domain("shop", 1)), ("odd", without_unit)]);
    let (code, stdout, stderr) = show(&plane, &["--xds-node-id", NODE]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stdout.contains("# xds:shop\ndomain: \"shop\"\n"),
        "{stdout}"
    );
    assert!(stdout.contains("# xds:odd:4:"), "{stdout}");
    assert!(stdout.contains("unit: unknown"), "{stdout}");

    let (code, _, stderr) = show(&plane, &["--xds-node-id", "another", "--timeout", "1"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("check the node ID"), "{stderr}");
}

/// `weir xds`: its code, stdout and stderr.
fn show(plane: &ControlPlane, flags: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["xds", &plane.address])
        .args(flags)
        .output()
        .expect("weir starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// An authority, and a certificate of it for each end.
fn certificates(folder: &Path) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
    fs::write(folder.join("ca.crt"), authority.pem()).expect("written");
    for (file, name) in [("server", "envoy-gateway"), ("client", "*.weir.test")] {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        fs::write(folder.join(format!("{file}.crt")), certificate.pem()).expect("written");
        fs::write(folder.join(format!("{file}.key")), key.serialize_pem()).expect("written");
    }
}

/// A domain of that many bytes and a little more: the bulk is metadata of a limit.
fn large(bytes: usize) -> Value {
    const PART: usize = 1 << 20;
    let parts = (0..bytes / PART).map(|part| (format!("part-{part}"), json!("x".repeat(PART))));
    let metadata: serde_json::Map<String, Value> = parts.collect();
    let mut domain = domain("large", 1);
    domain["descriptors"][0]["metadata"] = Value::Object(metadata);
    domain
}

/// At 8 MiB: to compile 64 MiB, the default, takes a minute without optimization.
#[test]
fn a_configuration_below_the_limit_of_bytes_is_accepted_and_a_longer_one_reported() {
    const MIB: usize = 1 << 20;
    let Some(mut plane) = ControlPlane::start(&[]) else {
        return;
    };
    let mut weir = weir(&plane, &["--xds-max-message", "8MiB"]);
    plane.send(&[("shop", domain("shop", 1)), ("large", large(7 * MIB))]);
    assert_eq!(plane.answer(), accepted("1", "1"));
    assert_eq!(limit(&weir, "shop"), Some(1));

    plane.send(&[("shop", domain("shop", 1)), ("large", large(8 * MIB))]);
    let level = weir.process.wait_for(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        let text = event["message"].as_str()?;
        let is_it = text.contains("a configuration of more than 8388608 bytes");
        let names_the_flag = text.contains("--xds-max-message");
        (is_it && names_the_flag).then(|| event["level"].as_str().unwrap_or_default().to_owned())
    });
    assert_eq!(level, "ERROR");
    assert_eq!(limit(&weir, "shop"), Some(1));
    let rejected = "weir_xds_responses_total{result=\"rejected\"} ";
    assert!(weir.metric(rejected) >= 1);

    // What comes afterwards is in force.
    plane.send(&[("shop", domain("shop", 2))]);
    while plane.answer().version == "1" {}
    assert_eq!(limit(&weir, "shop"), Some(2));
}

const PLANS: &str = "
domain: shop
plans:
  standard: {rate_limit: {unit: day, requests_per_unit: 3}}
descriptors:
- {key: user, plan: standard, assignments: customers}
";

/// A node has to name the table that a row is in, and those of a configuration server cannot.
#[test]
fn added_assignments_have_no_effect_on_what_a_server_sends_and_stay_stored() {
    let Some(mut plane) = ControlPlane::start(&[]) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let policies = folder.path().join("policies");
    fs::create_dir(&policies).expect("created");
    for (file, text) in [
        ("policies/shop.yaml", PLANS),
        ("policies/customers.assignments.csv", "value,plan\n"),
        ("token", "0123456789abcdef"),
    ] {
        fs::write(folder.path().join(file), text).expect("written");
    }
    let [state, token] = ["state", "token"].map(|name| folder.path().join(name));
    let [state, token] = [&state, &token].map(|path| path.to_str().expect("UTF-8"));
    let flags = ["--state", state, "--admin-token-file", token];
    let assign = |weir: &Weir| {
        Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["assign", "set", "--limit", "9 per day", "a"])
            .args(["--server", &weir.http.to_string()])
            .args(["--admin-token-file", token])
            .output()
            .expect("weir starts")
    };
    let end = |mut weir: Weir| {
        weir.process.terminate();
        assert_eq!(weir.process.wait().code(), Some(0));
    };

    let before = Weir::serve(&policies, &flags);
    let output = assign(&before);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(limit(&before, "shop"), Some(9));
    end(before);

    let mut weir = weir(&plane, &flags);
    plane.send(&[("shop", domain("shop", 1))]);
    weir.process.wait_for(|line| {
        let is_it = line.contains("an assignment that was added has no effect: no table is named");
        is_it.then_some(())
    });
    assert_eq!(plane.answer(), accepted("1", "1"));
    assert_eq!(limit(&weir, "shop"), Some(1));
    let refused = assign(&weir);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("table"),
        "{said}"
    );
    end(weir);

    let after = Weir::serve(&policies, &flags);
    assert_eq!(limit(&after, "shop"), Some(9));
}
