//! `weir compare`: sends the same requests to two servers, and reports where their answers differ.
//!
//! [`requests`] come from a log, or are [`generated`] from policies; each goes to both servers at once. The two
//! [`answers`] are compared, but for counters whose [windows](windows) differ for a while, and [counted](tally).

mod answers;
mod generated;
mod requests;
mod show;
mod tally;
mod windows;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgGroup, Args};
use tokio::time::{Interval, MissedTickBehavior};

use super::output::{Format, print};
use super::policies;
use super::query;
use super::recorded::{self, MappingArgs};
use super::{CliError, DONE, FAILED};
use crate::client::{Client, ClientError, ServerAddr};
use crate::clock::{Clock, Micros};
use crate::policy::LoadOptions;
use crate::replay::TimeField;
use crate::settings::TlsClientArgs;
use requests::{Requests, SourceSummary};
use tally::{ComparisonTally, Sample};

/// Calls to one server that fail one after another before the comparison ends.
const MAX_FAILURES: u32 = 10;

/// The arguments of `weir compare`.
#[derive(Args, Clone, Debug)]
#[command(
    group = ArgGroup::new("source").required(true).args(["log", "policies"]),
    after_help = "Example: weir compare --against ratelimit:8081 --policies policies"
)]
pub(super) struct CompareArgs {
    /// Traffic log, which may be compressed with gzip; - is stdin
    ///
    /// Its lines are those that `weir replay` reads, and need no time. They are sent in their order as fast as the servers
    /// answer.
    #[arg(value_name = "LOG")]
    log: Option<PathBuf>,

    /// Send requests that are made for the rules of these policy files and folders, instead of a log
    ///
    /// Each rule gets as many as cross its limit, but at most 100. Keys without a value get one that no other request has.
    #[arg(long, value_name = "PATH", value_delimiter = ',', conflicts_with_all = ["domain", "descriptor"])]
    policies: Vec<PathBuf>,

    /// Merge files that define the same domain
    #[arg(long, env = "WEIR_MERGE_DOMAINS", value_parser = BoolishValueParser::new(), requires = "policies")]
    merge_domains: bool,

    /// Address of the server: HOST:PORT, https://HOST:PORT or unix:PATH
    #[arg(
        long,
        value_name = "ADDR",
        env = "WEIR_SERVER",
        default_value = "127.0.0.1:8081",
        help_heading = "Servers"
    )]
    server: ServerAddr,

    /// Address of the server to compare with, such as envoyproxy/ratelimit, Limitador or another weir
    #[arg(long, value_name = "ADDR", help_heading = "Servers")]
    against: ServerAddr,

    #[command(flatten, next_help_heading = "Servers")]
    tls: TlsClientArgs,

    #[command(flatten, next_help_heading = "Log")]
    mapping: MappingArgs,

    /// Calls per second [default: as fast as the servers answer]
    #[arg(long, value_name = "PER_SECOND", value_parser = query::interval, help_heading = "Calls")]
    rate: Option<Duration>,

    /// Timeout for connecting and for each call
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 5,
        help_heading = "Calls"
    )]
    timeout: u64,

    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

/// A comparison without a result.
#[derive(Debug, thiserror::Error)]
enum CompareError {
    #[error(
        "nothing was compared: no line is a request; \
         for an access log, describe what Envoy sends: --domain NAME --descriptor 'KEY={{FIELD}}'"
    )]
    NoRequest,
    #[error("nothing was compared: no call was answered by both servers")]
    NoAnswer(#[source] ClientError),
    #[error(
        "nothing was limited: neither server has a limit for any of the requests; check their domain and the keys of \
         their descriptors"
    )]
    NotLimited,
    #[error("{malformed} of {lines} lines are malformed, more than 1 %")]
    Malformed { lines: u64, malformed: u64 },
    #[error("gave up after {MAX_FAILURES} calls in a row that failed")]
    Failing(#[source] ClientError),
}

/// Two servers, and how fast they are called.
struct ComparedServers {
    clients: [Client; 2],
    ticks: Option<Interval>,
}

