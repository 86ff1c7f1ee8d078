//! `weir query`: sends a request to a running server, as Envoy would.

mod calls;
mod show;
mod unmatched;

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::admin::DEFAULT_ADMIN;
use super::output::{Format, print};
use super::pairs::{self, EntryArg};
use super::{CliError, DONE, FAILED};
use crate::client::{Client, ClientError, ServerAddr};
use crate::request::{Cost, Descriptor, Override, Request};
use crate::settings::TlsClientArgs;
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
    #[arg(long, value_name = "NAME", help_heading = "Request")]
    domain: String,

    /// Address of the server: HOST:PORT, https://HOST:PORT or unix:PATH
    #[arg(
        long,
        value_name = "ADDR",
        env = "WEIR_SERVER",
        default_value = "127.0.0.1:8081",
        help_heading = "Server"
    )]
    server: ServerAddr,

    /// Address of the admin server (`weir serve --http`), which knows the domains if no limit applies
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "WEIR_ADMIN",
        default_value = DEFAULT_ADMIN,
        help_heading = "Server"
    )]
    admin: String,

    #[command(flatten, next_help_heading = "Server")]
    tls: TlsClientArgs,

    /// Hits to count at each descriptor [default: 1]
    #[arg(long, value_name = "N", group = "cost", help_heading = "Request")]
    hits: Option<u32>,

    /// Report the current state without counting
    #[arg(long, group = "cost", help_heading = "Request")]
    peek: bool,

    /// Hits to give back
    #[arg(long, value_name = "N", group = "cost", help_heading = "Request")]
    refund: Option<u32>,

    /// Limit override sent with the request, such as "600 per minute"
    #[arg(long, value_name = "LIMIT", value_parser = pairs::limit, help_heading = "Request")]
    limit: Option<Override>,

    /// Number of calls, one after another
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Calls")]
    times: NonZeroU64,

    /// Calls per second [default: as fast as the server answers]
    #[arg(long, value_name = "PER_SECOND", value_parser = interval, help_heading = "Calls")]
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
        let tls = args.tls.options();
        let mut client = Client::connect_with(&args.server, &tls, timeout).await?;
        let results = calls::run(&mut client, &request, schedule).await?;
        let domain = unmatched::ask(&args.admin, &tls, &request, &results.last).await;
        Ok::<_, ClientError>((results, domain))
    });
    let (results, domain) = results.map_err(CliError::new)?;
    let text = match args.format {
        Format::Human => show::text(&request, &results, &domain),
        Format::Json => show::json(&request, &results, &domain),
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
pub(super) fn interval(text: &str) -> Result<Duration, InvalidCallRate> {
    let rate: f64 = text.parse().map_err(|_| InvalidCallRate)?;
    let interval = Duration::try_from_secs_f64(1.0 / rate).ok();
    interval
        .filter(|interval| !interval.is_zero())
        .ok_or(InvalidCallRate)
}

/// The text is not a number of calls per second.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("expected a number of calls per second, such as 20 or 0.5")]
pub(super) struct InvalidCallRate;
