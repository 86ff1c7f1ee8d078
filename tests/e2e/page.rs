//! The page in a real browser.

mod appearance;
mod diagnosis;
mod plots;

use serde_json::{Value, json};
use tempfile::TempDir;

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
  - {key: job, rate_limit: {algorithm: concurrency, max_in_flight: 8, lease_seconds: 3600, name: workers}}
  - {key: crawler, rate_limit: {algorithm: token_bucket, unit: minute, requests_per_unit: 1000}}
  - {key: '<img src=x onerror=alert(1)>', value: '<img src=x onerror=alert(2)>', rate_limit: {unit: hour, requests_per_unit: 9}}
";

const TOKEN: &str = "0123456789abcdef";

/// The page of a server with a policy file and a token.
struct Site {
    folder: TempDir,
    weir: Weir,
    page: Browser,
}

impl Site {
    /// `None` without Chromium.
    fn open(policy: &str) -> Option<Self> {
        let chromium = program::CHROMIUM.or_skip()?;
        let folder = tempfile::tempdir().expect("a folder");
        let policies = folder.path().join("policies");
        std::fs::create_dir(&policies).expect("a folder");
        if !policy.is_empty() {
            std::fs::write(policies.join("shop.yaml"), policy).expect("a policy");
        }
        let token = folder.path().join("token");
        std::fs::write(&token, TOKEN).expect("a token");
        let token = token.display().to_string();
        let weir = Weir::serve(&policies, &["--admin-token-file", &token, "--allow-empty"]);
        let page = Browser::open(chromium, &format!("http://{}/", weir.http));
        let mut site = Self { folder, weir, page };
        site.page.wait_for("document.readyState === 'complete' && typeof overview === 'object' && overview !== null");
        Some(site)
    }

    /// Puts another policy in force, or tries to.
    fn write_policy(&self, policy: &str) {
        let file = self.folder.path().join("policies/shop.yaml");
        std::fs::write(file, policy).expect("a policy");
    }

    /// Asks for `times` decisions about one descriptor.
    fn ask(&self, domain: &str, times: usize, entries: &[(&str, &str)]) {
        let entries: Vec<_> = entries
            .iter()
            .map(|(key, value)| json!({"key": key, "value": value}))
            .collect();
        let request = json!({"domain": domain, "descriptors": [{"entries": entries}]}).to_string();
        for _ in 0..times {
            self.weir.post("/json", &request);
        }
    }

    /// Some of everything, and waits until the page shows all of it.
    fn send_traffic(&mut self) {
        let orders = [("account", "a1"), ("endpoint", "GET /orders/7")];
        let before = self.page.value("total(sum(overview.domains[0].steps))");
        self.ask("shop", 60, &orders);
        self.ask(
            "shop",
            9,
            &[("account", "a1"), ("endpoint", "POST /orders")],
        );
        self.ask(
            "shop",
            40,
            &[("account", "a2"), ("endpoint", "GET /orders/8")],
        );
        self.ask("shop", 7, &[("api_key", "s3cret-key")]);
        self.ask("shop", 85, &[("remote_address", "192.0.2.7")]);
        self.ask("shop", 3, &[("job", "resize")]);
        let shown = before.as_u64().expect("a number") + 204;
        // Pushed by the server, within its next step of five seconds.
        self.page.wait_for(&format!(
            "total(sum(overview.domains[0].steps)) === {shown}"
        ));
    }

    /// Enters the token.
    fn unlock(&mut self) {
        self.page.wait_for("!$('token-form').hidden");
        self.page.value("$('token').focus()");
        self.page.write(TOKEN);
        self.page.press(&["Enter"]);
        self.page.wait_for("!$('hitters').hidden");
    }

    /// The texts of the cells of the row of a table that contains a text.
    fn row(&mut self, table: &str, contained: &str) -> Value {
        let contained = json!(contained);
        self.page.value(&format!(
            "[...[...$('{table}').rows].find(row => row.textContent.includes({contained})).cells].map(cell => cell.textContent)"
        ))
    }

    /// What the browser complained of.
    fn complaints(&self) -> &[String] {
        &self.page.complaints
    }
}

