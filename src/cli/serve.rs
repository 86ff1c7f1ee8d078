//! `weir serve`: load, bind, serve, end.
//!
//! Everything is said in the log, on stderr, so that whoever collects logs also gets the reason of a failed start.

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::check::Summary;
use super::{CliError, DONE, FAILED, UNUSABLE};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::policy::{self, Diagnostic, LoadOptions, Policy, Severity};
use crate::server::{self, App, End, Listener};
use crate::settings::ServeSettings;
use crate::store::Store;
use crate::telemetry;

pub(super) fn run(settings: ServeSettings) -> Result<ExitCode, CliError> {
    telemetry::log(settings.log).map_err(CliError::new)?;
    // One thread takes connections and waits for signals; the workers have their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::new)?;
    Ok(ExitCode::from(runtime.block_on(serve(settings))))
}

async fn serve(settings: ServeSettings) -> u8 {
    let started = start(&settings).await;
    let (listener, engine, signals) = match started {
        Ok(started) => started,
        Err(error) => {
            tracing::error!("{error}");
            return UNUSABLE;
        }
    };
    let app = App {
        engine: Arc::new(engine),
        config: settings.server,
    };
    until_signalled(listener, app, signals).await
}

async fn start(settings: &ServeSettings) -> Result<(Listener, Engine, Signals), Box<dyn Error>> {
    let signals = Signals::new()?;
    let policy = load(settings)?;
    let (domains, rules) = (policy.domain_count(), policy.rule_count());
    let listener = Listener::bind(&settings.listen).await?;
    let engine = Engine::new(policy, Store::memory(settings.memory)?, Clock::System);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        grpc = %listener.address(),
        domains,
        rules,
        workers = settings.server.workers,
        "serving"
    );
    Ok((listener, engine, signals))
}

async fn until_signalled(listener: Listener, app: App, mut signals: Signals) -> u8 {
    let (end, ending) = oneshot::channel();
    let at_once = async {
        signals.next().await;
        // The server is waited for below: it is there to hear it.
        let _ = end.send(());
        signals.next().await;
    };
    let in_order = server::run(listener, app, async {
        // A sender that is gone means that everything is.
        let _ = ending.await;
    });
    tokio::select! {
        outcome = in_order => match outcome {
            Ok(End::InOrder | End::CutOff) => DONE,
            Err(error) => {
                tracing::error!("{error}");
                FAILED
            }
        },
        () = at_once => {
            tracing::warn!("second signal: ending at once");
            FAILED
        }
    }
}

fn load(settings: &ServeSettings) -> Result<Policy, Box<dyn Error>> {
    let options = LoadOptions {
        merge_domains: settings.merge_domains,
        ..LoadOptions::default()
    };
    let loaded =
        policy::load(&settings.policies, options).map_err(|error| match error.source() {
            Some(reason) => {
                format!("{error}: {reason}; name policy files or folders with --policies")
            }
            None => error.to_string(),
        })?;
    loaded.diagnostics.iter().for_each(say);
    let summary = Summary::of(&loaded);
    let refused = || format!("the policies are not served: {summary}");
    loaded.policy.ok_or_else(|| refused().into())
}

fn say(diagnostic: &Diagnostic) {
    match diagnostic.severity {
        Severity::Error => tracing::error!(code = diagnostic.code.as_str(), "{diagnostic}"),
        Severity::Warning => tracing::warn!(code = diagnostic.code.as_str(), "{diagnostic}"),
    }
}

/// The signals that ask for the end.
struct Signals {
    term: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
