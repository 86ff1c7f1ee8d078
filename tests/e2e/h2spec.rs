//! h2spec's cases of RFC 9113 and RFC 7541 against the program.

use std::process::Command;

use weir_harness::program;

use crate::weir::Weir;

/// Cases that do not pass, and why. A call whose `te` is not `trailers` is answered: a call that is not
/// answered is a request without a limit.
const DEVIATIONS: [&str; 1] = [
    "2: Sends a HEADERS frame that contains the TE header field with any value other than \"trailers\"",
];

#[test]
fn every_case_passes_but_for_those_that_have_a_reason() {
    let Some(h2spec) = program::H2SPEC.or_skip() else {
        return;
    };
    let weir = Weir::start("peeker");
    let output = Command::new(h2spec)
        .args(["--host", "127.0.0.1", "--timeout", "5"])
        .args(["--port", &weir.address.port().to_string()])
        .args(["--path", "/grpc.health.v1.Health/Check"])
        .output()
        .expect("h2spec starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, failures) = text
        .split_once("Failures:")
        .unwrap_or_else(|| panic!("no failures, or no run: {text}"));
    let failed: Vec<_> = failures
        .lines()
        .filter_map(|line| line.trim().strip_prefix("× "))
        .collect();
    assert_eq!(failed, DEVIATIONS, "{failures}");
    assert!(text.contains("145 tests, 144 passed"), "{failures}");
}
