//! What depends on the process's surroundings: a terminal, and threads.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use weir_harness::program;

use crate::binary::{Serving, stderr};
use crate::unprivileged::Unprivileged;

const WEIR: &str = env!("CARGO_BIN_EXE_weir");

const POLICY: &str = "
domain: t
descriptors:
  - {key: k, rate_limit: {unit: hour, requests_per_unit: 1}}
";

#[test]
fn top_survives_the_server_and_gives_the_terminal_back() {
    let Some(script) = program::SCRIPT.or_skip() else {
        return;
    };
    let mut serving = Serving::start(&["--grpc=127.0.0.1:0", "--drain=0"]);
    let command = format!(
        "stty rows 24 cols 80; exec {WEIR} top --interval=1 --server={}",
        serving.http
    );
    let mut terminal = Command::new(script)
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    let mut screen = terminal.stdout.take().unwrap();
    let mut shown = Vec::new();
    let mut wait_for = |text: &str| {
        let mut byte = [0];
        while !String::from_utf8_lossy(&shown).contains(text) {
            let count = screen.read(&mut byte).unwrap();
            assert_eq!(count, 1, "{}", String::from_utf8_lossy(&shown));
            shown.push(byte[0]);
        }
    };
    wait_for("\x1b[?1049h");
    wait_for("serving,");
    serving.signal("TERM");
    serving.end();
    wait_for("trying");
    keys.write_all(b"q").unwrap();
    wait_for("\x1b[?1049l");
    assert!(terminal.wait().unwrap().success());
}

/// The limit that lets a user have `threads` threads.
fn limit_threads(prlimit: &Path, threads: u32) -> [String; 2] {
    [prlimit.display().to_string(), format!("--nproc={threads}")]
}

#[test]
fn a_server_without_threads_says_so_and_ends_with_2() {
    let (Some(user), Some(prlimit)) = (Unprivileged::new(), program::PRLIMIT.or_skip()) else {
        return;
    };
    fs::write(user.folder().join("t.yaml"), POLICY).unwrap();
    // The main thread, the log, reloads, two for HTTP and a worker. The user of this test may have others.
    let limits = if user.is_alone() { 1..=5 } else { 1..=1 };
    // A host name is resolved before there are other threads.
    for (limit, grpc) in limits.flat_map(|limit| [(limit, "127.0.0.1:0"), (limit, "localhost:0")]) {
        let limit = limit_threads(prlimit, limit);
        let output = user
            .weir(&limit.each_ref().map(String::as_str))
            .args(["serve", "--workers=1", "--http=127.0.0.1:0", "--grpc", grpc])
            .arg("--policies")
            .arg(user.folder().join("t.yaml"))
            .output()
            .unwrap();
        assert_says_threads(&output, &format!("{limit:?} {grpc}"));
    }
}

#[test]
fn a_command_without_threads_says_so_in_one_line_and_ends_with_2() {
    let (Some(user), Some(prlimit)) = (Unprivileged::new(), program::PRLIMIT.or_skip()) else {
        return;
    };
    let file = |name: &str, text: &str| {
        let path = user.folder().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let policy = file("t.yaml", POLICY);
    let log = file(
        "log.jsonl",
        "{\"time\":1,\"domain\":\"t\",\"descriptors\":[{\"k\":\"v\"}]}\n",
    );
    let limit = limit_threads(prlimit, 1);
    // Nobody listens there; to look the name up takes a thread.
    for args in [
        &["replay", &log, "--policies", &policy][..],
        &["query", "--server=localhost:1", "--domain=t", "k=v"],
        &["explain", "--server=localhost:1", "--domain=t", "k=v"],
        &["keys", "show", "--server=localhost:1", "--domain=t", "k=v"],
        &["assign", "list", "--server=localhost:1"],
        &["top", "--server=localhost:1"],
        &["xds", "localhost:1"],
    ] {
        let output = user
            .weir(&limit.each_ref().map(String::as_str))
            .args(args)
            .output()
            .unwrap();
        assert_says_threads(&output, &format!("{args:?}"));
        assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    }
}

fn assert_says_threads(output: &Output, what: &str) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{what}: {said}");
    assert!(
        said.contains("raise the limit on threads") && !said.contains("panicked"),
        "{what}: {said}"
    );
}
