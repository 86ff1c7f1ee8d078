//! Generates the document. It is compiled for tests only: the server contains the result.

use std::collections::BTreeMap;
use std::{env, fs};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::api::{
    AssignedClient, AssignmentAnswer, AssignmentList, AssignmentSet, Keys, Overview, Reload,
    StepEvent, Top,
};
use crate::engine::Explanation;
use crate::server::admin::{Access, ENDPOINTS, Endpoint};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/openapi.json");

const TEXT: &str = "text/plain";
const JSON: &str = "application/json";

/// What an endpoint takes and sends.
#[derive(Default)]
struct EndpointOperation {
    body: Option<Value>,
    /// By status: the description, the media type and the schema.
    responses: BTreeMap<u16, (&'static str, &'static str, Value)>,
}

impl EndpointOperation {
    fn taking(body: Value) -> Self {
        let rejected = Self {
            body: Some(body),
            ..Self::default()
        };
        let rejected = rejected.text(400, "the body is invalid; the text says why");
        let rejected = rejected.text(408, "the body took too long");
        rejected.text(413, "the body is incomplete or too long")
    }

    fn text(self, status: u16, description: &'static str) -> Self {
        self.sending(status, description, TEXT, json!({"type": "string"}))
    }

    fn json(self, status: u16, description: &'static str, schema: Value) -> Self {
        self.sending(status, description, JSON, schema)
    }

    fn sending(
        mut self,
        status: u16,
        description: &'static str,
        media_type: &'static str,
        schema: Value,
    ) -> Self {
        self.responses
            .insert(status, (description, media_type, schema));
        self
    }
}

fn operation(endpoint: &Endpoint, schemas: &mut SchemaGenerator) -> EndpointOperation {
    let new = EndpointOperation::default();
    let of_request = || EndpointOperation::taking(reference("RateLimitRequest"));
    match endpoint.path {
        "/" => new
            .sending(200, "the page", "text/html", json!({"type": "string"}))
            .text(500, "the page cannot be sent"),
        "/healthcheck" => new
            .text(200, "weir accepts calls")
            .text(500, "weir does not accept calls"),
        "/ready" => new
            .text(
                200,
                "weir accepts calls; a note if Redis or the disk is unavailable",
            )
            .text(503, "weir does not accept calls; the text says why"),
        "/live" => new.text(200, "the process responds"),
        "/metrics" => new.text(200, "the metrics"),
        "/rlconfig" => new.text(200, "the limits in force"),
        "/json" => of_request()
            .json(200, "the answer is OK", reference("RateLimitResponse"))
            .json(
                429,
                "the answer is OVER_LIMIT",
                reference("RateLimitResponse"),
            )
            .text(
                503,
                "the hits could not be counted, and a rule says to fail then",
            ),
        "/api/overview" => new.json(200, "the data of the page", of::<Overview>(schemas)),
        "/api/events" => new.sending(
            200,
            "each event has this JSON as its data",
            "text/event-stream",
            of::<StepEvent>(schemas),
        ),
        "/api/top" => new.json(200, "the clients", of::<Top>(schemas)),
        "/api/explain" => of_request()
            .json(200, "the explanation", of::<Explanation>(schemas))
            .text(503, "Redis is unavailable"),
        "/api/keys/show" | "/api/keys/reset" | "/api/keys/credit" => of_request()
            .json(200, "the counters afterwards", of::<Keys>(schemas))
            .text(503, "Redis is unavailable"),
        "/api/assignments" => new.json(200, "the assignments", of::<AssignmentList>(schemas)),
        "/api/assignments/show" => EndpointOperation::taking(of::<AssignedClient>(schemas))
            .json(
                200,
                "the assignment, if there is one",
                of::<AssignmentAnswer>(schemas),
            )
            .text(404, "the assignment is unknown"),
        "/api/assignments/set" => EndpointOperation::taking(of::<AssignmentSet>(schemas))
            .json(200, "it is in force", of::<AssignmentAnswer>(schemas))
            .text(500, "it cannot be stored")
            .text(503, "Redis is unavailable"),
        "/api/assignments/remove" => EndpointOperation::taking(of::<AssignedClient>(schemas))
            .json(200, "it was removed", of::<AssignmentAnswer>(schemas))
            .text(404, "the assignment is unknown")
            .text(500, "the change cannot be stored")
            .text(503, "Redis is unavailable"),
        "/api/openapi.json" => new.json(200, "this document", json!({"type": "object"})),
        "/api/reload" => new
            .json(200, "the files are in force", of::<Reload>(schemas))
            .json(
                409,
                "the files were rejected; the policy of before stays",
                of::<Reload>(schemas),
            )
            .text(504, "the reload takes more than a minute"),
        path => panic!("{path} is not described: add it to {}", file!()),
    }
}

