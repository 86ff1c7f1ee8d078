//! `docs/getting-started.md`, step by step.

use std::env;
use std::path::Path;
use std::process::Command;

use crate::envoy::{Envoy, Setup};
use crate::http::{Request, statuses};
use crate::upstream::Upstream;
use crate::weir::Weir;
use crate::window::within;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/getting-started.md");
    std::fs::read_to_string(path).expect("the page")
}

/// The only block of the page in that language.
fn block(language: &str) -> String {
    let page = page();
    let fence = format!("```{language}\n");
    let mut blocks = page.split(&fence).skip(1);
    let block = blocks.next().expect(language);
    assert!(blocks.next().is_none(), "several blocks in {language}");
    block.split_once("```").expect("its end").0.to_owned()
}

#[test]
fn the_policy_is_the_file() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/first_limit.yaml");
    let file = std::fs::read_to_string(file).expect("the policy");
    assert!(file.ends_with(&block("yaml")));
}

/// The commands of weir that end by themselves, one by one.
#[test]
fn the_commands_of_the_page_succeed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = Path::new(env!("CARGO_BIN_EXE_weir"));
    let own = own.parent().expect("its folder").to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([own].into_iter().chain(env::split_paths(&path)));
    let path = path.expect("a path");
    let server = Weir::start("first_limit");
    let empty = tempfile::tempdir().expect("a folder");
    let page = page();
    let blocks = page.split("```sh\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines());
    let commands: Vec<&str> = lines
        .filter(|line| line.starts_with("weir ") && !line.starts_with("weir serve "))
        .collect();
    assert_eq!(commands.len(), 4, "{commands:?}");
    for command in commands {
        let folder = match command.starts_with("weir init") {
            true => empty.path(),
            false => root,
        };
        let output = Command::new("sh")
            .args(["-c", command])
            .current_dir(folder)
            .env("PATH", &path)
            .env("WEIR_SERVER", server.address.to_string())
            .output()
            .expect("a shell");
        assert!(output.status.success(), "{command}: {output:?}");
    }
    assert!(empty.path().join("policies/shop.yaml").exists());
}

#[test]
fn the_sixth_request_is_refused_as_shown() {
    let upstream = Upstream::start();
    let setup = Setup {
        upstream: Some(upstream.address),
        ..Setup::default()
    };
    let weir = || Weir::start("first_limit");
    let Some(envoy) = Envoy::before(weir, "first_limit", &setup) else {
        return;
    };
    let mut client = envoy.client();
    // Tokens come back every twelve seconds.
    let mut attempt = |tried| {
        let get = |name: &str| Request::new("GET /").header("x-api-key", format!("{name}{tried}"));
        let first = client.repeat(&get("alice"), 6);
        (first, client.send(&get("alice")), client.send(&get("bob")))
    };
    let (first, refused, other) = upstream.quickly(|| within(10, &mut attempt));
    assert_eq!(statuses(&first), [200, 200, 200, 200, 200, 429]);
    assert_eq!(
        (other.status, other.number("x-ratelimit-remaining")),
        (200, 4)
    );

    let wait = refused.text("retry-after").to_owned();
    assert!((1..=12).contains(&refused.number("retry-after")));
    let shown = block("http");
    let shown = shown
        .replace("retry-after: 12", &format!("retry-after: {wait}"))
        .replace("seconds\": 12", &format!("seconds\": {wait}"));
    assert_eq!(refused.status, 429);
    refused.assert_shown(&shown, &[]);
}
