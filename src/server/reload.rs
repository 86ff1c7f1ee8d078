//! Reload: changes of policies take effect while weir serves.
//!
//! A separate thread checks the files, loads them, or takes what a configuration server has sent, and frees the policies that they replace, so no
//! decision and no health check waits for it. Changes are found by content (see `fingerprint`), not
//! by file events, so editors, ConfigMaps and symlinks all work.

mod changes;
mod files;
mod fingerprint;
mod watched;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;

pub use files::PolicyFiles;
pub use watched::KeptChanging;
pub(in crate::server) use watched::WatchedFiles;

use changes::PolicyChanges;

use crate::clock::{Clock, Timestamp};
use crate::engine::{Engine, IncompatiblePolicy};
use crate::policy::{AddedAssignment, Diagnostic, LoadError, LoadedPolicy, Policy, Severity};
use crate::telemetry::{Metrics, PolicyLoad};
use crate::threads;
use crate::xds::Received;

/// Assignments without an effect that are logged of each load.
const MAX_LOGGED: usize = 10;

/// Interval for checking whether replaced policies are still in use.
const FREE_AFTER: Duration = Duration::from_millis(100);

/// The thread that keeps an engine's policy up to date with its source; it ends when this is dropped.
#[derive(Debug)]
pub struct Reloader {
    work: mpsc::Sender<Work>,
}

/// What the thread is asked to do, and where the outcome goes.
#[derive(Debug)]
enum Work {
    Execute(ReloadCommand, oneshot::Sender<ReloadOutcome>),
    Apply(
        Box<Received>,
        oneshot::Sender<Result<(), IncompatiblePolicy>>,
    ),
    Assign(Arc<[AddedAssignment]>, oneshot::Sender<()>),
}

/// What the thread can do.
#[derive(Clone, Copy, Debug)]
enum ReloadCommand {
    /// Load the files if they have changed.
    Check,
    /// Load the files.
    Reload,
}

/// Where policies come from.
#[derive(Debug)]
pub enum PolicySource {
    /// Files, which are checked for changes.
    Files(PolicyFiles),
    /// A configuration server, whose client calls [`Reloader::apply`]; the checksum of what is in force.
    Xds(String),
}

impl PolicySource {
    /// A checksum of what is in force, as 8 hexadecimal digits; empty before the first configuration.
    pub fn checksum(&self) -> String {
        match self {
            Self::Files(files) => files.checksum(),
            Self::Xds(checksum) => checksum.clone(),
        }
    }
}

/// The outcome of a check of the files, or of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// The files have not changed, or may still be changing.
    Unchanged,
    /// The policy in the files is in force.
    Reloaded,
    /// The files were rejected: the previous policy stays in force.
    Failed,
}

/// The state of the thread.
#[derive(Debug)]
struct ReloadThread {
    source: PolicySource,
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// Number of the policy in force; the first is 1.
    generation: u64,
    /// The assignments that were added, for this policy and those to come.
    added: Arc<[AddedAssignment]>,
    /// Replaced policies that calls may still be using. Dropping the last reference frees all rules,
    /// which takes milliseconds, so this thread must do it.
    retired: Vec<Arc<Policy>>,
}

