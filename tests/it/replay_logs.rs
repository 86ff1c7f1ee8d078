//! `weir replay`: logs as they come from proxies and clusters, and replays that say nothing.

use std::io::Write as _;
use std::process::Output;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::binary::{stderr, stdout};
use crate::replay::{Replaying, key, line};

const BY_KEY: [&str; 2] = ["--domain=shop", "--descriptor=api_key={authorization}"];

/// Three requests of one client, of which the third is refused.
fn access_log() -> String {
    let line = |second| {
        let start = format!("2026-11-22T10:00:0{second}.000Z");
        json!({"start_time": start, "authorization": "k"}).to_string()
    };
    [0, 1, 2].map(|second| line(second) + "\n").concat()
}

fn refused(log: impl AsRef<[u8]>, args: &[&str]) -> Value {
    Replaying::new(log).report(args)["policies"]["refused"].clone()
}

fn fails(log: &str, args: &[&str]) -> Output {
    let output = Replaying::new(log).run(args);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    output
}

#[test]
fn logs_of_container_runtimes_are_unwrapped() {
    let docker = |line: &str| json!({"log": format!("{line}\n"), "stream": "stdout", "time": "2026-11-22T10:00:00Z"});
    let docker: String = access_log()
        .lines()
        .map(|line| format!("{}\n", docker(line)))
        .collect();
    assert_eq!(refused(docker, &BY_KEY), 1);
    let cri = |line: &str| {
        let (begin, end) = line.split_at(10);
        let head = "2026-11-22T10:00:00.000000000Z stdout";
        format!("{head} P {begin}\n{head} F {end}\n")
    };
    let cri: String = access_log().lines().map(cri).collect();
    assert_eq!(refused(cri, &BY_KEY), 1);
}

#[test]
fn gzip_is_read_with_all_members() {
    let log = access_log();
    let (first, second) = log.split_at(log.find('\n').unwrap() + 1);
    let member = |text: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let log = [member(first), member(second)].concat();
    assert_eq!(refused(&log, &BY_KEY), 1);
    let cut = Replaying::new(&log[..log.len() - 4]).run(&BY_KEY);
    assert_eq!(cut.status.code(), Some(2));
    assert!(stderr(&cut).contains("cannot read"), "{cut:?}");
    let zstd = fails("\u{28}", &BY_KEY);
    assert!(stderr(&zstd).contains("no line could be used"), "{zstd:?}");
    let zstd = Replaying::new(b"\x28\xb5\x2f\xfd\0").run(&BY_KEY);
    assert!(
        stderr(&zstd).contains("use `zstd -dc LOG | weir replay -`"),
        "{zstd:?}"
    );
}

#[test]
fn the_default_text_of_envoy_and_istio_is_read() {
    let envoy = |second: u32| {
        format!(
            "[2026-11-22T10:00:0{second}.000Z] \"GET /x HTTP/1.1\" 200 - 0 11 3 2 \"-\" \"curl/8\" \"id\" \"shop\" \"10.0.0.1:80\"\n"
        )
    };
    let log = [0, 1, 2].map(envoy).concat();
    let by_path = ["--domain=shop", "--descriptor=api_key={method} {path}"];
    assert_eq!(refused(log, &by_path), 1);
    let istio = |second: u32| {
        format!(
            "[2026-11-22T10:00:0{second}.000Z] \"GET /x HTTP/1.1\" 200 - via_upstream - \"-\" 0 11 3 2 \"-\" \"curl/8\" \
             \"id\" \"shop\" \"10.0.0.1:80\" outbound|80||shop 10.0.0.2:5 10.0.0.3:8080 198.51.100.7:4000{second} - default\n"
        )
    };
    let log = [0, 1, 2].map(istio).concat();
    let by_address = [
        "--domain=shop",
        "--descriptor=api_key={downstream_remote_address}",
    ];
    assert_eq!(refused(log, &by_address), 1);
}

