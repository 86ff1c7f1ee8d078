//! `weir serve`: loads the policies, binds, serves, and shuts down.
//!
//! All output is in the log on stderr, so that collected logs contain the reason for a failed start.

mod initial_policy;
mod kept_state;

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::{CliError, DONE, FAILED, UNUSABLE};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::error_text::with_sources;
use crate::policy::{LoadOptions, Policy};
use crate::server::admin::{self, Admin, AdminConfig, TokenFile};
use crate::server::assignments::{AssignmentFile, Assignments};
use crate::server::reload::Reloader;
use crate::server::tls::{CertificateWatch, TlsPort};
use crate::server::{self, App, FileLimit, Listener, RunError, Shutdown};
use crate::settings::{RedisSettings, ServeSettings, TlsSettings};
use crate::store::{MemoryConfig, Store};
use crate::telemetry::{self, Log, Metrics, PolicyLoad, ServerPort, StatsdSender, Traces};
use crate::threads;
use crate::xds::{XdsClient, XdsConfig};
use initial_policy::InitialPolicy;
use kept_state::KeptState;

pub(super) fn run(settings: ServeSettings) -> Result<ExitCode, CliError> {
    let log = telemetry::log(settings.log).map_err(CliError::new)?;
    // One thread takes connections and waits for signals; the workers have their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::new)?;
    Ok(ExitCode::from(runtime.block_on(serve(settings, &log))))
}

async fn serve(settings: ServeSettings, log: &Log) -> u8 {
    match start(settings, log).await {
        Ok(mut started) => {
            let traces = started.app.traces.clone();
            let state = started.state.take();
            let code = until_signalled(started).await;
            if let Some(state) = state {
                state.finish();
            }
            if let Some(traces) = traces {
                // It blocks, and this thread's runtime exports the spans. A panic in it has been printed.
                let _ = threads::run("weir-traces", move || traces.end()).await;
            }
            code
        }
        Err(error) => {
            tracing::error!("{}", with_sources(&*error));
            UNUSABLE
        }
    }
}

/// A server that is ready to run.
struct Started {
    listener: Listener,
    app: App,
    reloader: Arc<Reloader>,
    // Follows the assignments of other instances until this is dropped.
    _assignments: Arc<Assignments>,
    certificates: CertificateWatch,
    state: Option<KeptState>,
    // Follows the configuration server until this is dropped.
    _xds: Option<XdsClient>,
    // Sends until this is dropped.
    _statsd: Option<StatsdSender>,
    // Serves until this is dropped.
    _admin: Option<admin::AdminServer>,
    signals: Signals,
}

