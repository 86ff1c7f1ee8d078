//! Asks the server, its gRPC port, and Envoy.

use std::io;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use super::envoy::EnvoyView;
use super::observations::{Observations, ServerView};
use super::samples::MetricSamples;
use crate::client::{AdminClient, AdminError, ServerAddr, TlsOptions, check_health};
use crate::error_text::with_sources;

/// Longer than a health check takes.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// Statistics that matter; the rest may be many.
const STATS: &str =
    "/stats?format=json&filter=ratelimit%7Cupstream_rq_%7Cupstream_cx_%7Cdownstream_rq_total";

/// Who is asked.
#[derive(Debug)]
pub(super) struct Sources<'s> {
    pub(super) admin: &'s AdminClient,
    pub(super) grpc: Option<&'s ServerAddr>,
    pub(super) tls: TlsOptions,
    /// `HOST:PORT` of Envoy's admin interface.
    pub(super) envoy: Option<&'s str>,
}

/// The server, or Envoy, does not answer as it should.
#[derive(Debug, Error)]
pub(super) enum DoctorError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(
        "the admin server's answer is not what this version of weir expects; use the server's version"
    )]
    Answer(#[from] serde_json::Error),
    #[error("cannot connect to {address}; --envoy is the address of Envoy's admin interface")]
    EnvoyConnect { address: String, source: io::Error },
    #[error("cannot ask Envoy; --envoy is the address of its admin interface")]
    Envoy(#[source] AdminError),
    #[error(
        "Envoy does not answer `{path}` with JSON; --envoy is the address of its admin interface"
    )]
    EnvoyAnswer {
        path: &'static str,
        source: serde_json::Error,
    },
}

impl DoctorError {
    fn of_envoy(error: AdminError) -> Self {
        match error {
            AdminError::Connect { address, source } => Self::EnvoyConnect { address, source },
            other => Self::Envoy(other),
        }
    }
}

/// Asks all of them; twice with `during`, whose counters are then those of the time between.
pub(super) async fn observe(
    sources: &Sources<'_>,
    during: Option<Duration>,
) -> Result<Observations, DoctorError> {
    let Some(during) = during else {
        return look(sources).await;
    };
    let earlier = look(sources).await?;
    tokio::time::sleep(during).await;
    let mut later = look(sources).await?;
    if let (Ok(server), Ok(before)) = (&mut later.server, &earlier.server) {
        let samples = std::mem::take(&mut server.samples);
        server.samples = samples.since(&before.samples);
    }
    if let (Some(envoy), Some(before)) = (&mut later.envoy, earlier.envoy) {
        let stats = std::mem::take(&mut envoy.stats);
        envoy.stats = stats.since(&before.stats);
    }
    later.during_secs = Some(during.as_secs());
    Ok(later)
}

async fn look(sources: &Sources<'_>) -> Result<Observations, DoctorError> {
    let grpc = match sources.grpc {
        None => None,
        Some(server) => {
            let health = check_health(server, &sources.tls, HEALTH_TIMEOUT).await;
            Some(health.map_err(|error| with_sources(&error)))
        }
    };
    let envoy = match sources.envoy {
        None => None,
        Some(address) => Some(look_at_envoy(address).await?),
    };
    let server = match look_at_server(sources.admin).await {
        Ok(server) => Ok(server),
        // Without anything else to look at, that it cannot be asked is not a finding.
        Err(DoctorError::Admin(
            error @ (AdminError::Connect { .. } | AdminError::Timeout { .. }),
        )) if envoy.is_some() => Err(with_sources(&error)),
        Err(error) => return Err(error),
    };
    Ok(Observations {
        server,
        grpc,
        envoy,
        during_secs: None,
    })
}

async fn look_at_server(admin: &AdminClient) -> Result<ServerView, DoctorError> {
    let top: Result<_, DoctorError> = get(admin, "/api/top").await;
    Ok(ServerView {
        overview: get(admin, "/api/overview").await?,
        samples: MetricSamples::parse(&admin.get("/metrics").await?),
        top: top.map_err(|error| with_sources(&error)),
    })
}

async fn get<T: DeserializeOwned>(admin: &AdminClient, path: &str) -> Result<T, DoctorError> {
    let json = admin.get(path).await?;
    Ok(serde_json::from_str(&json)?)
}

async fn look_at_envoy(address: &str) -> Result<EnvoyView, DoctorError> {
    let admin = AdminClient::new(address, None, &TlsOptions::default());
    let admin = admin.map_err(DoctorError::of_envoy)?;
    let get = async |path: &'static str| {
        let json = admin.get(path).await.map_err(DoctorError::of_envoy)?;
        let value: Result<Value, _> = serde_json::from_str(&json);
        value.map_err(|source| DoctorError::EnvoyAnswer { path, source })
    };
    let config = get("/config_dump").await?;
    let clusters = get("/clusters?format=json").await?;
    Ok(EnvoyView::new(&config, &clusters, &get(STATS).await?))
}
