//! The `weir` command, as a process.

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint};
use weir::proto::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;

use crate::running::{descriptor, request};

const POLICY: &str = "
domain: t
descriptors:
  - key: api_key
    rate_limit: {unit: hour, requests_per_unit: 10}
";

pub(crate) fn weir(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WEIR_") {
            command.env_remove(name);
        }
    }
    // The usual port may be another test's.
    command.env("WEIR_HTTP", "127.0.0.1:0");
    // Nobody listens there.
    command.env("WEIR_ADMIN", "127.0.0.1:1").args(args);
    command
}

pub(crate) fn output(args: &[&str]) -> Output {
    weir(args).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// A folder with one policy file, which any user can read.
fn folder(policy: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    std::fs::write(folder.path().join("t.yaml"), policy).unwrap();
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// `weir serve`, once it serves.
pub(crate) struct Serving {
    process: Child,
    log: BufReader<ChildStderr>,
    pub(crate) address: String,
    pub(crate) http: String,
    pub(crate) folder: tempfile::TempDir,
}

impl Serving {
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_with(flags, &[])
    }

    /// As [`Self::start`], with variables.
    pub(crate) fn start_with(flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = weir(&[]);
        command.envs(variables.iter().copied());
        Self::start_command(command, POLICY, flags)
    }

    /// With another policy.
    pub(crate) fn start_policy(policy: &str, flags: &[&str]) -> Self {
        Self::start_command(weir(&[]), policy, flags)
    }

    /// As [`Self::start_policy`], by a script of the shell that starts the program `$0` with the arguments `$@`.
    pub(crate) fn start_policy_by(script: &str, policy: &str, flags: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
            .arg(env!("CARGO_BIN_EXE_weir"))
            .env("WEIR_HTTP", "127.0.0.1:0");
        Self::start_command(command, policy, flags)
    }

    /// As [`Self::start_policy`], by a command that has no arguments yet.
    pub(crate) fn start_program(mut command: Command, policy: &str, flags: &[&str]) -> Self {
        command.env("WEIR_HTTP", "127.0.0.1:0");
        Self::start_command(command, policy, flags)
    }

    fn start_command(mut command: Command, policy: &str, flags: &[&str]) -> Self {
        let folder = folder(policy);
        let mut process = command
            .args(["serve", "--workers=1", "--log-format=json"])
            .args(["--policies", text(folder.path())])
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let mut serving = Self {
            process,
            log,
            address: String::new(),
            http: String::new(),
            folder,
        };
        let started = serving.wait_for("serving");
        started["grpc"]
            .as_str()
            .unwrap()
            .clone_into(&mut serving.address);
        started["http"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut serving.http);
        serving
    }

    /// Reads the log up to that message.
    pub(crate) fn wait_for(&mut self, message: &str) -> serde_json::Value {
        let mut line = String::new();
        while self.log.read_line(&mut line).unwrap() > 0 {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            if event["message"].as_str().unwrap().starts_with(message) {
                return event;
            }
            line.clear();
        }
        panic!("weir ended before it said {message:?}");
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Its exit code, and the rest of its log.
    pub(crate) fn end(&mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (self.process.wait().unwrap().code(), rest)
    }

    pub(crate) async fn connect(&self) -> Channel {
        match self.address.strip_prefix("unix:") {
            None => {
                let uri = format!("http://{}", self.address);
                Endpoint::from_shared(uri).unwrap().connect().await.unwrap()
            }
            Some(path) => {
                let path = path.to_owned();
                let connector = tower::service_fn(move |_| {
                    let path = path.clone();
                    async move {
                        tokio::net::UnixStream::connect(path)
                            .await
                            .map(TokioIo::new)
                    }
                });
                Endpoint::from_static("http://weir")
                    .connect_with_connector(connector)
                    .await
                    .unwrap()
            }
        }
    }
}

/// A test that fails leaves no server behind.
impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn call(channel: Channel) {
    RateLimitServiceClient::new(channel)
        .should_rate_limit(request(vec![descriptor(b"api_key", b"k")]))
        .await
        .unwrap();
}

/// The client has a thread of its own: it must answer while the test waits for the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn serve_answers_and_ends_with_0_on_sigterm_and_sigint() {
    for signal in ["TERM", "INT"] {
        let mut serving = Serving::start(&["--grpc=127.0.0.1:0", "--drain=0"]);
        let channel = serving.connect().await;
        call(channel.clone()).await;
        serving.signal(signal);
        let (code, log) = serving.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("stopped"), "{log}");
    }
}

