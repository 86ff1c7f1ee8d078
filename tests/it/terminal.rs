//! What depends on the process's surroundings: a terminal, and threads.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::binary::{Serving, output, stderr};

const WEIR: &str = env!("CARGO_BIN_EXE_weir");

/// Whether a program runs here; `script`, `setpriv` and `prlimit` are parts of util-linux.
fn runs(command: &[&str]) -> bool {
    let output = Command::new(command[0]).args(&command[1..]).output();
    output.is_ok_and(|output| output.status.success())
}

#[test]
fn top_survives_the_server_and_gives_the_terminal_back() {
    if !runs(&["script", "--version"]) {
        return;
    }
    let mut serving = Serving::start(&["--grpc=127.0.0.1:0", "--drain=0"]);
    let command = format!(
        "stty rows 24 cols 80; exec {WEIR} top --interval=1 --server={}",
        serving.http
    );
    let mut terminal = Command::new("script")
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

#[test]
fn a_process_without_threads_says_so_and_ends_with_2() {
    let as_user = ["setpriv", "--reuid=61234", "--clear-groups"];
    // The limit does not apply to root. Another user may not be permitted to read the program.
    let user: &[&str] = match runs(&[&as_user[..], &[WEIR, "--version"]].concat()) {
        true => &as_user,
        false => &[],
    };
    if user.is_empty() && runs(&["sh", "-c", "test $(id -u) = 0"])
        || !runs(&["prlimit", "--version"])
    {
        return;
    }
    // The main thread, the log, reloads, two for HTTP and a worker. The user of this test may have others.
    let limits = if user.is_empty() { 1..=1 } else { 1..=5 };
    // A host name is resolved before there are other threads.
    for (limit, grpc) in limits.flat_map(|limit| [(limit, "127.0.0.1:0"), (limit, "localhost:0")]) {
        let limit = format!("--nproc={limit}");
        let command = [
            user,
            &[
                "prlimit",
                &limit,
                WEIR,
                "serve",
                "--workers=1",
                "--policies=config",
            ],
        ]
        .concat();
        let output = Command::new(command[0])
            .args(&command[1..])
            .args(["--grpc", grpc, "--http=127.0.0.1:0"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{limit}: {output:?}");
        let said = stderr(&output);
        assert!(
            said.contains("thread") && !said.contains("panicked"),
            "{limit}: {said}"
        );
    }
    assert_eq!(output(&["--version"]).status.code(), Some(0));
}
