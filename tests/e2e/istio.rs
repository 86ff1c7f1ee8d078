//! `examples/istio`: its patches, applied to bootstraps as Istio makes them, and the result in Envoy.

mod patches;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use weir_harness::program;

use crate::certificates::Certificates;
use crate::envoy::Envoy;
use crate::http::{Request, statuses};
use crate::kubernetes::manifests::{Manifests, checkers};
use crate::weir::Weir;
use patches::{Proxy, apply};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn policies() -> PathBuf {
    root().join("examples/istio/weir/policies")
}

/// The patches of a file in `examples/istio`, with more time than a busy machine needs.
fn filter(name: &str) -> Value {
    let text = fs::read_to_string(root().join("examples/istio").join(name)).expect("a file");
    assert_eq!(text.matches("timeout: 0.05s").count(), 1);
    let text = text.replace("timeout: 0.05s", "timeout: 30s");
    serde_yaml::from_str(&text).expect("YAML")
}

/// A bootstrap of `istio/`, in which names between `@` are replaced.
fn bootstrap(name: &str, weir: &Weir, names: &[(&str, &str)]) -> Value {
    let read = |name: &str| {
        let text = fs::read_to_string(root().join("tests/e2e/istio").join(name));
        text.expect("a bootstrap")
    };
    let cluster = read("weir.yaml").replace("@PORT@", &weir.address.port().to_string());
    let cluster: Value = serde_yaml::from_str(&cluster).expect("YAML");
    let text = read(name).replace("@WEIR@", &cluster.to_string());
    let text = names
        .iter()
        .fold(text, |text, (name, value)| text.replace(name, value));
    serde_yaml::from_str(&text).expect("YAML")
}

#[test]
fn the_gateway_limits_keys_and_addresses() {
    if !program::ENVOY.is_installed() {
        return;
    }
    let weir = Weir::serve(&policies(), &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display().to_string();
    let mut bootstrap = bootstrap("gateway.yaml", &weir, &[("@FOLDER@", &path)]);
    let changed = apply(&filter("gateway.yaml"), &mut bootstrap, Proxy::Gateway);
    assert_eq!(changed, [1, 1, 1]);
    let text = bootstrap.to_string();
    let Some(envoy) = Envoy::with_bootstrap(&text, "0.0.0.0_8080", weir, folder) else {
        return;
    };
    let mut client = envoy.client();
    let anonymous = Request::new("GET /orders");
    let (passed, refused) = client.until_refused(&anonymous, 60);
    assert_eq!(passed.len(), 60);
    assert_eq!(refused.json()["error"], "slow down");
    let with_key = Request::new("GET /orders").header("x-api-key", "k1");
    let answers = client.repeat(&with_key, 2);
    let left: Vec<u64> = answers
        .iter()
        .map(|answer| answer.number("x-ratelimit-remaining"))
        .collect();
    assert_eq!(left, [599, 598]);
}

#[test]
fn the_sidecar_limits_each_calling_service() {
    if !program::ENVOY.is_installed() {
        return;
    }
    let made = Certificates::new();
    for service in ["orders", "cart", "search"] {
        let identity = format!("spiffe://cluster.local/ns/shop/sa/{service}");
        made.add(service, &made.authority.issue(&[&identity]));
    }
    let weir = Weir::serve(&policies(), &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display().to_string();
    let certificates = made.path("");
    let names = [
        ("@FOLDER@", &*path),
        ("@CERTS@", certificates.trim_end_matches('/')),
    ];
    let mut bootstrap = bootstrap("sidecar.yaml", &weir, &names);
    let changed = apply(&filter("sidecar.yaml"), &mut bootstrap, Proxy::Sidecar);
    assert_eq!(changed, [1, 1, 1]);
    let text = bootstrap.to_string();
    let Some(envoy) = Envoy::with_bootstrap(&text, "callers", weir, folder) else {
        return;
    };
    let mut client = envoy.client();
    let write = |caller: &str| {
        // One that claims to be another service is not believed.
        Request::new(&format!("POST /{caller}"))
            .header("content-length", "0")
            .header(
                "x-forwarded-client-cert",
                "URI=spiffe://cluster.local/ns/shop/sa/search",
            )
    };
    let (passed, _) = client.until_refused(&write("cart"), 60);
    assert_eq!(passed.len(), 60);
    assert_eq!(client.send(&write("search")).status, 200);
    let reads = client.repeat(&Request::new("GET /cart"), 3);
    assert_eq!(statuses(&reads), [200; 3]);
}

#[test]
fn the_workload_is_valid_and_has_the_policies() {
    let Some((kustomize, (kubeconform, schemas))) = program::KUSTOMIZE.or_skip().zip(checkers())
    else {
        return;
    };
    let manifests = Manifests::of_folder(kustomize, "examples/istio/weir").expect("manifests");
    manifests.expect_valid(kubeconform, schemas);
    let objects = [
        ("Deployment", "weir"),
        ("Service", "weir"),
        ("ConfigMap", "weir-policies"),
    ];
    for (kind, name) in objects {
        let metadata = &manifests.one(kind)["metadata"];
        assert_eq!(metadata["namespace"], "weir", "{kind}");
        assert_eq!(metadata["name"], name);
    }
    let data = manifests.one("ConfigMap")["data"].as_object();
    let names: Vec<&String> = data.expect("files").keys().collect();
    assert_eq!(names, ["orders.yaml", "shop.yaml"]);
}
