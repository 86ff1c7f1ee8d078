//! `/api/assignments…` and `weir assign`: other limits for one client, while weir serves.

use std::io::Write;
use std::process::{Output, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use weir::clock::{Clock, ManualClock, Timestamp};
use weir::engine::Engine;
use weir::policy::{AddedAssignment, AssignmentFields, AssignmentId, LoadOptions};
use weir::server::assignments::{AssignmentFile, Assignments};
use weir::server::reload::{PolicyFiles, PolicySource, Reloader};
use weir::store::{MemoryConfig, Store};
use weir::telemetry::Metrics;

use crate::binary::{Serving, stderr, stdout, weir};
use crate::site::{Options, Site, fixed_clock, request};

const POLICY: &str = "
domain: shop
plans:
  standard: {rate_limit: {unit: minute, requests_per_unit: 3, name: per_minute}}
  scale: {rate_limit: {unit: minute, requests_per_unit: 30, name: per_minute}}
response: {standard: [x-ratelimit]}
descriptors:
  - {key: api_key, secret: true, plan: standard, assignments: customers}
";

const TABLE: &str = "value,plan\n";

const SECRET: &[(&str, &str)] = &[("api_key", "s3cret")];

async fn site() -> Site {
    let options = Options {
        token: true,
        table: Some(TABLE),
        ..Options::default()
    };
    Site::start(POLICY, fixed_clock(), options).await
}

/// The limit, what remains, and the plan of the client.
fn state(site: &Site) -> (u64, u64, Value) {
    let shown = site.post_as_admin("/api/keys/show", &request("shop", SECRET));
    let descriptor = shown.json()["descriptors"][0].clone();
    let limit = &descriptor["limits"][0];
    (
        limit["requests_per_unit"].as_u64().unwrap(),
        limit["state"]["remaining"].as_u64().unwrap(),
        descriptor["assignment"].clone(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_raised_shown_and_taken_back() {
    let site = site().await;
    for _ in 0..4 {
        site.hit("shop", SECRET);
    }
    assert_eq!(site.hit("shop", SECRET), 429);
    assert_eq!(state(&site), (3, 0, Value::Null));

    let set = json!({"value": "s3cret", "rate_limit": "10 per minute", "note": "launch", "author": "ann"});
    let answer = site.post_as_admin("/api/assignments/set", &set.to_string());
    assert_eq!(answer.json()["outcome"], "assigned", "{}", answer.body);
    assert_eq!(answer.json()["storage"], "memory");
    // What was used counts: the refused hits, too, as a single fixed window charges them.
    let (limit, remaining, assignment) = state(&site);
    assert_eq!((limit, remaining), (10, 5));
    assert_eq!(assignment["note"], "launch");
    assert_eq!(site.hit("shop", SECRET), 200);

    let list = site.get("/api/assignments");
    assert_eq!(list.status, 401);
    let list = site.ask(
        "GET",
        "/api/assignments",
        &[("Authorization", "Bearer 0123456789abcdef")],
        b"",
    );
    let row = &list.json()["assignments"][0];
    assert_eq!(
        (row["table"].as_str(), row["author"].as_str()),
        (Some("customers"), Some("ann"))
    );
    let client = row["client"].as_str().unwrap();
    assert_eq!(client.len(), "sha256:".len() + 8);
    assert_eq!(
        list.json()["tables"],
        json!([{"domain": "shop", "table": "customers", "rows": 0}])
    );
    assert!(!list.body.contains("s3cret"));

    // The start of the hash is enough to take it back.
    let remove = json!({"sha256": client.trim_start_matches("sha256:")}).to_string();
    let answer = site.post_as_admin("/api/assignments/remove", &remove);
    assert_eq!(answer.json()["outcome"], "removed", "{}", answer.body);
    assert_eq!(state(&site), (3, 0, Value::Null));
    assert_eq!(
        site.post_as_admin("/api/assignments/remove", &remove)
            .status,
        404
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_make_no_sense_are_rejected_with_a_way_out() {
    let site = site().await;
    for (body, expected) in [
        (
            json!({"value": "k", "plan": "scael"}),
            "no plan is named `scael`; did you mean `scale`?",
        ),
        (
            json!({"value": "k", "plan": "scale", "table": "customer"}),
            "the tables are customers of shop",
        ),
        (
            json!({"value": "k", "plan": "scale", "until": "2001-01-01T00:00:00Z"}),
            "in the past",
        ),
        (
            json!({"value": "k", "plan": "scale", "until": "soon"}),
            "not a valid assignment in JSON",
        ),
        (json!({"value": "k"}), "a row without a plan"),
        (
            json!({"plan": "scale"}),
            "name the client by `value` or by `sha256`",
        ),
        (json!({"sha256": "12", "plan": "scale"}), "64 digits"),
        (
            json!({"value": "k", "rate_limit": "10 per hour"}),
            "no limit of api_key is per hour",
        ),
        (
            json!({"value": "k", "rate_limit": "many"}),
            "`rate_limit` is not a limit",
        ),
    ] {
        let answer = site.post_as_admin("/api/assignments/set", &body.to_string());
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.body.contains(expected), "{}", answer.body);
    }
    for path in ["set", "show", "remove"] {
        let path = format!("/api/assignments/{path}");
        assert_eq!(site.post(&path, "{}").status, 401, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_assigned_stays_through_reloads_restarts_and_until_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (policies, state) = (folder.path().join("policies"), folder.path().join("state"));
    std::fs::create_dir(&policies).unwrap();
    std::fs::create_dir(&state).unwrap();
    std::fs::write(policies.join("shop.yaml"), POLICY).unwrap();
    std::fs::write(policies.join("customers.assignments.csv"), TABLE).unwrap();
    let clock = ManualClock::new(Timestamp::from_secs(1_000));
    let start = async || {
        let mut files = PolicyFiles::new(vec![policies.clone()], LoadOptions::default());
        let policy = files.load().unwrap().policy.unwrap();
        let store = Store::memory(MemoryConfig::default()).unwrap();
        let engine = Arc::new(Engine::new(policy, store, Clock::Manual(clock.clone())));
        let metrics = Arc::new(Metrics::new(&engine.policy()));
        let source = PolicySource::Files(files);
        let reloader = Reloader::start(source, Arc::clone(&engine), metrics, None);
        let reloader = Arc::new(reloader.unwrap());
        let file = AssignmentFile::new(&state);
        let assignments =
            Assignments::start(Arc::clone(&engine), Arc::clone(&reloader), Some(file));
        (engine, reloader, assignments.await.unwrap())
    };
    let limit = |engine: &Engine| {
        let descriptor = weir::request::Descriptor::new([("api_key", "s3cret")]);
        let request = weir::request::Request {
            domain: "shop".into(),
            descriptors: vec![descriptor],
        };
        engine.explain(&request).descriptors[0].limits[0]
            .text
            .clone()
    };
    let (engine, reloader, assignments) = start().await;
    assert_eq!(limit(&engine), "3 per minute");
    let row = AddedAssignment {
        id: AssignmentId::of_value("shop", "customers", b"s3cret"),
        fields: AssignmentFields {
            plan: Some("scale".to_owned()),
            until: Some(Timestamp::from_secs(2_000)),
            ..AssignmentFields::default()
        },
    };
    assignments.set(row.clone()).await.unwrap();
    assert_eq!(limit(&engine), "30 per minute");
    let changed = POLICY.replace("requests_per_unit: 30", "requests_per_unit: 40");
    std::fs::write(policies.join("shop.yaml"), changed).unwrap();
    reloader.reload().await;
    assert_eq!(limit(&engine), "40 per minute");
    drop((engine, reloader, assignments));

    let (engine, _reloader, assignments) = start().await;
    assert_eq!(*assignments.list(), [row]);
    assert_eq!(limit(&engine), "40 per minute");
    clock.set(Timestamp::from_micros(1_999_999_999));
    assert_eq!(limit(&engine), "40 per minute");
    clock.set(Timestamp::from_secs(2_000));
    assert_eq!(limit(&engine), "3 per minute");
    let file = std::fs::read_to_string(AssignmentFile::new(&state).path()).unwrap();
    assert!(!file.contains("s3cret"), "{file}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_made_even_if_nobody_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.yaml"), POLICY).unwrap();
    std::fs::write(folder.path().join("customers.assignments.csv"), TABLE).unwrap();
    let mut files = PolicyFiles::new(vec![folder.path().to_owned()], LoadOptions::default());
    let policy = files.load().unwrap().policy.unwrap();
    let store = Store::memory(MemoryConfig::default()).unwrap();
    let engine = Arc::new(Engine::new(policy, store, Clock::System));
    let metrics = Arc::new(Metrics::new(&engine.policy()));
    let source = PolicySource::Files(files);
    let reloader = Reloader::start(source, Arc::clone(&engine), metrics, None).unwrap();
    let file = AssignmentFile::new(folder.path());
    let assignments = Assignments::start(engine, Arc::new(reloader), Some(file));
    let assignments = assignments.await.unwrap();
    let row = |value: &[u8]| AddedAssignment {
        id: AssignmentId::of_value("shop", "customers", value),
        fields: AssignmentFields {
            plan: Some("scale".to_owned()),
            ..AssignmentFields::default()
        },
    };
    // As an HTTP client that hangs up: the future is polled once and dropped.
    tokio::select! {
        biased;
        _ = assignments.set(row(b"first")) => {}
        () = std::future::ready(()) => {}
    }
    assignments.set(row(b"second")).await.unwrap();
    let listed = assignments.list();
    for value in [b"first".as_slice(), b"second"] {
        assert!(listed.contains(&row(value)), "{listed:?}");
    }
}

/// Runs `weir assign` with a line on stdin.
fn assign(args: &[&str], server: &str, token: &str, line: &str) -> Output {
    let mut command = weir(&["assign"]);
    command
        .args(args)
        .args(["--server", server, "--admin-token-file", token])
        .env("USER", "ann")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{line}").unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// The commands of `docs/quotas.md`, as it shows them.
#[test]
fn the_commands_of_the_page_on_quotas_work() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/quotas.md");
    let page = std::fs::read_to_string(page).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let fenced = |language: &str| {
        let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    std::fs::write(folder.path().join("shop.yaml"), fenced("yaml")).unwrap();
    std::fs::write(
        folder.path().join("customers.assignments.csv"),
        fenced("csv"),
    )
    .unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "0123456789abcdef").unwrap();
    let (policies, token) = (folder.path().to_str().unwrap(), token.to_str().unwrap());
    let serving = Serving::start(&["--policies", policies, "--admin-token-file", token]);
    let commands = page
        .lines()
        .filter_map(|line| line.strip_prefix("$ weir assign "));
    let commands: Vec<&str> = commands.collect();
    assert_eq!(commands.len(), 4);
    for command in commands {
        let command = command.trim_end_matches(" < key");
        // Words, and one text in quotes each.
        let parts = command.split('"').enumerate();
        let args: Vec<&str> = parts
            .flat_map(|(at, part)| match at % 2 {
                0 => part.split_whitespace().collect(),
                _ => vec![part],
            })
            .collect();
        let output = assign(&args, &serving.http, token, "sk_live_1");
        assert!(output.status.success(), "{command}: {}", stderr(&output));
        let said = stdout(&output);
        assert!(!said.contains("sk_live_1"), "{said}");
        let expected = match args[0] {
            "set" => "assigned, kept in memory only",
            "list" => "launch, ticket 4711",
            "show" => "limits   1200 per minute\n",
            _ => "removed, ",
        };
        assert!(said.contains(expected), "{command}: {said}");
    }
    let none = assign(&["show", "-"], &serving.http, token, "sk_live_1");
    assert!(
        stdout(&none).starts_with("nothing is assigned"),
        "{}",
        stdout(&none)
    );
    let bob = assign(&["show", "-"], &serving.http, token, "bob");
    assert!(
        stdout(&bob).contains("customers.assignments.csv:3\n"),
        "{}",
        stdout(&bob)
    );
}

/// Support raises a limit for a week; the server is restarted; the limit is still raised.
#[test]
fn an_assigned_limit_is_in_force_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.yaml"), POLICY).unwrap();
    std::fs::write(folder.path().join("customers.assignments.csv"), TABLE).unwrap();
    let (token, kept) = (folder.path().join("token"), folder.path().join("state"));
    std::fs::write(&token, "0123456789abcdef").unwrap();
    let (token, kept) = (token.to_str().unwrap(), kept.to_str().unwrap());
    let policies = folder.path().to_str().unwrap();
    let start = || {
        Serving::start(&[
            "--grpc=127.0.0.1:0",
            "--drain=0",
            "--policies",
            policies,
            "--admin-token-file",
            token,
            "--state",
            kept,
        ])
    };
    let limit = |serving: &Serving| {
        let output = weir(&["query", "--domain=shop", "api_key=s3cret"])
            .env("WEIR_SERVER", &serving.address)
            .output()
            .unwrap();
        let said = stdout(&output);
        let line = said
            .lines()
            .find(|line| line.starts_with("X-RateLimit-Limit: "));
        line.unwrap_or(said).to_owned()
    };

    let mut serving = start();
    assert_eq!(limit(&serving), "X-RateLimit-Limit: 3");
    let args = ["set", "--plan=scale", "--until=7d", "--note=launch", "-"];
    let set = assign(&args, &serving.http, token, "s3cret");
    let said = stdout(&set);
    assert!(
        said.starts_with("assigned, stored in the folder of --state\n"),
        "{said}{}",
        stderr(&set)
    );
    assert_eq!(limit(&serving), "X-RateLimit-Limit: 30");
    serving.signal("TERM");
    assert_eq!(serving.end().0, Some(0));

    let serving = start();
    assert_eq!(limit(&serving), "X-RateLimit-Limit: 30");
    let list = assign(&["list"], &serving.http, token, "");
    assert!(stdout(&list).contains("launch"), "{}", stdout(&list));
    // Neither the key nor the note is lost, and the key is in no file.
    for file in std::fs::read_dir(kept).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let has_key = bytes.windows(6).any(|bytes| bytes == b"s3cret");
            assert!(!has_key, "{}", path.display());
        }
    }
}
