//! `deploy/kustomize` and `deploy/helm`: rendered, checked against the schemas of Kubernetes, and started.

pub(crate) mod manifests;
mod pod;

use std::fs;
use std::process::Command;

use serde_json::json;
use weir_harness::{RedisServer, program};

use crate::certificates::Certificates;
use crate::grpcurl::Grpcurl;
use manifests::{Manifests, checkers, lint};
use pod::{
    Pod, Secrets, Surroundings, expect_ports, expect_restricted, expect_selectors,
    expect_time_to_end,
};

const DEFAULTS: &[&str] = &[];
const MEMORY: &[&str] = &["-f", "deploy/helm/weir/ci/memory.yaml"];
const REDIS: &[&str] = &["-f", "deploy/helm/weir/ci/redis.yaml"];
const XDS: &[&str] = &["-f", "deploy/helm/weir/ci/xds.yaml"];

/// A Redis where the manifests expect one.
fn beside(redis: &RedisServer) -> Surroundings<'static> {
    Surroundings {
        names: vec![("redis://redis:6379", redis.url())],
        ..Surroundings::default()
    }
}

/// Fails unless it is right as a whole.
fn expect_sound(manifests: &Manifests) {
    expect_ports(manifests);
    expect_restricted(manifests);
    expect_selectors(manifests);
    expect_time_to_end(manifests);
}

#[test]
fn the_chart_is_valid_with_its_defaults_and_with_everything_on() {
    let Some((helm, (kubeconform, schemas))) = program::HELM.or_skip().zip(checkers()) else {
        return;
    };
    for values in [DEFAULTS, MEMORY, REDIS, XDS] {
        assert_eq!(lint(helm, values), Ok(()), "{values:?}");
        let manifests = Manifests::of_chart(helm, values).expect("manifests");
        manifests.expect_valid(kubeconform, schemas);
        expect_sound(&manifests);
    }
}

#[test]
fn the_chart_rejects_values_that_contradict_each_other() {
    let Some(helm) = program::HELM.or_skip() else {
        return;
    };
    for (value, expected) in [
        ("replicas=2", "replicas"),
        ("autoscaling.enabled=true", "autoscaling"),
        ("store.type=redis", "address"),
        ("grpc.tls.requireClientCertificate=true", "secret"),
        ("replica=1", "replica"),
        ("policies.notes=text", "'notes' does not match"),
    ] {
        let rejected = Manifests::of_chart(helm, &["--set", value]).err();
        let reason = rejected.unwrap_or_else(|| panic!("{value} is accepted"));
        assert!(reason.contains(expected), "{value}: {reason}");
    }
}

#[test]
fn the_overlays_are_valid() {
    let Some((kustomize, (kubeconform, schemas))) = program::KUSTOMIZE.or_skip().zip(checkers())
    else {
        return;
    };
    for folder in ["deploy/kustomize/memory", "deploy/kustomize/redis"] {
        let manifests = Manifests::of_folder(kustomize, folder).expect("manifests");
        manifests.expect_valid(kubeconform, schemas);
        expect_sound(&manifests);
    }
}