impl Reloader {
    /// Starts to check files every `interval`; without one, only on [`Self::check`].
    ///
    /// What `source` has must have been loaded into `engine` and registered with `metrics`.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub fn start(
        source: PolicySource,
        engine: Arc<Engine>,
        metrics: Arc<Metrics>,
        interval: Option<Duration>,
    ) -> io::Result<Self> {
        let interval = interval.filter(|_| matches!(source, PolicySource::Files(_)));
        let (work, pending) = mpsc::channel();
        let thread = ReloadThread {
            source,
            engine,
            metrics,
            clock: Clock::System,
            generation: 1,
            added: Arc::default(),
            retired: Vec::new(),
        };
        threads::spawn("weir-reload", move || thread.run(&pending, interval))?;
        Ok(Self { work })
    }

    /// Checks the files once, as the thread does every interval. A change takes effect at the second
    /// check that sees it, since a file may be incomplete while it is written.
    pub async fn check(&self) -> ReloadOutcome {
        self.send(ReloadCommand::Check).await
    }

    /// Loads the files, changed or not.
    pub async fn reload(&self) -> ReloadOutcome {
        self.send(ReloadCommand::Reload).await
    }

    async fn send(&self, command: ReloadCommand) -> ReloadOutcome {
        let (outcome, received) = oneshot::channel();
        // This cannot fail: the thread ends only after `work` is dropped.
        let _ = self.work.send(Work::Execute(command, outcome));
        received.await.unwrap_or(ReloadOutcome::Failed)
    }

    /// Puts the configuration of a server in force, even one without a domain.
    ///
    /// # Errors
    /// If it cannot be served: the previous policy stays in force.
    pub async fn apply(&self, received: Received) -> Result<(), IncompatiblePolicy> {
        let (outcome, applied) = oneshot::channel();
        // As in `send`.
        let _ = self.work.send(Work::Apply(Box::new(received), outcome));
        applied.await.unwrap_or(Ok(()))
    }

    /// Puts these assignments in force, in place of those that were added before. They stay through reloads.
    pub async fn assign(&self, added: Arc<[AddedAssignment]>) {
        let (outcome, assigned) = oneshot::channel();
        // As in `send`.
        let _ = self.work.send(Work::Assign(added, outcome));
        let _ = assigned.await;
    }
}

