//! EnvoyFilters, applied as Istio does. What is not understood is a panic: nothing is left out silently.

use serde_json::{Map, Value};

const CONNECTION_MANAGER: &str = "envoy.filters.network.http_connection_manager";

/// Applies the patches of an EnvoyFilter to the bootstrap of a gateway or a sidecar. Returns how many places each has changed.
pub(crate) fn apply(filter: &Value, bootstrap: &mut Value, proxy: Proxy) -> Vec<usize> {
    assert_eq!(filter["kind"], "EnvoyFilter");
    list(&filter["spec"]["configPatches"])
        .iter()
        .map(|patch| {
            known(patch, &["applyTo", "match", "patch"]);
            known(&patch["patch"], &["operation", "value"]);
            let resources = &mut bootstrap["static_resources"];
            match text(&patch["applyTo"]) {
                "HTTP_FILTER" => insert_filters(resources, patch, proxy),
                "VIRTUAL_HOST" => merge_virtual_hosts(resources, patch, proxy),
                "CLUSTER" => merge_clusters(resources, patch, proxy),
                other => panic!("unknown target {other}"),
            }
        })
        .collect()
}

/// Whose bootstrap it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proxy {
    Gateway,
    Sidecar,
}

impl Proxy {
    fn context_of_listener(self, listener: &Value) -> &'static str {
        match self {
            // The service itself, in the test.
            _ if listener["name"] == "app" => "",
            Self::Gateway => "GATEWAY",
            Self::Sidecar if listener["name"] == "virtualInbound" => "SIDECAR_INBOUND",
            Self::Sidecar => "SIDECAR_OUTBOUND",
        }
    }

    fn context_of_cluster(self, cluster: &Value) -> &'static str {
        match self {
            Self::Gateway => "GATEWAY",
            Self::Sidecar if text(&cluster["name"]).starts_with("inbound|") => "SIDECAR_INBOUND",
            Self::Sidecar => "SIDECAR_OUTBOUND",
        }
    }
}

/// Inserts a filter before the one that is named.
fn insert_filters(resources: &mut Value, patch: &Value, proxy: Proxy) -> usize {
    assert_eq!(patch["patch"]["operation"], "INSERT_BEFORE");
    let wanted = &patch["match"];
    known(wanted, &["context", "listener"]);
    let filter = &wanted["listener"]["filterChain"]["filter"];
    known(filter, &["name", "subFilter"]);
    assert_eq!(filter["name"], CONNECTION_MANAGER);
    let mut changed = 0;
    for manager in managers(resources, &wanted["context"], proxy) {
        let filters = manager["http_filters"].as_array_mut().expect("filters");
        let before = filters
            .iter()
            .position(|own| own["name"] == filter["subFilter"]["name"]);
        if let Some(before) = before {
            filters.insert(before, patch["patch"]["value"].clone());
            changed += 1;
        }
    }
    changed
}

fn merge_virtual_hosts(resources: &mut Value, patch: &Value, proxy: Proxy) -> usize {
    assert_eq!(patch["patch"]["operation"], "MERGE");
    let wanted = &patch["match"];
    known(wanted, &["context", "routeConfiguration"]);
    let name = wanted.pointer("/routeConfiguration/vhost/name");
    let mut changed = 0;
    for manager in managers(resources, &wanted["context"], proxy) {
        let hosts = &mut manager["route_config"]["virtual_hosts"];
        for host in hosts.as_array_mut().expect("virtual hosts") {
            if name.is_none_or(|name| host["name"] == *name) {
                merge(host, &patch["patch"]["value"]);
                changed += 1;
            }
        }
    }
    changed
}

fn merge_clusters(resources: &mut Value, patch: &Value, proxy: Proxy) -> usize {
    assert_eq!(patch["patch"]["operation"], "MERGE");
    let wanted = &patch["match"];
    known(wanted, &["context", "cluster"]);
    known(&wanted["cluster"], &["service", "portNumber"]);
    let service = text(&wanted["cluster"]["service"]);
    let name = format!("outbound|{}||{service}", wanted["cluster"]["portNumber"]);
    let mut changed = 0;
    for cluster in resources["clusters"].as_array_mut().expect("clusters") {
        if cluster["name"] == name && proxy.context_of_cluster(cluster) == wanted["context"] {
            merge(cluster, &patch["patch"]["value"]);
            changed += 1;
        }
    }
    changed
}

/// The connection managers of the listeners in a context.
fn managers<'r>(
    resources: &'r mut Value,
    context: &'r Value,
    proxy: Proxy,
) -> impl Iterator<Item = &'r mut Value> {
    let listeners = resources["listeners"].as_array_mut().expect("listeners");
    listeners
        .iter_mut()
        .filter(move |listener| proxy.context_of_listener(listener) == context)
        .flat_map(|listener| listener["filter_chains"].as_array_mut().expect("chains"))
        .flat_map(|chain| chain["filters"].as_array_mut().expect("filters"))
        .filter(|filter| filter["name"] == CONNECTION_MANAGER)
        .map(|filter| &mut filter["typed_config"])
}

/// As protobuf merges messages: fields one by one, lists one behind the other.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(from)) => into.extend(from.iter().cloned()),
        (into, from) => *into = from.clone(),
    }
}

/// Fails if there are other keys.
fn known(value: &Value, keys: &[&str]) {
    let empty = Map::new();
    for key in value.as_object().unwrap_or(&empty).keys() {
        assert!(keys.contains(&key.as_str()), "unknown key {key} in {value}");
    }
}

fn list(value: &Value) -> &Vec<Value> {
    value
        .as_array()
        .unwrap_or_else(|| panic!("{value} is not a list"))
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is not a text"))
}
