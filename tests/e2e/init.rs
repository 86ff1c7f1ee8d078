//! What `weir init` writes: Envoy accepts the bootstrap, and policy and bootstrap limit an API together.

use std::fs;
use std::process::Command;

use weir_harness::program;

use crate::echo;
use crate::envoy::Envoy;
use crate::http::Request;
use crate::weir::Weir;
use crate::window::within;

#[test]
fn envoy_accepts_the_bootstrap() {
    let Some(envoy) = program::ENVOY.or_skip() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(
        folder.path().join("api.json"),
        r#"{"paths": {"/a/{b}": {"get": {}}}}"#,
    )
    .expect("written");
    for (name, args) in [("plain", &[][..]), ("operations", &["--openapi=api.json"])] {
        let mut init = Command::new(env!("CARGO_BIN_EXE_weir"));
        init.current_dir(&folder)
            .args(["init", "--domain=shop", name])
            .args(args);
        assert!(init.status().expect("weir runs").success());
        let bootstrap = folder.path().join(name).join("envoy.yaml");
        let mut validate = Command::new(envoy);
        validate.args(["--mode", "validate", "-c"]).arg(bootstrap);
        let output = validate.output().expect("Envoy runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(!said.contains("deprecated"), "{said}");
    }
}

/// What `weir init` wrote, with an Envoy before weir and a service behind it, which `host` names; none if the test is to be
/// skipped.
fn running(host: &str, args: &[&str]) -> Option<Envoy> {
    program::ENVOY.or_skip()?;
    let folder = tempfile::tempdir().expect("a folder");
    let document = r#"{"paths": {"/items/{id}": {"get": {}}, "/login": {"post": {}}}}"#;
    fs::write(folder.path().join("api.json"), document).expect("written");
    let weir = |args: &[&str]| {
        let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
        let status = weir.current_dir(&folder).args(args).status();
        assert!(status.expect("weir runs").success(), "{args:?}");
    };
    let upstream = format!("{host}:{}", echo::start().port());
    let flags = ["init", "--domain=shop", "--upstream", &upstream];
    weir(&[&flags[..], args].concat());
    weir(&["check", "--deny-warnings", "policies"]);
    weir(&["test", "policies"]);
    let serving = Weir::serve(&folder.path().join("policies"), &[]);
    let bootstrap = fs::read_to_string(folder.path().join("envoy.yaml")).expect("a bootstrap");
    let weir_port = format!("port_value: {}", serving.address.port());
    let bootstrap = bootstrap
        .replace("port_value: 9901", "port_value: 0")
        .replace("port_value: 10000", "port_value: 0")
        .replace("port_value: 8081", &weir_port)
        .replace("timeout: 0.05s", "timeout: 30s");
    Envoy::with_bootstrap(&bootstrap, "edge", serving, folder)
}

/// The statuses of several requests.
fn statuses(envoy: &Envoy, request: &Request, requests: usize) -> Vec<u16> {
    let mut client = envoy.client();
    (0..requests).map(|_| client.send(request).status).collect()
}

#[test]
fn what_is_written_limits_clients_and_addresses() {
    let limits = ["--limit=2 per day", "--anonymous=1 per day"];
    let Some(envoy) = running("127.0.0.1", &limits) else {
        return;
    };
    let of = |key: &str| Request::new("GET /").header("x-api-key", key);
    within(86_400, |tried| {
        let (one, other) = (format!("a{tried}"), format!("b{tried}"));
        assert_eq!(statuses(&envoy, &of(&one), 3), [200, 200, 429]);
        assert_eq!(statuses(&envoy, &of(&other), 1), [200]);
    });
    assert_eq!(statuses(&envoy, &Request::new("GET /"), 2)[1], 429);
}

#[test]
fn operations_of_an_openapi_document_are_limited_each() {
    let limits = [
        "--openapi=api.json",
        "--limit=100 per day",
        "--per-operation=1 per day",
    ];
    let Some(envoy) = running("localhost", &limits) else {
        return;
    };
    within(86_400, |tried| {
        let key = format!("k{tried}");
        let send = |operation: &str| {
            let request = Request::new(operation).header("x-api-key", &key);
            statuses(&envoy, &request, 1)[0]
        };
        assert_eq!(send("GET /items/1?page=2"), 200);
        assert_eq!(send("GET /items/2"), 429, "the same operation");
        assert_eq!(send("POST /login"), 200, "another operation");
        assert_eq!([send("GET /else"), send("GET /else")], [200, 200]);
    });
    // What is not an operation matches a rule, too.
    let doctor = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["doctor", "--server", &envoy.weir.http.to_string()])
        .args(["--envoy", &envoy.admin.to_string()])
        .output()
        .expect("weir starts");
    assert_eq!(String::from_utf8_lossy(&doctor.stdout), "no findings\n");
}