#[test]
fn ports_do_not_distinguish_clients() {
    for host in ["198.51.100.7", "[2001:db8::1]"] {
        let line = |port: u32| {
            let address = format!("{host}:{port}");
            json!({"start_time": 1, "downstream_remote_address": address, "authority": address})
                .to_string()
                + "\n"
        };
        let replaying = Replaying::new([40_001, 40_002, 40_003].map(line).concat());
        let of = |field: &str| {
            [
                "--domain=shop".to_owned(),
                format!("--descriptor=api_key={{{field}}}"),
            ]
        };
        let by_address = of("downstream_remote_address");
        let by_address = by_address.each_ref().map(String::as_str);
        let report = replaying.report(&by_address);
        assert_eq!(report["policies"]["refused"], 1, "{host}");
        assert_eq!(
            report["fields_with_port"],
            json!(["downstream_remote_address"])
        );
        let said = replaying.run(&by_address);
        let said = stdout(&said);
        let note = "ports were removed from the addresses in `downstream_remote_address`";
        assert!(said.contains(note), "{said}");
        // A client chooses the authority with its port.
        let by_host = of("authority");
        let report = replaying.report(&by_host.each_ref().map(String::as_str));
        assert_eq!(report["policies"]["refused"], 0, "{host}");
        assert_eq!(report["fields_with_port"], json!([]));
    }
}

#[test]
fn a_replay_that_says_nothing_is_an_error_with_a_way_out() {
    let log = access_log();
    for (log, args, said) in [
        ("", &BY_KEY[..], "the log is empty"),
        ("", &[], "the log is empty"),
        (
            &log,
            &["--domain=shop", "--descriptor=api_key={authorisation}"],
            "no line has a value for `authorisation`; the first line has the fields `start_time`, `authorization`",
        ),
        (
            &log,
            &["--domain=shop"],
            "--domain NAME --descriptor 'KEY={FIELD}'",
        ),
        (
            &log,
            &["--domain=shp", "--descriptor=api_key={authorization}"],
            "no policy has the domain \"shp\" of --domain; the policies define `shop`",
        ),
        (
            &log,
            &["--domain=shop", "--descriptor=apikey={authorization}"],
            "no request matches a rule; --unmatched lists the keys",
        ),
        (
            &log,
            &[
                "--domain=shop",
                "--descriptor=api_key={authorization}",
                "--time=at",
            ],
            "--time names the field with the time",
        ),
        (
            r#"{"time": 1, "domain": "shp", "descriptors": [{"api_key": "k"}]}"#,
            &[],
            "no policy has the domain of any request; the policies define `shop`",
        ),
    ] {
        let output = fails(log, args);
        assert!(stderr(&output).contains(said), "{said}\n{output:?}");
    }
}

#[test]
fn what_matches_no_rule_is_listed_by_its_keys() {
    let mut log = key(1, "a");
    let unmatched = |keys: Value| line(2, &json!([{"api_key": "s3cret"}, keys]));
    log.push_str(&unmatched(json!({"account": "s3cret"})));
    log.push_str(&unmatched(json!({"account": "s3cret", "path": "s3cret"})).repeat(2));
    let replaying = Replaying::new(&log);
    let output = replaying.run(&["--unmatched"]);
    let said = stdout(&output);
    let rows: Vec<Vec<&str>> = said
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(
        rows.contains(&vec!["shop", "account,", "path", "2", "3"]),
        "{said}"
    );
    assert!(rows.contains(&vec!["shop", "account", "1", "2"]), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    let without = replaying.run(&[]);
    assert!(
        stdout(&without).contains("--unmatched lists their keys"),
        "{without:?}"
    );
    let report = replaying.report(&[]);
    assert_eq!(
        report["policies"]["unmatched_descriptors"][0],
        json!({"domain": "shop", "has_domain": true, "keys": "account, path", "descriptors": 2, "overcount": 0, "line": 3})
    );
}

#[test]
fn a_field_that_no_line_has_is_named_beside_the_result() {
    let report = Replaying::new(access_log());
    let args = [&BY_KEY[..], &["--descriptor=account={acount}"]].concat();
    let output = report.run(&args);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        stdout(&output).contains("no line has a value for `acount`"),
        "{output:?}"
    );
    assert_eq!(
        report.report(&args)["fields_without_value"],
        json!(["acount"])
    );
}

#[test]
fn rules_are_identified_by_their_name_and_place() {
    let endpoint = json!([{"account": "a1", "endpoint": "x"}]);
    let log = key(1, "a") + &line(2, &endpoint);
    let output = Replaying::new(&log).run(&[]);
    let said = stdout(&output);
    let rows: Vec<Vec<&str>> = said
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let row = [
        "shop",
        "account,",
        "endpoint",
        "1",
        "per",
        "hour",
        "(site)",
        "shop.yaml:7",
    ];
    assert!(rows.iter().any(|cells| cells.starts_with(&row)), "{said}");
}
