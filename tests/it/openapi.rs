//! The OpenAPI document, held to what a server sends: every response is valid by the schema of its status, and has no
//! field that the schema lacks.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weir::server::admin::OPENAPI;

use crate::binary::output;
use crate::site::{Answer, Options, Site, fixed_clock, request};

const POLICY: &str = "
domain: shop
plans:
  standard: {rate_limit: {unit: minute, requests_per_unit: 2, name: per_minute}}
response: {standard: [x-ratelimit], over_limit: {body: '{}'}}
descriptors:
  - {key: api_key, secret: true, plan: standard, assignments: customers}
  - {key: path, pattern: '/items/{id}', rate_limit: {unit: minute, requests_per_unit: 5, algorithm: token_bucket, burst: 9}}
  - {key: slots, rate_limit: {algorithm: concurrency, max_in_flight: 2, lease_seconds: 60}}
  - {key: month, rate_limit: {unit: month, calendar: true, requests_per_unit: 5}}
  - {key: staff, exempt: true}
";

/// The document, with objects that permit no field which they do not name.
struct Document {
    document: Value,
    /// Operations and statuses that were seen.
    seen: BTreeSet<String>,
}

impl Document {
    fn new() -> Self {
        let mut document = serde_json::from_str(OPENAPI).unwrap();
        close(&mut document);
        Self {
            document,
            seen: BTreeSet::new(),
        }
    }

    /// Holds a response to its schema.
    fn check(&mut self, method: &str, path: &str, answer: &Answer) {
        let status = answer.status.to_string();
        let response = &self.document["paths"][path][method]["responses"][&status];
        let content = response["content"].as_object();
        let content =
            content.unwrap_or_else(|| panic!("{method} {path}: {status} is not described"));
        let (media_type, content) = content.iter().next().unwrap();
        let expected = format!("content-type: {media_type}");
        assert!(answer.head.contains(&expected), "{path}: {}", answer.head);
        if media_type == "application/json" {
            self.validate(&content["schema"], &answer.json(), path);
        }
        self.seen.insert(format!("{method} {path} {status}"));
    }

    fn validate(&self, schema: &Value, value: &Value, path: &str) {
        let errors = self.errors(schema, value);
        assert!(errors.is_empty(), "{path}: {errors:#?}\n{value:#}");
    }

    fn errors(&self, schema: &Value, value: &Value) -> Vec<String> {
        let schema = json!({"allOf": [schema], "components": self.document["components"]});
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors = validator.iter_errors(value);
        errors
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect()
    }

    fn get(&mut self, site: &Site, path: &str) {
        self.check("get", path, &site.get(path));
    }

    /// Sends a body that must be valid by the document itself, too.
    fn post(&mut self, site: &Site, path: &str, body: &str) -> Value {
        let taken = &self.document["paths"][path]["post"]["requestBody"]["content"];
        if let Some(schema) = taken["application/json"].get("schema") {
            self.validate(schema, &serde_json::from_str(body).unwrap(), path);
        }
        let answer = site.post_as_admin(path, body);
        self.check("post", path, &answer);
        answer.json()
    }
}

