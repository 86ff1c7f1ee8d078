//! Reload: what changes in the policy files takes effect while weir serves.
//!
//! A thread of its own looks at the files, loads them, and frees what they replace: no decision and no health check
//! waits for any of it. Nothing here knows how a file was changed; only what stands there now counts.

mod files;
mod fingerprint;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

pub use files::PolicyFiles;

use crate::clock::Clock;
use crate::engine::Engine;
use crate::policy::{Diagnostic, LoadError, LoadedPolicy, Policy, Severity};
use crate::telemetry::{Metrics, PolicyLoad};

/// How soon to see whether calls have let go of a policy, if nothing else is to be done.
const FREE_AFTER: Duration = Duration::from_millis(100);

/// The thread that keeps an engine's policy as the files have it; it ends when this is dropped.
#[derive(Debug)]
pub struct Reloader {
    asks: mpsc::Sender<(ReloadCommand, oneshot::Sender<ReloadOutcome>)>,
}

/// What the thread can be asked to do.
#[derive(Clone, Copy, Debug)]
enum ReloadCommand {
    Check,
    Reload,
}

/// What came of a look at the files, or of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// The files are as they were, or may still be changing.
    Unchanged,
    /// Their policies are in force.
    Reloaded,
    /// They cannot be served: the policies before them stay in force.
    Failed,
}

/// What the thread works with.
#[derive(Debug)]
struct ReloadThread {
    files: PolicyFiles,
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// Counts the policies that were in force; the first is 1.
    generation: u64,
    /// Policies that calls may still be using. The last to let go of one frees all its rules, which takes
    /// milliseconds, so that must be this thread.
    retired: Vec<Arc<Policy>>,
}

impl Reloader {
    /// Starts to look at the files every `interval`; without one, only when asked to.
    ///
    /// `files` have been loaded into `engine` already, and `metrics` knows their policy.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(
        files: PolicyFiles,
        (engine, metrics): (Arc<Engine>, Arc<Metrics>),
        interval: Option<Duration>,
    ) -> io::Result<Self> {
        let (asks, asked) = mpsc::channel();
        let work = ReloadThread {
            files,
            engine,
            metrics,
            clock: Clock::System,
            generation: 1,
            retired: Vec::new(),
        };
        thread::Builder::new()
            .name("weir-reload".to_owned())
            .spawn(move || work.run(&asked, interval))?;
        Ok(Self { asks })
    }

    /// Looks at the files once, as the thread itself does every interval. A change takes effect at the second look
    /// that sees it: whoever writes a file may not have come to its end.
    pub async fn check(&self) -> ReloadOutcome {
        self.ask(ReloadCommand::Check).await
    }

    /// Loads the files, changed or not.
    pub async fn reload(&self) -> ReloadOutcome {
        self.ask(ReloadCommand::Reload).await
    }

    async fn ask(&self, ask: ReloadCommand) -> ReloadOutcome {
        let (answer, outcome) = oneshot::channel();
        // The thread ends only after this has been dropped; if it were gone, nothing would change.
        let _ = self.asks.send((ask, answer));
        outcome.await.unwrap_or(ReloadOutcome::Failed)
    }
}

impl ReloadThread {
    fn run(
        mut self,
        asked: &Receiver<(ReloadCommand, oneshot::Sender<ReloadOutcome>)>,
        interval: Option<Duration>,
    ) {
        loop {
            let is_to_free = (!self.retired.is_empty()).then_some(FREE_AFTER);
            let next = match interval.or(is_to_free) {
                Some(pause) => asked.recv_timeout(pause),
                None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            self.retired.retain(|policy| Arc::strong_count(policy) > 1);
            match next {
                Ok((ask, answer)) => {
                    let outcome = self.act(ask);
                    // Whoever asked may not care any more.
                    let _ = answer.send(outcome);
                }
                Err(RecvTimeoutError::Timeout) if interval.is_none() => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.act(ReloadCommand::Check);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn act(&mut self, ask: ReloadCommand) -> ReloadOutcome {
        let started = self.clock.now();
        let files = &mut self.files;
        let loaded = catch_unwind(AssertUnwindSafe(|| match ask {
            ReloadCommand::Check => files.load_if_changed(),
            ReloadCommand::Reload => Some(files.load()),
        }));
        let loaded = match loaded {
            Ok(None) => return ReloadOutcome::Unchanged,
            Ok(Some(loaded)) => loaded,
            // A fault of weir's. It has been printed, and these files are not tried again.
            Err(_) => {
                let reason = "policy loader panicked";
                return self.keep(reason.to_owned(), Vec::new());
            }
        };
        let load_ms = self.clock.now().since(started).get() / 1000;
        let diagnostics = loaded.as_ref().map(told).unwrap_or_default();
        match self.take(loaded) {
            Ok(policy) => self.replace(policy, load_ms, diagnostics),
            Err(reason) => self.keep(reason, diagnostics),
        }
    }

    /// The policy that was loaded, or why it is not served.
    fn take(&self, loaded: Result<LoadedPolicy, LoadError>) -> Result<Policy, String> {
        let loaded = loaded.map_err(|error| format!("{error}: {}", error.source))?;
        loaded.diagnostics.iter().for_each(log);
        match loaded.policy {
            // Whoever means that says it with an empty domain. A folder that is empty is being filled.
            Some(policy) if policy.domain_count() == 0 => Err("no domain is defined".to_owned()),
            Some(policy) => match self.engine.incompatibility(&policy) {
                Some(incompatibility) => Err(incompatibility.to_string()),
                None => Ok(policy),
            },
            None => Err(errors(&loaded.diagnostics)),
        }
    }

    fn replace(&mut self, policy: Policy, load_ms: u64, diagnostics: Vec<String>) -> ReloadOutcome {
        self.generation += 1;
        tracing::info!(
            generation = self.generation,
            domains = policy.domain_count(),
            rules = policy.rule_count(),
            load_ms,
            "policies reloaded"
        );
        self.metrics.register(&policy);
        let before = self.engine.replace_policy(policy);
        if Arc::strong_count(&before) > 1 {
            self.retired.push(before);
        }
        self.say(None, diagnostics);
        ReloadOutcome::Reloaded
    }

    fn keep(&self, reason: String, diagnostics: Vec<String>) -> ReloadOutcome {
        tracing::error!(
            generation = self.generation,
            "policy reload failed, previous policy stays in force: {reason}"
        );
        self.say(Some(reason), diagnostics);
        ReloadOutcome::Failed
    }

    fn say(&self, error: Option<String>, diagnostics: Vec<String>) {
        self.metrics.loaded(PolicyLoad {
            generation: self.generation,
            at: self.clock.now(),
            error,
            diagnostics,
        });
    }
}

/// What was found in the files, as the log has it; the first of very many.
pub fn told(loaded: &LoadedPolicy) -> Vec<String> {
    const MOST: usize = 100;
    let diagnostics = loaded.diagnostics.iter().take(MOST);
    diagnostics.map(ToString::to_string).collect()
}

/// Says in the log what was found in a policy file.
pub fn log(diagnostic: &Diagnostic) {
    match diagnostic.severity {
        Severity::Error => tracing::error!(code = diagnostic.code.as_str(), "{diagnostic}"),
        Severity::Warning => tracing::warn!(code = diagnostic.code.as_str(), "{diagnostic}"),
    }
}

fn errors(diagnostics: &[Diagnostic]) -> String {
    let is_error = |found: &&Diagnostic| found.severity == Severity::Error;
    match diagnostics.iter().filter(is_error).count() {
        1 => "1 error".to_owned(),
        count => format!("{count} errors"),
    }
}
