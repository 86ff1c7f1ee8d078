//! The first screen of the README, word for word.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::envoy::Envoy;
use crate::http::Request;
use crate::weir::Weir;
use weir_harness::program;

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    std::fs::read_to_string(path).expect("the README")
}

/// What follows `opening` in the README, up to the end of the block.
fn block(opening: &str) -> String {
    let readme = readme();
    let (_, rest) = readme.split_once(opening).expect(opening);
    rest.split_once("\n```").expect("its end").0.to_owned()
}

/// The command of the README that begins with `program`.
fn command(program: &str) -> String {
    format!("{program}{}", block(&format!("```sh\n{program}")))
}

/// The moment differs from day to day; everything else is as shown.
fn without_time(mut answer: Value) -> Value {
    for header in answer["responseHeadersToAdd"]
        .as_array_mut()
        .expect("headers")
    {
        if header["key"] == "X-Ratelimit-Retry-After" {
            header["value"] = "a moment".into();
        }
    }
    answer
}

#[test]
fn grpcurl_gets_the_answer_that_is_shown() {
    let Some(grpcurl) = program::GRPCURL.or_skip() else {
        return;
    };
    let weir = Weir::start("platform");
    let command = command("grpcurl").replace("127.0.0.1:8081", &weir.address.to_string());
    let script = command.replacen("grpcurl", &grpcurl.display().to_string(), 1);
    let output = Command::new("sh")
        .args(["-c", &script])
        .output()
        .expect("a shell");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let shown: Value = serde_json::from_str(&block("```json\n")).expect("JSON");
    assert_eq!(without_time(answer), without_time(shown));
}

#[test]
fn the_second_call_through_envoy_is_refused_as_shown() {
    let Some(envoy) = Envoy::start("platform") else {
        return;
    };
    assert!(command("curl").contains("example-key-1"));
    let request = Request::new("POST /platform/v2/process/s1").key("example-key-1");
    let mut client = envoy.client();
    assert_eq!(client.send(&request).status, 200);
    let refused = client.send(&request);
    assert_eq!(refused.status, 429);
    refused.assert_shown(&block("```http\n"), &["date", "x-ratelimit-retry-after"]);
}
