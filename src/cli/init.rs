//! `weir init`: a policy, its scenarios and an Envoy bootstrap to begin with.

mod openapi;
mod project;
mod upstream;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::output::{escape, print};
use super::{CliError, DONE};
use crate::limit::Rate;
use openapi::OpenApiError;
use project::Project;
use upstream::Upstream;

/// The arguments of `weir init`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: weir init --domain shop --header x-api-key --limit '600 per minute' --openapi openapi.yaml"
)]
pub(super) struct InitArgs {
    /// Folder to write to; existing files are not overwritten
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Domain of the policy: letters, digits, `_` and `-`
    #[arg(long, value_name = "NAME", value_parser = domain)]
    domain: String,
    /// Request header that identifies a client
    #[arg(long, value_name = "NAME", default_value = "x-api-key", value_parser = header)]
    header: String,
    /// Limit of each client, such as "600 per minute" or "1000 per 6 hours"
    #[arg(long, value_name = "RATE", default_value = "600 per minute", value_parser = rate)]
    limit: Rate,
    /// Limit of each address from which requests come without the header
    #[arg(long, value_name = "RATE", default_value = "60 per minute", value_parser = rate)]
    anonymous: Rate,
    /// OpenAPI document, in YAML or JSON, whose operations get a limit each
    #[arg(long, value_name = "FILE")]
    openapi: Option<PathBuf>,
    /// Limit of each client at each operation of the OpenAPI document
    #[arg(long, value_name = "RATE", default_value = "60 per minute", value_parser = rate, requires = "openapi")]
    per_operation: Rate,
    /// Address of your service, to which Envoy sends what is allowed
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:10001")]
    upstream: Upstream,
}

/// Why nothing, or not everything, was written.
#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("{} exists and is not overwritten; name another folder", .0.display())]
    Exists(PathBuf),
    #[error("cannot write {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    #[error("cannot read {}", .0.display())]
    OpenApi(PathBuf, #[source] OpenApiError),
}

pub(super) fn run(args: &InitArgs) -> Result<ExitCode, CliError> {
    print(init(args).map_err(CliError::new)?)?;
    Ok(ExitCode::from(DONE))
}

/// Writes the files and reports them.
fn init(args: &InitArgs) -> Result<String, InitError> {
    let (operations, left_out) = match &args.openapi {
        None => Default::default(),
        Some(file) => {
            openapi::operations(file).map_err(|error| InitError::OpenApi(file.clone(), error))?
        }
    };
    let project = Project {
        domain: &args.domain,
        header: &args.header,
        limit: args.limit,
        anonymous: args.anonymous,
        operations: &operations,
        per_operation: args.per_operation,
        upstream: &args.upstream,
    };
    let policies = args.folder.join("policies");
    let files = [
        (
            policies.join(format!("{}.yaml", args.domain)),
            project.policy(),
        ),
        (
            policies.join(format!("{}.test.yaml", args.domain)),
            project.scenarios(),
        ),
        (args.folder.join("envoy.yaml"), project.envoy()),
    ];
    if let Some((file, _)) = files.iter().find(|(file, _)| file.exists()) {
        return Err(InitError::Exists(file.clone()));
    }
    fs::create_dir_all(&policies).map_err(|error| InitError::Write(policies.clone(), error))?;
    let mut report = String::new();
    for (file, text) in &files {
        write_new(file, text)?;
        report.push_str(&format!("wrote {}\n", file.display()));
    }
    for path in left_out {
        report.push_str(&format!(
            "left out {}: a parameter is only a part of a segment\n",
            escape(&path)
        ));
    }
    let envoy = files[2].0.display();
    let policies = policies.display();
    report.push_str(&format!(
        "\nNext:\n  weir check {policies}\n  weir test {policies}\n  weir serve --policies {policies}\n  envoy -c {envoy}\n\n\
         Then, while both and your service run:\n  curl -i -H '{header}: a-key' http://127.0.0.1:10000/\n  weir doctor --envoy 127.0.0.1:9901\n",
        header = args.header,
    ));
    Ok(report)
}

/// Never replaces a file, not even one that appeared a moment ago.
fn write_new(file: &Path, text: &str) -> Result<(), InitError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists(file.to_owned()),
        _ => InitError::Write(file.to_owned(), error),
    };
    let mut new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .map_err(failed)?;
    new.write_all(text.as_bytes()).map_err(failed)
}

/// It is the name of a file, too.
fn domain(text: &str) -> Result<String, String> {
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    match !text.is_empty() && text.chars().all(is_allowed) && !text.starts_with('-') {
        true => Ok(text.to_owned()),
        false => Err("a domain here has letters, digits, `_` and `-`".to_owned()),
    }
}

/// A header's name, in the spelling of HTTP/2.
fn header(text: &str) -> Result<String, String> {
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    match !text.is_empty() && text.chars().all(is_allowed) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("a header's name has letters, digits, `_` and `-`".to_owned()),
    }
}

fn rate(text: &str) -> Result<Rate, String> {
    Rate::parse(text)
        .filter(|rate| rate.requests > 0)
        .ok_or_else(|| "write a limit such as `600 per minute` or `1 per 5 minutes`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_files_and_yaml() {
        assert_eq!(domain("shop-2_b"), Ok("shop-2_b".to_owned()));
        for bad in ["", "a/b", "..", "a b", "-a", "é", "a:"] {
            assert!(domain(bad).is_err(), "{bad}");
        }
        assert_eq!(header("X-Api-Key"), Ok("x-api-key".to_owned()));
        for bad in ["", ":path", "a b", "a\"", "a:"] {
            assert!(header(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_limit_admits_something() {
        assert!(rate("1 per 5 minutes").is_ok());
        assert!(rate("0 per minute").is_err());
        assert!(rate("many").is_err());
    }
}
