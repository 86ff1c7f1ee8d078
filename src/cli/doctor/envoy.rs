//! What Envoy's admin interface says: the rate-limit filters of its configuration, its clusters, its statistics.

mod config;

use std::collections::BTreeMap;

use serde_json::Value;

pub(super) use config::{Chain, RateLimitFilter};

/// An Envoy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EnvoyView {
    /// The chains of HTTP filters, one per HTTP connection manager.
    pub(super) chains: Vec<Chain>,
    /// Virtual hosts with a route that repeats, and includes, an action of the virtual host.
    pub(super) repeating_hosts: Vec<String>,
    /// Clusters by their name.
    pub(super) clusters: BTreeMap<String, Cluster>,
    pub(super) stats: EnvoyStats,
}

/// A cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cluster {
    /// Whether its configuration asks for HTTP/2; `None` if it was not found there.
    pub(super) has_http2: Option<bool>,
    pub(super) hosts: Vec<Host>,
}

/// An endpoint of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) address: String,
    /// Why Envoy does not send calls to it, such as `failed_active_health_check`; `None` if it does.
    pub(super) fault: Option<String>,
}

/// The counters and gauges by their name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EnvoyStats(BTreeMap<String, u64>);

impl EnvoyView {
    /// From the JSON of `/config_dump`, `/clusters?format=json` and `/stats?format=json`.
    pub(super) fn new(config: &Value, clusters: &Value, stats: &Value) -> Self {
        let mut view = Self {
            stats: EnvoyStats::new(stats),
            ..Self::default()
        };
        for status in array(clusters, "cluster_statuses") {
            let hosts = array(status, "host_statuses").iter().map(host);
            let cluster = Cluster {
                has_http2: None,
                hosts: hosts.collect(),
            };
            view.clusters.insert(text(status, "name"), cluster);
        }
        config::walk(config, &mut view);
        view
    }

    /// The rate-limit filters of all chains.
    pub(super) fn filters(&self) -> impl Iterator<Item = &RateLimitFilter> {
        self.chains.iter().flat_map(|chain| &chain.filters)
    }

    /// The clusters that rate-limit filters call, each once.
    pub(super) fn rate_limit_clusters(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .filters()
            .filter_map(|f| f.cluster.as_deref())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl EnvoyStats {
    fn new(json: &Value) -> Self {
        let stats = array(json, "stats").iter();
        let stats = stats.filter_map(|stat| Some((text(stat, "name"), stat["value"].as_u64()?)));
        Self(stats.collect())
    }

    /// A counter of a cluster, such as `upstream_rq_timeout`.
    pub(super) fn of_cluster(&self, cluster: &str, counter: &str) -> u64 {
        let name = format!("cluster.{cluster}.{counter}");
        self.0.get(&name).copied().unwrap_or(0)
    }

    /// A counter of all rate-limit filters together, such as `ok` or `error`.
    pub(super) fn of_filters(&self, counter: &str) -> u64 {
        let counts = self.0.iter().filter(|(name, _)| {
            let (scope, last) = name.rsplit_once('.').unwrap_or_default();
            // With a prefix of the filter there is one more part.
            last == counter
                && scope.starts_with("cluster.")
                && (scope.ends_with(".ratelimit") || scope.contains(".ratelimit."))
        });
        counts.map(|(_, count)| count).sum()
    }

    /// Requests of clients that a chain has received.
    pub(super) fn requests(&self, chain: &str) -> u64 {
        let name = format!("http.{chain}.downstream_rq_total");
        self.0.get(&name).copied().unwrap_or(0)
    }

    /// The counts less those of an earlier time.
    pub(super) fn since(mut self, earlier: &Self) -> Self {
        for (name, count) in &mut self.0 {
            let before = earlier.0.get(name).copied().unwrap_or(0);
            // Envoy may have restarted in between.
            *count = count.checked_sub(before).unwrap_or(*count);
        }
        self
    }
}

fn host(status: &Value) -> Host {
    let address = &status["address"];
    let socket = &address["socket_address"];
    let address = match socket["port_value"].as_u64() {
        Some(port) => format!("{}:{port}", text(socket, "address")),
        None => format!("unix:{}", text(&address["pipe"], "path")),
    };
    let health = status["health_status"].as_object();
    let fault = health
        .into_iter()
        .flatten()
        .find_map(|(name, value)| match value {
            Value::Bool(true) if name.contains("degraded") => None,
            Value::Bool(true) => Some(name.clone()),
            Value::String(of_eds) if of_eds == "UNHEALTHY" || of_eds == "DRAINING" => {
                Some(of_eds.to_lowercase())
            }
            _ => None,
        });
    Host { address, fault }
}

fn array<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}