async fn start(settings: ServeSettings, log: &Log) -> Result<Started, Box<dyn Error>> {
    for notice in &settings.notices {
        tracing::warn!("{notice}");
    }
    let mut signals = Signals::new()?;
    let initial = tokio::select! {
        loaded = InitialPolicy::load(&settings) => loaded?,
        () = signals.end.next() => return Err("ended by a signal before the policy files were read".into()),
    };
    let source = initial.source;
    let loaded = PolicyLoad {
        generation: 1,
        at: Clock::System.now(),
        hash: initial.error.is_none().then(|| source.checksum()),
        error: initial.error,
        diagnostics: initial.diagnostics,
    };
    let (domains, rules) = (initial.policy.domain_count(), initial.policy.rule_count());
    let redis = [settings.redis, settings.redis_per_second];
    let (store, state) = store(redis, settings.state, settings.memory)?;
    let engine = engine(initial.policy, store)?;
    let listener = Listener::bind_by(settings.listen_setting, &settings.listen)?;
    let file_limit = FileLimit::raise();
    let server = within_file_limit(settings.server, file_limit);
    let mut app = App::new(Arc::clone(&engine), server);
    let traces = settings.traces.as_ref().map(Traces::new).transpose()?;
    app.traces = traces.map(Arc::new);
    app.ready_when = settings.ready_when;
    app.metrics
        .log_refused_per_second(settings.log_refused_per_second);
    app.metrics.limit_series(settings.max_series);
    app.metrics.add_labels(settings.extra_labels);
    if let Some(ratio) = settings.near_limit_ratio {
        app.metrics.set_near_limit_ratio(ratio);
    }
    app.metrics.expose_dropped_lines(log.dropped_lines());
    app.metrics.loaded(loaded);
    if let Some(state) = &state {
        app.metrics.expose_state(Arc::clone(state.status()));
    }
    let tls = TlsPorts::load(settings.tls, &app.metrics)?;
    let certificates = CertificateWatch::start(tls.all(), settings.reload_interval)?;
    app.tls = tls.grpc;
    let metrics = Arc::clone(&app.metrics);
    let statsd = settings.statsd.map(|config| {
        StatsdSender::start(config, Arc::clone(&app.metrics), Arc::clone(&app.engine))
    });
    let statsd = statsd.transpose()?;
    let reloader = Reloader::start(source, engine, metrics, settings.reload_interval)?;
    let reloader = Arc::new(reloader);
    let assignments = assignments(&app, &reloader, state.as_ref().map(KeptState::folder)).await?;
    let options = LoadOptions {
        merge_domains: settings.merge_domains,
        defaults: settings.domain_defaults,
        ..LoadOptions::default()
    };
    let xds = settings
        .xds
        .map(|config| follow(config, options, &app, &reloader));
    let xds = xds.transpose()?;
    let admin = settings
        .admin
        .map(|config| AdminConfig {
            max_connections: config.max_connections.min(file_limit.http_connections),
            ..config
        })
        .map(|config| start_admin(config, &app, &reloader, &assignments, tls.http))
        .transpose()?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        grpc = %listener.address(),
        http = admin.as_ref().map(addresses),
        generation = 1,
        domains,
        rules,
        workers = app.config.workers,
        "serving"
    );
    Ok(Started {
        listener,
        app,
        reloader,
        _assignments: assignments,
        certificates,
        state,
        _xds: xds,
        _statsd: statsd,
        _admin: admin,
        signals,
    })
}

/// Counters cannot be in Redis and in a folder.
#[derive(Debug, thiserror::Error)]
#[error(
    "--state keeps the counters of this process, and with --store redis:// they are in Redis, where they survive a \
     restart, too: leave out one of the two"
)]
struct StateWithRedis;

/// Counters in one Redis, in two, or in memory, and then in the folder of `--state` if there is one.
fn store(
    redis: [Option<RedisSettings>; 2],
    state: Option<PathBuf>,
    memory: MemoryConfig,
) -> Result<(Store, Option<KeptState>), Box<dyn Error>> {
    let store = match (redis, state) {
        ([Some(_), _], Some(_)) => return Err(StateWithRedis.into()),
        ([Some(main), Some(per_second)], None) => {
            Store::redis_pair(main.read()?, per_second.read()?, memory)?
        }
        ([Some(redis), None], None) => Store::redis(redis.read()?, memory)?,
        ([None, _], None) => Store::memory(memory)?,
        ([None, _], Some(path)) => {
            let (store, state) = KeptState::open(&path, memory)?;
            return Ok((store, Some(state)));
        }
    };
    Ok((store, None))
}

/// Decides by the first policy.
fn engine(policy: Policy, store: Store) -> Result<Arc<Engine>, Box<dyn Error>> {
    let engine = Engine::new(policy, store, Clock::System);
    match engine.incompatibility(&engine.policy()) {
        Some(incompatibility) => Err(incompatibility.into()),
        None => Ok(Arc::new(engine)),
    }
}

/// Puts in force what was assigned before this start.
async fn assignments(
    app: &App,
    reloader: &Arc<Reloader>,
    state: Option<&Path>,
) -> Result<Arc<Assignments>, Box<dyn Error>> {
    let file = state.map(AssignmentFile::new);
    let assignments = Assignments::start(Arc::clone(&app.engine), Arc::clone(reloader), file);
    Ok(Arc::new(assignments.await?))
}

/// TLS of each port; none where it is plaintext.
struct TlsPorts {
    grpc: Option<Arc<TlsPort>>,
    http: Option<Arc<TlsPort>>,
}

