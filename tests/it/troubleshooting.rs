//! The commands of `docs/troubleshooting.md`, with the output that it shows. Those that ask Envoy are run by `tests/e2e`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use weir_harness::transcript::{Shown, shown};

use crate::binary::{Serving, weir};

const BY_ADDRESS: &str = "
domain: edge
descriptors:
  - {key: remote_address, rate_limit: {unit: second, requests_per_unit: 100000}}
";

/// A server in the situation that a section describes.
fn server(section: &str) -> Serving {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let policy = fs::read_to_string(root.join("config/first_limit.yaml")).unwrap();
    let start = |policy: &str| Serving::start_policy(policy, &["--grpc=127.0.0.1:0"]);
    let query = |server: &Serving, args: &str| {
        let mut query = weir(&["query"]);
        query
            .args(args.split(' '))
            .env("WEIR_SERVER", &server.address);
        let code = query.output().unwrap().status.code();
        assert!(matches!(code, Some(0 | 1)), "{code:?}: {args}");
    };
    match section {
        "Nothing is limited" => {
            let server = start(&policy);
            query(&server, "--domain first-limit api_key=alice");
            query(&server, "--domain first_limit apikey=alice");
            server
        }
        "Everything is refused" => {
            let server = start(&policy);
            query(&server, "--domain first_limit --times 40 api_key=bob");
            server
        }
        "All clients share one address" => {
            let server = start(BY_ADDRESS);
            query(&server, "--domain edge --times 60 remote_address=10.0.0.9");
            server
        }
        "Calls time out" => {
            let server = start(&policy);
            let mut http1 = TcpStream::connect(&server.address).unwrap();
            http1
                .write_all(b"GET / HTTP/1.1\r\nhost: weir\r\n\r\n")
                .unwrap();
            http1.read_to_end(&mut Vec::new()).unwrap();
            server
        }
        other => panic!("no server for the section {other:?}"),
    }
}

#[test]
fn commands_print_what_is_shown() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/troubleshooting.md")).unwrap();
    let asks_envoy = |command: &Shown| command.command.contains(" --envoy ");
    let mut commands = shown(&page);
    commands.retain(|command| !asks_envoy(command));
    let count = commands.len();
    assert!(count >= 10, "only {count} commands found");
    for section in commands.chunk_by(|one, next| one.section == next.section) {
        let server = server(&section[0].section);
        for command in section {
            let mut weir: Command = weir(&[]);
            weir.current_dir(root)
                .args(command.weir_arguments().unwrap())
                .env("WEIR_SERVER", &server.address)
                .env("WEIR_ADMIN", &server.http);
            command.assert_prints(&String::from_utf8(weir.output().unwrap().stdout).unwrap());
        }
    }
}

#[test]
fn every_symptom_begins_with_the_doctor() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/troubleshooting.md")).unwrap();
    let commands = shown(&page);
    let mut first = commands.chunk_by(|one, next| one.section == next.section);
    assert!(first.all(|section| section[0].command.starts_with("weir doctor")));
    let sections = page.split("\n## ").skip(1);
    let sections: Vec<&str> = sections.filter_map(|text| text.lines().next()).collect();
    for section in &sections {
        assert!(
            commands.iter().any(|command| command.section == *section),
            "{section}"
        );
    }
    assert_eq!(sections.len(), 5);
}