/// Makes objects with named fields permit no others.
fn close(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let is_closed = fields.get("properties").is_some_and(Value::is_object);
            if is_closed && fields.contains_key("type") {
                fields.insert("additionalProperties".to_owned(), false.into());
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

async fn site() -> Site {
    let options = Options {
        token: true,
        table: Some("value,plan\nknown,standard\n"),
        ..Options::default()
    };
    Site::start(POLICY, fixed_clock(), options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_response_is_as_the_document_says() {
    let site = site().await;
    let mut document = Document::new();
    let requests = [
        request("shop", &[("api_key", "k")]),
        request("shop", &[("path", "/items/1")]),
        request("shop", &[("slots", "s")]),
        request("shop", &[("month", "m")]),
        request("shop", &[("staff", "me")]),
        request("shop", &[("unknown", "x")]),
        request("nowhere", &[("api_key", "k")]),
    ];
    for request in &requests {
        for _ in 0..3 {
            document.post(&site, "/json", request);
        }
        document.post(&site, "/api/explain", request);
        document.post(&site, "/api/keys/show", request);
        document.post(&site, "/api/keys/credit", request);
        document.post(&site, "/api/keys/reset", request);
    }
    assert_eq!(
        document.post(&site, "/json", &requests[0])["overallCode"],
        "OK"
    );
    let client = r#"{"value": "k"}"#;
    document.post(&site, "/api/assignments/show", r#"{"value": "known"}"#);
    document.post(&site, "/api/assignments/show", client);
    let set = r#"{"value": "k", "rate_limit": "9 per minute", "until": "2999-01-01T00:00:00Z", "note": "n", "author": "a"}"#;
    document.post(&site, "/api/assignments/set", set);
    document.post(&site, "/api/explain", &requests[0]);
    document.post(&site, "/api/assignments/show", client);
    let authorization = format!("Bearer {}", crate::site::TOKEN);
    let token = [("Authorization", authorization.as_str())];
    for path in ["/api/top", "/api/assignments"] {
        document.check("get", path, &site.ask("GET", path, &token, b""));
    }
    document.post(&site, "/api/assignments/remove", client);
    for path in [
        "/",
        "/healthcheck",
        "/ready",
        "/live",
        "/metrics",
        "/rlconfig",
        "/api/overview",
        "/api/openapi.json",
    ] {
        document.get(&site, path);
    }
    document.post(&site, "/api/reload", "");
    std::fs::write(site.folder.path().join("policies/t.yaml"), "domain: [").unwrap();
    document.post(&site, "/api/reload", "");
    document.get(&site, "/api/overview");
    let errors = [
        ("/json", 400),
        ("/api/keys/show", 400),
        ("/api/assignments/set", 400),
    ];
    for (path, status) in errors {
        let answer = site.post_as_admin(path, "}");
        assert_eq!(answer.status, status, "{path}");
        document.check("post", path, &answer);
    }
    let missing = site.post_as_admin("/api/assignments/remove", r#"{"value": "nobody"}"#);
    document.check("post", "/api/assignments/remove", &missing);
    document.check("post", "/api/keys/show", &site.post("/api/keys/show", "{}"));
    assert_all_seen(&document);
}

/// Every operation but the stream of events was seen with 200, and all other statuses of JSON.
fn assert_all_seen(document: &Document) {
    let paths = document.document["paths"].as_object().unwrap();
    for (path, methods) in paths.iter().filter(|(path, _)| *path != "/api/events") {
        for (method, operation) in methods.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let is_json = response["content"].get("application/json").is_some();
                let name = format!("{method} {path} {status}");
                let is_seen = document.seen.contains(&name);
                assert!(
                    is_seen || !(is_json || status == "200"),
                    "{name} was not tried"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_as_the_document_says() {
    let site = site().await;
    let document = Document::new();
    let content = &document.document["paths"]["/api/events"]["get"]["responses"]["200"]["content"];
    let schema = &content["text/event-stream"]["schema"];
    let mut events = site.events();
    events.next().unwrap();
    site.hit("shop", &[("path", "/items/1")]);
    // Until one has the hit.
    loop {
        let event = events.next().unwrap();
        document.validate(schema, &event, "/api/events");
        if !event["rules"].as_object().unwrap().is_empty() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_the_document_lacks_is_found() {
    let site = site().await;
    let overview = site.get("/api/overview").json();
    let schema = json!({"$ref": "#/components/schemas/Overview"});
    let mut document = Document::new();
    assert_eq!(document.errors(&schema, &overview), [""; 0]);
    let store = &mut document.document["components"]["schemas"]["StoreStatus"];
    store["properties"]
        .as_object_mut()
        .unwrap()
        .remove("pinned");
    let errors = document.errors(&schema, &overview);
    assert!(errors[0].starts_with("/store: "), "{errors:?}");
}

#[test]
fn the_command_prints_the_document() {
    let printed = output(&["schema", "openapi"]);
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), OPENAPI);
}
