//! The servers under load, each in its own process.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use prost::Message;
use tempfile::TempDir;
use weir::proto::envoy::service::ratelimit::v3::RateLimitResponse;

use crate::{noop, processor};

type Error = Box<dyn std::error::Error>;

/// The argument that makes this program the no-op server.
const NOTHING: &str = "WEIR_BENCH_NOTHING";

/// Worker threads of each server.
pub(crate) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The path of the `weir` program, which is built here as it is shipped: the build of this benchmark does not include it.
fn program() -> Result<&'static Path, Error> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| build().map_err(|error| error.to_string()));
    match program {
        Ok(program) => Ok(program),
        Err(reason) => Err(reason.as_str().into()),
    }
}

fn build() -> Result<PathBuf, Error> {
    let mut build = Command::new(env!("CARGO"));
    // This package's own: a build script that looks at them would have everything built again, here and the next time.
    let own = |name: &OsStr| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| own(name)) {
        build.env_remove(name);
    }
    let output = build
        .args(["build", "--profile", "dist", "--bin", "weir"])
        .args(["--message-format", "json", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("Cargo.toml"))
        .stderr(Stdio::inherit())
        .output()?;
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    };
    let messages = String::from_utf8(output.stdout)?;
    let program = messages.lines().find_map(executable);
    Ok(program.ok_or("weir could not be built")?)
}

/// A running server; it ends when dropped.
pub(crate) struct Running {
    children: Vec<Child>,
    pub(crate) address: SocketAddr,
    http: Option<SocketAddr>,
    _folder: Option<TempDir>,
    _input: Option<ChildStdin>,
}

impl Running {
    /// The processes of the server, and the files that they read.
    pub(crate) fn of(children: Vec<Child>, address: SocketAddr, folder: TempDir) -> Self {
        Self {
            children,
            address,
            http: None,
            _folder: Some(folder),
            _input: None,
        }
    }

    /// `weir serve` with a policy.
    pub(crate) fn weir(policy: &str, arguments: &[&str]) -> Result<Self, Error> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("bench.yaml"), policy)?;
        let mut child = Command::new(program()?)
            .args([
                "serve",
                "--grpc",
                "127.0.0.1:0",
                "--http",
                "127.0.0.1:0",
                "--drain",
                "0",
                "--log-format",
                "json",
            ])
            .args(["--workers", &workers().to_string()])
            .arg("--policies")
            .arg(folder.path())
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()?;
        let mut log = BufReader::new(child.stderr.take().ok_or("no log")?);
        let mut line = String::new();
        let (address, http) = loop {
            line.clear();
            if log.read_line(&mut line)? == 0 {
                return Err("weir did not start".into());
            }
            let event: serde_json::Value = serde_json::from_str(&line)?;
            if let (Some(grpc), Some(http)) = (event["grpc"].as_str(), event["http"].as_str()) {
                break (grpc.parse()?, http.parse()?);
            }
        };
        // The pipe must be drained, or the server would block on a full one.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let mut running = Self::of(vec![child], address, folder);
        running.http = Some(http);
        Ok(running)
    }

    /// The value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> Result<f64, Error> {
        let mut stream = TcpStream::connect(self.http.ok_or("no metrics")?)?;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        Ok(answer.lines().find_map(value).ok_or("no such metric")?)
    }

    /// The no-op server with this answer.
    pub(crate) fn noop(answer: &RateLimitResponse) -> Result<Self, Error> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(NOTHING, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().ok_or("no input")?;
        let answer: Vec<String> = answer
            .encode_to_vec()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        writeln!(input, "{}", answer.concat())?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        Ok(Self {
            children: vec![child],
            address: line.trim().parse()?,
            http: None,
            _folder: None,
            _input: Some(input),
        })
    }

    /// Ends the server as an orchestrator does, and waits for its end.
    pub(crate) fn terminate(mut self) -> Result<(), Error> {
        for child in &mut self.children {
            let id = rustix::process::Pid::from_child(child);
            rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
            child.wait()?;
        }
        Ok(())
    }

    /// Processor time so far.
    pub(crate) fn processor(&self) -> Result<Duration, Error> {
        let each = self
            .children
            .iter()
            .map(|child| processor::of_process(child.id()));
        Ok(each.sum::<std::io::Result<_>>()?)
    }

    /// Resident bytes.
    pub(crate) fn resident(&self) -> Result<u64, Error> {
        self.status("VmRSS:")
    }

    /// Peak resident bytes.
    pub(crate) fn peak(&self) -> Result<u64, Error> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> Result<u64, Error> {
        let each = self.children.iter().map(|child| -> Result<u64, Error> {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            let kib: u64 = number.ok_or("no such line")?.parse()?;
            Ok(kib * 1024)
        });
        each.sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.children {
            // An error means that the server has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Serves as the no-op server if the arguments of this process say so.
pub(crate) fn become_noop() -> Result<(), Error> {
    if std::env::var_os(NOTHING).is_none() {
        return Ok(());
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let bytes = (0..line.trim().len() / 2)
        .map(|at| u8::from_str_radix(&line[at * 2..at * 2 + 2], 16))
        .collect::<Result<Vec<_>, _>>()?;
    let answer = RateLimitResponse::decode(&bytes[..])?;
    noop::serve(workers(), &answer, |address| println!("{address}"))
}
