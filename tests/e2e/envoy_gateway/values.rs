//! `deploy/envoy-gateway`: the values go through the Helm chart of Envoy Gateway, and weir starts as its Deployment would.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};
use weir_harness::{PATIENCE, RedisServer, envoy_gateway_environment, program, wait_until};

use super::{ask_for_cost, certificates, configs, send, weir};
use crate::control_plane::{ControlPlane, tls_flags};
use crate::http::{Client, Request};
use crate::kubernetes::manifests::Manifests;

const CHART: &str = "charts/gateway-helm";
const DEPLOYMENT: &str =
    "internal/infrastructure/kubernetes/ratelimit/testdata/deployments/default.yaml";
/// It has a schema of Deployments as users may configure them.
const PROXIES: &str = "charts/crds/crds/generated/gateway.envoyproxy.io_envoyproxies.yaml";

/// Where the tests find no Redis.
const IN_CLUSTER: &str = "redis.redis-system.svc.cluster.local:6379";

/// The configuration that the chart makes of values; none if the test is to be skipped.
fn configuration(values: &str) -> Option<Value> {
    let helm = program::HELM.or_skip()?;
    let source = program::ENVOY_GATEWAY_SOURCE.or_skip()?;
    let folder = tempfile::tempdir().expect("a folder");
    let chart = folder.path().join("chart");
    let copied = Command::new("cp")
        .args(["-r", "--no-preserve=mode"])
        .args([&source.join(CHART), &chart])
        .status();
    assert!(copied.expect("cp starts").success());
    // What a release has in the place of these.
    let defaults = fs::read_to_string(chart.join("values.tmpl.yaml")).expect("values");
    let defaults = defaults
        .replace("${GatewayImage}", "docker.io/envoyproxy/gateway:v1.9.0")
        .replace("${GatewayImagePullPolicy}", "IfNotPresent");
    fs::write(chart.join("values.yaml"), defaults).expect("written");
    let manifests = Manifests::of(helm, &chart, &["-f", values]).expect("manifests");
    let config = manifests
        .all("ConfigMap")
        .find(|config| config["metadata"]["name"] == "envoy-gateway-config")
        .expect("the configuration");
    let text = config["data"]["envoy-gateway.yaml"].as_str();
    Some(yaml(text.expect("a text")))
}

fn yaml(text: &str) -> Value {
    Value::deserialize(serde_yaml::Deserializer::from_str(text)).expect("YAML")
}

/// The fields of these values that Envoy Gateway does not know, or whose values it rejects.
fn faults(configuration: &Value) -> Vec<String> {
    let source = program::ENVOY_GATEWAY_SOURCE.or_skip().expect("as before");
    let proxies = fs::read_to_string(source.join(CHART).join(PROXIES)).expect("a definition");
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/provider\
                /properties/kubernetes/properties/envoyDeployment";
    let mut deployment = yaml(&proxies).pointer(path).expect("a schema").clone();
    forbid_others(&mut deployment);
    // A Go type without a schema: RateLimit in api/v1alpha1/envoygateway_types.go.
    let text = json!({"type": "string", "minLength": 1});
    let mut rate_limit = json!({
        "type": "object",
        "required": ["backend"],
        "properties": {
            "backend": {"type": "object", "required": ["type", "redis"], "properties": {
                "type": {"const": "Redis"},
                "redis": {"type": "object", "required": ["url"], "properties": {"url": text}},
            }},
            "timeout": text,
            "failClosed": {"type": "boolean"},
        },
    });
    forbid_others(&mut rate_limit);
    let mut faults = Vec::new();
    for (schema, field) in [
        (deployment, "/provider/kubernetes/rateLimitDeployment"),
        (rate_limit, "/rateLimit"),
    ] {
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let value = configuration.pointer(field).expect(field);
        let errors = validator.iter_errors(value);
        faults.extend(errors.map(|error| format!("{field}: {error}")));
    }
    faults
}

/// Has all objects of a schema permit the fields that it names, and no others.
fn forbid_others(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let is_open = fields.contains_key("additionalProperties")
                || fields.contains_key("x-kubernetes-preserve-unknown-fields");
            if fields.get("properties").is_some_and(Value::is_object) && !is_open {
                fields.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            fields.values_mut().for_each(forbid_others);
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_others),
        _ => {}
    }
}

/// Variables of a container, by their names.
fn variables(container: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let list = container["env"].as_array().into_iter().flatten();
    list.map(|variable| (text(&variable["name"]), text(&variable["value"])))
        .collect()
}

