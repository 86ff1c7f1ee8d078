//! The page at three widths, light and dark.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{POLICY, Site};
use weir_harness::program;

const WIDTHS: [u32; 3] = [390, 820, 1440];

/// A policy with names and numbers as long as they come.
fn long_policy() -> String {
    format!(
        "{POLICY}  - key: a_key_that_was_generated_from_a_template_and_that_nobody_shortened_afterwards
    value: 'GET /api/v3/organisations/0191d3f2-8e37-7c4a-9a10-6b0c2f0d7f33/environments/production'
    rate_limit: {{unit: day, requests_per_unit: 4000000000}}
"
    )
}

#[test]
fn everything_fits_and_is_accessible_at_each_width() {
    let (Some(axe), Some(mut site)) = (program::AXE.or_skip(), Site::open(&long_policy())) else {
        return;
    };
    site.send_traffic();
    site.ask("nowhere", 1, &[("api_key", "k")]);
    site.ask(
        "shop",
        1,
        &[(
            "a_key_that_no_rule_has_and_that_is_longer_than_the_table_is_wide_on_a_phone",
            "v",
        )],
    );
    site.page.wait_for("$('unknown').rows.length === 1");
    assert_eq!(site.page.violations(axe), Vec::<String>::new(), "locked");
    site.unlock();
    site.page.value(
        "$('entries').value = 'account=a1\\nendpoint=GET /orders/7'; $('explain').requestSubmit()",
    );
    site.page.wait_for("!$('explained').hidden");
    for is_dark in [false, true] {
        for width in WIDTHS {
            site.page.look(width, is_dark);
            site.page.wait_for(&format!("innerWidth === {width} && matchMedia('(prefers-color-scheme: dark)').matches === {is_dark}"));
            let outside = site.page.value(
                "[...document.querySelectorAll('body *:not(.skip)')].filter(element => {
                    const {left, right, width} = element.getBoundingClientRect();
                    return width > 0 && (left < 0 || right > innerWidth + .5);
                }).map(element => element.outerHTML.slice(0, 200))",
            );
            assert_eq!(outside, serde_json::json!([]), "{width}");
            // Nothing is cut off or scrolled out of sight.
            let cut_off = site.page.value(
                "[...document.querySelectorAll('section, td, .domain, .notice, .tiles > div, pre')]
                    .filter(element => element.scrollWidth > element.clientWidth + 1)
                    .map(element => element.outerHTML.slice(0, 200))",
            );
            assert_eq!(cut_off, serde_json::json!([]), "{width}");
            let numbers = site.page.value(
                "[...[...$('rules').rows].find(row => row.textContent.includes('/orders/{order}')).cells].every(cell => cell.getBoundingClientRect().width > 0)",
            );
            assert_eq!(numbers, true, "{width}");
            let found = site.page.violations(axe);
            assert_eq!(found, Vec::<String>::new(), "{width}, dark: {is_dark}");
        }
    }
    assert!(site.complaints().is_empty(), "{:?}", site.complaints());
}

/// `WEIR_PICTURES=folder cargo test --test e2e pictures` leaves pictures of the page for a person to look at.
#[test]
fn pictures_for_a_person_to_look_at() {
    let Ok(pictures) = std::env::var("WEIR_PICTURES") else {
        return;
    };
    let Some(mut site) = Site::open(&long_policy()) else {
        return;
    };
    for file in ["platform", "peeker", "skakio"] {
        let from = format!("{}/config/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
        let to = site.folder.path().join(format!("policies/{file}.yaml"));
        std::fs::copy(from, to).expect("a policy");
    }
    site.page.wait_for("overview.domains.length === 4");
    site.ask("nowhere", 20, &[("api_key", "k")]);
    site.ask("shop", 20, &[("tenant", "t")]);
    for times in [300, 120, 250] {
        site.ask(
            "platform",
            times,
            &[
                ("account", "a1"),
                ("endpoint", "GET /product/v2/site/b/stage/live/1"),
            ],
        );
        site.ask("peeker", times, &[("api_key", "pk_live_1")]);
        site.ask(
            "shop",
            times / 4,
            &[("account", "a1"), ("endpoint", "GET /orders/7")],
        );
        let steps = site.page.value("overview.domains[0].steps.length");
        site.page
            .wait_for(&format!("overview.domains[0].steps.length > {steps}"));
    }
    site.unlock();
    site.page.value("$('entries').value = 'account=a1\\nendpoint=GET /orders/7'; $('domain').value = 'shop'; $('explain').requestSubmit()");
    site.page.wait_for("!$('explained').hidden");
    for is_dark in [false, true] {
        for width in WIDTHS {
            site.page.look(width, is_dark);
            let name = if is_dark { "dark" } else { "light" };
            let path = format!("{pictures}/{width}-{name}.png");
            let decoder = Command::new("sh")
                .args(["-c", "base64 -d > \"$0\"", &path])
                .stdin(Stdio::piped())
                .spawn();
            let mut decoder = decoder.expect("base64");
            let mut input = decoder.stdin.take().expect("a pipe");
            input
                .write_all(site.page.picture().as_bytes())
                .expect("written");
            drop(input);
            assert!(decoder.wait().expect("base64").success());
        }
    }
}
