//! The policy with which a server starts.

use std::error::Error;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::cli::check::Summary;
use crate::policy::{LoadOptions, Policy};
use crate::server::reload::{self, PolicyFiles, PolicySource};
use crate::server::threads;
use crate::settings::ServeSettings;

/// Time after which a load that has not finished is reported.
const PATIENCE: Duration = Duration::from_secs(10);

/// The policy of some files, or none yet; its diagnostics as text.
pub(super) struct InitialPolicy {
    pub(super) source: PolicySource,
    pub(super) policy: Policy,
    pub(super) diagnostics: Vec<String>,
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
            });
        }
        let options = LoadOptions {
            merge_domains: settings.merge_domains,
            ..LoadOptions::default()
        };
        let files = PolicyFiles::new(settings.policies.clone(), options);
        let loaded = load_in_thread(files).await?;
        if loaded.policy.domain_count() == 0 && !settings.allow_empty {
            return Err("the policies define no domain, so nothing would be limited; name policy files or folders with \
                        --policies, or permit this with --allow-empty"
                .into());
        }
        Ok(loaded)
    }
}

/// Loads the files in a thread of its own: a file system that hangs must hold up no signal, and is
/// reported.
async fn load_in_thread(files: PolicyFiles) -> Result<InitialPolicy, Box<dyn Error>> {
    let (send, mut loaded) = oneshot::channel();
    threads::spawn("weir-load", move || {
        // The receiver may have stopped waiting.
        let _ = send.send(load(files).map_err(|reason| reason.to_string()));
    })?;
    loop {
        tokio::select! {
            loaded = &mut loaded => return Ok(loaded??),
            () = tokio::time::sleep(PATIENCE) => tracing::warn!("policy files are still being read, nothing is served yet"),
        }
    }
}

fn load(mut files: PolicyFiles) -> Result<InitialPolicy, Box<dyn Error>> {
    let loaded = files.load().map_err(|error| match error.source() {
        Some(reason) => format!("{error}: {reason}; name policy files or folders with --policies"),
        None => error.to_string(),
    })?;
    loaded.diagnostics.iter().for_each(reload::log);
    let summary = Summary::new(&loaded);
    let rejected = || format!("the policies are not served: {summary}");
    let diagnostics = reload::describe(&loaded.diagnostics);
    let policy = loaded.policy.ok_or_else(rejected)?;
    Ok(InitialPolicy {
        source: PolicySource::Files(files),
        policy,
        diagnostics,
    })
}
