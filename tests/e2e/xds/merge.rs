//! A domain in several resources, as envoyproxy/ratelimit treats it.

use serde_json::{Value, json};
use weir_harness::Ratelimit;

use super::{NODE, weir};
use crate::control_plane::ControlPlane;
use crate::weir::{Weir, query};

/// A resource with one limit of the domain `shop`.
fn part(name: &str, key: &str, requests: u32) -> Value {
    json!({"name": name, "domain": "shop", "descriptors": [
        {"key": key, "rateLimit": {"unit": "DAY", "requestsPerUnit": requests}},
    ]})
}

/// The limits of two keys; none where there is none, or no configuration.
fn limits(server: &str) -> [Option<u64>; 2] {
    ["user=a", "team=a"].map(|entry| {
        let answer = query(server, "shop", &["--peek", entry]).ok()?;
        answer["descriptors"][0]["limit"]["requests_per_unit"].as_u64()
    })
}

/// Both servers, each with a configuration server of its own, and whether they have accepted the first configuration.
struct Pair {
    weir: Weir,
    ratelimit: Ratelimit,
    planes: [ControlPlane; 2],
    is_accepted: [bool; 2],
}

impl Pair {
    /// None if the test is to be skipped.
    fn start(merges: bool, configs: &[(&str, Value)]) -> Option<Self> {
        let [mut of_weir, mut of_ratelimit] =
            [ControlPlane::start(&[])?, ControlPlane::start(&[])?];
        of_weir.send(configs);
        of_ratelimit.send(configs);
        let ratelimit = Ratelimit::start(
            &[],
            &[
                ("CONFIG_TYPE", "GRPC_XDS_SOTW"),
                ("CONFIG_GRPC_XDS_SERVER_URL", &of_ratelimit.address),
                ("CONFIG_GRPC_XDS_NODE_ID", NODE),
                ("FORCE_START_WITHOUT_INITIAL_CONFIG", "true"),
                ("MERGE_DOMAIN_CONFIG", if merges { "true" } else { "false" }),
            ],
        )?;
        let flags: &[&str] = if merges { &["--merge-domains"] } else { &[] };
        let weir = weir(&of_weir, flags);
        let is_accepted =
            [of_weir.answer(), of_ratelimit.answer()].map(|answer| answer.error.is_empty());
        Some(Self {
            weir,
            ratelimit,
            planes: [of_weir, of_ratelimit],
            is_accepted,
        })
    }

    /// Sends another configuration to both. Returns whether they have accepted it.
    fn send(&mut self, configs: &[(&str, Value)]) -> [bool; 2] {
        self.planes.each_mut().map(|plane| {
            plane.send(configs);
            plane.answer().error.is_empty()
        })
    }

    /// The limits that are in force in each.
    fn limits(&self) -> [[Option<u64>; 2]; 2] {
        let addresses = [self.weir.address, self.ratelimit.address()];
        addresses.map(|address| limits(&address.to_string()))
    }
}

#[test]
fn resources_of_one_domain_are_merged_and_kept_together_as_in_envoyproxy_ratelimit() {
    let both = |requests| {
        [
            ("users", part("users", "user", requests)),
            ("teams", part("teams", "team", requests)),
        ]
    };
    let Some(mut pair) = Pair::start(true, &both(1)) else {
        return;
    };
    assert_eq!(pair.is_accepted, [true; 2]);
    assert_eq!(pair.limits(), [[Some(1); 2]; 2]);
    // Both define the same node, with different limits.
    let contradiction = [
        ("users", part("users", "user", 2)),
        ("teams", part("teams", "user", 3)),
    ];
    assert_eq!(pair.send(&contradiction), [false; 2]);
    assert_eq!(pair.limits(), [[Some(1); 2]; 2]);
}

#[test]
fn without_that_the_second_resource_of_a_domain_is_an_error_in_both() {
    let configs = [
        ("users", part("users", "user", 1)),
        ("teams", part("teams", "team", 1)),
    ];
    let Some(pair) = Pair::start(false, &configs) else {
        return;
    };
    assert_eq!(pair.is_accepted, [false; 2]);
    // envoyproxy/ratelimit puts nothing in force then, weir the first one.
    let [of_weir, of_ratelimit] = pair.limits();
    assert_eq!(of_weir, [None, Some(1)]);
    assert_eq!(of_ratelimit, [None; 2]);
}
