//! The commands of `docs/troubleshooting.md`, with the output that it shows.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::binary::{Serving, weir};

/// A command of the page, and what it should print.
struct Shown {
    args: Vec<String>,
    output: Vec<String>,
}

/// The commands of the `console` blocks, in order: a line that begins with `$ weir`, and its output below.
fn shown(page: &str) -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    for block in page.split("```console\n").skip(1) {
        let (block, _) = block.split_once("```").unwrap();
        let indent = block.len() - block.trim_start().len();
        for line in block.lines() {
            let line = line.get(indent..).unwrap_or_default();
            match line.strip_prefix("$ weir ") {
                Some(args) => commands.push(Shown {
                    args: args.split(' ').map(str::to_owned).collect(),
                    output: Vec::new(),
                }),
                None => commands.last_mut().unwrap().output.push(line.to_owned()),
            }
        }
        // The end of a block in a list.
        let output = &mut commands.last_mut().unwrap().output;
        while output.last().is_some_and(|line| line.is_empty()) {
            output.pop();
        }
    }
    commands
}

/// Whether the output is as shown; `…` is anything, on a line of its own any number of lines.
fn is_as_shown(output: &str, shown: &[String]) -> bool {
    let mut rest = output.trim_end();
    let mut is_open = false;
    for line in shown {
        if line == "…" {
            is_open = true;
            continue;
        }
        let mut lines = rest.split_inclusive('\n');
        let mut skipped = 0;
        loop {
            let Some(next) = lines.next() else {
                return false;
            };
            skipped += next.len();
            if is_line(next.trim_end_matches('\n'), line) {
                break;
            }
            if !is_open {
                return false;
            }
        }
        rest = &rest[skipped..];
        is_open = false;
    }
    is_open || rest.is_empty()
}

fn is_line(line: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut is_open = false;
    for part in parts {
        is_open = part.is_empty();
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    is_open || rest.is_empty()
}

#[test]
fn commands_print_what_is_shown() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/troubleshooting.md")).unwrap();
    let commands = shown(&page);
    assert!(
        commands.len() >= 6,
        "only {} commands found",
        commands.len()
    );
    let policy = root.join("config/first_limit.yaml");
    let server = Serving::start(&["--grpc=127.0.0.1:0", "--policies", policy.to_str().unwrap()]);
    for command in commands {
        let mut weir: Command = weir(&[]);
        weir.current_dir(root)
            .args(&command.args)
            .env("WEIR_SERVER", &server.address)
            .env("WEIR_ADMIN", &server.http);
        let output = String::from_utf8(weir.output().unwrap().stdout).unwrap();
        assert!(
            is_as_shown(&output, &command.output),
            "weir {}\n{output}\nis shown as\n{}",
            command.args.join(" "),
            command.output.join("\n")
        );
    }
    drop(server);
}

#[test]
fn an_ellipsis_is_anything() {
    let shown = ["a", "…", "c … e"].map(str::to_owned);
    assert!(is_as_shown("a\nb\nb\nc d e\n", &shown));
    assert!(!is_as_shown("a\nb\nc d\n", &shown));
    assert!(!is_as_shown("a\nc d e\nf\n", &shown));
}