/// What Envoy Gateway adds to its own variables for these values.
fn additions(configuration: &Value) -> BTreeMap<String, String> {
    let deployment = &configuration["provider"]["kubernetes"]["rateLimitDeployment"];
    assert_eq!(
        deployment["container"]["image"], "REGISTRY/weir:0.1.0",
        "{deployment}"
    );
    let url = configuration["rateLimit"]["backend"]["redis"]["url"].as_str();
    let url = ("REDIS_URL".to_owned(), url.expect("an address").to_owned());
    let own = variables(&deployment["container"]);
    [url].into_iter().chain(own).collect()
}

/// Starts weir in that environment. Fails unless it becomes healthy, has the limits, and counts in its store.
fn expect_service(additions: &BTreeMap<String, String>) {
    let certs = tempfile::tempdir().expect("a folder");
    certificates(certs.path());
    let flags = tls_flags(certs.path(), "-", "server");
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let Some(mut plane) = ControlPlane::start(&flags) else {
        return;
    };
    let additions = additions.iter();
    let more: Vec<(&str, &str)> = additions
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let (weir, _) = weir(certs.path(), &plane.address, &more);
    wait_until("weir is healthy", PATIENCE, || {
        let request = Request::new("GET /healthcheck");
        Client::connect(weir.http).send(&request).status == 200
    });
    send(&plane, &configs("configs"));
    assert_eq!(plane.answer().error, "");
    assert_eq!(ask_for_cost(&weir, certs.path())["remaining"], 3);
    assert_eq!(weir.metric("weir_store_up "), 1);
}

/// The environment of the other tests is what Envoy Gateway itself expects of its Deployment.
#[test]
fn the_environment_is_that_of_envoy_gateway() {
    let Some(source) = program::ENVOY_GATEWAY_SOURCE.or_skip() else {
        return;
    };
    let text = fs::read_to_string(source.join(DEPLOYMENT)).expect("a Deployment");
    let deployment = yaml(&text);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["command"], json!(["/bin/ratelimit"]));
    let without_addresses = |variables: BTreeMap<String, String>| {
        let mut variables = variables;
        for name in ["REDIS_URL", "CONFIG_GRPC_XDS_SERVER_URL", "PROMETHEUS_ADDR"] {
            variables.remove(name);
        }
        variables
    };
    let own = envoy_gateway_environment("/certs").into_iter();
    let own = own.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(
        without_addresses(own.collect()),
        without_addresses(variables(container))
    );
}

#[test]
fn the_values_for_memory_start_an_instance_without_redis() {
    let Some(configuration) = configuration("deploy/envoy-gateway/memory.yaml") else {
        return;
    };
    assert_eq!(faults(&configuration), [""; 0]);
    let deployment = &configuration["provider"]["kubernetes"]["rateLimitDeployment"];
    assert_eq!(deployment["replicas"], 1);
    expect_service(&additions(&configuration));
}

#[test]
fn the_values_for_redis_start_an_instance_that_counts_there() {
    let Some(configuration) = configuration("deploy/envoy-gateway/redis.yaml") else {
        return;
    };
    if !program::REDIS.is_installed() {
        return;
    }
    assert_eq!(faults(&configuration), [""; 0]);
    let redis = RedisServer::start();
    let mut additions = additions(&configuration);
    let url = additions.insert(
        "REDIS_URL".to_owned(),
        format!("localhost:{}", redis.port()),
    );
    assert_eq!(url.as_deref(), Some(IN_CLUSTER));
    expect_service(&additions);
    let keys = redis.cli(&["--scan"]);
    assert!(keys.contains("weir:"), "{keys}");
}

#[test]
fn the_page_shows_the_values() {
    let page = fs::read_to_string("docs/envoy-gateway.md").expect("a page");
    for file in [
        "deploy/envoy-gateway/memory.yaml",
        "deploy/envoy-gateway/redis.yaml",
    ] {
        let values = fs::read_to_string(file).expect("values");
        let block = format!("```yml\n# {file}\n{values}```\n");
        assert!(page.contains(&block), "{file} is not shown as it is");
    }
}

#[test]
fn a_field_that_envoy_gateway_does_not_know_is_found() {
    let Some(mut configuration) = configuration("deploy/envoy-gateway/memory.yaml") else {
        return;
    };
    let deployment = &mut configuration["provider"]["kubernetes"]["rateLimitDeployment"];
    deployment["container"]["variables"] = json!([]);
    configuration["rateLimit"]["backend"]["type"] = json!("Memory");
    let found = faults(&configuration);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("variables"), "{found:?}");
}