pub(super) fn run(args: &CompareArgs) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::new)?;
    let requests = args.requests()?;
    let (comparison, summary, end) = runtime.block_on(async {
        let servers = ComparedServers::connect(args)
            .await
            .map_err(CliError::new)?;
        compare(servers, requests).await
    })?;
    if comparison.compared() == 0 {
        return Err(CliError::new(match end {
            Some(error) => CompareError::NoAnswer(error),
            None => CompareError::NoRequest,
        }));
    }
    let servers = [&args.server, &args.against].map(ToString::to_string);
    print(match args.format {
        Format::Human => show::text(&comparison, &summary, &servers),
        Format::Json => show::json(&comparison, &summary, &servers),
    })?;
    if let Some(error) = end {
        return Err(CliError::new(CompareError::Failing(error)));
    }
    let SourceSummary {
        lines, malformed, ..
    } = summary;
    if malformed * 100 > lines {
        return Err(CliError::new(CompareError::Malformed { lines, malformed }));
    }
    if comparison.limited == 0 {
        return Err(CliError::new(CompareError::NotLimited));
    }
    Ok(ExitCode::from(match comparison.is_equal() {
        true => DONE,
        false => FAILED,
    }))
}

impl CompareArgs {
    fn requests(&self) -> Result<Requests, CliError> {
        let Some(log) = &self.log else {
            let options = LoadOptions {
                merge_domains: self.merge_domains,
                ..LoadOptions::default()
            };
            let policy = policies::load(&self.policies, options)?;
            // Values that no run before has used: its counters are fresh.
            let tag = Clock::System.now().micros();
            return Ok(Requests::generated(generated::requests(&policy, tag)));
        };
        let source = recorded::open(log)?;
        let requests = Requests::of_log(source, self.mapping.record_format(TimeField::Ignored));
        requests.map_err(|error| recorded::unreadable(log, error))
    }
}

impl ComparedServers {
    async fn connect(args: &CompareArgs) -> Result<Self, ClientError> {
        let timeout = Duration::from_secs(args.timeout.max(1));
        let tls = args.tls.options();
        let mut ticks = args.rate.map(tokio::time::interval);
        if let Some(ticks) = &mut ticks {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        }
        Ok(Self {
            clients: [
                Client::connect_with(&args.server, &tls, timeout).await?,
                Client::connect_with(&args.against, &tls, timeout).await?,
            ],
            ticks,
        })
    }
}

/// Sends all requests, or those until Ctrl-C. The error is that of the last call if too many have failed one after
/// another, or if all have.
async fn compare(
    mut servers: ComparedServers,
    mut requests: Requests,
) -> Result<(ComparisonTally, SourceSummary, Option<ClientError>), CliError> {
    let mut comparison = ComparisonTally::default();
    let mut failures_in_a_row = 0;
    let mut last_error = None;
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    while failures_in_a_row < MAX_FAILURES {
        let next = tokio::select! {
            _ = &mut interrupted => break,
            next = requests.next() => next.map_err(CliError::new)?,
        };
        let Some((number, request)) = next else {
            break;
        };
        if let Some(ticks) = &mut servers.ticks {
            tokio::select! {
                _ = &mut interrupted => break,
                _ = ticks.tick() => {}
            }
        }
        let start = Clock::System.now();
        let [server, against] = &mut servers.clients;
        let (server, against) = tokio::join!(
            server.should_rate_limit(&request),
            against.should_rate_limit(&request)
        );
        let now = Clock::System.now();
        match (server, against) {
            (Ok(server), Ok(against)) => {
                failures_in_a_row = 0;
                comparison.push(&Sample {
                    number,
                    request: &request,
                    answers: [&server, &against],
                    now,
                    elapsed: Micros::new(now.since(start).get()),
                });
            }
            (server, against) => {
                failures_in_a_row += 1;
                let errors = [server.err(), against.err()];
                comparison.push_unanswered([errors[0].as_ref(), errors[1].as_ref()]);
                last_error = errors.into_iter().flatten().last().or(last_error);
            }
        }
    }
    let summary = requests.finish();
    let is_failing = failures_in_a_row == MAX_FAILURES || comparison.compared() == 0;
    Ok((comparison, summary, last_error.filter(|_| is_failing)))
}