impl ReloadThread {
    fn run(mut self, pending: &Receiver<Work>, interval: Option<Duration>) {
        loop {
            let free_after = (!self.retired.is_empty()).then_some(FREE_AFTER);
            let next = match interval.or(free_after) {
                Some(pause) => pending.recv_timeout(pause),
                None => pending.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            self.retired.retain(|policy| Arc::strong_count(policy) > 1);
            match next {
                // The receivers of outcomes may be gone by now.
                Ok(Work::Execute(command, outcome)) => {
                    let _ = outcome.send(self.execute(command));
                }
                Ok(Work::Apply(received, outcome)) => {
                    let _ = outcome.send(self.apply(*received));
                }
                Ok(Work::Assign(added, outcome)) => {
                    self.added = added;
                    self.put_in_force(&self.engine.policy());
                    let _ = outcome.send(());
                }
                Err(RecvTimeoutError::Timeout) if interval.is_none() => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.execute(ReloadCommand::Check);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn execute(&mut self, command: ReloadCommand) -> ReloadOutcome {
        let started = self.clock.now();
        self.metrics.policy_check_began(started);
        let outcome = self.look(command, started);
        self.metrics.policy_check_ended();
        outcome
    }

    fn look(&mut self, command: ReloadCommand, started: Timestamp) -> ReloadOutcome {
        let PolicySource::Files(files) = &mut self.source else {
            tracing::info!(
                "the configuration server sends changes by itself, there is nothing to reload"
            );
            return ReloadOutcome::Unchanged;
        };
        let loaded = catch_unwind(AssertUnwindSafe(|| match command {
            ReloadCommand::Check => files.load_if_changed(),
            ReloadCommand::Reload => Some(files.load()),
        }));
        let loaded = match loaded {
            Ok(None) => return ReloadOutcome::Unchanged,
            Ok(Some(loaded)) => loaded,
            // A bug in weir. The panic has been printed, and these files are not tried again.
            Err(_) => {
                let reason = "policy loader panicked";
                return self.keep(reason.to_owned(), Vec::new());
            }
        };
        let load_ms = self.clock.now().since(started).get() / 1000;
        let diagnostics = loaded
            .as_ref()
            .map(|loaded| describe(&loaded.diagnostics))
            .unwrap_or_default();
        match self.accept(loaded) {
            Ok(policy) => self.replace(policy, load_ms, diagnostics),
            Err(reason) => self.keep(reason, diagnostics),
        }
    }

    /// The loaded policy, or why it is rejected.
    fn accept(&self, loaded: Result<LoadedPolicy, LoadError>) -> Result<Policy, String> {
        let loaded = loaded.map_err(|error| format!("{error}: {}", error.source))?;
        loaded.diagnostics.iter().for_each(log);
        match loaded.policy {
            // An empty folder is probably being filled. A file with an empty domain allows everything.
            Some(policy) if policy.domain_count() == 0 && !self.accepts_empty() => {
                Err("no domain is defined".to_owned())
            }
            Some(policy) => match self.engine.incompatibility(&policy) {
                Some(incompatibility) => Err(incompatibility.to_string()),
                None => Ok(policy),
            },
            None => Err(errors(&loaded.diagnostics)),
        }
    }

    fn accepts_empty(&self) -> bool {
        match &self.source {
            PolicySource::Files(files) => files.accepts_empty(),
            PolicySource::Xds(_) => true,
        }
    }

    fn apply(&mut self, received: Received) -> Result<(), IncompatiblePolicy> {
        let Received {
            policy,
            diagnostics,
            version,
            checksum,
            rejected,
        } = received;
        diagnostics.iter().for_each(log);
        let texts = describe(&diagnostics);
        if let Some(incompatibility) = self.engine.incompatibility(&policy) {
            self.keep(incompatibility.to_string(), texts);
            return Err(incompatibility);
        }
        tracing::info!(version, "configuration received");
        self.source = PolicySource::Xds(checksum);
        self.replace(policy, 0, texts.clone());
        if let Some(rejected) = rejected {
            self.record(Some(rejected.clone()), texts);
            tracing::error!("domains with errors keep their previous policy: {rejected}");
        }
        Ok(())
    }

    fn replace(&mut self, policy: Policy, load_ms: u64, diagnostics: Vec<String>) -> ReloadOutcome {
        self.generation += 1;
        let changes = PolicyChanges::new(&self.engine.policy(), &policy);
        self.metrics.register(&policy);
        self.put_in_force(&policy);
        self.record(None, diagnostics);
        // Last, since a reader of this line may rely on the new policy.
        tracing::info!(
            generation = self.generation,
            domains = policy.domain_count(),
            rules = policy.rule_count(),
            load_ms,
            hash = self.source.checksum(),
            added = changes.added.count,
            removed = changes.removed.count,
            changed = changes.changed.count,
            added_rules = changes.added.text(),
            removed_rules = changes.removed.text(),
            changed_rules = changes.changed.text(),
            "policies reloaded"
        );
        ReloadOutcome::Reloaded
    }

    /// Puts a policy in force, with the assignments that were added.
    fn put_in_force(&mut self, policy: &Policy) {
        let (policy, faults) = policy.with_assignments(&self.added);
        for fault in faults.iter().take(MAX_LOGGED) {
            tracing::warn!("an assignment that was added has no effect: {fault}");
        }
        let before = self.engine.replace_policy(policy);
        if Arc::strong_count(&before) > 1 {
            self.retired.push(before);
        }
    }

    fn keep(&self, reason: String, diagnostics: Vec<String>) -> ReloadOutcome {
        self.record(Some(reason.clone()), diagnostics);
        tracing::error!(
            generation = self.generation,
            "policy reload failed, previous policy stays in force: {reason}"
        );
        ReloadOutcome::Failed
    }

    fn record(&self, error: Option<String>, diagnostics: Vec<String>) {
        self.metrics.loaded(PolicyLoad {
            generation: self.generation,
            at: self.clock.now(),
            hash: error.is_none().then(|| self.source.checksum()),
            error,
            diagnostics,
        });
    }
}

/// The diagnostics of a load as text, at most 100 of them.
pub fn describe(diagnostics: &[Diagnostic]) -> Vec<String> {
    const MAX_DIAGNOSTICS: usize = 100;
    let diagnostics = diagnostics.iter().take(MAX_DIAGNOSTICS);
    diagnostics.map(ToString::to_string).collect()
}

/// Logs a diagnostic of a policy file.
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
