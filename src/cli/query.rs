//! `weir query`: sends a request to a running server, as Envoy would.

mod calls;
mod show;

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::output::{Format, print};
use super::pairs::{self, EntryArg};
use super::{CliError, DONE, FAILED};
use crate::client::{Client, ServerAddr};
use crate::request::{Cost, Descriptor, Override, Request};
use calls::Schedule;

/// The arguments of `weir query`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: weir query --domain shop api_key=k 'endpoint=GET /orders' + plan=free"
)]
pub(super) struct QueryArgs {
    /// Entries of a descriptor, in order; a separate `+` starts the next descriptor
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = pairs::entry_arg)]
    entries: Vec<EntryArg>,

    /// Domain of the request
    #[arg(long, value_name = "NAME")]
    domain: String,

    /// Address of the server: HOST:PORT or unix:PATH
    #[arg(
        long,
        value_name = "ADDR",
        env = "WEIR_SERVER",
        default_value = "127.0.0.1:8081"
    )]
    server: ServerAddr,

    /// Hits to count at each descriptor [default: 1]
    #[arg(long, value_name = "N", group = "cost")]
    hits: Option<u32>,

    /// Report the current state without counting
    #[arg(long, group = "cost")]
    peek: bool,

    /// Hits to give back
    #[arg(long, value_name = "N", group = "cost")]
    refund: Option<u32>,

    /// Limit override sent with the request, such as "600 per minute"
    #[arg(long, value_name = "LIMIT", value_parser = pairs::limit)]
    limit: Option<Override>,

    /// Number of calls, one after another
    #[arg(long, value_name = "N", default_value = "1")]
    times: NonZeroU64,

    /// Calls per second [default: as fast as the server answers]
    #[arg(long, value_name = "PER_SECOND", value_parser = interval)]
    rate: Option<Duration>,

    /// Timeout for connecting and for each call
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    timeout: u64,

    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
}

pub(super) fn run(args: QueryArgs) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::new)?;
    let request = args.request();
    let schedule = Schedule {
        times: args.times,
        interval: args.rate,
    };
    let timeout = Duration::from_secs(args.timeout.max(1));
    let results = runtime.block_on(async {
        let mut client = Client::connect(&args.server, timeout).await?;
        calls::run(&mut client, &request, schedule).await
    });
    let results = results.map_err(CliError::new)?;
    let text = match args.format {
        Format::Human => show::text(&request, &results),
        Format::Json => show::json(&request, &results),
    };
    print(text)?;
    Ok(ExitCode::from(if results.over_limit == 0 {
        DONE
    } else {
        FAILED
    }))
}

impl QueryArgs {
    fn request(&self) -> Request {
        let cost = match (self.peek, self.hits, self.refund) {
            (true, ..) | (_, Some(0), _) | (_, _, Some(0)) => Cost::Peek,
            (_, Some(hits), _) => Cost::Hits(hits),
            (_, _, Some(hits)) => Cost::Refund(hits),
            (false, None, None) => Cost::default(),
        };
        let entries = pairs::descriptors(&self.entries);
        Request {
            domain: self.domain.clone().into(),
            descriptors: entries
                .map(|entries| Descriptor {
                    entries,
                    cost,
                    limit: self.limit,
                })
                .collect(),
        }
    }
}

/// The time between two calls, from calls per second.
fn interval(text: &str) -> Result<Duration, &'static str> {
    let rate: f64 = text.parse().map_err(|_| "expected a number")?;
    let interval = Duration::try_from_secs_f64(1.0 / rate).ok();
    interval
        .filter(|interval| !interval.is_zero())
        .ok_or("expected a number of calls per second, such as 20 or 0.5")
}