/// The client has a thread of its own: it must answer while the test waits for the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_second_signal_ends_a_drain_at_once() {
    let mut serving = Serving::start(&["--grpc=127.0.0.1:0", "--drain=600"]);
    let channel = serving.connect().await;
    // A connection that nobody has accepted yet would hold up no drain.
    call(channel.clone()).await;
    serving.signal("TERM");
    serving.wait_for("shutting down");
    call(channel.clone()).await;
    serving.signal("TERM");
    let (code, log) = serving.end();
    assert_eq!(code, Some(1), "{log}");
}

/// The client has a thread of its own: it must answer while the test waits for the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn serve_answers_on_a_unix_socket_and_removes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weir.sock");
    let address = format!("unix:{}", text(&path));
    let mut serving = Serving::start(&["--grpc", &address, "--drain=0"]);
    call(serving.connect().await).await;
    serving.signal("TERM");
    assert_eq!(serving.end().0, Some(0));
    assert!(!path.exists());
}

#[test]
fn sighup_reloads_and_the_log_says_what_came_of_it() {
    let mut serving = Serving::start(&["--grpc=127.0.0.1:0", "--drain=0", "--reload-interval=0"]);
    let file = serving.folder.path().join("t.yaml");
    std::fs::write(&file, format!("{POLICY}  - key: more\n")).unwrap();
    serving.signal("HUP");
    let replaced = serving.wait_for("policies reloaded");
    assert_eq!(replaced["generation"], 2, "{replaced}");
    assert_eq!(replaced["domains"], 1, "{replaced}");
    assert_eq!(replaced["rules"], 1, "{replaced}");
    assert!(replaced["load_ms"].is_u64(), "{replaced}");
    assert_eq!(replaced["hash"].as_str().unwrap().len(), 8, "{replaced}");

    std::fs::write(&file, "domain: t\ndescriptors: [{kye: api_key}]\n").unwrap();
    serving.signal("HUP");
    let said = serving.wait_for(file.to_str().unwrap());
    assert_eq!(said["level"], "ERROR", "{said}");
    let kept = serving.wait_for("policy reload failed");
    assert_eq!(kept["generation"], 2, "{kept}");

    std::fs::remove_file(&file).unwrap();
    serving.signal("HUP");
    let kept = serving.wait_for("policy reload failed");
    assert!(
        kept["message"]
            .as_str()
            .unwrap()
            .ends_with("no domain is defined")
    );

    serving.signal("TERM");
    assert_eq!(serving.end().0, Some(0));
}

#[test]
fn a_change_is_loaded_and_an_invalid_one_is_logged_once() {
    let mut serving =
        Serving::start(&["--grpc=127.0.0.1:0", "--drain=0", "--reload-interval=0.01"]);
    let file = serving.folder.path().join("t.yaml");
    let put = |policy: &str| {
        let next = file.with_extension("next");
        std::fs::write(&next, policy).unwrap();
        std::fs::rename(&next, &file).unwrap();
    };
    put("domain: t\ndescriptors: [{kye: api_key}]\n");
    serving.wait_for("policy reload failed");
    put(&POLICY.replace("10", "20"));
    let mut between = String::new();
    let line = loop {
        let mut line = String::new();
        assert!(serving.log.read_line(&mut line).unwrap() > 0);
        if line.contains("policies reloaded") {
            break line;
        }
        between.push_str(&line);
    };
    assert_eq!(between, "");
    assert!(line.contains("\"generation\":2"), "{line}");
}

#[test]
fn environment_is_read_and_flags_win() {
    let folder = folder(POLICY);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = weir(&["serve", "--grpc", &address])
        .env("WEIR_GRPC", "not an address, and not looked at")
        .env("WEIR_POLICIES", text(folder.path()))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains(&address), "{output:?}");

    let output = weir(&["serve"]).env("WEIR_WORKERS", "none").output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--workers"), "{output:?}");
}

#[test]
fn policies_without_a_domain_are_served_only_if_that_is_permitted() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["serve", "--log-format=text", "--policies"];
    let refused = output(&[&flags[..], &[text(folder.path())]].concat());
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--allow-empty"), "{refused:?}");
    let empty = [
        "--grpc=127.0.0.1:0",
        "--allow-empty",
        "--policies",
        text(folder.path()),
    ];
    Serving::start(&empty).signal("TERM");
}

