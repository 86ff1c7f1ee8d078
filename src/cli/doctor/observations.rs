//! What is known of a server and its Envoy.

use super::envoy::EnvoyView;
use super::samples::MetricSamples;
use crate::api::{Overview, Top};

/// Everything that was observed.
#[derive(Clone, Debug)]
pub(super) struct Observations {
    /// What weir says, or why it cannot be reached.
    pub(super) server: Result<ServerView, String>,
    /// Why the gRPC port is not healthy; `None` if it was not asked.
    pub(super) grpc: Option<Result<(), String>>,
    /// `None` if it was not asked.
    pub(super) envoy: Option<EnvoyView>,
    /// The time in which counters were compared, in seconds; `None` for all since the start.
    pub(super) during_secs: Option<u64>,
}

/// What the admin server says.
#[derive(Clone, Debug)]
pub(super) struct ServerView {
    pub(super) overview: Overview,
    pub(super) samples: MetricSamples,
    /// The clients, or why the server does not show them.
    pub(super) top: Result<Top, String>,
}

impl Observations {
    /// The time that the server's counters are of, for a sentence.
    pub(super) fn period(&self) -> String {
        self.period_of("weir")
    }

    /// The time that Envoy's counters are of, for a sentence.
    pub(super) fn envoy_period(&self) -> String {
        self.period_of("Envoy")
    }

    fn period_of(&self, program: &str) -> String {
        match self.during_secs {
            None => format!("since {program} started"),
            Some(secs) => format!("within {secs} s"),
        }
    }
}

impl ServerView {
    /// The names of the domains of the policy in force, for a sentence.
    pub(super) fn domain_names(&self) -> String {
        let names = self.overview.domains.iter().map(|domain| &*domain.name);
        let names: Vec<&str> = names.collect();
        match names.as_slice() {
            [] => "no domain".to_owned(),
            names => names.join(", "),
        }
    }
}
