//! `weir xds`: prints what a configuration server sends, as policy files with their diagnostics.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::output::{escape, print};
use super::{CliError, DONE, FAILED};
use crate::policy::{self, LoadOptions};
use crate::settings::{XdsArgs, xds_server};
use crate::xds::{self, PolicyText};

/// The arguments of `weir xds`.
#[derive(Args, Clone, Debug)]
pub(super) struct ShowXdsArgs {
    /// Address of the configuration server
    #[arg(value_name = "HOST:PORT", value_parser = xds_server)]
    server: String,

    /// How long to wait for a configuration
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u32,

    /// Merge resources that define the same domain
    #[arg(long, env = "WEIR_MERGE_DOMAINS", value_parser = BoolishValueParser::new())]
    merge_domains: bool,

    #[command(flatten)]
    xds: XdsArgs,
}

pub(super) fn run(args: ShowXdsArgs) -> Result<ExitCode, CliError> {
    let timeout = Duration::from_secs(args.timeout.into());
    let config = args.xds.resolve(args.server);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::new)?;
    let texts = runtime.block_on(xds::fetch(&config, timeout));
    let options = LoadOptions {
        merge_domains: args.merge_domains,
        ..LoadOptions::default()
    };
    show(&texts.map_err(CliError::new)?, &options)
}

/// Prints one document for each resource, with what was found in it as comments.
fn show(texts: &[PolicyText], options: &LoadOptions) -> Result<ExitCode, CliError> {
    let pairs = texts
        .iter()
        .map(|text| (text.file.as_path(), text.text.as_str()));
    let loaded = policy::load_texts(pairs, options);
    for PolicyText { file, text } in texts {
        let mut document = format!("---\n# {}\n", escape(&file.display().to_string()));
        for found in loaded
            .diagnostics
            .iter()
            .filter(|found| found.file == *file)
        {
            for line in found.to_string().lines() {
                document.push_str(&format!("# {}\n", escape(line)));
            }
        }
        print(document + text)?;
    }
    let code = if loaded.rejected.is_empty() {
        DONE
    } else {
        FAILED
    };
    Ok(ExitCode::from(code))
}