/// A reference to the schema of a type, as it is sent.
fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().to_value()
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn described(endpoint: &Endpoint, operation: EndpointOperation) -> Value {
    let mut operation = operation;
    if endpoint.access != Access::Anybody {
        let reason = "the host or the origin is not permitted, or the server has no token";
        operation = operation.text(403, reason);
    }
    // With the token an explanation is by the present counters.
    let takes_token = endpoint.path == "/api/explain";
    let security = match endpoint.access {
        Access::Token => json!([{"token": []}]),
        // Sometimes needed.
        Access::Charging | Access::Clients => json!([{}, {"token": []}]),
        Access::NamedHost if takes_token => json!([{}, {"token": []}]),
        Access::Anybody | Access::NamedHost => json!([]),
    };
    if security != json!([]) {
        operation = operation.text(401, "the token is missing or wrong");
    }
    let responses = operation.responses.into_iter().map(|(status, response)| {
        let (description, media_type, schema) = response;
        let content = json!({media_type: {"schema": schema}});
        let value = json!({"description": description, "content": content});
        (status.to_string(), value)
    });
    let mut value = json!({
        "operationId": operation_id(endpoint),
        "summary": endpoint.help,
        "security": security,
        "responses": responses.collect::<Map<_, _>>(),
    });
    let token = endpoint.access.as_str();
    if !token.is_empty() && token != "yes" {
        value["description"] = format!("The token is needed {token}.").into();
    }
    if let Some(schema) = operation.body {
        value["requestBody"] = json!({"required": true, "content": {JSON: {"schema": schema}}});
    }
    value
}

/// Such as `post_api_keys_show`.
fn operation_id(endpoint: &Endpoint) -> String {
    let path = endpoint.path.trim_end_matches(".json").trim_matches('/');
    let path = match path {
        "" => "page",
        path => path,
    };
    format!("{} {path}", endpoint.method.to_lowercase()).replace([' ', '/'], "_")
}

/// The messages of Envoy's protocol, in the JSON of protobuf.
fn messages() -> Map<String, Value> {
    let descriptor = json!({
        "type": "object",
        "required": ["entries"],
        "properties": {
            "entries": {"type": "array", "items": {
                "type": "object",
                "required": ["key"],
                "properties": {"key": {"type": "string"}, "value": {"type": "string"}},
            }},
            "hitsAddend": {"type": ["integer", "string"], "description": "Hits of this descriptor; 0 looks without counting."},
            "isNegativeHits": {"type": "boolean", "description": "Refunds the hits."},
            "limit": {"type": "object", "description": "A limit in place of that of the policy."},
        },
    });
    let request = json!({
        "type": "object",
        "description": "`envoy.service.ratelimit.v3.RateLimitRequest` in the JSON of protobuf.",
        "required": ["domain", "descriptors"],
        "properties": {
            "domain": {"type": "string"},
            "descriptors": {"type": "array", "minItems": 1, "items": descriptor},
            "hitsAddend": {"type": "integer", "minimum": 0, "description": "Hits of each descriptor that has none of its own; 0 is 1."},
        },
        "example": {"domain": "shop", "descriptors": [{"entries": [{"key": "api_key", "value": "k"}]}]},
    });
    let status = json!({
        "type": "object",
        "properties": {
            "code": {"enum": ["OK", "OVER_LIMIT"]},
            "currentLimit": {"type": "object", "properties": {
                "name": {"type": "string"},
                "requestsPerUnit": {"type": "integer"},
                "unit": {"type": "string"},
                "unitMultiplier": {"type": "integer"},
            }},
            "limitRemaining": {"type": "integer"},
            "durationUntilReset": {"type": "string", "description": "Such as `30s`."},
            "quotaBucketId": {"type": "string"},
        },
    });
    let headers = json!({"type": "array", "items": {"type": "object", "properties": {
        "key": {"type": "string"}, "value": {"type": "string"}, "rawValue": {"type": "string"},
    }}});
    let response = json!({
        "type": "object",
        "description": "`envoy.service.ratelimit.v3.RateLimitResponse` in the JSON of protobuf; fields with their default value are left out.",
        "properties": {
            "overallCode": {"enum": ["OK", "OVER_LIMIT"]},
            "statuses": {"type": "array", "items": status},
            "responseHeadersToAdd": headers,
            "requestHeadersToAdd": headers,
            "rawBody": {"type": "string", "description": "The body for the client, in base64."},
            "dynamicMetadata": {"type": "object"},
        },
    });
    let named = [
        ("RateLimitRequest", request),
        ("RateLimitResponse", response),
    ];
    named
        .map(|(name, schema)| (name.to_owned(), schema))
        .into_iter()
        .collect()
}

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12();
    let settings =
        settings.with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.for_serialize().into_generator();
    let mut paths = Map::<String, Value>::new();
    for endpoint in ENDPOINTS {
        let operation = described(endpoint, operation(endpoint, &mut generator));
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method.to_lowercase()] = operation;
    }
    let mut schemas = generator.take_definitions(true);
    schemas.extend(messages());
    schemas.sort_keys();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "weir",
            "description": "The HTTP API of `weir serve --http`.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:8080"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    });
    for_all_languages(&mut document);
    document
}

/// Replaces what only readers of Rust understand in descriptions, which are the comments of types.
fn for_all_languages(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "description" => *text = without_links(text),
                    value => for_all_languages(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(for_all_languages),
        _ => {}
    }
}

/// `None` is null in JSON; of a link [`a::b`] the last name remains.
fn without_links(text: &str) -> String {
    let text = text.replace("`None`", "`null`").replace('\n', " ");
    let mut pieces = text.split("[`");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (link, rest) = piece.split_once("`]").unwrap_or((piece, ""));
        let (_, name) = link.rsplit_once("::").unwrap_or(("", link));
        plain.push_str(&format!("`{name}`{rest}"));
    }
    plain
}

#[test]
fn the_document_is_that_of_the_endpoints() {
    let document = format!("{:#}\n", document());
    if env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(FILE, &document).unwrap();
    }
    let written = fs::read_to_string(FILE).unwrap();
    assert!(
        written == document,
        "docs/reference/openapi.json is not current: run UPDATE_SNAPSHOTS=1 cargo test --lib openapi"
    );
}
