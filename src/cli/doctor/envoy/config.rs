//! Rate-limit filters and clusters in Envoy's `/config_dump`, wherever they are: in static resources or in those of a
//! control plane.

use serde_json::{Map, Value};

use super::{EnvoyView, array, text};

/// The HTTP filters of a listener's connection manager.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Chain {
    /// The `stat_prefix`.
    pub(in super::super) name: String,
    /// Its rate-limit filters, in order.
    pub(in super::super) filters: Vec<RateLimitFilter>,
    /// Whether the client's address is that of the connection, or one of `x-forwarded-for` by trusted hops.
    pub(in super::super) uses_remote_address: bool,
}

/// A rate-limit filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct RateLimitFilter {
    pub(in super::super) domain: String,
    /// The cluster that it calls.
    pub(in super::super) cluster: Option<String>,
    /// Whether Envoy refuses requests while weir does not answer (`failure_mode_deny`).
    pub(in super::super) denies_on_failure: bool,
    /// How long it waits for an answer, such as `0.050s`; `None` for the default of 20 ms.
    pub(in super::super) timeout: Option<String>,
    /// `filter_enabled` or `filter_enforced`, if it is 0 %.
    pub(in super::super) switched_off: Option<&'static str>,
}

const FILTER_TYPE: &str = "envoy.extensions.filters.http.ratelimit.v3.RateLimit";
const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// Adds what is in `value`, at any depth, to the view.
pub(super) fn walk(value: &Value, view: &mut EnvoyView) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| walk(value, view)),
        Value::Object(fields) => {
            visit(value, fields, view);
            fields.values().for_each(|value| walk(value, view));
        }
        _ => {}
    }
}

fn visit(value: &Value, fields: &Map<String, Value>, view: &mut EnvoyView) {
    if fields.contains_key("http_filters") {
        let chain = chain(value);
        // A static listener is in the dump twice: in the bootstrap, and among the listeners.
        if !view.chains.contains(&chain) {
            view.chains.push(chain);
        }
    }
    if fields.contains_key("routes") && repeats(value) {
        let name = text(value, "name");
        // A static route configuration is in the dump twice.
        if !view.repeating_hosts.contains(&name) {
            view.repeating_hosts.push(name);
        }
    }
    let is_cluster = fields.contains_key("load_assignment")
        || fields.contains_key("eds_cluster_config")
        || fields.contains_key("connect_timeout");
    if is_cluster && let Some(cluster) = view.clusters.get_mut(&text(value, "name")) {
        cluster.has_http2 = Some(has_http2(value));
    }
}

fn chain(manager: &Value) -> Chain {
    let filters = array(manager, "http_filters").iter();
    let filters = filters.map(|filter| &filter["typed_config"]);
    let filters = filters.filter(|config| text(config, "@type").ends_with(FILTER_TYPE));
    Chain {
        name: text(manager, "stat_prefix"),
        filters: filters.map(filter).collect(),
        uses_remote_address: manager["use_remote_address"] == true
            || !manager["original_ip_detection_extensions"].is_null(),
    }
}

fn filter(config: &Value) -> RateLimitFilter {
    let service = &config["rate_limit_service"]["grpc_service"];
    let switches = ["filter_enabled", "filter_enforced"];
    let is_off = |switch: &&str| {
        let share = &config[*switch]["default_value"];
        // Protobuf leaves out a 0 in JSON.
        share.is_object() && share["numerator"].as_u64().unwrap_or(0) == 0
    };
    RateLimitFilter {
        domain: text(config, "domain"),
        cluster: service["envoy_grpc"]["cluster_name"]
            .as_str()
            .map(str::to_owned),
        denies_on_failure: config["failure_mode_deny"] == true,
        timeout: config["timeout"].as_str().map(str::to_owned),
        switched_off: switches.into_iter().find(is_off),
    }
}

/// Whether a route of a virtual host has an action that the virtual host has too, and includes that one as well.
fn repeats(host: &Value) -> bool {
    let of_host = array(host, "rate_limits");
    array(host, "routes").iter().any(|route| {
        let action = &route["route"];
        let per_filter = route["typed_per_filter_config"].as_object();
        let mut per_filter = per_filter.into_iter().flat_map(Map::values);
        let includes = action["include_vh_rate_limits"] == true
            || per_filter.any(|config| config["vh_rate_limits"] == "INCLUDE");
        includes
            && array(action, "rate_limits")
                .iter()
                .any(|own| of_host.contains(own))
    })
}

fn has_http2(cluster: &Value) -> bool {
    let options = &cluster["typed_extension_protocol_options"][HTTP_OPTIONS];
    let explicit = &options["explicit_http_config"];
    let accepted = [
        &cluster["http2_protocol_options"],
        &explicit["http2_protocol_options"],
        &options["auto_config"],
        &options["use_downstream_protocol_config"],
    ];
    accepted.iter().any(|options| !options.is_null())
}
