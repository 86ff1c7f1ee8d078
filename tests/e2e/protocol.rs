//! What any gRPC client finds: the services, plain-text calls, health, and an end in good order.

use serde_json::json;

use crate::envoy::Envoy;
use crate::grpcurl::Grpcurl;
use crate::http::Request;
use crate::weir::Weir;

const SERVICE: &str = "envoy.service.ratelimit.v3.RateLimitService";
const HEALTH_NAMES: [&str; 3] = ["", "ratelimit", SERVICE];

#[test]
fn reflection_lists_the_services() {
    let weir = Weir::start("peeker");
    let Some(grpcurl) = Grpcurl::new(weir.address) else {
        return;
    };

    let services = grpcurl.run(None, &["list"]).expect("a list");
    for service in [SERVICE, "grpc.health.v1.Health"] {
        assert!(services.lines().any(|line| line == service), "{services}");
    }
    let entry = "envoy.extensions.common.ratelimit.v3.RateLimitDescriptor.Entry";
    let described = grpcurl.run(None, &["describe", entry]).expect("a message");
    assert!(described.contains("string value = 2"), "{described}");
}

#[test]
fn descriptors_are_sent_as_text() {
    let weir = Weir::start("peeker");
    let Some(grpcurl) = Grpcurl::new(weir.address) else {
        return;
    };

    let answer = grpcurl.should_rate_limit("peeker", &[("api_key", "pk_live_1")]);
    assert_eq!(answer["overallCode"], "OK");
    let status = &answer["statuses"][0];
    assert_eq!(status["limitRemaining"], 599);
    assert_eq!(status["currentLimit"]["requestsPerUnit"], 600);
    assert_eq!(status["currentLimit"]["unit"], "MINUTE");

    let unlimited = grpcurl.should_rate_limit("elsewhere", &[("api_key", "pk_live_1")]);
    assert_eq!(unlimited["overallCode"], "OK");
}

#[test]
fn a_call_without_a_domain_is_refused() {
    let weir = Weir::start("peeker");
    let Some(grpcurl) = Grpcurl::new(weir.address) else {
        return;
    };

    let error = grpcurl
        .run(Some(&json!({})), &[&format!("{SERVICE}/ShouldRateLimit")])
        .expect_err("an error");
    assert!(error.contains("InvalidArgument"), "{error}");
}

#[test]
fn all_three_names_are_healthy() {
    let weir = Weir::start("peeker");
    let Some(grpcurl) = Grpcurl::new(weir.address) else {
        return;
    };

    assert_eq!(
        HEALTH_NAMES.map(|name| grpcurl.health(name)),
        ["SERVING"; 3]
    );
}

#[test]
fn after_sigterm_it_answers_until_its_clients_have_gone() {
    let Some(mut envoy) = Envoy::start("peeker") else {
        return;
    };
    let Some(grpcurl) = Grpcurl::new(envoy.weir.address) else {
        return;
    };
    let orders = Request::new("GET /partner/v1/orders").key("pk_live_1");
    assert_eq!(envoy.client().send(&orders).status, 200);

    envoy.weir.process.terminate();
    let process = &mut envoy.weir.process;
    process.wait_for(|line| line.contains("NOT_SERVING").then_some(()));

    // Envoy is still connected.
    assert_eq!(
        HEALTH_NAMES.map(|name| grpcurl.health(name)),
        ["NOT_SERVING"; 3]
    );
    let answer = grpcurl.should_rate_limit("peeker", &[("api_key", "pk_live_1")]);
    assert_eq!(
        answer["statuses"][0]["currentLimit"]["requestsPerUnit"],
        600
    );
}

#[test]
fn sigterm_without_clients_ends_at_once_and_well() {
    let mut weir = Weir::start("peeker");

    weir.process.terminate();

    assert!(weir.process.wait().success());
}
