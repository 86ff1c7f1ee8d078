//! What operators look up, and the examples for Prometheus and Grafana, match the program.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test --test it operations` regenerates the tables.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use weir::clock::Clock;
use weir::server::admin::ENDPOINTS;
use weir::server::http2::Rejection;
use weir::server::tls::TlsFiles;
use weir::settings::{ServeArgs, variable_table};
use weir::telemetry::{MetricKind, metric_families};
use weir_harness::Authority;

use crate::site::{Options, Site};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

/// Text in a cell of a table. Forms of addresses are code, or they would become links.
pub(crate) fn cell(text: &str) -> String {
    let words = text.split_whitespace().map(|word| {
        let form = word.trim_end_matches(',');
        match form.contains("://") {
            true => word.replace(form, &format!("`{form}`")),
            false => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn flags() -> String {
    let command = ServeArgs::augment_args(Command::new("serve"));
    let mut table = "| flag | variable | default | |\n|---|---|---|---|\n".to_owned();
    for argument in command.get_arguments() {
        let flag = argument.get_long().unwrap();
        let values = argument.get_value_names().unwrap_or_default();
        let takes = argument.get_action().takes_values();
        let value = values.first().filter(|_| takes);
        let value = value.map_or(String::new(), |value| format!(" {value}"));
        let variable = argument.get_env().unwrap().to_str().unwrap();
        let defaults = argument.get_default_values().iter();
        let defaults: Vec<_> = defaults
            .map(|value| format!("`{}`", value.display()))
            .collect();
        let defaults = match takes {
            true => defaults.join(", "),
            false => String::new(),
        };
        let help = argument.get_help().unwrap().to_string();
        let help = cell(&help);
        table.push_str(&format!(
            "| `--{flag}{value}` | `{variable}` | {defaults} | {help} |\n"
        ));
    }
    table
}

fn endpoints() -> String {
    let mut table = "| | path | token | |\n|---|---|---|---|\n".to_owned();
    for endpoint in ENDPOINTS {
        let token = endpoint.access.as_str();
        let (method, path, help) = (endpoint.method, endpoint.path, cell(endpoint.help));
        table.push_str(&format!("| {method} | `{path}` | {token} | {help} |\n"));
    }
    table
}

fn metrics() -> String {
    let mut table = "| metric | kind | labels | |\n|---|---|---|---|\n".to_owned();
    for family in metric_families() {
        let labels: Vec<String> = family
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let (name, kind) = (family.name, family.kind.as_str());
        let (labels, help) = (labels.join(", "), cell(family.help));
        table.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
    }
    table
}

fn rejections() -> String {
    let mut table = "| reason | the log says |\n|---|---|\n".to_owned();
    for reason in Rejection::ALL {
        let (label, advice) = (reason.as_str(), cell(reason.advice()));
        table.push_str(&format!("| `{label}` | {advice} |\n"));
    }
    table
}

/// The text between the marks with this name, and the document with `other` in its place.
fn between(text: &str, name: &str, other: &str) -> (String, String) {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let start = text.find(&open).unwrap() + open.len();
    let end = text.find(&close).unwrap();
    let whole = format!("{}{other}{}", &text[..start], &text[end..]);
    (text[start..end].to_owned(), whole)
}

/// Compares what is between the marks of a page with what the program says; `UPDATE_SNAPSHOTS=1` writes it.
pub(crate) fn hold(name: &str, mark: &str, expected: &str) {
    let text = read(name);
    let (found, blessed) = between(&text, mark, expected);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(path(name), blessed).unwrap();
    } else {
        assert!(
            found == expected,
            "{name} is stale: run the test with UPDATE_SNAPSHOTS=1\n{expected}"
        );
    }
}

#[test]
fn the_tables_of_the_documentation_are_those_of_the_program() {
    hold("docs/reference/flags.md", "flags", &flags());
    hold("docs/reference/endpoints.md", "endpoints", &endpoints());
    hold("docs/reference/metrics.md", "metrics", &metrics());
    hold("docs/http2.md", "rejections", &rejections());
    let migration = "docs/migrating-from-envoyproxy-ratelimit.md";
    hold(migration, "variables", &variable_table());
}

/// The table that `cargo bench -p weir-bench --bench compare -- faults` prints names existing tests.
#[test]
fn every_fault_in_the_documentation_has_a_test() {
    let (faults, _) = between(&read("docs/reference/redis-failures.md"), "faults", "");
    let mut tests = 0;
    for name in faults.split('`').filter(|text| text.contains("::")) {
        let (module, function) = name.split_once("::").unwrap();
        let source = read(&format!("tests/redis/{module}.rs"));
        assert!(
            source.contains(&format!("#[test]\nfn {function}()")),
            "{name}"
        );
        tests += 1;
    }
    assert!(tests >= 10, "only {tests} tests");
}

/// The messages of all events that are logged as information or worse, up to a colon, each with its level: the last text of
/// each macro.
fn events() -> BTreeSet<(String, String)> {
    let mut events = BTreeSet::new();
    for file in crate::architecture::files(&path("src"), "rs") {
        let text = fs::read_to_string(file).unwrap();
        for level in ["info", "warn", "error"] {
            let opening = format!("tracing::{level}!(");
            let macros = text.split(&opening).skip(1);
            events.extend(macros.filter_map(|text| {
                let message = last_text(text)?.split(['{', ':']).next()?.trim();
                (!message.is_empty()).then(|| (message.to_owned(), level.to_owned()))
            }));
        }
    }
    events
}

/// The last text literal between here and the parenthesis that closes.
fn last_text(arguments: &str) -> Option<&str> {
    let (mut depth, mut open, mut last) = (1, None, None);
    for (at, letter) in arguments.char_indices() {
        match (letter, open) {
            ('"', None) => open = Some(at + 1),
            ('"', Some(begin)) => {
                last = Some(&arguments[begin..at]);
                open = None;
            }
            ('(', None) => depth += 1,
            (')', None) => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    last
}

#[test]
fn every_event_is_in_the_documentation_and_every_documented_one_exists() {
    let text = read("docs/reference/events.md");
    let documented: BTreeSet<(String, String)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(event, rest)| (event.to_owned(), rest.split(' ').next().unwrap().to_owned()))
        .collect();
    assert_eq!(events(), documented);
}

#[test]
fn every_alert_is_in_the_documentation() {
    let text = read("docs/operations.md");
    let alerts = read("examples/prometheus/alerts.yaml");
    let names = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 5);
    for name in names {
        assert!(text.contains(&format!("| `{name}` |")), "{name}");
    }
}

/// The names of metrics in an expression or a whole file.
fn named(text: &str) -> BTreeSet<&str> {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_of_name(letter));
    let is_metric = |word: &&str| {
        ["weir_", "process_", "ratelimit_"]
            .iter()
            .any(|prefix| word.starts_with(prefix))
    };
    words.filter(is_metric).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_the_examples_is_exposed() {
    let policy = "
domain: shop
descriptors:
  - key: a
    rate_limit:
      - {unit: day, requests_per_unit: 1}
      - {algorithm: concurrency, max_in_flight: 8, lease_seconds: 180}";
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let issued = Authority::new().issue(&["weir"]);
    fs::write(&certificate, issued.certificate).unwrap();
    fs::write(&key, issued.key).unwrap();
    let options = Options {
        grpc_tls: Some(TlsFiles {
            certificate,
            key,
            client_ca: None,
            client_names: Vec::new(),
        }),
        envoy_ratelimit_metrics: true,
        ..Options::default()
    };
    let site = Site::start(policy, Clock::System, options).await;
    while site.get("/ready").status != 200 {}
    site.hit("shop", &[("a", "b")]);
    let exposed = site.get("/metrics").body;
    let samples = exposed.lines().filter(|line| !line.starts_with('#'));
    let samples: BTreeSet<&str> = samples
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let mut count = 0;
    for file in [
        "examples/prometheus/alerts.yaml",
        "examples/grafana/weir.json",
    ] {
        let text = read(file);
        for name in named(&text) {
            assert!(samples.contains(name), "{file}: {name}");
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
    // Of every family there is a sample, under its own name or, of a histogram, three others.
    for family in metric_families() {
        let name = match family.kind {
            MetricKind::Histogram => format!("{}_bucket", family.name),
            MetricKind::Counter | MetricKind::Gauge => family.name.to_owned(),
        };
        assert!(samples.contains(&*name), "{name}");
    }
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("examples/grafana/weir.json")).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 10);
    assert!(
        serde_yaml::from_str::<serde_yaml::Value>(&read("examples/prometheus/alerts.yaml")).is_ok()
    );
    let documented = read("docs/operations.md") + &read("docs/reference/metrics.md");
    for name in named(&documented) {
        let is_known =
            samples.contains(name) || metric_families().any(|family| family.name == name);
        let is_stem =
            name.starts_with("ratelimit_") && samples.iter().any(|sample| sample.starts_with(name));
        assert!(is_known || is_stem, "{name}");
    }
}
