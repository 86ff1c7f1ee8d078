//! Flags for policies: where they come from, and when they are read again.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::MAX_SECS;
use super::xds::{XdsArgs, xds_server};
use crate::xds::XdsConfig;

/// The flags for policies, as given.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Policies")]
pub(super) struct PolicyArgs {
    /// Policy files, and folders of them (*.yaml and *.yml, but not *.test.yaml)
    ///
    /// Can be given more than once, or as a list with commas.
    #[arg(
        long,
        value_name = "PATH",
        env = "WEIR_POLICIES",
        value_delimiter = ',',
        default_value = "config"
    )]
    pub(super) policies: Vec<PathBuf>,

    /// Start even if the policies define no domain, and limit nothing until they do
    #[arg(long, env = "WEIR_ALLOW_EMPTY", value_parser = BoolishValueParser::new())]
    pub(super) allow_empty: bool,

    /// Merge files, or resources of a configuration server, that define the same domain
    #[arg(long, env = "WEIR_MERGE_DOMAINS", value_parser = BoolishValueParser::new())]
    pub(super) merge_domains: bool,

    /// Interval for checking the policy files for changes; 0 disables it (SIGHUP still reloads)
    ///
    /// A change takes effect once two consecutive checks have seen it.
    #[arg(
        long,
        value_name = "SECONDS",
        env = "WEIR_RELOAD_INTERVAL",
        default_value = "1",
        value_parser = interval
    )]
    pub(super) reload_interval: Interval,

    /// Take the policies from this configuration server (xDS) instead of files: HOST:PORT
    ///
    /// Until the first configuration arrives, calls are answered with UNAVAILABLE.
    #[arg(
        long,
        value_name = "ADDR",
        env = "WEIR_XDS",
        conflicts_with = "policies",
        value_parser = xds_server
    )]
    xds: Option<String>,

    #[command(flatten)]
    xds_client: XdsArgs,
}

/// A length of time that can be none.
type Interval = Option<Duration>;

impl PolicyArgs {
    /// Where policies come from instead of files; none if from files.
    pub(super) fn xds(&self) -> Option<XdsConfig> {
        let server = self.xds.clone()?;
        Some(self.xds_client.clone().resolve(server))
    }
}

/// Seconds, with a fraction if need be.
fn interval(text: &str) -> Result<Interval, &'static str> {
    let secs: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    let interval = Duration::try_from_secs_f64(secs).ok();
    let interval = interval.filter(|interval| interval.as_secs() <= MAX_SECS);
    let interval = interval.ok_or("expected 0 to 31536000 seconds")?;
    Ok(Some(interval).filter(|interval| !interval.is_zero()))
}
