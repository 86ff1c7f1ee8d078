//! The policy with which a server starts.

use std::error::Error;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::cli::check::Summary;
use crate::error_text::with_sources;
use crate::policy::{LoadOptions, Policy};
use crate::server::reload::{self, PolicyFiles, PolicySource};
use crate::settings::ServeSettings;
use crate::threads;

/// Time after which a load that has not finished is reported.
const PATIENCE: Duration = Duration::from_secs(10);

/// The policy of some files, or none yet; its diagnostics as text.
pub(super) struct InitialPolicy {
    pub(super) source: PolicySource,
    pub(super) policy: Policy,
    pub(super) diagnostics: Vec<String>,
    /// Why the policy is only awaited, if its files could not be loaded.
    pub(super) error: Option<String>,
}

/// A policy and its diagnostics as text.
struct FirstLoad {
    policy: Policy,
    diagnostics: Vec<String>,
}

impl InitialPolicy {
    /// Loads the files. A configuration server sends its first policy later.
    ///
    /// # Errors
    /// If files have errors, or define no domain although nothing permits it.
    pub(super) async fn load(settings: &ServeSettings) -> Result<Self, Box<dyn Error>> {
        if settings.xds.is_some() {
            return Ok(Self {
                source: PolicySource::Xds(String::new()),
                policy: Policy::awaited(),
                diagnostics: Vec::new(),
                error: None,
            });
        }
        let (files, loaded) = load_in_thread(files(settings), hint(settings)).await?;
        let source = PolicySource::Files(files);
        match loaded {
            Ok(FirstLoad { policy, .. }) if policy.domain_count() == 0 && !settings.allow_empty => {
                Err("the policies define no domain, so nothing would be limited; name policy files or folders with \
                     --policies, or permit this with --allow-empty"
                    .into())
            }
            Ok(FirstLoad {
                policy,
                diagnostics,
            }) => Ok(Self {
                source,
                policy,
                diagnostics,
                error: None,
            }),
            Err(reason) if settings.lenient_files => {
                tracing::error!("no policy is in force, and calls are answered with UNAVAILABLE: {reason}");
                Ok(Self {
                    source,
                    policy: Policy::awaited(),
                    diagnostics: Vec::new(),
                    error: Some(reason),
                })
            }
            Err(reason) => Err(reason.into()),
        }
    }
}

fn files(settings: &ServeSettings) -> PolicyFiles {
    let options = LoadOptions {
        merge_domains: settings.merge_domains,
        any_name: settings.lenient_files,
        defaults: settings.domain_defaults.clone(),
        ..LoadOptions::default()
    };
    let files = PolicyFiles::new(settings.policies.clone(), options);
    match settings.lenient_files {
        true => files.accepting_empty(),
        false => files,
    }
}

/// How a user says which files these are.
fn hint(settings: &ServeSettings) -> &'static str {
    match settings.lenient_files {
        true => "RUNTIME_ROOT, RUNTIME_SUBDIRECTORY and RUNTIME_APPDIRECTORY name the folder",
        false => "name policy files or folders with --policies",
    }
}

/// Loads the files in a thread of its own: a file system that hangs must hold up no signal, and is
/// reported.
async fn load_in_thread(
    mut files: PolicyFiles,
    hint: &'static str,
) -> Result<(PolicyFiles, Result<FirstLoad, String>), Box<dyn Error>> {
    let (send, mut loaded) = oneshot::channel();
    threads::spawn("weir-load", move || {
        let first = load(&mut files, hint);
        // The receiver may have stopped waiting.
        let _ = send.send((files, first));
    })?;
    loop {
        tokio::select! {
            loaded = &mut loaded => return Ok(loaded?),
            () = tokio::time::sleep(PATIENCE) => tracing::warn!("policy files are still being read, nothing is served yet"),
        }
    }
}

fn load(files: &mut PolicyFiles, hint: &str) -> Result<FirstLoad, String> {
    let loaded = files.load().map_err(|error| match error.source() {
        Some(_) => format!("{}; {hint}", with_sources(&error)),
        None => error.to_string(),
    })?;
    loaded.diagnostics.iter().for_each(reload::log);
    let summary = Summary::new(&loaded);
    let rejected = || format!("the policies are not served: {summary}");
    let diagnostics = reload::describe(&loaded.diagnostics);
    Ok(FirstLoad {
        policy: loaded.policy.ok_or_else(rejected)?,
        diagnostics,
    })
}