/// What `docs/kubernetes.md` has users write into the base names the image of both overlays.
#[test]
fn the_image_is_named_once_for_both_overlays() {
    let Some(kustomize) = program::KUSTOMIZE.or_skip() else {
        return;
    };
    let page = fs::read_to_string("docs/kubernetes.md").expect("a page");
    let (_, shown) = page
        .split_once("# deploy/kustomize/base/kustomization.yaml\n")
        .expect("a part of the file");
    let (shown, _) = shown.split_once("```").expect("its end");
    let folder = tempfile::tempdir().expect("a folder");
    let copied = Command::new("cp")
        .args(["-r", "deploy/kustomize"])
        .arg(folder.path())
        .status();
    assert!(copied.expect("cp starts").success());
    let base = folder.path().join("kustomize/base/kustomization.yaml");
    let text = fs::read_to_string(&base).expect("a kustomization");
    let images = "images:\n  - name: weir\n    newTag: \"0.1.0\"\n";
    assert!(text.contains(images), "{text}");
    fs::write(&base, text.replace(images, shown)).expect("written");
    for overlay in ["memory", "redis"] {
        let path = folder.path().join("kustomize").join(overlay);
        let path = path.to_str().expect("UTF-8");
        let manifests = Manifests::of_folder(kustomize, path).expect("manifests");
        let container = &manifests.one("Deployment")["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "REGISTRY/weir:0.1.0");
    }
}

#[test]
fn the_chart_starts_without_policies_and_with_some() {
    let Some(helm) = program::HELM.or_skip() else {
        return;
    };
    let manifests = Manifests::of_chart(helm, DEFAULTS).expect("manifests");
    let pod = Pod::start(&manifests, &Surroundings::default());
    pod.expect_healthy(&manifests);

    let manifests = Manifests::of_chart(helm, MEMORY).expect("manifests");
    let pod = Pod::start(&manifests, &Surroundings::default());
    pod.expect_healthy(&manifests);
    let codes = [(); 3].map(|()| {
        let answer = pod.weir.query("shop", &["api_key=k"]).expect("an answer");
        answer["code"].clone()
    });
    assert_eq!(codes, ["OK", "OK", "OVER_LIMIT"]);
}

#[test]
fn the_chart_starts_with_redis_and_tls() {
    let Some(helm) = program::HELM.or_skip() else {
        return;
    };
    if !program::REDIS.is_installed() {
        return;
    }
    let redis = RedisServer::start_with(&["--requirepass", "a-password"]);
    let made = Certificates::new();
    made.add("gateway", &made.authority.issue(&["gateway.example"]));
    made.add("other", &made.authority.issue(&["other.example"]));
    let own = made.authority.issue(&["127.0.0.1"]);
    let secrets: Secrets<'_> = [
        ("redis", vec![("password", "a-password\n".to_owned())]),
        (
            "weir-admin",
            vec![("token", "0123456789abcdef\n".to_owned())],
        ),
        (
            "weir-tls",
            vec![
                ("ca.crt", made.authority.pem()),
                ("tls.crt", own.certificate),
                ("tls.key", own.key),
            ],
        ),
    ]
    .into();
    let manifests = Manifests::of_chart(helm, REDIS).expect("manifests");
    let surroundings = Surroundings {
        secrets,
        ..beside(&redis)
    };
    let pods = [(); 2].map(|()| Pod::start(&manifests, &surroundings));
    // Two instances, one limit.
    let codes = [0, 1, 0, 1].map(|number: usize| {
        let pod: &Pod = &pods[number];
        pod.expect_healthy(&manifests);
        let files = ["ca.pem", "gateway.pem", "gateway.key"].map(|name| made.path(name));
        let flags = ["--ca", &files[0], "--cert", &files[1], "--key", &files[2]];
        let entries = [&flags[..], &["api_key=k"]].concat();
        let answer = pod.weir.query_over_tls("shop", &entries);
        answer.expect("an answer")["code"].clone()
    });
    assert_eq!(codes, ["OK", "OK", "OVER_LIMIT", "OVER_LIMIT"]);

    let Some(grpcurl) = Grpcurl::new(pods[0].weir.address) else {
        return;
    };
    let files = ["ca.pem", "other.pem", "other.key"].map(|name| made.path(name));
    let flags = ["-cacert", &files[0], "-cert", &files[1], "-key", &files[2]];
    let method = "envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
    let refused = grpcurl.over_tls(&flags).run(Some(&json!({})), &[method]);
    assert!(refused.is_err(), "{refused:?}");
}

#[test]
fn the_overlays_start_with_their_policies() {
    let Some(kustomize) = program::KUSTOMIZE.or_skip() else {
        return;
    };
    if !program::REDIS.is_installed() {
        return;
    }
    let redis = RedisServer::start();
    for folder in ["deploy/kustomize/memory", "deploy/kustomize/redis"] {
        let manifests = Manifests::of_folder(kustomize, folder).expect("manifests");
        let pod = Pod::start(&manifests, &beside(&redis));
        pod.expect_healthy(&manifests);
        let answer = pod.weir.query("shop", &["api_key=k"]).expect("an answer");
        assert_eq!(answer["descriptors"][0]["limit"]["requests_per_unit"], 600);
        assert_eq!(pod.weir.metric("weir_store_up "), 1, "{folder}");
    }
}