/// More than a pipe holds is logged, and nobody reads it.
#[tokio::test]
async fn neither_calls_nor_the_end_wait_for_a_log_that_nobody_reads() {
    let flags = [
        "--grpc=127.0.0.1:0",
        "--log-refused-per-second=100000",
        "--drain=0",
    ];
    let mut serving = Serving::start(&flags);
    let channel = serving.connect().await;
    for _ in 0..1_000 {
        call(channel.clone()).await;
    }
    serving.signal("TERM");
    assert_eq!(serving.process.wait().unwrap().code(), Some(0));
}

#[test]
fn a_port_in_use_is_one_clear_message_and_2() {
    let folder = folder(POLICY);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = output(&[
        "serve",
        "--grpc",
        &address,
        "--policies",
        text(folder.path()),
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stderr(&output).lines().count(), 1, "{output:?}");
    assert!(
        stderr(&output).contains(&format!("cannot listen on {address}: it is in use; stop")),
        "{output:?}"
    );
    assert_eq!(stdout(&output), "");
}

#[test]
fn a_missing_policy_is_one_clear_message_and_2() {
    let output = output(&["serve", "--policies=/nowhere/t.yaml", "--grpc=127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stderr(&output).lines().count(), 1, "{output:?}");
    assert!(stderr(&output).contains("/nowhere/t.yaml"), "{output:?}");
}

#[test]
fn a_bad_policy_is_not_served() {
    let folder = folder("domain: t\ndescriptors: [{kye: api_key}]\n");
    let output = output(&[
        "serve",
        "--grpc=127.0.0.1:0",
        "--policies",
        text(folder.path()),
    ]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains("t.yaml:2:"), "{output:?}");
    assert!(
        stderr(&output).contains("the policies are not served"),
        "{output:?}"
    );
}

#[test]
fn check_counts_diagnostics_and_sets_its_exit_code() {
    let good = folder(POLICY);
    let fine = output(&["check", text(good.path())]);
    assert_eq!(fine.status.code(), Some(0), "{fine:?}");
    assert_eq!(stdout(&fine), "0 errors, 0 warnings in 1 file\n");
    assert_eq!(stderr(&fine), "");

    let bad = folder("domain: t\ndescriptors: [{kye: api_key}]\n");
    let wrong = output(&["check", text(good.path()), text(bad.path())]);
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    assert!(stdout(&wrong).contains("t.yaml:2:"), "{wrong:?}");

    let missing = output(&["check", "/nowhere/t.yaml"]);
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    assert!(stderr(&missing).contains("/nowhere/t.yaml"), "{missing:?}");

    assert_eq!(output(&["check"]).status.code(), Some(2));
}

#[test]
fn the_command_introduces_itself() {
    let version = output(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    let expected = format!("weir {}", env!("CARGO_PKG_VERSION"));
    let mut lines = stdout(&version).lines();
    assert_eq!(lines.next(), Some(&*expected));
    let text = stdout(&version);
    assert!(text.ends_with("\nfeatures: otlp, redis\n"), "{text}");
    let names: Vec<&str> = lines.map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(
        names,
        ["commit", "compiler", "target", "profile", "features"]
    );
    assert_eq!(stdout(&output(&["-V"])), expected + "\n");
    for args in [
        &["--help"][..],
        &["serve", "--help"],
        &["check", "--help"],
        &["query", "--help"],
        &["replay", "--help"],
        &["compare", "--help"],
        &["keys", "show", "--help"],
        &["explain", "--help"],
        &["top", "--help"],
        &["completions", "--help"],
    ] {
        let help = output(args);
        assert_eq!(help.status.code(), Some(0));
        assert!(stdout(&help).contains("Usage: weir"), "{help:?}");
    }
    assert_eq!(output(&[]).status.code(), Some(2));
    assert_eq!(output(&["--no-such-flag"]).status.code(), Some(2));
}

#[test]
fn numbers_beyond_their_range_are_errors_that_name_the_flag() {
    let most = u64::MAX.to_string();
    for (command, flag) in [
        (&["serve"][..], "--max-connection-age"),
        (&["serve"], "--drain"),
        (&["serve"], "--reload-interval"),
        (&["top"], "--interval"),
        (&["xds", "127.0.0.1:1"], "--timeout"),
    ] {
        let output = output(&[command, &[flag, &most]].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{flag}: {said}");
        assert!(
            said.contains(flag) && !said.contains("panicked"),
            "{flag}: {said}"
        );
    }
}