impl TlsPorts {
    fn load(settings: TlsSettings, metrics: &Arc<Metrics>) -> Result<Self, Box<dyn Error>> {
        let load = |port, files| TlsPort::load(port, files, Arc::clone(metrics)).map(Arc::new);
        let grpc = settings.grpc.map(|files| load(ServerPort::Grpc, files));
        let http = settings.http.map(|files| load(ServerPort::Http, files));
        Ok(Self {
            grpc: grpc.transpose()?,
            http: http.transpose()?,
        })
    }

    fn all(&self) -> Vec<Arc<TlsPort>> {
        self.grpc.iter().chain(&self.http).map(Arc::clone).collect()
    }
}

/// As many connections as the process may have open files for.
fn within_file_limit(config: server::Config, limit: FileLimit) -> server::Config {
    let possible = limit.grpc_connections;
    if possible < config.max_connections {
        tracing::warn!(
            possible,
            wanted = config.max_connections,
            "the limit on open files allows fewer connections than --max-connections; raise it (ulimit -n)"
        );
    }
    server::Config {
        max_connections: config.max_connections.min(possible),
        ..config
    }
}

/// Puts in force what a configuration server sends.
fn follow(
    config: XdsConfig,
    options: LoadOptions,
    app: &App,
    reloader: &Arc<Reloader>,
) -> io::Result<XdsClient> {
    let reloader = Arc::clone(reloader);
    let client = XdsClient::start(config, options, async move |received| {
        let applied = reloader.apply(received).await;
        applied.map_err(|incompatibility| incompatibility.to_string())
    })?;
    app.metrics.expose_xds(Arc::clone(client.status()));
    Ok(client)
}

fn start_admin(
    config: AdminConfig,
    app: &App,
    reloader: &Arc<Reloader>,
    assignments: &Arc<Assignments>,
    tls: Option<Arc<TlsPort>>,
) -> Result<admin::AdminServer, Box<dyn Error>> {
    let bound = admin::AdminListeners::bind(&config)?;
    let token = config.token_file.as_deref().map(TokenFile::new);
    let admin = Admin {
        engine: Arc::clone(&app.engine),
        metrics: Arc::clone(&app.metrics),
        reloader: Arc::clone(reloader),
        assignments: Arc::clone(assignments),
        readiness: app.readiness.clone(),
        token: token.transpose()?,
        tls,
        config,
    };
    Ok(admin::AdminServer::start(bound, admin)?)
}

/// The addresses of all ports, the main one first.
fn addresses(admin: &admin::AdminServer) -> String {
    let addresses = admin.addresses().iter().map(ToString::to_string);
    addresses.collect::<Vec<_>>().join(", ")
}

async fn until_signalled(started: Started) -> u8 {
    let mut signals = started.signals;
    let (end, ending) = oneshot::channel();
    let at_once = async {
        signals.end.next().await;
        // The receiver exists: the server is still running.
        let _ = end.send(());
        signals.end.next().await;
    };
    let in_order = server::run(started.listener, started.app, async {
        // The sender is dropped only together with this future.
        let _ = ending.await;
    });
    tokio::select! {
        outcome = in_order => match outcome {
            Ok(Shutdown::Clean | Shutdown::CutOff) => DONE,
            Err(error) => {
                tracing::error!("{}", with_sources(&error));
                match error {
                    RunError::Start(_) => UNUSABLE,
                    RunError::Protocol(_) | RunError::WorkerEnded => FAILED,
                }
            }
        },
        () = at_once => {
            tracing::warn!("second signal, exiting immediately");
            FAILED
        }
        never = reload_on(&mut signals.hangup, &started.reloader, &started.certificates) => match never {},
    }
}

async fn reload_on(
    hangup: &mut Signal,
    reloader: &Reloader,
    certificates: &CertificateWatch,
) -> Infallible {
    loop {
        hangup.recv().await;
        tracing::info!("SIGHUP received, reloading policies");
        certificates.reload();
        // The outcome is logged.
        reloader.reload().await;
    }
}

/// The signals that weir handles.
struct Signals {
    end: EndSignals,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            end: EndSignals {
                term: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            },
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// The signals that end weir.
struct EndSignals {
    term: Signal,
    interrupt: Signal,
}

impl EndSignals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
