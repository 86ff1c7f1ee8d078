//! Two servers with the same policies.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use weir::client::{Client, DescriptorStatus, ServerAddr, ServerAnswer};
use weir::request::Request;
use weir_harness::{Process, Ratelimit, http_get};

const DAY_SECS: u64 = 86_400;

/// The reference, and the `weir` binary.
pub(crate) struct Both {
    runtime: Runtime,
    reference: Client,
    weir: Client,
    metrics: [String; 2],
    /// Of the reference and of weir.
    addresses: [String; 2],
    /// Of weir's policies.
    folder: TempDir,
    _servers: (Ratelimit, Process),
}

/// What both servers say of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Comparable {
    over_limit: bool,
    statuses: Vec<DescriptorStatus>,
}

impl Both {
    /// Serves policies, each the text of a file; `None` if the test that asks must be skipped.
    pub(crate) fn start(policies: &[String]) -> Option<Self> {
        Self::start_with(policies, policies)
    }

    /// As [`Self::start`], with other policies for weir.
    pub(crate) fn start_with(reference: &[String], policies: &[String]) -> Option<Self> {
        let reference = Ratelimit::start(reference, &[])?;
        let folder = tempfile::tempdir().unwrap();
        for (number, policy) in policies.iter().enumerate() {
            fs::write(folder.path().join(format!("{number}.yaml")), policy).unwrap();
        }
        let mut process = Process::start(
            Command::new(env!("CARGO_BIN_EXE_weir"))
                .arg("serve")
                .arg("--policies")
                .arg(folder.path())
                .args(["--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"])
                .arg("--envoy-ratelimit-metrics")
                .args(["--log-format", "json", "--drain", "0"]),
        );
        let (weir, http): (String, String) = process.wait_for(|line| {
            let event: Value = serde_json::from_str(line).ok()?;
            let address = |name| Some(event.get(name)?.as_str()?.to_owned());
            Some((address("grpc")?, address("http")?))
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let connect = |address: &str| {
            let address: ServerAddr = address.parse().unwrap();
            runtime
                .block_on(Client::connect(&address, Duration::from_secs(30)))
                .unwrap()
        };
        let addresses = [reference.address().to_string(), weir];
        Some(Self {
            reference: connect(&addresses[0]),
            weir: connect(&addresses[1]),
            metrics: [reference.metrics().to_string(), http],
            addresses,
            folder,
            runtime,
            _servers: (reference, process),
        })
    }

    /// Of the reference and of weir.
    pub(crate) fn addresses(&self) -> [&str; 2] {
        self.addresses.each_ref().map(String::as_str)
    }

    /// The folder of weir's policies.
    pub(crate) fn policies(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    /// Sends a request to both, and returns the answer if they agree.
    ///
    /// `Err` has the answers of the reference and of weir.
    pub(crate) fn send(&mut self, request: &Request) -> Result<Comparable, [Comparable; 2]> {
        let answers = [&mut self.reference, &mut self.weir].map(|client| {
            let answer = self.runtime.block_on(client.should_rate_limit(request));
            comparable(answer.unwrap())
        });
        let [reference, weir] = answers;
        if reference == weir {
            Ok(weir)
        } else {
            Err([reference, weir])
        }
    }
}

impl Both {
    /// The metrics of rules that are not 0, of the reference and of weir, by name and labels.
    pub(crate) fn rule_metrics(&self) -> [BTreeMap<String, String>; 2] {
        self.metrics.each_ref().map(|address| {
            let text = http_get(address, "/metrics");
            let samples = text
                .lines()
                .filter(|line| line.starts_with("ratelimit_service_rate_limit_"))
                .filter_map(|line| line.rsplit_once(' '))
                .filter(|(_, value)| *value != "0");
            let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            samples.map(owned).collect()
        })
    }
}

impl Comparable {
    /// Whether the request is refused, and the remaining hits of each descriptor that meets a limit.
    pub(crate) fn summary(&self) -> (bool, Vec<Option<u32>>) {
        let remaining = self.statuses.iter().map(|status| {
            let is_limited = status.limit.is_some();
            is_limited.then_some(status.remaining)
        });
        (self.over_limit, remaining.collect())
    }
}

/// The parts of an answer that both servers have: the time until a reset only whether it is reported, since the two
/// read their clocks at different moments.
fn comparable(answer: ServerAnswer) -> Comparable {
    let mut statuses = answer.statuses;
    for status in &mut statuses {
        status.reset_after_secs = status.reset_after_secs.map(|_| 0);
        if let Some(limit) = &mut status.limit {
            // The reference does not know multiples of a unit.
            limit.unit_multiplier = 1;
        }
    }
    Comparable {
        over_limit: answer.over_limit,
        statuses,
    }
}

/// The number of the day, by which the windows of both servers are aligned: what a day's limit counted is gone on the next.
#[expect(
    clippy::disallowed_methods,
    reason = "the reference reads the system's clock, so the test must know its day"
)]
pub(crate) fn day() -> u64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs() / DAY_SECS
}
