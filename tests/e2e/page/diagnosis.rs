//! What the page says when something is missing or wrong.

use std::process::Command;

use serde_json::json;

use super::{POLICY, Site};
use crate::browser::Browser;
use crate::control_plane::{ControlPlane, NODE};
use crate::weir::Weir;
use weir_harness::program;

#[test]
fn an_empty_server_says_what_to_do_next() {
    let Some(mut site) = Site::open("") else {
        return;
    };
    site.page
        .wait_for("$('notices').textContent.includes('No policy')");
    // What the page proposes is a policy.
    let policy = site
        .page
        .value("document.querySelector('#notices pre').textContent");
    site.write_policy(policy.as_str().expect("a text"));
    site.page
        .wait_for("$('notices').textContent.includes('No requests yet')");
    assert_eq!(
        site.page
            .value("document.querySelector('#domains .none').textContent"),
        "No requests yet"
    );

    // And what it proposes then is a request that a rule matches.
    let command = site
        .page
        .value("document.querySelector('#notices pre').textContent");
    let command = command.as_str().expect("a text").to_owned();
    assert_eq!(command, "weir query --domain shop api_key=test");
    let sent = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(command.split(' ').skip(1))
        .args(["--server", &site.weir.address.to_string()])
        .output()
        .expect("weir starts");
    assert!(sent.status.success(), "{sent:?}");
    site.page
        .wait_for("!$('notices').textContent.includes('No requests yet')");
    site.page
        .wait_for("$('rules').rows[1].cells[3].textContent === '1'");
    assert!(site.complaints().is_empty(), "{:?}", site.complaints());
}

#[test]
fn a_rejected_reload_is_shown_with_its_line() {
    let Some(mut site) = Site::open(POLICY) else {
        return;
    };
    site.write_policy(&POLICY.replacen("rate_limit", "rate_limt", 1));
    site.page
        .wait_for("document.querySelector('#notices .alarm') !== null");
    let notice = site
        .page
        .value("document.querySelector('#notices .alarm').textContent")
        .to_string();
    for part in [
        "The last reload failed",
        "Policy 1 stays in force",
        "policies/shop.yaml:6:",
        "did you mean `rate_limit`?",
    ] {
        assert!(notice.contains(part), "{notice}");
    }
    site.write_policy(POLICY);
    site.page
        .wait_for("document.querySelector('#notices .alarm') === null");
    assert!(site.complaints().is_empty(), "{:?}", site.complaints());
}

#[test]
fn unknown_domains_and_unmatched_keys_are_shown_and_escaped() {
    let Some(mut site) = Site::open(POLICY) else {
        return;
    };
    let image = "<img src=x onerror=alert(3)>";
    site.ask("nowhere", 2, &[("api_key", "k")]);
    site.ask(image, 1, &[("api_key", "k")]);
    site.ask("shop", 3, &[("tenant", "t"), (image, "v4lue")]);
    site.ask(
        "shop",
        12,
        &[(
            "<img src=x onerror=alert(1)>",
            "<img src=x onerror=alert(2)>",
        )],
    );
    site.page.wait_for("$('unknown').rows.length === 2 && $('unmatched').rows.length === 1 && $('near').rows.length === 1");
    assert_eq!(
        site.row("unknown", "nowhere"),
        serde_json::json!(["nowhere", "2"])
    );
    let keys = format!("tenant › {image}");
    assert_eq!(
        site.row("unmatched", "tenant"),
        serde_json::json!([keys, "shop", "3"])
    );
    let notice = site.page.value("$('notices').textContent").to_string();
    assert!(
        notice.contains("unknown domains are not limited") && notice.contains("nowhere"),
        "{notice}"
    );
    let all = site
        .page
        .value("document.documentElement.textContent")
        .to_string();
    assert!(!all.contains("v4lue"));
    site.unlock();
    site.page
        .wait_for("$('refused').textContent.includes('onerror=alert(2)')");
    assert_eq!(site.page.value("document.images.length"), 0);
    assert!(site.complaints().is_empty(), "{:?}", site.complaints());
}

#[test]
fn an_unavailable_redis_is_shown() {
    let Some(chromium) = program::CHROMIUM.or_skip() else {
        return;
    };
    // Nothing listens there.
    let store = format!("redis://127.0.0.1:{}", weir_harness::free_port());
    let weir = Weir::serve("config/peeker.yaml".as_ref(), &["--store", &store]);
    let mut page = Browser::open(chromium, &format!("http://{}/", weir.http));
    page.wait_for(
        "document.querySelector('#notices .alarm')?.textContent.includes('Redis is unavailable')",
    );
    let tile = page.value("[...document.querySelectorAll('#tiles .bad')].pop().textContent");
    assert_eq!(tile, "StoreRedisunavailable");
}

#[test]
fn the_configuration_server_is_named_and_so_is_its_absence() {
    let Some(chromium) = program::CHROMIUM.or_skip() else {
        return;
    };
    let Some(mut plane) = ControlPlane::start(&[]) else {
        return;
    };
    let server = plane.address.clone();
    let weir = Weir::serve_with(&["--xds", &server, "--xds-node-id", NODE]);
    let mut page = Browser::open(chromium, &format!("http://{}/", weir.http));
    let shows = |place: &str, text: &str| format!("$('{place}').textContent.includes('{text}')");
    page.wait_for(&shows(
        "notices",
        &format!("UNAVAILABLE until {server} has sent a configuration"),
    ));
    let shop = json!({"name": "shop", "domain": "shop", "descriptors": [
        {"key": "user", "rateLimit": {"unit": "DAY", "requestsPerUnit": 1}},
    ]});
    plane.send(&[("shop", shop)]);
    plane.answer();
    page.wait_for(&shows(
        "policy",
        &format!("from {server}: 1 rule in 1 domain"),
    ));
    assert_eq!(weir.metric("weir_policy_source_info{source=\"xds\"} "), 1);
    drop(plane);
    page.wait_for(&shows(
        "notices",
        "The configuration server is not connected",
    ));
    page.wait_for(&shows("notices", &server));
}
