//! A copy of a folder in which commands of a page run, with servers on free ports.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use weir_harness::{PATIENCE, Process, free_port, program};

/// The ports that pages use: of weir, of a second instance, of Redis and of Envoy.
const PORTS: [u16; 11] = [
    8080, 8081, 8082, 8083, 6379, 9901, 10000, 10001, 10002, 10003, 10004,
];

pub(super) struct Stage {
    folder: TempDir,
    ports: Vec<Port>,
    servers: Vec<Process>,
}

/// A port of the page, and the free one in its place.
struct Port {
    shown: u16,
    free: u16,
}

impl Stage {
    pub(super) fn new(original: &Path) -> Self {
        let port = |shown| Port {
            shown,
            free: free_port(),
        };
        let stage = Self {
            folder: tempfile::tempdir().expect("a folder"),
            ports: PORTS.into_iter().map(port).collect(),
            servers: Vec::new(),
        };
        for entry in fs::read_dir(original).expect("the folder of the recipe") {
            let file = entry.expect("an entry").path();
            let text = fs::read_to_string(&file).expect("a text");
            // More time than a busy machine needs: an answer that is late lets requests pass.
            let text = stage
                .with_free_ports(&text)
                .replace("timeout: 0.05s", "timeout: 30s");
            let name = file.file_name().expect("a name");
            fs::write(stage.folder.path().join(name), text).expect("written");
        }
        stage
    }

    /// Starts a server, and waits until it serves.
    pub(super) fn serve(&mut self, command: &str) {
        let (more, ready) = match command.split(' ').next() {
            Some("weir") => ("", "\"serving\""),
            // Several run on one machine while tests do.
            Some("envoy") => ("--disable-hot-restart --concurrency 2", "starting workers"),
            Some("redis-server") => ("", "Ready to accept connections"),
            _ => panic!("not a server that pages start: {command}"),
        };
        // At that level Envoy does not say when it is ready.
        let command = command.replace(" -l warning", "");
        let mut process = Process::start(&mut self.shell(&format!("exec {command} {more} 1>&2")));
        process.wait_for(|line| line.contains(ready).then_some(()));
        self.servers.push(process);
    }

    /// What a command prints on stdout.
    ///
    /// # Errors
    /// What it prints on stderr, if it ends with another code than 0 or 1, which is an answer for `weir query`.
    pub(super) fn run(&self, command: &str) -> Result<String, String> {
        // A loop that waits for something ends even if it does not come.
        let bounded = format!(
            "timeout {} sh -c '{}'",
            PATIENCE.as_secs(),
            command.replace('\'', r"'\''")
        );
        let output = self.shell(&bounded).stdin(Stdio::null()).output();
        let output = output.expect("sh starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.code() {
            Some(0 | 1) => Ok(self.with_shown_ports(text(&output.stdout))),
            _ => Err(format!("{command}\n{}", text(&output.stderr))),
        }
    }

    fn shell(&self, command: &str) -> Command {
        let envoy = program::ENVOY.find().expect("it was there before");
        let weir = Path::new(env!("CARGO_BIN_EXE_weir"));
        let own = [envoy, weir].map(|binary| binary.parent().expect("a folder").to_owned());
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(own.into_iter().chain(env::split_paths(&path)));
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &self.with_free_ports(command)])
            .current_dir(self.folder.path())
            .env("PATH", path.expect("a path"))
            .env("WEIR_GRPC", self.with_free_ports("127.0.0.1:8081"))
            .env("WEIR_HTTP", self.with_free_ports("127.0.0.1:8080"))
            .env("WEIR_SERVER", self.with_free_ports("127.0.0.1:8081"))
            .env("WEIR_ADMIN", self.with_free_ports("127.0.0.1:8080"))
            // More time than a busy machine needs.
            .env("WEIR_REDIS_DEADLINE", "5000")
            .env("WEIR_LOG_FORMAT", "json");
        shell
    }

    fn with_free_ports(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, port| {
            ["127.0.0.1:", "port_value: ", "--port "]
                .iter()
                .fold(text, |text, before| {
                    text.replace(
                        &format!("{before}{}", port.shown),
                        &format!("{before}{}", port.free),
                    )
                })
        })
    }

    fn with_shown_ports(&self, text: String) -> String {
        self.ports.iter().fold(text, |text, port| {
            text.replace(
                &format!("127.0.0.1:{}", port.free),
                &format!("127.0.0.1:{}", port.shown),
            )
        })
    }
}
