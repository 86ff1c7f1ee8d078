//! envoyproxy/ratelimit, the Go service with Redis, under the same load as weir.
//!
//! The harness installs it under `target/parts`.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use weir_harness::{free_port, program};

use crate::keys::Choice;
use crate::pairs::{Pairs, Run};
use crate::policies;
use crate::servers::Running;
use crate::table::Measured;
use crate::throughput::{PAIRS, RUN, closed, one_key};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The ratio of answers per second, weir to envoyproxy/ratelimit.
pub(crate) fn beside(rules: u64) -> Result<Measured> {
    let found = program::REDIS.find().and(program::RATELIMIT.find());
    let program = match found {
        Ok(program) => program,
        Err(reason) => return Ok(Measured::of(f64::NAN, format!("SKIPPED: {reason}"))),
    };
    let policy = policies::of_rules(rules);
    let weir = Running::weir(&policy, &[])?;
    let peer = ratelimit(program, &policy)?;
    let run = |server| {
        let load = closed(server, &one_key(), Choice::One, (u64::MAX, RUN));
        Run::of(server, &load)
    };
    run(&weir)?;
    run(&peer)?;
    let mut measured = Pairs::measure(PAIRS, || run(&weir), || run(&peer))?.throughput();
    measured
        .detail
        .push_str("; envoyproxy/ratelimit with redis-server on a Unix socket, both counted");
    Ok(measured)
}

/// The service with its own Redis.
fn ratelimit(program: &Path, policy: &str) -> Result<Running> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("redis.sock");
    let redis = Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no"])
        .arg("--unixsocket")
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()?;
    let children = Children(vec![redis]);
    wait_until("redis-server", || UnixStream::connect(&socket).is_ok())?;
    let socket = socket.display().to_string();
    service(program, policy, ("unix", &socket), (folder, children))
}

/// The service, counting in a Redis at a socket of the given type.
pub(crate) fn service(
    program: &Path,
    policy: &str,
    (socket, address): (&str, &str),
    (folder, mut children): (TempDir, Children),
) -> Result<Running> {
    let config = folder.path().join("ratelimit/config");
    std::fs::create_dir_all(&config)?;
    std::fs::write(config.join("bench.yaml"), policy)?;
    let [grpc, http, debug] = [free_port(), free_port(), free_port()];
    let grpc = SocketAddr::from(([127, 0, 0, 1], grpc));
    let service = Command::new(program)
        .env("LOG_LEVEL", "error")
        .env("USE_STATSD", "false")
        .env("REDIS_SOCKET_TYPE", socket)
        .env("REDIS_URL", address)
        .env("RUNTIME_ROOT", folder.path())
        .env("RUNTIME_SUBDIRECTORY", "ratelimit")
        .env("RUNTIME_WATCH_ROOT", "false")
        .env("RUNTIME_IGNOREDOTFILES", "true")
        .env("GRPC_HOST", "127.0.0.1")
        .env("GRPC_PORT", grpc.port().to_string())
        .env("HOST", "127.0.0.1")
        .env("PORT", http.to_string())
        .env("DEBUG_HOST", "127.0.0.1")
        .env("DEBUG_PORT", debug.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    children.0.push(service);
    wait_until("envoyproxy/ratelimit", || TcpStream::connect(grpc).is_ok())?;
    Ok(Running::of(std::mem::take(&mut children.0), grpc, folder))
}

/// A process that ends when this is dropped.
#[derive(Default)]
pub(crate) struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // An error means that the process has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the program does not report when it listens"
)]
pub(crate) fn wait_until(program: &str, listens: impl Fn() -> bool) -> Result<()> {
    for _ in 0..200 {
        if listens() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(format!("{program} did not start").into())
}