#[test]
fn refused_clients_and_their_rules_are_shown() {
    let Some(mut site) = Site::open(POLICY) else {
        return;
    };
    site.send_traffic();
    let near = site.row("near", "/orders/{order}");
    assert!(
        near[0]
            .as_str()
            .is_some_and(|rule| rule.starts_with("account › endpoint=GET /orders/{order}")),
        "{near}"
    );
    assert_eq!(
        (&near[1], &near[2], &near[4]),
        (&json!("shop"), &json!("100"), &json!("10"))
    );
    let orders = site.row("rules", "/orders/{order}");
    assert_eq!(orders[1], "50 per hourfixed window");
    // Allowed, by shadow mode, refused.
    assert_eq!(
        (&orders[3], &orders[4], &orders[5]),
        (&json!("90"), &json!("0"), &json!("10"))
    );
    assert_eq!(site.row("rules", "POST *")[4], "4");

    // Who it is, is for those who have the token.
    site.page.wait_for("!$('token-form').hidden");
    assert_eq!(site.page.value("$('hitters').hidden"), true);
    site.unlock();
    site.page.wait_for("$('refused').rows.length");
    let refused = site
        .page
        .value("[...$('refused').rows].map(row => [...row.cells].map(cell => cell.textContent))");
    assert_eq!(
        refused[0],
        json!([
            "account=a1, endpoint=GET /orders/7",
            "account, endpoint=GET /orders/{order}shop",
            "10"
        ])
    );
    assert!(
        refused[1][0]
            .as_str()
            .is_some_and(|who| who.starts_with("api_key=***")),
        "{refused}"
    );

    // The present counters are shown before any hit.
    assert_eq!(site.page.value("$('hits').disabled"), true);
    site.page.value("$('entries').focus()");
    site.page.write("api_key=s3cret-key");
    site.page.press(&["Tab", "Enter"]);
    site.page
        .wait_for("$('explained').textContent.includes('response OVER_LIMIT')");
    let explained = site.page.value("$('explained').textContent").to_string();
    assert!(
        explained.contains("with the counters of the server"),
        "{explained}"
    );
    let all = site.page.value("document.documentElement.textContent");
    assert!(!all.to_string().contains("s3cret-key"));
    assert!(site.complaints().is_empty(), "{:?}", site.complaints());
}

#[test]
fn rules_can_be_searched_and_sorted() {
    let Some(mut site) = Site::open(POLICY) else {
        return;
    };
    site.send_traffic();
    // Each limit has its algorithm, and a bucket its burst.
    assert_eq!(
        site.row("rules", "remote_address")[1],
        "90 per secondfixed window100 per dayfixed window"
    );
    assert_eq!(
        site.row("rules", "crawler")[1],
        "1,000 per minute, burst 1000token bucket".replace("burst 1000", "burst 1,000")
    );
    assert_eq!(
        site.row("rules", "job")[1],
        "8 at once (lease 3,600 s)concurrencyworkers3 slots in use"
    );
    let place = site
        .page
        .value("document.querySelector('#rules .name .place:last-child').textContent");
    assert!(
        place
            .as_str()
            .is_some_and(|place| place.ends_with("policies/shop.yaml:6")),
        "{place}"
    );

    // By the keyboard: `/` leads to the search, which finds names, limits, algorithms and files.
    site.page.press(&["/"]);
    for (words, found) in [
        ("api_key", 1),
        ("token bucket", 1),
        ("per hour", 4),
        ("shop.yaml:7", 1),
        ("nothing", 0),
    ] {
        site.page.value("$('filter').select()");
        site.page.write(words);
        site.page.wait_for(&format!(
            "$('rules').querySelectorAll('tr:not(.group)').length === {found}"
        ));
    }
    assert_eq!(site.page.value("$('rules-none').hidden"), false);
    site.page
        .value("$('filter').value = ''; $('filter').dispatchEvent(new Event('input'))");

    let first = |site: &mut Site| {
        site.page.value("[...$('rules').rows].find(row => row.className !== 'group').querySelector('b').textContent")
    };
    let sort = |site: &mut Site, title: &str| {
        site.page.value(&format!("[...$('rules-head').querySelectorAll('button')].find(button => button.textContent === '{title}').focus()"));
        site.page.press(&["Enter"]);
    };
    assert_eq!(first(&mut site), "account");
    sort(&mut site, "Allowed");
    let direction = "document.querySelector('#rules-head [aria-sort]')?.getAttribute('aria-sort')";
    assert_eq!(site.page.value(direction), "descending");
    let counts = site
        .page
        .value("[...$('rules').rows].map(row => Number(row.cells[3].textContent))");
    assert_eq!(counts, json!([90, 85, 5, 3, 3, 0, 0]));
    sort(&mut site, "Rule");
    assert_eq!(site.page.value(direction), "ascending");
    assert_eq!(first(&mut site), "<img src=x onerror=alert(1)>");
    sort(&mut site, "Rule");
    assert_eq!(site.page.value(direction), "descending");
    assert_eq!(first(&mut site), "remote_address");
    // The order stays, and so does the focus, while new steps arrive.
    let steps = site.page.value("overview.domains[0].steps.length");
    site.page
        .wait_for(&format!("overview.domains[0].steps.length > {steps}"));
    assert_eq!(first(&mut site), "remote_address");
    assert_eq!(
        site.page.value("document.activeElement.textContent"),
        "Rule"
    );
    sort(&mut site, "Rule");
    assert_eq!(site.page.value(direction), Value::Null);
    assert_eq!(first(&mut site), "account");
    assert!(site.complaints().is_empty(), "{:?}", site.complaints());
}
