//! A client of a server's admin pages.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::request::{self, Cost};

/// Longer than any answer takes.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks one server, each time anew.
#[derive(Debug)]
pub struct AdminClient {
    address: String,
    token: Option<String>,
}

/// In what form an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For programs.
    Json,
    /// For people.
    Text,
}

impl AdminClient {
    /// A client of the server at HOST:PORT, with the token of a file if there is one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn new(address: &str, token: Option<&Path>) -> Result<Self, AdminError> {
        let token = token.map(|path| {
            let unreadable = |source| {
                let path = path.display();
                AdminError(format!(
                    "the admin token cannot be read from {path}: {source}"
                ))
            };
            fs::read_to_string(path).map_err(unreadable)
        });
        Ok(Self {
            address: address.to_owned(),
            token: token.transpose()?.map(|token| token.trim().to_owned()),
        })
    }

    /// Gets a page.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses.
    pub async fn get(&self, path: &str) -> Result<String, AdminError> {
        self.ask(Method::GET, (path, Form::Json), String::new())
            .await
    }

    /// Asks something of a request.
    ///
    /// # Errors
    /// When the server cannot be reached, or refuses.
    pub async fn post(
        &self,
        path: &str,
        request: &request::Request,
        form: Form,
    ) -> Result<String, AdminError> {
        self.ask(Method::POST, (path, form), body(request).to_string())
            .await
    }

    async fn ask(
        &self,
        method: Method,
        (path, form): (&str, Form),
        body: String,
    ) -> Result<String, AdminError> {
        let asked = tokio::time::timeout(TIMEOUT, self.exchange(method, (path, form), body));
        let (status, text) = asked
            .await
            .map_err(|_| self.error("does not answer".to_owned()))??;
        match status {
            StatusCode::OK => Ok(text),
            _ => Err(self.error(format!("says {}: {}", status.as_u16(), text.trim()))),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        (path, form): (&str, Form),
        body: String,
    ) -> Result<(StatusCode, String), AdminError> {
        let unreachable =
            |error: &dyn fmt::Display| self.error(format!("cannot be asked: {error}"));
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(&error))?;
        let connection = tokio::spawn(connection);
        let accept = match form {
            Form::Json => "application/json",
            Form::Text => "text/plain",
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.address)
            .header(ACCEPT, accept)
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| unreachable(&error))?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| unreachable(&error))?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await;
        connection.abort();
        let bytes = bytes.map_err(|error| unreachable(&error))?.to_bytes();
        Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Neither the token nor a client's value may travel in clear.
    async fn connect(&self) -> Result<TcpStream, AdminError> {
        let found = tokio::net::lookup_host(&self.address).await;
        let found = found.map_err(|error| self.error(format!("cannot be found: {error}")))?;
        let addresses: Vec<SocketAddr> = found.collect();
        let is_far = |address: &SocketAddr| !address.ip().to_canonical().is_loopback();
        if self.token.is_some() && addresses.iter().any(is_far) {
            let way_out = "is on another machine, where the token would travel in clear: use a tunnel to it, such as \
                           `kubectl port-forward` or `ssh -L`";
            return Err(self.error(way_out.to_owned()));
        }
        let stream = TcpStream::connect(&*addresses).await;
        stream.map_err(|error| self.error(format!("cannot be reached: {error}")))
    }

    fn error(&self, what: String) -> AdminError {
        AdminError(format!("the admin server at {} {what}", self.address))
    }
}

/// A request as `RateLimitRequest` in JSON.
fn body(request: &request::Request) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let descriptors = request.descriptors.iter().map(|descriptor| {
        let entries = descriptor.entries.iter();
        let entries =
            entries.map(|entry| json!({"key": text(&entry.key), "value": text(&entry.value)}));
        let (hits, is_refund) = match descriptor.cost {
            Cost::Look => (0, false),
            Cost::Hits(hits) => (hits, false),
            Cost::Refund(hits) => (hits, true),
        };
        let limit = descriptor.limit.map(|limit| {
            let limit = super::override_to_proto(limit);
            json!({
                "requestsPerUnit": limit.requests_per_unit,
                "unit": limit.unit,
                "unitMultiplier": limit.unit_multiplier,
            })
        });
        json!({
            "entries": entries.collect::<Vec<_>>(),
            "hitsAddend": hits,
            "isNegativeHits": is_refund,
            "limit": limit,
        })
    });
    json!({"domain": text(&request.domain), "descriptors": descriptors.collect::<Vec<_>>()})
}

/// A server that cannot be asked, or refuses, in one line.
#[derive(Debug)]
pub struct AdminError(String);

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AdminError {}
