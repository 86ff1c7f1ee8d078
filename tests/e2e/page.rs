//! The page in a real browser.

use std::process::Command;

use serde_json::json;

use crate::browser::Browser;
use crate::weir::Weir;
use weir_harness::program;

const POLICY: &str = "
domain: shop
descriptors:
  - key: account
    descriptors:
      - {key: endpoint, pattern: 'GET /orders/{order}', rate_limit: {unit: hour, requests_per_unit: 50}}
      - {key: endpoint, value: 'POST *', shadow_mode: true, rate_limit: {unit: hour, requests_per_unit: 5}}
  - {key: api_key, secret: true, rate_limit: {unit: hour, requests_per_unit: 3}}
  - {key: remote_address, rate_limit: [{unit: second, requests_per_unit: 90}, {unit: day, requests_per_unit: 100}]}
";

const TOKEN: &str = "0123456789abcdef";

/// Asks for `times` decisions about one descriptor.
fn ask(weir: &Weir, times: usize, entries: &[(&str, &str)]) {
    let entries: Vec<_> = entries
        .iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    let request = json!({"domain": "shop", "descriptors": [{"entries": entries}]}).to_string();
    for _ in 0..times {
        weir.post("/json", &request);
    }
}

fn traffic(weir: &Weir) {
    ask(
        weir,
        60,
        &[("account", "a1"), ("endpoint", "GET /orders/7")],
    );
    ask(weir, 9, &[("account", "a1"), ("endpoint", "POST /orders")]);
    ask(
        weir,
        40,
        &[("account", "a2"), ("endpoint", "GET /orders/8")],
    );
    ask(weir, 7, &[("api_key", "s3cret-key")]);
    ask(weir, 85, &[("remote_address", "192.0.2.7")]);
}

#[test]
fn the_page_shows_refused_clients_and_their_rules() {
    let Some(chromium) = program::CHROMIUM.or_skip() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).expect("a folder");
    let policy = POLICY;
    std::fs::write(policies.join("shop.yaml"), policy).expect("a policy");
    let token = folder.path().join("token");
    std::fs::write(&token, TOKEN).expect("a token");
    let weir = Weir::serve(
        &policies,
        &["--admin-token-file", &token.display().to_string()],
    );
    let url = format!("http://{}/", weir.http);
    let mut page = Browser::open(chromium, &url, false);
    page.wait_for("document.querySelectorAll('#rules tr').length > 3");
    traffic(&weir);

    // Pushed by the server, within its next step of five seconds.
    page.wait_for("document.querySelector('#domains .c-over').textContent !== '0.0 refused'");
    page.wait_for("document.querySelectorAll('#domains svg path.over').length === 1");
    let near = page.value("$('near').textContent").to_string();
    assert!(
        near.contains("account › endpoint=GET /orders/{order}shop"),
        "{near}"
    );
    let order = "[...$('rules').querySelectorAll('tr')].find(row => row.textContent.includes('/orders/{order}'))";
    let cells = page.value(&format!("[...{order}.cells].map(cell => cell.textContent)"));
    assert_eq!(cells[1], "50 per hour");
    assert_eq!((&cells[3], &cells[4]), (&json!("90"), &json!("10")));
    let shadow = "[...$('rules').querySelectorAll('tr')].find(row => row.textContent.includes('POST')).cells[5].textContent";
    assert_eq!(page.value(shadow), "4");

    // Who it is, is for those who have the token.
    page.wait_for("!$('token-form').hidden");
    assert_eq!(page.value("$('refused').textContent"), "");
    page.value("$('token').focus()");
    page.write(TOKEN);
    page.press(&["Enter"]);
    page.wait_for("$('refused').textContent.includes('account=a1')");
    let refused = page
        .value("[...$('refused').rows].map(row => [...row.cells].map(cell => cell.textContent))");
    assert_eq!(
        refused[0],
        json!([
            "account=a1, endpoint=GET /orders/7",
            "account, endpoint=GET /orders/{order}",
            "10"
        ])
    );
    assert!(
        refused[1][0]
            .as_str()
            .is_some_and(|who| who.starts_with("api_key=***")),
        "{refused}"
    );
    let all = page
        .value("document.documentElement.textContent")
        .to_string();
    assert!(!all.contains("s3cret-key"));

    // Everything by the keyboard: `/` goes to the filter, Tab on to what follows.
    page.value("document.activeElement.blur()");
    page.press(&["/"]);
    page.write("api_key");
    page.wait_for("$('rules').querySelectorAll('tr:not(.group)').length === 1");
    page.press(&["Tab"]);
    assert_eq!(page.value("document.activeElement.id"), "active");
    page.value("$('entries').focus()");
    page.write("api_key=s3cret-key");
    page.press(&["Tab", "Enter"]);
    page.wait_for("$('explained').textContent.includes('response OVER_LIMIT')");
    let explained = page.value("$('explained').textContent").to_string();
    assert!(
        explained.contains("with the counters of the server"),
        "{explained}"
    );
    assert!(!explained.contains("s3cret-key"), "{explained}");

    // The page shows that a reload failed, and why.
    std::fs::write(
        policies.join("shop.yaml"),
        policy.replace("rate_limit", "rate_limt"),
    )
    .expect("a policy");
    page.wait_for("!$('load').hidden");
    let load = page.value("$('load').textContent").to_string();
    assert!(
        load.contains("Generation 1 stays in force") && load.contains("did you mean `rate_limit`?"),
        "{load}"
    );
    let complaints = page.complaints.join("\n");
    // The browser reports the 401 from before the token was entered.
    let others: Vec<&str> = complaints
        .lines()
        .filter(|line| !line.contains("401"))
        .collect();
    assert_eq!(others, Vec::<&str>::new());
}

/// `WEIR_PICTURES=folder cargo test --test e2e pictures` leaves pictures of the page for a person to look at.
#[test]
fn pictures_of_the_page_for_a_person_to_look_at() {
    let (Some(chromium), Ok(pictures)) =
        (program::CHROMIUM.or_skip(), std::env::var("WEIR_PICTURES"))
    else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).expect("a folder");
    let shop = policies.join("shop.yaml");
    std::fs::write(&shop, POLICY).expect("a policy");
    for file in ["platform", "peeker", "skakio"] {
        let from = format!("{}/config/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
        std::fs::copy(from, policies.join(format!("{file}.yaml"))).expect("a policy");
    }
    let weir = Weir::serve(&policies, &[]);
    for is_dark in [false, true] {
        let mut page = Browser::open(chromium, &format!("http://{}/", weir.http), is_dark);
        page.wait_for("document.querySelectorAll('#rules tr').length > 3");
        for _ in 0..3 {
            traffic(&weir);
            page.wait_for("document.querySelectorAll('#domains svg path.over').length === 1");
            let steps = page.value("all.domains[0].steps.length");
            page.wait_for(&format!("all.domains[0].steps.length > {steps}"));
        }
        page.value("$('entries').value = 'account=a1\\nendpoint=GET /orders/7'; $('domain').value = 'shop'; $('explain').requestSubmit()");
        page.wait_for("!$('explained').hidden");
        let name = if is_dark { "dark" } else { "light" };
        let path = format!("{pictures}/{name}.png");
        let decoded = Command::new("sh")
            .args(["-c", "base64 -d > \"$0\"", &path])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .and_then(|mut child| {
                use std::io::Write;
                let picture = page.picture();
                child
                    .stdin
                    .take()
                    .map(|mut input| input.write_all(picture.as_bytes()));
                child.wait()
            });
        assert!(decoded.expect("base64").success());
    }
}
